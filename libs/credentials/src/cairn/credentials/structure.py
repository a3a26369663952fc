"""The shape that every credential has, whatever it claims (VC data model 2.0 §4; 1.1 under the context of 1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from cairn.credentials.bundle import context_urls
from cairn.credentials.canonicalize.makes import FIXED
from cairn.credentials.did import did_of
from cairn.credentials.errors import DocumentRefused, StatusListRefused
from cairn.credentials.findings import Finding
from cairn.credentials.instants import parse_instant
from cairn.credentials.related import related_findings
from cairn.credentials.shape import id_of, is_list, is_object, is_url, listed, types_of
from cairn.credentials.status_entry import BITSTRING_ENTRY, read_entry

VC2: Final = "https://www.w3.org/ns/credentials/v2"
VC1: Final = "https://www.w3.org/2018/credentials/v1"
_VERSIONS: Final = {VC2: 2, VC1: 1}

_TYPED: Final = ("credentialStatus", "credentialSchema", "termsOfUse", "evidence", "refreshService")
ENTRIES: Final = frozenset({"credentialStatus", "evidence", "refreshService", "termsOfUse"})
"""Members whose form is a matter of theirs alone."""
_LANGUAGE_VALUE: Final = frozenset({"@value", "@language", "@direction"})
_IDENTIFIED: Final = ("credentialSchema",)


def model_version(document: dict[str, Any]) -> int | None:
    """1 or 2 by the first context, or None where it is neither: their order is fixed (§4.3)."""
    contexts = listed(document.get("@context"))
    return _VERSIONS.get(contexts[0]) if contexts and isinstance(contexts[0], str) else None


def check_unsigned(document: dict[str, Any]) -> None:
    """Raises DocumentRefused with the first thing that is wrong: signed, it would be wrong for ever."""
    _refuse(structure_findings(document))
    if "validFrom" in document and "validUntil" in document:
        start, end = parse_instant(document["validFrom"]), parse_instant(document["validUntil"])
        if start is not None and end is not None and end < start:
            raise DocumentRefused("validUntil is before validFrom", code="dates-reversed", pointer="/validUntil")


def check_entries(document: dict[str, Any], names: Iterable[str]) -> None:
    """As `check_unsigned`, of some `ENTRIES` only."""
    for name in names:
        _refuse(_typed(document, name))
        if name == "credentialStatus":
            _refuse(_statuses(document))


def _refuse(findings: Iterable[Finding]) -> None:
    for finding in findings:
        raise DocumentRefused(finding.detail, code=finding.code, pointer=finding.pointer)


def structure_findings(document: dict[str, Any], *, is_known: bool = False) -> list[Finding]:
    """Everything in which the document is not a credential.

    `is_known`: another of its make (`canonicalize.makes`) is one, so that only what texts say can be wrong.
    """
    version = None if is_known else model_version(document)
    found = [] if is_known else _frame(document, "VerifiableCredential", version)
    found += _id(document, "")
    issuer = document.get("issuer")
    if not is_url(id_of(issuer)):
        found.append(
            Finding("issuer-malformed", "the issuer is neither a URL nor an object whose id is one", "/issuer")
        )
    found += _subjects(document)
    found += _dates(document, version)
    for name in _TYPED:
        if name in document and not (is_known and name in FIXED):
            found += _typed(document, name)
    if "credentialStatus" in document:
        found += _statuses(document)
    if "relatedResource" in document:
        found += related_findings(document)
    if version == 2:
        found += _words(document, "")
        if is_object(issuer):
            found += _words(issuer, "/issuer")
    return found


def check_unsigned_presentation(document: dict[str, Any], verification_method: str) -> None:
    """Raises DocumentRefused with the first thing that is wrong, or for a key that is not its holder's (S7)."""
    _refuse(presentation_findings(document))
    for position, credential in enumerate(listed(document.get("verifiableCredential"))):
        if "proof" not in credential and "EnvelopedVerifiableCredential" not in types_of(credential):
            where = f"/verifiableCredential/{position}"
            raise DocumentRefused("a credential in it is not secured", code="proof-missing", pointer=where)
    if "holder" in document:
        check_signs_for(document, verification_method, "holder")


def check_signs_for(
    document: dict[str, Any], verification_method: str, role: Literal["issuer", "holder", "iss"]
) -> None:
    """Raises DocumentRefused where the key is not that of the document's issuer, or holder (S7)."""
    signer, named = did_of(verification_method), id_of(document.get(role))
    if signer != named:
        detail = f"the key of {signer} does not sign for {named}"
        code = "holder-mismatch" if role == "holder" else "issuer-mismatch"
        raise DocumentRefused(detail, code=code, pointer=f"/{role}")


