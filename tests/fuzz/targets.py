"""The readers, each as a function of bytes that fails where a promise is broken, and returns nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any, Final
from unittest.mock import patch

import orjson

from cairn.credentials import (
    Check,
    CredentialError,
    JsonRefused,
    Verification,
    bake,
    base64url,
    canonicalize,
    checks,
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
from cairn.credentials.canonicalize.makes import Makes, Met
from cairn.credentials.canonicalize.rdfc import canonical_nquads
from cairn.credentials.canonicalize.walk import HandOver, walk
from cairn.credentials.did import read_issuer_metadata
from cairn.credentials.did_resolution import Unresolved, dereference, document_url, expand, read_did_url
from cairn.credentials.jws import Jws
from cairn.credentials.proofs.common import unsecured
from cairn.credentials.secured import Secured
from cairn.credentials.shape import survey
from cairn.credentials.token_status import Reference, read_token_status
from tests.fuzz.inputs import changed
from tests.fuzz.outside import MORE, POLICY, Outside, done, object_of, refused_or
from tests.fuzz.signed import (
    a_part_that_is_derived,
    secured,
    what_a_holder_shows,
    what_an_issuer_signs,
    what_an_issuer_signs_in_a_token,
    what_an_issuer_signs_to_be_disclosed,
    what_is_signed_verifies,
)

_DID: Final = "did:web:issuer.example"
_LIST: Final = Reference("https://issuer.example/tsl/1", 8)
_ODD_TEXTS: Final = (
    "",
    "relative",
    "urn:x:1",
    "https://x.example/1 https://x.example/2",
    "name:x",
    "Profile",
    "12",
    ' "x" .\n',
    '"',
    "\\",
    "\n\r\t",
    "\x01",
    "\x7f",
    "\uffff",
    "_:a",
    "é✓",
)
_ODD_BYTES: Final = (
    b" ",
    b"\n",
    b'"',
    b"\\",
    b'\\"',
    b"\\u0041",
    b"\\u0022",
    b"\\/",
    b"\\b",
    b"\x02",
    b"\x03",
    b"\x7f",
    b"\xff",
    b"\xc3\xa9",
    b"0",
    b"-",
    b".0",
    b"e1",
    b"9" * 20,
    b"null",
    b",",
    b":",
    b"{}",
    b"[]",
    b'"id":"urn:x:1",',
    b'"type":',
    b'"achievement":',
)
_LIST_TOKEN: Final = Jws(b"", b"", "EdDSA", "statuslist+jwt", None, None, None, {})


def verify_anything(data: bytes) -> None:
    """Never raises, and what it says can be written down."""
    first, *rest = data.split(MORE)
    found = done(verify(first, Outside(rest), POLICY))
    json.dumps(found.to_json())
    assert found.facts is None or found.credential is not None


def verify_text(data: bytes) -> None:
    """The same of text, where the bytes are no text either: lone surrogates stand for them."""
    json.dumps(done(verify(data.decode("utf-8", "surrogateescape"), Outside([]), POLICY)).to_json())


def verify_a_presentation(data: bytes) -> None:
    first, *rest = data.split(MORE)
    json.dumps(done(verify_presentation(first, Outside(rest), POLICY)).to_json())


def json_is_read_as_by_others(data: bytes) -> None:
    """What is accepted is what Python's own parser reads, and no key of it stands there twice."""
    try:
        found = parse_json(data)
    except JsonRefused:
        return
    assert repr(found) == repr(json.loads(data, object_pairs_hook=_no_twins))


def the_walk_equals_the_processor(data: bytes) -> None:
    """What the walk takes, it writes to the byte as pyld and the full algorithm do, or both refuse it."""
    document = object_of(data)
    try:
        quick = _written(lambda: walk(document).canonical())
    except HandOver:
        return
    assert quick == _written(lambda: canonical_nquads(jsonld.to_quads(document)))


def what_is_remembered_equals_the_processor(data: bytes) -> None:
    """Of another document of a make that was met before all is said, and written to the byte, as without a memory."""
    document, dice = unsecured(object_of(data)), Random(data)
    makes = Makes()
    for _ in range(dice.choice((4, 10))):
        met = makes.meet(document)
    _schema_check(document, met)
    _say_otherwise(document, dice)
    met = makes.meet(document)
    if met is None:
        return
    assert met.make.surveyed == survey(document)
    assert _schema_check(document, met) == _schema_check(document, None)
    with suppress(HandOver):
        assert _written(met.canonical) == _written(lambda: canonical_nquads(jsonld.to_quads(document)))


