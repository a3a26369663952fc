"""VC-JOSE-COSE `vc+jwt`, and the JWT form of Open Badges 3.0 §8.2.4.

A token's header is the word of whoever wrote it: it may say which of the issuer's keys signed, and nothing more (S4
to S6). So the header is read once, by the strict parser, and the key verifies with the one algorithm of its type.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import rfc8785

from cairn.credentials.did import did_of
from cairn.credentials.errors import DocumentRefused, JsonRefused, KeyRefused, TokenRefused
from cairn.credentials.instants import parse_instant
from cairn.credentials.keys import Algorithm, PublicKey, Signer, public_key_from_jwk
from cairn.credentials.shape import id_of, is_object
from cairn.credentials.strict_json import parse_json
from cairn.credentials.structure import check_unsigned

_TYPES: Final = frozenset({"vc+jwt", "vc+ld+jwt", "jwt"})
_ALGORITHMS: Final[dict[str, Algorithm]] = {"EdDSA": "EdDSA", "Ed25519": "EdDSA", "ES256": "ES256"}
_NEVER: Final = ("none", "hs")
_FOREIGN_KEYS: Final = ("jku", "x5u", "x5c", "x5t", "x5t#S256")
_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"})


@dataclass(frozen=True, slots=True)
class Token:
    """A JWT that was read, and not verified."""

    signing_input: bytes
    signature: bytes
    algorithm: Algorithm
    key_id: str | None
    is_badge: bool
    """The JWT form of Open Badges (`typ` JWT or none), whose claims repeat the credential."""
    embedded_key: PublicKey | None
    """A `jwk` of the header: it may only confirm a key that the issuer publishes."""
    claims: dict[str, Any]
    credential: dict[str, Any]
    """The payload without the JWT's own claims."""


def sign_jwt(document: dict[str, Any], signer: Signer) -> str:
    """The credential as a compact `vc+jwt` (VC-JOSE-COSE §3.1.1), `kid` being the signer's verification method.

    Carries the claims that Open Badges 3.0 §8.2.4.1 asks for: iss, jti, nbf, and sub and exp where there are such.
    Raises DocumentRefused.
    """
    check_unsigned(document)
    issuer = id_of(document.get("issuer"))
    if did_of(signer.verification_method) != issuer:
        raise DocumentRefused(
            f"the key of {did_of(signer.verification_method)} does not sign for {issuer}",
            code="issuer-mismatch",
            pointer="/issuer",
        )
    header = {"alg": signer.algorithm, "typ": "vc+jwt", "cty": "vc", "kid": signer.verification_method}
    payload = document | _claims_of(document)
    signing_input = f"{_b64url(rfc8785.dumps(header))}.{_b64url(rfc8785.dumps(payload))}"
    return f"{signing_input}.{_b64url(signer.sign(signing_input.encode()))}"


