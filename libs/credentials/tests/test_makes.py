"""What is remembered of documents that were met before gives what the full processor gives, or nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.credentials import (
    Check,
    CheckName,
    CredentialError,
    Cryptosuite,
    Ed25519Signer,
    Policy,
    build_credential,
    bundle,
    checks,
    sign,
    verify,
)
from cairn.credentials.canonicalize import jsonld, meet, rdfc, rdfc_again
from cairn.credentials.canonicalize.makes import FIXED, Makes, Met
from cairn.credentials.canonicalize.rdfc import canonical_nquads
from cairn.credentials.canonicalize.walk import HandOver
from cairn.credentials.schema_check import (
    ACHIEVEMENT_SCHEMA,
    CLR_SCHEMA,
    ENDORSEMENT_SCHEMA,
    against_schemas,
    choosy_members,
)
from cairn.credentials.secured import Secured
from cairn.credentials.shape import survey

from .conftest import CREATED, NOW, Files, make_draft
from .test_template import TEXTS
from .test_walk import SAMPLES

BADGE = build_credential(make_draft(Ed25519Signer(bytes(32)).did, valid_until=NOW))


def _by_memory(makes: Makes, document: dict[str, Any]) -> str | None:
    met = makes.meet(document)
    try:
        return met.canonical() if met else None
    except (HandOver, CredentialError):
        return None


def _in_full(document: dict[str, Any]) -> str | None:
    try:
        return canonical_nquads(jsonld.to_quads(document))
    except CredentialError:
        return None


def _schema_check(document: dict[str, Any], met: Met | None) -> Check:
    secured = Secured(document, "data-integrity")
    vars(secured)["met"] = met
    return checks.schema(secured)


def _at(document: Any, path: Any) -> Any:
    for step in path:
        document = document[step]
    return document


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for step, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(member, (*path, step))
    else:
        yield path


@pytest.fixture(params=[3, 9], ids=["by its make", "by its achievement"])
def times(request: pytest.FixtureRequest) -> int:
    """How often a document is met before, and so by what it is remembered, if it is of an achievement."""
    return request.param


def _after(document: dict[str, Any], times: int) -> Makes:
    makes = Makes()
    for _ in range(times):
        _by_memory(makes, document)
    return makes


def test_every_fixture_is_remembered_as_the_full_processor_writes_it(times: int) -> None:
    taken = 0
    for document in SAMPLES:
        found = _by_memory(_after(document, times), document)
        taken += found is not None
        assert found in (None, _in_full(document)), json.dumps(document)
    assert taken > 40


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SAMPLES), st.sampled_from([3, 9]), st.data())
def test_other_texts_in_what_is_remembered_are_written_as_in_full(
    sample: dict[str, Any], times: int, data: st.DataObject
) -> None:
    makes = _after(sample, times)
    document = copy.deepcopy(sample)
    for path in data.draw(st.lists(st.sampled_from(list(_leaves(sample))), max_size=3)):
        _at(document, path[:-1])[path[-1]] = data.draw(TEXTS)
    found = _by_memory(makes, document)
    assert found in (None, _in_full(document)), json.dumps(document)


def test_s1_every_change_of_a_leaf_changes_what_is_remembered(times: int) -> None:
    makes = _after(BADGE, times)
    written = _by_memory(makes, BADGE)
    assert written is not None
    taken = 0
    for path in _leaves(BADGE):
        document = copy.deepcopy(BADGE)
        before = _at(document, path)
        _at(document, path[:-1])[path[-1]] = before + "x" if isinstance(before, str) else not before
        found = _by_memory(_after(BADGE, times) if times < 4 else makes, document)
        assert found != written, path
        taken += found is not None
    assert taken > 10


def test_what_is_remembered_is_what_verification_uses() -> None:
    assert [rdfc_again(BADGE, meet(BADGE)) for _ in range(9)] == [rdfc(BADGE)] * 9
    assert meet(BADGE) is not None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("credentialSubject", "id"), "did:example:another"),
        (("credentialSubject", "result", 0, "value"), 'A "quoted" text,\non two lines\t\r'),
        (("credentialSubject", "result", 0, "value"), "naïve ✓ 🎓"),
        (("issuer", "id"), "https://uni.example/"),
        (("name",), ""),
    ],
)
def test_texts_of_all_kinds_are_taken(path: Any, text: str, times: int) -> None:
    document = copy.deepcopy(BADGE)
    _at(document, path[:-1])[path[-1]] = text
    assert _by_memory(_after(BADGE, times), document) == _in_full(document)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("credentialSubject", "type", 0), "Profile"),
        (("credentialSubject", "id"), BADGE["id"]),
        (("credentialSubject", "id"), "name:x"),
        (("credentialSubject", "id"), "not an IRI"),
        (("credentialSubject", "id"), "https://uni.example/a https://uni.example/b"),
        (("credentialSubject", "result", 0, "value"), "\b"),
        (("credentialSubject", "result", 0, "value"), "\x7f"),
        (("credentialSubject", "result", 0, "value"), "\uffff"),
        (("credentialSubject", "result", 0, "value"), "a\\b"),
        (("credentialSubject", "result", 0, "value"), 5),
        (("credentialSubject", "result", 0, "value"), "\ud800"),
    ],
)
def test_what_may_mean_something_else_is_handed_over(path: Any, text: Any, times: int) -> None:
    document = copy.deepcopy(BADGE)
    _at(document, path[:-1])[path[-1]] = text
    assert _by_memory(_after(BADGE, times), document) is None


def test_an_achievement_that_stands_elsewhere_as_well_is_not_taken_for_the_other(times: int) -> None:
    achievement = {"id": "https://uni.example/a/stats", "type": ["Achievement"], "name": "Statistics"}
    subject = {"id": "did:example:learner-1", "type": ["AchievementSubject"], "achievement": achievement}
    document = {
        "@context": BADGE["@context"],
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": "did:web:uni.example", "type": ["AchievementSubject"], "achievement": achievement},
        "name": "A name",
        "credentialSubject": subject,
    }
    assert _by_memory(_after(document, times), document) == _in_full(document)
    makes = _after(document, times)
    document |= {"name": "Another name"}
    assert _by_memory(makes, document) == _in_full(document)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": {"id": "https://uni.example/", "type": ["Profile"], "name": "Others"}},
        {"issuer": {"id": "https://uni.example/b", "type": ["Profile"], "name": "Others"}},
        {"tag": ["same", "same"]},
        {"tag": ["a", "z"]},
        {"tag": ["z", "a"]},
    ],
)
def test_statements_of_one_subject_or_term_are_put_in_order_anew(change: dict[str, Any], times: int) -> None:
    creator = {"id": "https://uni.example/b", "type": ["Profile"], "name": "University"}
    achievement = {"id": "https://uni.example/c", "type": ["Achievement"], "tag": ["b", "c"], "creator": creator}
    document = {
        "@context": BADGE["@context"],
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": "did:web:uni.example", "type": ["Profile"], "name": "Others"},
        "credentialSubject": {"type": ["AchievementSubject"], "achievement": achievement},
    }
    makes = _after(document, times)
    changed = copy.deepcopy(document)
    for name, value in change.items():
        (changed["credentialSubject"]["achievement"] if name == "tag" else changed)[name] = value
    found = _by_memory(makes, changed)
    assert found == _in_full(changed) if times == 3 or "issuer" in change else found in (None, _in_full(changed))


def test_makes_that_differ_in_the_names_of_members_only_are_kept_apart() -> None:
    makes = Makes()
    documents = [{name: member for name, member in BADGE.items() if name != "validUntil"}, copy.deepcopy(BADGE)]
    del documents[1]["validFrom"]
    taken = [0, 0]
    for _ in range(12):
        for number, document in enumerate(documents):
            found = _by_memory(makes, document)
            assert found in (None, _in_full(document))
            taken[number] += found is not None
    assert min(taken) > 3


def test_s3_the_memory_is_bounded_whatever_is_met() -> None:
    makes = Makes(size=4)
    for number in range(1, 30):
        document = copy.deepcopy(BADGE)
        document["credentialSubject"]["achievement"]["name"] = f"Another {number}"
        for _ in range(4):
            _by_memory(makes, document)
            assert len(makes) <= 4
    document["credentialSubject"]["achievement"]["description"] = "x" * 70_000
    assert [_by_memory(makes, document) for _ in range(4)] == [None] * 4


TEMPTING = [
    *["", "ext:", "ext:x.y", "a.b.c", "en", "en-GB", "Achievement", "Profile", "LetterGrade", "MicroCredential"],
    *[
        "Completed",
        "emailAddress",
        "isPartOf",
        "VerifiableCredential",
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "not a date",
    ],
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SAMPLES), st.sampled_from([3, 9]), st.data())
def test_what_is_known_of_a_make_holds_for_each_document_of_it(
    sample: dict[str, Any], times: int, data: st.DataObject
) -> None:
    makes = _after(sample, times)
    first, document = makes.meet(sample), copy.deepcopy(sample)
    _schema_check(sample, first)
    values = st.sampled_from([*TEMPTING, 5, -1, None, True, [], ["x"], {}, {"en": "x"}, {"x y": "z"}])
    for path in data.draw(st.lists(st.sampled_from(list(_leaves(sample))), max_size=3)):
        _at(document, path[:-1])[path[-1]] = data.draw(values)
    met = makes.meet(document)
    if met is not None:
        one, other = met.make.surveyed, survey(document)
        assert (one.names, one.contexts, one.is_plain) == (other.names, other.contexts, other.is_plain)
        assert sorted(one.letters) == sorted(other.letters)
        assert _schema_check(document, met) == _schema_check(document, None), json.dumps(document)


def test_each_text_that_a_schema_may_refuse_makes_another_make(times: int) -> None:
    makes = _after(BADGE, times)
    met = makes.meet(BADGE)
    assert met is not None
    _schema_check(BADGE, met)
    assert met.make.is_credential
    refused = 0
    for path in _leaves(BADGE):
        for value in (*TEMPTING, 5, None, {}):
            document = copy.deepcopy(BADGE)
            _at(document, path[:-1])[path[-1]] = value
            if against_schemas(document)[0]:
                refused += 1
                found = makes.meet(document)
                assert found is None or found.make is not met.make, (path, value)
    assert refused > 300


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A key twice, as any reader but the last one's would have it.
        ('"id":"urn:uuid:2df2', '"id":"urn:x:1","id":"urn:uuid:2df2'),
        ('"credentialSubject":', '"credentialSubject":{},"credentialSubject":'),
        ('"achievement":', '"achievement":{},"achievement":'),
        ('"achievement":', '"achievement" :'),
        ("Statistics", "Stat\\u0069stics"),
        ("Statistics", "Stat\\u0022istics"),
        ("**Pass** it.\\n", "**Pass** it.\\u000a"),
        ("https://uni.example/e/1", "https:\\/\\/uni.example\\/e\\/1"),
        ('"name":', '"n\\u0061me":'),
        ('"name":', '"name": '),
        ("7.5", "7.50"),
        ("7.5", "75e-1"),
        ("true", "true "),
        ("naïve", "na\\u00efve"),
        ("did:example:learner-1", "did:example:learner-1\x7f"),
    ],
)
def test_what_is_not_as_orjson_writes_it_is_not_taken_for_what_was_met(before: str, after: str, times: int) -> None:
    makes, text = _after(BADGE, times), orjson.dumps(BADGE)
    assert isinstance(makes.look(BADGE, text), Met)
    other = text.decode().replace(before, after).encode()
    assert other != text
    assert not isinstance(makes.look(orjson.loads(other), other), Met)


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
async def test_s1_what_was_met_vouches_for_nothing_in_which_another_differs(
    suite: Cryptosuite, signer: Ed25519Signer
) -> None:
    policy, text = Policy(at=NOW), b""
    for number in range(12):
        document = build_credential(make_draft(signer.did, subject_id=f"did:example:{number}"))
        document |= {"credentialSchema": {"id": ACHIEVEMENT_SCHEMA, "type": "JsonSchema"}}
        text = orjson.dumps(sign(document, signer, created=CREATED, cryptosuite=suite))
        assert (await verify(text, Files(), policy)).verified
    for before, after, check, code in (
        ('"did:example:11"', '"not a URL"', CheckName.SCHEMA, "id-malformed"),
        ('"urn:uuid:2df2', '"2df2', CheckName.SCHEMA, "id-malformed"),
        ('"validFrom":"2026', '"validFrom":"26', CheckName.SCHEMA, "date-malformed"),
        ('"validFrom":"2026', '"validFrom":"3026', CheckName.VALIDITY, "not-yet-valid"),
        ("https://uni.example/e/1", "e 1", CheckName.SCHEMA, "id-malformed"),
        (ACHIEVEMENT_SCHEMA, "https://uni.example/schema", CheckName.SCHEMA, "schema-unknown"),
        (ACHIEVEMENT_SCHEMA, CLR_SCHEMA, CheckName.SCHEMA, "schema-violated"),
        ('"id":"did:example:11"', '"id":"did:example:1","id":"did:example:11"', CheckName.PROOF, "duplicate-key"),
        ('"did:example:11"', '"did:example:12"', CheckName.PROOF, "signature-invalid"),
        ('"Statistics"', '"Statistik"', CheckName.PROOF, "signature-invalid"),
        ('"issuer":{"id":"did:key', '"issuer":{"id":"did:web', CheckName.ISSUER, "issuer-mismatch"),
        ('"proofPurpose":"assertionMethod"', '"proofPurpose":"authentication"', CheckName.PROOF, "proof-purpose"),
    ):
        assert before in text.decode(), before
        found = await verify(text.decode().replace(before, after), Files(), policy)
        assert found.checks[check].code == code, (before, found.checks[check])


@pytest.mark.parametrize("url", [ACHIEVEMENT_SCHEMA, ENDORSEMENT_SCHEMA, CLR_SCHEMA])
def test_the_bundled_schemas_ask_nothing_of_texts_in_which_documents_of_a_make_differ(url: str) -> None:
    assert choosy_members(bundle.schema(url)) <= FIXED


def test_what_a_schema_asks_of_texts_is_found_below_the_member_that_has_a_name() -> None:
    word = {"type": "string", "pattern": "^x"}
    schema = {
        "properties": {
            "free": {"type": "string", "format": "date", "description": "of any kind"},
            "one": {"oneOf": [{"type": "object", "additionalProperties": word}, {"items": {"$ref": "#/$defs/Word"}}]},
            "outer": {"properties": {"inner": {"enum": ["x"]}}, "required": ["inner"]},
            "long": {"minLength": 2},
            "new": {"someKeywordOfTomorrow": {}},
        },
        "$defs": {"Word": word},
    }
    assert choosy_members(schema) == {"one", "inner", "long", "new"}
    assert choosy_members({"additionalProperties": {"const": "x"}}) == {None}
