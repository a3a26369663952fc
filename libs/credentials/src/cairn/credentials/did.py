"""did:key, did:jwk, did:web and https issuers: identifiers to keys, with no socket.

Sources: DID Core 1.0, did:key 0.9, did:jwk, did:web, Controlled Identifiers 1.0, SD-JWT VC §5 (JWKs of an issuer).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from cairn.credentials import base64url
from cairn.credentials.errors import DidRefused, JsonRefused, KeyRefused
from cairn.credentials.instants import format_instant, parse_instant
from cairn.credentials.keys import PublicKey, public_key_from_jwk, public_key_from_multikey
from cairn.credentials.shape import is_object, listed, text_of
from cairn.credentials.strict_json import parse_json

_DID: Final = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9._:%-]*[A-Za-z0-9._%-]")
_HOST: Final = re.compile(
    r"(?=.{1,253}(?::|$))(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z][a-z0-9-]{0,62}(?::[1-9]\d{0,4})?",
    re.IGNORECASE,
)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]+")
_PURPOSES: Final = ("assertionMethod", "authentication", "capabilityInvocation", "capabilityDelegation", "keyAgreement")
_MULTIKEY_TYPES: Final = frozenset({"Multikey", "Ed25519VerificationKey2020"})
_JWK_TYPES: Final = frozenset({"JsonWebKey", "JsonWebKey2020"})
_MAX_METHODS: Final = 100
_SIGNING: Final = frozenset({"assertionMethod", "authentication", "capabilityInvocation", "capabilityDelegation"})


@dataclass(frozen=True, slots=True)
class VerificationMethod:
    """A key of a DID document, and what it may be used for."""

    id: str
    controller: str
    key: PublicKey
    purposes: frozenset[str] = frozenset({"assertionMethod"})
    expires: datetime | None = None
    """Retired then: what it signed before still verifies (S27)."""
    revoked: datetime | None = None
    """Compromised then: nothing it signed verifies from that date on."""


@dataclass(frozen=True, slots=True)
class DidDocument:
    id: str
    methods: tuple[VerificationMethod, ...]

    def method(self, method_id: str) -> VerificationMethod | None:
        for one in self.methods:
            if one.id == method_id:
                return one
        return None


def did_of(url: str) -> str:
    """The DID of a DID URL; of a key that an https issuer publishes, that issuer's URL."""
    named = url.partition("#")[0]
    return named if named.startswith("https://") else named.partition("/")[0].partition("?")[0]


def is_did(text: object) -> bool:
    return isinstance(text, str) and len(text) <= 2_000 and _DID.fullmatch(text) is not None


def did_web_url(did: str) -> str:
    """The https URL where the document of a did:web is (did:web §3.2). Raises DidRefused.

    The host is a name, not an address in any spelling; whoever fetches still checks where the name leads (S10).
    """
    if not is_did(did) or not did.startswith("did:web:"):
        raise DidRefused(f"{did[:120]!r} is not a did:web")
    host, *path = [unquote(part) for part in did.removeprefix("did:web:").split(":")]
    if not _HOST.fullmatch(host):
        raise DidRefused(f"{host[:120]!r} is not a host name")
    if any(not _SEGMENT.fullmatch(part) or part in (".", "..") for part in path):
        raise DidRefused(f"{did[:120]!r} has a path that is not plain")
    return f"https://{host}/{'/'.join(path) if path else '.well-known'}/did.json"


