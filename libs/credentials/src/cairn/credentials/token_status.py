"""Token Status List (draft-ietf-oauth-status-list): the status of an SD-JWT VC, read from its issuer's signed list."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cairn.credentials import checks
from cairn.credentials.did import DidDocument, VerificationMethod
from cairn.credentials.errors import StatusListRefused, TokenRefused
from cairn.credentials.findings import Check, Finding
from cairn.credentials.jws import Jws, b64url_decoded, instant_claim, read_jws, verify_jws
from cairn.credentials.keyring import Keyring
from cairn.credentials.resolver import Resolver, Unreachable
from cairn.credentials.secured import Secured
from cairn.credentials.shape import is_object, text_of

_WORDS: Final = {1: "revoked", 2: "suspended"}
_MAX_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reference:
    """`status.status_list` of a credential (§6.2)."""

    url: str
    index: int


async def token_status(
    secured: Secured, keyring: Keyring, resolver: Resolver, *, at: datetime, tolerance: timedelta
) -> Check:
    """The status of an SD-JWT VC whose proof holds: by a token that its own issuer has signed (S13)."""
    where, issuer = "/status/status_list", secured.issuer or ""
    try:
        reference = read_reference(secured.document)
        token = read_jws((await resolver.status_list(reference.url)).decode("ascii", "replace").strip())
        keys = await keyring.keys(issuer, well_known=True)
        if not isinstance(keys, DidDocument):
            return keys
        if not any(_signed_with(token, method, at) for method in keys.methods):
            return checks.failed([Finding("status-list-proof", "the issuer has not signed the status list", where)])
        state = read_token_status(reference, token, issuer=issuer, at=at, tolerance=tolerance)
    except Unreachable as reason:
        return checks.undetermined("status-unreachable", f"the status list cannot be had: {reason}", where)
    except TokenRefused as refusal:
        return checks.undetermined("status-list-unreadable", f"the status list: {refusal.detail}", where)
    except StatusListRefused as refusal:
        return checks.refused(refusal, where)
    if state is not None:
        return checks.failed([Finding(state, f"the issuer has {state} the credential", where)])
    return checks.passed("not-revoked", "the issuer's list says that the credential is valid")


def _signed_with(token: Jws, method: VerificationMethod, at: datetime) -> bool:
    if "assertionMethod" not in method.purposes or (method.revoked is not None and at >= method.revoked):
        return False
    try:
        verify_jws(token, method.key)
    except TokenRefused:
        return False
    return True


def read_reference(claims: dict[str, Any]) -> Reference:
    """Raises StatusListRefused; its code is `unsupported` for a status by other means."""
    status = claims.get("status")
    entry = status.get("status_list") if is_object(status) else None
    if not is_object(entry):
        raise StatusListRefused("the status is not a Token Status List", code="unsupported")
    url, index = entry.get("uri"), entry.get("idx")
    if not isinstance(url, str) or not url.startswith("https://") or len(url) > 2_000:
        raise StatusListRefused("the list's address is not an https URL", code="status-entry-malformed")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise StatusListRefused("idx is not a number of the list", code="status-entry-malformed")
    return Reference(url, index)


def read_token_status(
    reference: Reference, token: Jws, *, issuer: str, at: datetime, tolerance: timedelta
) -> str | None:
    """`revoked`, `suspended`, or None for valid, by a token whose signature already holds (§8.3).

    Raises StatusListRefused where the list is not the credential's, not in force, or not readable (S11, S13).
    """
    claims = token.payload
    if token.kind != "statuslist+jwt":
        raise StatusListRefused("what was found is not a status list token", code="status-list-malformed")
    if text_of(claims.get("iss", issuer)) != issuer:
        raise StatusListRefused("the status list is another issuer's", code="status-list-issuer")
    if claims.get("sub") != reference.url:
        raise StatusListRefused(
            "the status list has another address than the credential says", code="status-list-other"
        )
    issued, expires = instant_claim(claims, "iat"), instant_claim(claims, "exp")
    if issued is None or ("exp" in claims and expires is None):
        raise StatusListRefused("the status list does not say when it was issued", code="status-list-malformed")
    if issued > at + tolerance or (expires is not None and expires <= at - tolerance):
        raise StatusListRefused("the status list is not in force", code="status-list-stale")
    value = _entry(claims.get("status_list"), reference.index)
    if value not in (0, *_WORDS):
        raise StatusListRefused(f"the status {value} is not understood here", code="unsupported")
    return _WORDS.get(value)


def _entry(status_list: Any, index: int) -> int:
    """§4.1: `bits` bits an entry, the least significant first."""
    bits = status_list.get("bits") if is_object(status_list) else None
    packed = status_list.get("lst") if is_object(status_list) else None
    if isinstance(bits, bool) or bits not in (1, 2, 4, 8) or not isinstance(packed, str):
        raise StatusListRefused("the status list has no bits and lst", code="status-list-malformed")
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(b64url_decoded(packed, "list"), _MAX_BYTES)
    except (TokenRefused, zlib.error):
        raise StatusListRefused("lst is not zlib in base64url", code="status-list-malformed") from None
    if inflate.unconsumed_tail or inflate.unused_data or not inflate.eof:
        raise StatusListRefused(f"lst is not one list of at most {_MAX_BYTES} bytes", code="status-list-too-large")
    if index >= len(data) * 8 // bits:
        raise StatusListRefused(f"index {index} is beyond the list's entries", code="status-index-range")
    offset = index * bits
    return data[offset // 8] >> (offset % 8) & ((1 << bits) - 1)