def read_token(text: str) -> Token:
    """Parses a compact JWT and refuses what no header may ask.

    Raises TokenRefused; its code is `unsupported` where the token may well be good, but cannot be judged here.
    """
    if "~" in text:
        raise TokenRefused("selective disclosure JWTs are not supported yet", code="unsupported")
    parts = text.split(".")
    if len(parts) != 3:
        raise TokenRefused("a compact JWT has three parts")
    header, payload = _part(parts[0], "header"), _part(parts[1], "payload")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm.lower().startswith(_NEVER):
        raise TokenRefused(f"the algorithm {str(algorithm)[:40]} proves nothing", code="alg-refused")
    if algorithm not in _ALGORITHMS:
        raise TokenRefused(f"the algorithm {algorithm[:40]} is not implemented here", code="unsupported")
    if "crit" in header or "b64" in header:
        raise TokenRefused("the header demands extensions that are not understood", code="crit-unknown")
    for name in _FOREIGN_KEYS:
        if name in header:
            raise TokenRefused(f"keys come from the issuer, never from {name} in the token", code="embedded-key")
    kind, key_id = header.get("typ", "JWT"), header.get("kid")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise TokenRefused(f"the token's type {str(kind)[:40]} is not that of a credential", code="unsupported")
    if key_id is not None and not isinstance(key_id, str):
        raise TokenRefused("kid is not text")
    for name in ("vc", "vp"):
        if name in payload:
            raise TokenRefused(f"the payload is the credential: a {name} claim must not be present", code="vc-claim")
    try:
        embedded = public_key_from_jwk(header["jwk"]) if "jwk" in header else None
    except KeyRefused as refusal:
        raise TokenRefused(f"the header's jwk: {refusal.detail}", code="embedded-key") from None
    return Token(
        signing_input=f"{parts[0]}.{parts[1]}".encode(),
        signature=_decoded(parts[2], "signature"),
        algorithm=_ALGORITHMS[algorithm],
        key_id=key_id,
        is_badge=kind.lower() == "jwt",
        embedded_key=embedded,
        claims={name: payload[name] for name in _CLAIMS if name in payload},
        credential={name: value for name, value in payload.items() if name not in _CLAIMS},
    )


def verify_token(token: Token, key: PublicKey) -> None:
    """The signature of a token under a key of the issuer's. Raises TokenRefused."""
    if token.algorithm != key.algorithm:
        raise TokenRefused(f"the key is for {key.algorithm}, the token says {token.algorithm}", code="key-mismatch")
    if not key.verify(token.signature, token.signing_input):
        raise TokenRefused("the signature does not fit the token", code="signature-invalid")


def claim_mismatches(token: Token) -> list[str]:
    """The claims that say otherwise than the credential (Open Badges 3.0 §8.2.4.1; VC-JOSE-COSE §3.1.3)."""
    subject = token.credential.get("credentialSubject")
    said: dict[str, Any] = {
        "iss": id_of(token.credential.get("issuer")),
        "jti": token.credential.get("id"),
        "sub": id_of(subject) if is_object(subject) else None,
    }
    wrong = [name for name, value in said.items() if name in token.claims and token.claims[name] != value]
    # In a vc+jwt these are the times of the signature, not of the credential (VC-JOSE-COSE §3.1.3); both are kept to.
    for name, term in (("nbf", "validFrom"), ("exp", "validUntil")):
        claimed, stated = instant_claim(token, name), parse_instant(token.credential.get(term))
        differs = token.is_badge and stated is not None and claimed != stated.replace(microsecond=0)
        if name in token.claims and (claimed is None or differs):
            wrong.append(name)
    return wrong


def instant_claim(token: Token, name: str) -> datetime | None:
    """A NumericDate of the token (RFC 7519 §2), to the second."""
    value = token.claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**36:
        return None
    return datetime.fromtimestamp(int(value), UTC)


def _claims_of(document: dict[str, Any]) -> dict[str, Any]:
    subject = document["credentialSubject"]
    claims: dict[str, Any] = {
        "iss": id_of(document["issuer"]),
        "jti": document.get("id"),
        "sub": id_of(subject) if is_object(subject) else None,
    }
    for name, term in (("nbf", "validFrom"), ("exp", "validUntil")):
        instant = parse_instant(document.get(term))
        claims[name] = int(instant.timestamp()) if instant else None
    return {name: value for name, value in claims.items() if value is not None}


def _part(text: str, what: str) -> dict[str, Any]:
    try:
        value = parse_json(_decoded(text, what))
    except JsonRefused as refusal:
        raise TokenRefused(f"the token's {what}: {refusal.detail}", code=refusal.code) from None
    if not is_object(value):
        raise TokenRefused(f"the token's {what} is not a JSON object")
    return value


def _decoded(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise TokenRefused(f"the token's {what} is not base64url") from None
    if _b64url(data) != text:
        raise TokenRefused(f"the token's {what} is not written in the one way of base64url")
    return data


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