def did_web_for(url: str) -> str:
    """The did:web that resolves under `url`, an https URL without `/did.json`. Raises DidRefused."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
        raise DidRefused(f"{url[:120]!r} is not a plain https URL")
    path = [quote(part, safe="") for part in parts.path.split("/") if part]
    did = "did:web:" + ":".join([quote(parts.netloc.lower(), safe=""), *path])
    did_web_url(did)
    return did


@lru_cache(maxsize=1024)
def resolve_did_key(did: str) -> DidDocument:
    """The document of a did:key, from itself. Raises DidRefused.

    The last ones are kept; no text that is refused is, so what is kept has the size of keys.
    """
    if not is_did(did) or not did.startswith("did:key:"):
        raise DidRefused(f"{did[:120]!r} is not a did:key")
    multikey = did.removeprefix("did:key:")
    try:
        key = public_key_from_multikey(multikey)
    except KeyRefused as refusal:
        raise DidRefused(f"{did[:120]!r}: {refusal.detail}", code=_code(refusal)) from None
    if key.multikey != multikey:
        raise DidRefused(f"{did[:120]!r} is not in canonical form")
    return DidDocument(did, (VerificationMethod(f"{did}#{multikey}", did, key, _SIGNING),))


def resolve_did_jwk(did: str) -> DidDocument:
    """The document of a did:jwk, from itself; its one key is `#0`. Raises DidRefused."""
    if not is_did(did) or not did.startswith("did:jwk:"):
        raise DidRefused(f"{did[:120]!r} is not a did:jwk")
    try:
        jwk = parse_json(base64url.decode(did.removeprefix("did:jwk:")))
        key = public_key_from_jwk(jwk)
    except (JsonRefused, ValueError):
        raise DidRefused(f"{did[:120]!r} is not a JWK in base64url") from None
    except KeyRefused as refusal:
        raise DidRefused(f"{did[:120]!r}: {refusal.detail}", code=_code(refusal)) from None
    return DidDocument(did, (VerificationMethod(f"{did}#0", did, key, _jwk_purposes(jwk, key)),))


def _jwk_purposes(jwk: Any, key: PublicKey) -> frozenset[str]:
    """did:jwk §2: by `use`, and without it everything that the key can do. Ed25519 agrees on no keys."""
    use = jwk.get("use", "sig" if key.algorithm == "EdDSA" else None)
    if use == "enc":
        return frozenset({"keyAgreement"})
    return _SIGNING if use == "sig" else _SIGNING | {"keyAgreement"}


def is_self_contained(did: str) -> bool:
    """Whether the DID is its own document, so that nobody need be asked."""
    return did.startswith(("did:key:", "did:jwk:"))


def resolve_self_contained(did: str) -> DidDocument:
    """The document of a did:key or a did:jwk. Raises DidRefused."""
    return resolve_did_jwk(did) if did.startswith("did:jwk:") else resolve_did_key(did)


def read_issuer_metadata(document: dict[str, Any] | bytes, issuer: str) -> DidDocument:
    """The keys that an https issuer publishes as JWKs: `{"issuer": …, "jwks": {"keys": […]}}`. Raises DidRefused.

    Each key's method is `issuer#kid`. Keys without `kid`, of unsupported types, or for encryption are left out.
    """
    document = _object(document)
    if document.get("issuer") != issuer:
        raise DidRefused(f"the keys found for {issuer[:120]} are of another issuer", code="did-document-other")
    jwks = document.get("jwks")
    methods: dict[str, VerificationMethod] = {}
    for jwk in _methods(jwks, "keys") if is_object(jwks) else ():
        if not is_object(jwk) or not (name := text_of(jwk.get("kid"))) or jwk.get("use", "sig") != "sig":
            continue
        method_id = f"{issuer}#{name}"
        if method_id in methods:
            raise DidRefused("two keys of the issuer have one kid", code="did-document-malformed")
        try:
            methods[method_id] = VerificationMethod(method_id, issuer, public_key_from_jwk(jwk), _SIGNING)
        except KeyRefused:
            continue
    return DidDocument(issuer, tuple(methods.values()))


def read_did_document(document: dict[str, Any] | bytes, did: str) -> DidDocument:
    """Reads the document found for `did`: its id must be that DID, and its keys its own. Raises DidRefused.

    Methods of unsupported key types are left out. Purposes are those the document relates each key to.
    """
    document = _object(document)
    if document.get("id") != did:
        raise DidRefused(f"the DID document found for {did[:120]} is of another DID", code="did-document-other")
    declared: dict[str, dict[str, Any]] = {}
    purposes: dict[str, set[str]] = {}
    for entry in _methods(document, "verificationMethod"):
        if is_object(entry) and (method_id := _absolute(entry.get("id"), did)):
            if method_id in declared:
                raise DidRefused("two keys of the DID document have one id", code="did-document-malformed")
            declared[method_id] = entry
    for purpose in _PURPOSES:
        for entry in _methods(document, purpose):
            method_id = _absolute(entry.get("id") if is_object(entry) else entry, did)
            if method_id is None:
                continue
            if is_object(entry) and declared.setdefault(method_id, entry) != entry:
                raise DidRefused("two keys of the DID document have one id", code="did-document-malformed")
            purposes.setdefault(method_id, set()).add(purpose)
    methods = (_method(entry, method_id, did, purposes.get(method_id, set())) for method_id, entry in declared.items())
    return DidDocument(did, tuple(method for method in methods if method is not None))


def build_did_document(did: str, methods: Sequence[VerificationMethod]) -> dict[str, Any]:
    """The document that a did:web publishes, in Multikey form."""
    entries: list[dict[str, Any]] = []
    for method in methods:
        entry = {
            "id": method.id,
            "type": "Multikey",
            "controller": method.controller,
            "publicKeyMultibase": method.key.multikey,
        }
        if method.expires is not None:
            entry["expires"] = format_instant(method.expires)
        if method.revoked is not None:
            entry["revoked"] = format_instant(method.revoked)
        entries.append(entry)
    contexts = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]
    return {"@context": contexts, "id": did, "verificationMethod": entries} | relationships(methods)


def relationships(methods: Sequence[VerificationMethod]) -> dict[str, list[str]]:
    """Purpose -> the ids of the methods that have it."""
    found = {purpose: [one.id for one in methods if purpose in one.purposes] for purpose in _PURPOSES}
    return {purpose: ids for purpose, ids in found.items() if ids}


def _object(document: dict[str, Any] | bytes) -> dict[str, Any]:
    try:
        found = parse_json(document) if isinstance(document, bytes) else document
    except JsonRefused as refusal:
        raise DidRefused(f"the DID document is {refusal.detail}", code="did-document-malformed") from None
    if not is_object(found):
        raise DidRefused("the DID document is not a JSON object", code="did-document-malformed")
    return found


def _methods(document: dict[str, Any], name: str) -> list[Any]:
    entries = listed(document.get(name))
    if len(entries) > _MAX_METHODS:
        raise DidRefused(f"more than {_MAX_METHODS} keys in {name}", code="did-document-malformed")
    return entries


def _absolute(method_id: Any, did: str) -> str | None:
    """DID documents may write their own key ids relative to the DID. Keys of another DID are not this one's."""
    if not isinstance(method_id, str):
        return None
    full = did + method_id if method_id.startswith("#") else method_id
    return full if did_of(full) == did else None


def _method(entry: dict[str, Any], method_id: str, did: str, purposes: set[str]) -> VerificationMethod | None:
    controllers = listed(entry.get("controller"))
    # Two ways of writing the key could say two different keys (Controlled Identifiers §2.2.1).
    if did not in controllers or {"publicKeyMultibase", "publicKeyJwk"} <= entry.keys():
        return None
    kind = text_of(entry.get("type"))
    try:
        if kind in _MULTIKEY_TYPES:
            key = public_key_from_multikey(text_of(entry.get("publicKeyMultibase")) or "")
        elif kind in _JWK_TYPES:
            key = public_key_from_jwk(entry.get("publicKeyJwk"))
        else:
            return None
    except KeyRefused:
        return None
    times: dict[str, datetime | None] = {}
    for name in ("expires", "revoked"):
        times[name] = parse_instant(entry.get(name))
        if name in entry and times[name] is None:
            return None
    return VerificationMethod(method_id, did, key, frozenset(purposes), times["expires"], times["revoked"])


def _code(refusal: KeyRefused) -> str:
    return refusal.code if refusal.code in ("unsupported", "key-length", "key-invalid") else "did-refused"
