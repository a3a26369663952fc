"""JCS and RDFC-1.0: against independent implementations, and against what they get wrong."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pyoxigraph as ox
import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyld import jsonld

from cairn.credentials import DocumentRefused, JsonRefused, parse_json
from cairn.credentials.bundle import context_document
from cairn.credentials.canonicalize import jcs, rdfc
from cairn.credentials.canonicalize.rdfc import Quad, canonical_nquads

from .conftest import OWN

VC2 = "https://www.w3.org/ns/credentials/v2"
OB3 = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"

_nodes = st.sampled_from(["_:a", "_:b", "_:c", "_:d", "<urn:x:1>", "<urn:x:2>"])
_objects = st.one_of(_nodes, st.sampled_from(['"x"', '"é\\n"', '"1"^^<urn:x:t>', '"hi"@en']))
_predicates = st.sampled_from(["<urn:x:p>", "<urn:x:q>"])
_graphs = st.sampled_from(["", "", "<urn:x:g>", "_:a", "_:g"])
_graph = st.lists(st.tuples(_nodes, _predicates, _objects, _graphs), max_size=9)


def _oxigraph(quads: list[Quad]) -> str:
    text = "".join(f"{s} {p} {o} {g} .\n" for s, p, o, g in quads)
    dataset = ox.Dataset(ox.parse(text.encode(), format=ox.RdfFormat.N_QUADS))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    lines = ox.serialize(dataset, format=ox.RdfFormat.N_QUADS) or b""
    return "".join(sorted(lines.decode().splitlines(keepends=True)))


@settings(max_examples=400, deadline=None)
@given(_graph)
def test_rdfc_equals_an_independent_implementation(quads: list[Quad]) -> None:
    assert canonical_nquads(quads) == _oxigraph(quads)


@given(_graph, st.randoms())
def test_rdfc_does_not_depend_on_order_or_labels(quads: list[Quad], random: Any) -> None:
    names = ["_:w", "_:x", "_:y", "_:z", "_:v"]
    random.shuffle(names)
    renamed = dict(zip(["_:a", "_:b", "_:c", "_:d", "_:g"], names, strict=True))
    other = [tuple(renamed.get(term, term) for term in quad) for quad in quads]
    random.shuffle(other)
    assert canonical_nquads(quads) == canonical_nquads(other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["ob3-eddsa-rdfc-2022-full", "ob3-eddsa-rdfc-2022", "status-ok", "endorsement-eddsa-rdfc"]
)
def test_a_credential_canonicalises_as_pyld_alone_does(name: str) -> None:
    document = json.loads((OWN / "db" / f"{name}.json").read_text())
    del document["proof"]

    def load(url: str, _: Any) -> dict[str, Any]:
        return {"contextUrl": None, "documentUrl": url, "document": context_document(url)}

    options = {"algorithm": "URDNA2015", "format": "application/n-quads", "documentLoader": load}
    assert rdfc(document).decode() == jsonld.normalize(document, options)


@pytest.mark.parametrize("relative", ["", "a", "/a", "//host/a", "?q", "#f", ".", "..", "a/../b", "a b", "_:b", "a:"])
@pytest.mark.parametrize("where", ["id", "type"])
def test_a_relative_iri_is_refused_in_every_spelling(relative: str, where: str) -> None:
    document: dict[str, Any] = {"@context": [VC2, OB3], "id": "urn:x:1", "type": ["VerifiableCredential"]}
    evidence: dict[str, Any] = {"type": ["Evidence"], "name": "x"}
    evidence[where] = relative if where == "id" else ["Evidence", relative]
    if relative == "a:":
        assert b"<a:>" in rdfc(document | {"evidence": evidence})
        return
    with pytest.raises(DocumentRefused):
        rdfc(document | {"evidence": evidence})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, '"3"'),
        (3.0, '"3"'),
        (-7, '"-7"'),
        (3.5, '"3.5E0"'),
        (0.1, '"1.0E-1"'),
        (123456.789, '"1.23456789E5"'),
        (2**53 - 1, '"9007199254740991"'),
    ],
)
def test_numbers_are_written_as_json_ld_says(value: float, text: str) -> None:
    document = {
        "@context": [VC2, OB3],
        "id": "urn:x:1",
        "type": ["VerifiableCredential"],
        "credentialSubject": {"type": ["AchievementSubject"], "creditsEarned": value},
    }
    assert f" {text}^^<https://www.w3.org/2001/XMLSchema#float>" in rdfc(document).decode()


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_json)
def test_jcs_is_rfc_8785_and_a_fixed_point(value: Any) -> None:
    written = jcs(value)
    assert written == rfc8785.dumps(value)
    assert jcs(json.loads(written)) == written


_KEYS = st.text(st.sampled_from("aZ~é\ud7ff\ue000\uffff\U00010000\U0010ffff"), min_size=1, max_size=3)
_NUMBERS = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-1e4, 1e4).map(lambda value: round(value, 3))
    | st.sampled_from([6.0, -0.0, 0.0, 1e-3, 9.99e-4, 1e-7, 1e15, 1e21, 1e22, 5e-324, 2.0**53, 0.1 + 0.2, 1e16 + 2])
    | st.integers(-(2**53) - 1, 2**53 + 1)
)


@settings(max_examples=500)
@given(st.recursive(_NUMBERS | st.text('a\x00\x1f\x7f\u2028\ufffe"\\/é'), lambda inner: st.dictionaries(_KEYS, inner)))
def test_jcs_writes_odd_numbers_and_keys_as_rfc_8785_does(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        with pytest.raises(DocumentRefused):
            jcs(value)
    else:
        assert jcs(value) == expected


def test_jcs_writes_nothing_that_json_has_no_word_for() -> None:
    for value in (UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC), {1: "x"}, b"x", {"a": {UUID(int=1)}}):
        with pytest.raises(DocumentRefused):
            jcs(value)


@pytest.mark.parametrize("value", [2**53, math.nan, math.inf, "\ud800", {"a": [10**400]}])
def test_jcs_refuses_what_it_cannot_write_exactly(value: Any) -> None:
    with pytest.raises(DocumentRefused):
        jcs(value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a":1,"a":1}', "duplicate-key"),
        ('[{"x":{"b":1,"b":2}}]', "duplicate-key"),
        ("NaN", "number-not-finite"),
        ("[-Infinity]", "number-not-finite"),
        ("1e999", "number-not-finite"),
        ("[" * 100 + "]" * 100, "too-deep"),
        ("[" * 100_000, "too-deep"),
        ('"\\ud800"', "json-refused"),
        ("{} {}", "json-refused"),
        ("{'a': 1}", "json-refused"),
        ("", "json-refused"),
        ("\ufeff{}", "json-refused"),
        ("9" * 5_000, "too-large"),
        ('"' + "x" * 2_000_000 + '"', "too-large"),
        (b"\xff", "json-refused"),
    ],
)
def test_json_that_readers_may_differ_on_is_refused(text: str | bytes, code: str) -> None:
    with pytest.raises(JsonRefused) as refusal:
        parse_json(text)
    assert refusal.value.code == code


@pytest.mark.parametrize("statements", [5, 60])
def test_alike_credentials_in_graphs_of_their_own_are_told_apart_with_little_effort(statements: int) -> None:
    """As in a presentation of the same achievement: each statement of a node relates it to its graph once more."""
    quads: list[Quad] = [("<urn:x:vp>", "<urn:x:has>", f"_:g{graph}", "") for graph in range(3)]
    quads += [(f"_:n{g}", f"<urn:x:p{i}>", f'"{i}"', f"_:g{g}") for g in range(3) for i in range(statements)]
    canonical = canonical_nquads(quads)
    assert canonical == canonical_nquads(quads[::-1])
    if statements == 5:  # others try the 120 equal orders one by one
        assert canonical == _oxigraph(quads)


def _slow(text: str | bytes) -> object:
    """The value as Python's own parser reads it, or the code of the refusal."""
    pairs: list[list[str]] = []

    def seen(members: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.append([key for key, _ in members])
        return dict(members)

    def finite(digits: str) -> float:
        if not math.isfinite(float(digits)):
            raise ValueError("too large for a number")
        return float(digits)

    try:
        value = json.loads(text, object_pairs_hook=seen, parse_float=finite)
    except (ValueError, RecursionError):
        return "refused"
    if any(len(set(keys)) < len(keys) for keys in pairs):
        return "refused"
    return value


_TOKENS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        '"a"',
        '"b"',
        '"a":',
        '"b" :',
        '"a\\":"',
        '"\\u0061":',
        '"x:y"',
        '" :"',
        "1",
        "1.0",
        "-0",
        "1e5",
        "18446744073709551616",
        "-9223372036854775809",
        "true",
        "null",
        '""',
        '"\\\\":',
    ]
)


