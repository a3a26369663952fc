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
from cairn.credentials.canonicalize.outlines import Outlines, paths_of, shape_of
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


def test_every_fixture_is_remembered_as_the_full_processor_writes_it() -> None:
    taken = 0
    for document in SAMPLES:
        outlines = Outlines()
        assert [_by_memory(outlines, document) for _ in range(3)] == [None, None, None]
        found = _by_memory(outlines, document)
        taken += found is not None
        assert found in (None, _in_full(document)), json.dumps(document)
    assert taken > 5


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SAMPLES), st.data())
def test_other_texts_in_what_is_remembered_are_written_as_in_full(sample: dict[str, Any], data: st.DataObject) -> None:
    outlines = Outlines()
    for _ in range(3):
        _by_memory(outlines, sample)
    document = copy.deepcopy(sample)
    for path in data.draw(st.lists(st.sampled_from(list(_leaves(sample))), max_size=3)):
        _at(document, path[:-1])[path[-1]] = data.draw(TEXTS)
    found = _by_memory(outlines, document)
    assert found in (None, _in_full(document)), json.dumps(document)


def test_s1_every_change_of_a_leaf_changes_what_is_remembered() -> None:
    outlines = Outlines()
    for _ in range(3):
        _by_memory(outlines, BADGE)
    written = _by_memory(outlines, BADGE)
    assert written is not None
    for path in _leaves(BADGE):
        document = copy.deepcopy(BADGE)
        before = _at(document, path)
        _at(document, path[:-1])[path[-1]] = before + "x" if isinstance(before, str) else not before
        assert _by_memory(outlines, document) != written, path


def test_what_is_remembered_is_what_verification_uses() -> None:
    assert [rdfc_again(BADGE) for _ in range(5)] == [rdfc(BADGE)] * 5


@pytest.mark.parametrize("key", ["achievement", "type", "id"])
def test_what_shares_a_shape_has_the_same_places(key: str) -> None:
    document = copy.deepcopy(BADGE)
    document["credentialSubject"][key] = "https://uni.example/another"
    shape, values = shape_of(document)
    assert values == [_at(document, path) for path in paths_of(document)]
    assert (shape == shape_of(BADGE)[0]) == (key == "id")


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


def test_what_cannot_be_written_as_json_is_handed_over() -> None:
    with pytest.raises(HandOver):
        shape_of({"credentialSubject": {"achievement": "\ud800"}})
