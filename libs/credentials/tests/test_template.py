"""A template prepares to the byte what the long way prepares, or refuses what that refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.credentials import (
    CredentialError,
    CredentialTemplate,
    Ed25519Signer,
    PreparedProof,
    StatusEntry,
    build_credential,
    prepare,
)
from cairn.credentials.canonicalize import rdfc
from cairn.credentials.canonicalize.outline import Outline, Path
from cairn.credentials.canonicalize.walk import HandOver

from .conftest import CREATED, NOW, make_draft

SIGNER = Ed25519Signer(bytes(range(32)))
DOCUMENT = build_credential(
    make_draft(SIGNER.did, valid_until=NOW, status=(StatusEntry(list_url="https://uni.example/status/1", index=7),))
)
PATHS: tuple[Path, ...] = (
    ("id",),
    ("validFrom",),
    ("validUntil",),
    ("awardedDate",),
    ("name",),
    ("credentialSubject", "id"),
    ("credentialSubject", "identifier", 0, "identityHash"),
    ("credentialSubject", "identifier", 0, "salt"),
    ("credentialSubject", "result", 0, "value"),
    ("credentialSubject", "result", 1, "value"),
    ("credentialSubject", "achievement", "alignment", 0, "targetName"),
    ("evidence", 0, "id"),
    ("evidence", 0, "narrative"),
    ("credentialStatus", "id"),
    ("credentialStatus", "statusListIndex"),
)
TEMPLATE = CredentialTemplate(DOCUMENT, PATHS)


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


VALUES = [_at(DOCUMENT, path) for path in PATHS]
TEXTS = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(
        ["", "relative", "urn:x:1", "a:", "schema:x", "82", "true", "1e5", 'a"b\\c\n', "\x08", "\ud800", "é✓"]
    ),
    st.text(max_size=8),
)


def _outcome(prepared: Any) -> PreparedProof | str:
    try:
        return prepared()
    except CredentialError as refusal:
        return refusal.code


def _both(values: list[str]) -> tuple[PreparedProof | str, PreparedProof | str]:
    method = SIGNER.verification_method
    quick = _outcome(lambda: TEMPLATE.prepare(values, verification_method=method, created=CREATED))
    long = _outcome(lambda: prepare(TEMPLATE.document(values), verification_method=method, created=CREATED))
    return quick, long


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.integers(0, len(PATHS) - 1), TEXTS, max_size=4))
def test_a_template_gives_what_the_long_way_gives(changes: dict[int, str]) -> None:
    quick, long = _both([changes.get(slot, value) for slot, value in enumerate(VALUES)])
    assert quick == long


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1), min_size=6, max_size=6))
def test_blank_nodes_are_numbered_alike_whatever_the_texts(texts: list[str]) -> None:
    values = [*VALUES[:6], *texts[:5], *VALUES[11:12], texts[5], *VALUES[13:]]
    outline = Outline(DOCUMENT, PATHS)
    assert outline.canonical(values).encode() == rdfc(TEMPLATE.document(values))


def test_the_quick_way_is_the_one_that_is_taken() -> None:
    Outline(DOCUMENT, PATHS).canonical(VALUES)
    quick, long = _both(VALUES)
    assert isinstance(quick, PreparedProof)
    assert quick == long


@pytest.mark.parametrize("slot", [5, 11, 13])
def test_a_second_node_with_the_id_of_another_goes_the_long_way(slot: int) -> None:
    values = [*VALUES[:slot], VALUES[0], *VALUES[slot + 1 :]]
    with pytest.raises(HandOver):
        Outline(DOCUMENT, PATHS).canonical(values)
    quick, long = _both(values)
    assert quick == long == "node-split"


def test_two_results_that_are_alike_go_the_long_way() -> None:
    document = build_credential(make_draft(SIGNER.did, evidence=()))
    result = document["credentialSubject"]["result"]
    result[1] = result[0] | {"value": "B"}
    paths: list[Path] = [("credentialSubject", "result", 1, "value")]
    template = CredentialTemplate(document, paths)
    with pytest.raises(HandOver):
        Outline(document, paths).canonical(["A"])
    method = SIGNER.verification_method
    quick = template.prepare(["A"], verification_method=method, created=CREATED)
    assert quick == prepare(template.document(["A"]), verification_method=method, created=CREATED)


@pytest.mark.parametrize(
    "path",
    [
        ("issuer", "id"),
        ("type", 0),
        ("@context", 0),
        ("credentialSubject",),
        ("nothing",),
        ("credentialSubject", "result", 9),
    ],
    ids=str,
)
def test_a_path_to_what_may_not_vary_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="may vary"):
        CredentialTemplate(DOCUMENT, [path])


def test_what_does_not_vary_is_as_it_was() -> None:
    before = repr(DOCUMENT)
    TEMPLATE.document(["changed"] * len(PATHS))
    assert repr(DOCUMENT) == before


def test_the_issuer_is_checked_for_every_key() -> None:
    other = Ed25519Signer(bytes(32)).verification_method
    with pytest.raises(CredentialError) as refusal:
        TEMPLATE.prepare(VALUES, verification_method=other, created=CREATED)
    assert refusal.value.code == "issuer-mismatch"


def test_numbers_written_as_text_are_no_slots() -> None:
    document = build_credential(make_draft(SIGNER.did))
    document["credentialSubject"]["creditsEarned"] = "many"
    with pytest.raises(HandOver):
        Outline(document, [("credentialSubject", "creditsEarned")])


@pytest.mark.parametrize("changes", [{0: "did:example:learner-1", 6: "\x1f"}, {10: "\ud800"}])
def test_where_more_is_wrong_than_one_thing_the_same_is_told(changes: dict[int, str]) -> None:
    quick, long = _both([changes.get(slot, value) for slot, value in enumerate(VALUES)])
    assert quick == long
    assert isinstance(quick, str)