@example("1e518446744073709551616")
@settings(max_examples=500)
@given(st.lists(_TOKENS, max_size=12).map("".join) | st.builds(json.dumps, _json))
def test_json_is_read_as_by_a_parser_that_sees_every_key(text: str) -> None:
    expected = _slow(text)
    for given_ in (text, text.encode()):
        try:
            found = parse_json(given_)
        except JsonRefused:
            assert expected == "refused"
        else:
            assert repr(found) == repr(expected)


@pytest.mark.parametrize("layout", [{"separators": (",", ":")}, {}, {"indent": 2}, {"separators": (" , ", " : ")}])
def test_a_key_that_appears_twice_is_refused_in_every_layout(layout: dict[str, Any]) -> None:
    text = json.dumps({"a": [{"k1": 'x:"y', "k2": 2}], "b": {"c": 1.5}}, **layout)
    assert parse_json(text) == json.loads(text)
    with pytest.raises(JsonRefused) as refusal:
        parse_json(text.replace("k2", "k1"))
    assert refusal.value.code == "duplicate-key"


@pytest.mark.parametrize("depth", [63, 64, 65, 300, 2000])
@pytest.mark.parametrize(("opening", "innermost", "closing"), [("[", "", "]"), ("[", "1", "]"), ('{"":', "1", "}")])
def test_depth_is_counted_alike_in_every_layout(depth: int, opening: str, innermost: str, closing: str) -> None:
    compact = opening * depth + innermost + closing * depth
    levels = depth + (1 if innermost else 0)
    for text in (compact, compact.replace("[", "[ ").replace("{", "{ ")):
        if levels <= 64:
            parse_json(text)
        else:
            with pytest.raises(JsonRefused) as refusal:
                parse_json(text)
            assert refusal.value.code == "too-deep"
