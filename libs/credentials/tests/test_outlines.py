"""What is remembered of documents that were met before gives what the full processor gives, or nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.credentials import CredentialError, Ed25519Signer, build_credential
from cairn.credentials.canonicalize import jsonld, rdfc, rdfc_again
from cairn.credentials.canonicalize.outlines import Outlines
from cairn.credentials.canonicalize.rdfc import canonical_nquads
from cairn.credentials.canonicalize.walk import HandOver

from .conftest import NOW, make_draft
from .test_template import TEXTS
from .test_walk import SAMPLES

BADGE = build_credential(make_draft(Ed25519Signer(bytes(32)).did, valid_until=NOW))


def _by_memory(outlines: Outlines, document: dict[str, Any]) -> str | None:
    try:
        return outlines.canonical(document)
    except (HandOver, CredentialError):
        return None


def _in_full(document: dict[str, Any]) -> str | None:
    try:
        return canonical_nquads(jsonld.to_quads(document))
    except CredentialError:
        return None


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


def _after(document: dict[str, Any], times: int) -> Outlines:
    outlines = Outlines()
    for _ in range(times):
        _by_memory(outlines, document)
    return outlines


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
    outlines = _after(sample, times)
    document = copy.deepcopy(sample)
    for path in data.draw(st.lists(st.sampled_from(list(_leaves(sample))), max_size=3)):
        _at(document, path[:-1])[path[-1]] = data.draw(TEXTS)
    found = _by_memory(outlines, document)
    assert found in (None, _in_full(document)), json.dumps(document)


def test_s1_every_change_of_a_leaf_changes_what_is_remembered(times: int) -> None:
    outlines = _after(BADGE, times)
    written = _by_memory(outlines, BADGE)
    assert written is not None
    taken = 0
    for path in _leaves(BADGE):
        document = copy.deepcopy(BADGE)
        before = _at(document, path)
        _at(document, path[:-1])[path[-1]] = before + "x" if isinstance(before, str) else not before
        found = _by_memory(_after(BADGE, times) if times < 4 else outlines, document)
        assert found != written, path
        taken += found is not None
    assert taken > 10


def test_what_is_remembered_is_what_verification_uses() -> None:
    assert [rdfc_again(BADGE) for _ in range(9)] == [rdfc(BADGE)] * 9


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
    with pytest.raises(HandOver):
        _after(BADGE, times).canonical(document)


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
    outlines = _after(document, times)
    document |= {"name": "Another name"}
    assert _by_memory(outlines, document) == _in_full(document)


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
    outlines = _after(document, times)
    changed = copy.deepcopy(document)
    for name, value in change.items():
        (changed["credentialSubject"]["achievement"] if name == "tag" else changed)[name] = value
    found = _by_memory(outlines, changed)
    assert found == _in_full(changed) if times == 3 or "issuer" in change else found in (None, _in_full(changed))


def test_s3_the_memory_is_bounded_whatever_is_met() -> None:
    outlines = Outlines(size=4)
    for number in range(1, 30):
        document = copy.deepcopy(BADGE)
        document["credentialSubject"]["achievement"]["name"] = f"Another {number}"
        for _ in range(4):
            _by_memory(outlines, document)
            assert len(outlines) <= 4
    document["credentialSubject"]["achievement"]["description"] = "x" * 70_000
    assert [_by_memory(outlines, document) for _ in range(4)] == [None] * 4
