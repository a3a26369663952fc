"""The readers, each as a function of bytes that fails where a promise is broken, and returns nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from cairn.credentials import (
    CredentialError,
    JsonRefused,
    Policy,
    Trust,
    Unreachable,
    decode_list,
    parse_json,
    read_did_document,
    read_facts,
    read_status,
    unbake,
    verify,
    verify_presentation,
)
from cairn.credentials.canonicalize import jcs, jsonld
from cairn.credentials.canonicalize.rdfc import canonical_nquads
from cairn.credentials.canonicalize.walk import HandOver, walk

_POLICY: Final = Policy(at=datetime(2026, 11, 24, 12, tzinfo=UTC), challenge="c", domain="d")
_DID: Final = "did:web:issuer.example"
_MORE: Final = b"\0\0--\0\0"
"""Parts an input: what is handed in, then what each fetch answers."""


class _Outside:
    """Answers every fetch with the next part of the input, and has no more when that is spent."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def _next(self) -> bytes:
        if not self._parts:
            raise Unreachable("nothing is there")
        return self._parts.pop(0)

    async def did_document(self, did: str, url: str) -> bytes:
        return self._next()

    async def trust(self, issuer: str) -> Trust:
        return Trust.TRUSTED

    async def status_list(self, url: str) -> bytes:
        return self._next()

    async def document(self, url: str) -> bytes:
        return self._next()


def verify_anything(data: bytes) -> None:
    """Never raises, and what it says can be written down."""
    first, *rest = data.split(_MORE)
    found = _done(verify(first, _Outside(rest), _POLICY))
    json.dumps(found.to_json())
    assert found.facts is None or found.credential is not None


def verify_text(data: bytes) -> None:
    """The same of text, where the bytes are no text either: lone surrogates stand for them."""
    json.dumps(_done(verify(data.decode("utf-8", "surrogateescape"), _Outside([]), _POLICY)).to_json())


def verify_a_presentation(data: bytes) -> None:
    first, *rest = data.split(_MORE)
    json.dumps(_done(verify_presentation(first, _Outside(rest), _POLICY)).to_json())


def json_is_read_as_by_others(data: bytes) -> None:
    """What is accepted is what Python's own parser reads, and no key of it stands there twice."""
    try:
        found = parse_json(data)
    except JsonRefused:
        return
    assert repr(found) == repr(json.loads(data, object_pairs_hook=_no_twins))


def the_walk_equals_the_processor(data: bytes) -> None:
    """What the walk takes, it writes to the byte as pyld and the full algorithm do, or both refuse it."""
    document = _object(data)
    try:
        quick = _written(lambda: walk(document).canonical())
    except HandOver:
        return
    assert quick == _written(lambda: canonical_nquads(jsonld.to_quads(document)))


def jcs_is_a_fixed_point(data: bytes) -> None:
    try:
        written = jcs(_object(data))
    except CredentialError:
        return
    assert jcs(json.loads(written)) == written


def a_did_document(data: bytes) -> None:
    _refused_or(lambda: read_did_document(data, _DID))


def a_status_list(data: bytes) -> None:
    document = _object(data)
    subject = document.get("credentialSubject")
    encoded = subject.get("encodedList") if isinstance(subject, dict) else None
    if isinstance(encoded, str):
        _refused_or(lambda: decode_list(encoded))
    for index in ("0", "131071", "99999999999999999999", str(document.get("index"))):
        entry = {
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": index,
            "statusListCredential": str(document.get("id")),
        }
        _refused_or(lambda entry=entry: read_status(entry, document, issuer=_DID))


def a_baked_image(data: bytes) -> None:
    _refused_or(lambda: unbake(data))


def facts(data: bytes) -> None:
    read_facts(_object(data)).model_dump_json()


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    one.__name__: one
    for one in (
        verify_anything,
        verify_text,
        verify_a_presentation,
        json_is_read_as_by_others,
        the_walk_equals_the_processor,
        jcs_is_a_fixed_point,
        a_did_document,
        a_status_list,
        a_baked_image,
        facts,
    )
}


def _done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the verification waited for something")


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = parse_json(data)
    except JsonRefused:
        return {}
    return found if isinstance(found, dict) else {}


def _written(write: Callable[[], str]) -> str | None:
    try:
        return write()
    except CredentialError:
        return None


def _refused_or(read: Callable[[], object]) -> None:
    try:
        read()
    except CredentialError:
        return


def _no_twins(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    assert len(found) == len(members)
    return found
