"""DID resolution and dereferencing as results of DID Resolution 0.3, with the error words of did:key 0.9.

Pure: a did:key and a did:jwk are their own documents; a did:web's is passed in by whoever fetched it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from cairn.credentials.did import (
    DidDocument,
    did_web_url,
    is_did,
    is_self_contained,
    read_did_document,
    relationships,
    resolve_self_contained,
)
from cairn.credentials.errors import CredentialError, DidRefused
from cairn.credentials.keys import Ed25519PublicKey
from cairn.credentials.shape import is_object, listed
from cairn.credentials.strict_json import parse_json

_MULTIKEY_CONTEXT: Final = "https://w3id.org/security/multikey/v1"
_JWS_CONTEXT: Final = "https://w3id.org/security/suites/jws-2020/v1"
_ED25519_CONTEXT: Final = "https://w3id.org/security/suites/ed25519-2020/v1"
_JSON_WEB_KEY: Final = frozenset({"JsonWebKey", "JsonWebKey2020"})
_EXPERIMENTAL: Final = frozenset(
    {"Ed25519VerificationKey2018", "X25519KeyAgreementKey2019", "X25519KeyAgreementKey2020"}
)
_FRAGMENT: Final = re.compile(r"#[A-Za-z0-9._~!$&'()*+,;=:@/?%-]+")
_WORDS: Final = {"key-length": "invalidPublicKeyLength", "key-invalid": "invalidPublicKey"}


class Unresolved(CredentialError):
    """There is no result; `code` is the specification's word for why."""

    default_code = "notFound"


@dataclass(frozen=True, slots=True)
class DidUrl:
    """What is asked for: a DID, and with a fragment one thing in its document."""

    did: str
    fragment: str = ""


def read_did_url(text: str) -> DidUrl:
    """Raises Unresolved: `invalidDid`, `methodNotSupported`, or `invalidDidUrl` for more than a DID and a fragment."""
    did = re.split(r"[/?#]", text, maxsplit=1)[0]
    method = did.split(":")[1] if did.startswith("did:") and did.count(":") >= 2 else ""
    if not method or (method in ("key", "jwk", "web") and not is_did(did)):
        raise Unresolved(f"{did[:120]!r} is not a DID", code="invalidDid")
    if method not in ("key", "jwk", "web"):
        raise Unresolved("did:key, did:jwk and did:web are resolved here", code="methodNotSupported")
    rest = text[len(did) :]
    if rest and not _FRAGMENT.fullmatch(rest):
        raise Unresolved("what follows the DID is not one fragment", code="invalidDidUrl")
    return DidUrl(did, rest[1:])


def resolution_result(asked: str, found: dict[str, Any] | Unresolved) -> dict[str, Any]:
    """What is answered: with an error the document is empty (DID Resolution §4.2 and §5.2)."""
    failed = isinstance(found, Unresolved)
    metadata = {"error": found.code, "message": found.detail} if failed else {"contentType": "application/did+ld+json"}
    return {
        "@context": "https://w3id.org/did-resolution/v1",
        "didDocument": {} if failed else found,
        "didDereferencingMetadata" if set("/?#") & set(asked) else "didResolutionMetadata": metadata,
        "didDocumentMetadata": {},
    }


def document_url(did: str) -> str | None:
    """Where the document is to be fetched; None for a DID that is its own. Raises Unresolved `invalidDid`."""
    if is_self_contained(did):
        return None
    try:
        return did_web_url(did)
    except DidRefused as refusal:
        raise Unresolved(refusal.detail, code="invalidDid") from None


def expand(did: str, *, public_key_format: str = "Multikey", experimental: bool = False) -> dict[str, Any]:
    """The document of a did:key or did:jwk (did:key §3.1, did:jwk §2).

    Raises Unresolved: `invalidDid`, `invalidPublicKeyLength`, `invalidPublicKey`, `unsupportedPublicKeyType`, or
    `invalidPublicKeyType` for a format that the key does not have, or only experimentally.
    """
    try:
        document = resolve_self_contained(did)
    except DidRefused as refusal:
        word = "unsupportedPublicKeyType" if refusal.code == "unsupported" else _WORDS.get(refusal.code, "invalidDid")
        raise Unresolved(refusal.detail, code=word) from None
    if did.startswith("did:jwk:"):
        public_key_format = "JsonWebKey2020"
    known = {"Multikey", "Ed25519VerificationKey2020", *_JSON_WEB_KEY, *_EXPERIMENTAL}
    if public_key_format not in known or (experimental and public_key_format in _EXPERIMENTAL):
        raise Unresolved(f"the format {public_key_format[:80]} is not known here", code="unsupportedPublicKeyType")
    is_ed25519 = isinstance(document.methods[0].key, Ed25519PublicKey)
    if public_key_format in _EXPERIMENTAL or (public_key_format == "Ed25519VerificationKey2020" and not is_ed25519):
        raise Unresolved(f"the key has no format {public_key_format[:80]}", code="invalidPublicKeyType")
    return _expanded(document, public_key_format)


def _expanded(document: DidDocument, public_key_format: str) -> dict[str, Any]:
    (method,) = document.methods
    if public_key_format in _JSON_WEB_KEY:
        context, material = _JWS_CONTEXT, {"publicKeyJwk": method.key.to_jwk()}
    else:
        context = _MULTIKEY_CONTEXT if public_key_format == "Multikey" else _ED25519_CONTEXT
        material = {"publicKeyMultibase": method.key.multikey}
    entry = {"id": method.id, "type": public_key_format, "controller": method.controller} | material
    head = {"@context": ["https://www.w3.org/ns/did/v1", context], "id": document.id, "verificationMethod": [entry]}
    return head | relationships(document.methods)


def read_fetched(did: str, body: bytes) -> dict[str, Any]:
    """What was fetched for a did:web, if it is that DID's document. Raises Unresolved `invalidDidDocument`."""
    try:
        read_did_document(body, did)
    except DidRefused as refusal:
        raise Unresolved(refusal.detail, code="invalidDidDocument") from None
    document: dict[str, Any] = parse_json(body)
    return document


def dereference(document: dict[str, Any], url: DidUrl) -> dict[str, Any]:
    """The document, or what in it has the URL's fragment (DID Resolution §5). Raises Unresolved `notFound`."""
    if not url.fragment:
        return document
    for name in ("verificationMethod", "assertionMethod", "authentication", "keyAgreement", "service"):
        for entry in listed(document.get(name)):
            if is_object(entry) and entry.get("id") in (f"#{url.fragment}", f"{url.did}#{url.fragment}"):
                return entry
    raise Unresolved(f"the document has nothing called #{url.fragment[:80]}", code="notFound")