def presentation_findings(document: dict[str, Any]) -> Iterator[Finding]:
    """Everything in which the document is not a presentation (VC data model 2.0 §4.13)."""
    yield from _frame(document, "VerifiablePresentation", model_version(document))
    yield from _id(document, "")
    if "holder" in document and not is_url(id_of(document["holder"])):
        yield Finding("holder-malformed", "the holder is neither a URL nor an object whose id is one", "/holder")
    for position, credential in enumerate(listed(document.get("verifiableCredential"))):
        if not is_object(credential):
            where = f"/verifiableCredential/{position}"
            yield Finding("credential-malformed", "a credential is an object: a token goes in an envelope", where)


def _frame(document: dict[str, Any], kind: str, version: int | None) -> list[Finding]:
    """What a credential and a presentation have in common: contexts (§4.3) and type (§4.5)."""
    found: list[Finding] = []
    if version is None:
        found.append(Finding("context-order", f"the first context is not {VC2}", "/@context"))
    known = context_urls()
    for context in listed(document.get("@context")):
        if isinstance(context, str) and context in known:
            continue
        if not is_object(context) and not is_url(context):
            found.append(Finding("context-malformed", "a context is neither a URL nor an object", "/@context"))
    types = types_of(document)
    if len(types) != len(listed(document.get("type"))):
        found.append(Finding("type-malformed", "a type is not text", "/type"))
    if kind not in types:
        found.append(Finding("type-missing", f"the type does not include {kind}", "/type"))
    return found


def _id(node: dict[str, Any], where: str) -> list[Finding]:
    """§4.4"""
    if "id" not in node or is_url(node["id"]):
        return []
    return [Finding("id-malformed", "the id is not one URL", f"{where}/id")]


def _subjects(document: dict[str, Any]) -> list[Finding]:
    found: list[Finding] = []
    stated = document.get("credentialSubject")
    subjects = listed(stated)
    if not subjects:
        found.append(Finding("subject-missing", "there is no credentialSubject", "/credentialSubject"))
    for position, subject in enumerate(subjects):
        where = f"/credentialSubject/{position}" if is_list(stated) else "/credentialSubject"
        if not is_object(subject) or not subject:
            found.append(
                Finding("subject-malformed", "a credentialSubject is not an object that says something", where)
            )
        else:
            found += _id(subject, where)
    return found


def _dates(document: dict[str, Any], version: int | None) -> list[Finding]:
    found: list[Finding] = []
    if version == 1 and "issuanceDate" not in document:
        found.append(Finding("date-missing", "there is no issuanceDate", "/issuanceDate"))
    for name in ("validFrom", "validUntil", "issuanceDate", "expirationDate"):
        if name in document and parse_instant(document[name]) is None:
            found.append(Finding("date-malformed", f"{name} is not a date-time with a time zone", f"/{name}"))
    return found


def _words(node: dict[str, Any], where: str) -> list[Finding]:
    """Names and descriptions are text, or text with its language and direction (§4.6, §11.1)."""
    found: list[Finding] = []
    for name in ("name", "description"):
        said = node.get(name)
        if isinstance(said, str):
            continue
        for word in listed(said):
            if isinstance(word, str):
                continue
            if not is_object(word) or not isinstance(word.get("@value"), str) or not word.keys() <= _LANGUAGE_VALUE:
                detail = f"{name} is neither text nor a language value object: @value, @language, @direction"
                found.append(Finding("language-value-malformed", detail, f"{where}/{name}"))
    return found


def _typed(document: dict[str, Any], name: str) -> Iterator[Finding]:
    for position, entry in enumerate(listed(document.get(name))):
        where = f"/{name}/{position}" if is_list(document[name]) else f"/{name}"
        if not is_object(entry):
            yield Finding("entry-malformed", f"{name} is not an object", where)
            continue
        if not types_of(entry):
            yield Finding("type-missing", f"{name} has no type", f"{where}/type")
        if ("id" in entry or name in _IDENTIFIED) and not is_url(entry.get("id")):
            yield Finding("id-malformed", f"the id of {name} is not one URL", f"{where}/id")


def _statuses(document: dict[str, Any]) -> Iterator[Finding]:
    """A malformed entry could never be looked up (Bitstring Status List §3: MALFORMED_VALUE_ERROR)."""
    for position, entry in enumerate(listed(document.get("credentialStatus"))):
        if BITSTRING_ENTRY in types_of(entry):
            try:
                read_entry(entry)
            except StatusListRefused as refusal:
                if refusal.code != "unsupported":
                    where = f"/{position}" if is_list(document["credentialStatus"]) else ""
                    yield Finding(refusal.code, refusal.detail, f"/credentialStatus{where}")