def no_verdict_rests_on_memory(data: bytes) -> None:
    """After others of its make a text gets the verdict that it gets alone: other words, or laid out otherwise."""
    dice, makes = Random(data), Makes()
    document = object_of(secured(data))
    with patch.object(canonicalize, "_makes", makes):
        for _ in range(dice.choice((4, 12))):
            done(verify(_plainly(document), Outside([]), POLICY))
    _say_otherwise(document, dice)
    text = _plainly(document)
    if dice.random() < 0.5:
        text = _plainly(object_of(secured(text)))
    for _ in range(dice.randrange(3)):
        start = dice.randrange(len(text) + 1)
        text = text[:start] + dice.choice(_ODD_BYTES) + text[start + dice.randrange(2) :]
    if dice.random() < 0.3:
        text = changed(dice, text, [data])
    found: list[Verification] = []
    for memory in (makes, Makes()):
        with patch.object(canonicalize, "_makes", memory):
            found.append(done(verify(text, Outside([]), POLICY)))
    assert found[0].to_json() == found[1].to_json()
    with suppress(orjson.JSONDecodeError):
        value = orjson.loads(text)
        assert (
            not isinstance(value, dict) or not isinstance(makes.look(value, text), Met) or orjson.dumps(value) == text
        )
    assert repr(found[0].credential) == repr(found[1].credential)


def jcs_is_a_fixed_point(data: bytes) -> None:
    try:
        written = jcs(object_of(data))
    except CredentialError:
        return
    assert jcs(json.loads(written)) == written


def a_did(data: bytes) -> None:
    """A DID, or a DID URL, that somebody wants resolved."""
    asked = data.decode("utf-8", "replace")
    for name in ("did:key:", "did:jwk:", "did:web:", ""):
        try:
            url = read_did_url(name + asked)
            document = expand(url.did) if document_url(url.did) is None else {}
            json.dumps(dereference(document, url))
        except Unresolved:
            continue


def a_did_document(data: bytes) -> None:
    refused_or(lambda: read_did_document(data, _DID))
    refused_or(lambda: read_issuer_metadata(data, "https://issuer.example"))


def a_status_list(data: bytes) -> None:
    document = object_of(data)
    subject = document.get("credentialSubject")
    encoded = subject.get("encodedList") if isinstance(subject, dict) else None
    if isinstance(encoded, str):
        refused_or(lambda: decode_list(encoded))
    for index in ("0", "131071", "99999999999999999999", str(document.get("index"))):
        entry = {
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": index,
            "statusListCredential": str(document.get("id")),
        }
        refused_or(lambda entry=entry: read_status(entry, document, issuer=_DID))


def a_packed_list(data: bytes) -> None:
    """The bytes within a list, which are unpacked: gzip, and zlib as a Token Status List has it."""
    for packed in (data, zlib.compress(data)):
        refused_or(lambda packed=packed: decode_list("u" + base64url.encode(packed)))
    claims = {"sub": _LIST.url, "iat": 0, "status_list": {"bits": 1, "lst": base64url.encode(data)}}
    token = replace(_LIST_TOKEN, payload=claims)
    refused_or(lambda: read_token_status(_LIST, token, issuer=_DID, at=POLICY.at, tolerance=POLICY.tolerance))


def a_baked_image(data: bytes) -> None:
    refused_or(lambda: unbake(data))


def a_picture_to_bake_into(data: bytes) -> None:
    """What is baked is what is read again."""
    try:
        baked = bake(data, "a badge & <more>")
    except CredentialError:
        return
    assert unbake(baked) == "a badge & <more>"


def facts(data: bytes) -> None:
    read_facts(object_of(data)).model_dump_json()


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    one.__name__: one
    for one in (
        verify_anything,
        verify_text,
        verify_a_presentation,
        what_an_issuer_signs,
        what_an_issuer_signs_in_a_token,
        what_an_issuer_signs_to_be_disclosed,
        what_a_holder_shows,
        what_is_signed_verifies,
        a_part_that_is_derived,
        json_is_read_as_by_others,
        the_walk_equals_the_processor,
        what_is_remembered_equals_the_processor,
        no_verdict_rests_on_memory,
        jcs_is_a_fixed_point,
        a_did,
        a_did_document,
        a_status_list,
        a_packed_list,
        a_baked_image,
        a_picture_to_bake_into,
        facts,
    )
}


def _schema_check(document: dict[str, Any], met: Met | None) -> Check:
    read = Secured(document, "data-integrity")
    vars(read)["met"] = met
    return checks.schema(read)


def _written(write: Callable[[], str]) -> str | None:
    try:
        return write()
    except CredentialError:
        return None


def _plainly(document: dict[str, Any]) -> bytes:
    """As orjson writes it, which does not take all that Python does."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _say_otherwise(document: dict[str, Any], dice: Random) -> None:
    places = list(_texts(document))
    for holder, key in dice.sample(places, min(len(places), dice.randrange(4))):
        other, step = dice.choice(places)
        holder[key] = dice.choice((*_ODD_TEXTS, other[step], f"{holder[key]}{dice.choice(_ODD_TEXTS)}"))


def _texts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where each text of it stands: what holds it, and under which key or at which position."""
    if isinstance(value, dict | list):
        for step, member in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(member, str):
                yield value, step
            else:
                yield from _texts(member)


def _no_twins(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    assert len(found) == len(members)
    return found
