"""Compact JWS (RFC 7515), read without believing its header.

A header is the word of whoever wrote it: it may say which of the signer's keys signed, and nothing more (S4 to S6). So
it is read once, by the strict parser, and the key verifies with the one algorithm of its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from math import floor
from typing import Any, Final, get_args

from cairn.credentials import base64url
from cairn.credentials.canonicalize import jcs
from cairn.credentials.errors import JsonRefused, KeyRefused, TokenRefused
from cairn.credentials.keys import Algorithm, PublicKey, Signer, public_key_from_jwk
from cairn.credentials.shape import Survey, is_object, text_of
from cairn.credentials.strict_json import parse_json

_ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    **{name: name for name in get_args(Algorithm)},
    "Ed25519": "EdDSA",
}
_NEVER: Final = ("none", "hs")
_MAX_KNOWN: Final = 1_024
_FOREIGN_KEYS: Final = ("jku", "x5u", "x5c", "x5t", "x5t#S256")
_NUMBERS: Final = (int, float)
_CALENDAR: Final = (-62_135_596_800, 253_402_300_800)
"""The years 1 and 10,000, in seconds since 1970: no instant of the calendar is earlier, or so late."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A signed JSON object that was read, and not verified."""

    signing_input: bytes
    signature: bytes
    algorithm: Algorithm
    kind: str
    """`typ`, in small letters and without `application/`; `jwt` where there is none (RFC 7515 §4.1.9)."""
    content: str | None
    """`cty`, likewise."""
    key_id: str | None
    embedded_key: PublicKey | None
    """A `jwk` of the header: it may only confirm a key that the signer publishes."""
    payload: dict[str, Any]


def sign_jws(header: dict[str, Any], payload: dict[str, Any], signer: Signer, surveyed: Survey | None = None) -> str:
    """`header` without `alg`, which is the signer's. Equal input gives equal bytes before the signature.

    `surveyed` is of the payload, of which it may leave out the claims of a JWT: they are plain.
    """
    protected = jcs({"alg": signer.algorithm} | header)
    signing_input = f"{base64url.encode(protected)}.{base64url.encode(jcs(payload, surveyed))}"
    return f"{signing_input}.{base64url.encode(signer.sign(signing_input.encode()))}"


def read_jws(text: str) -> Jws:
    """Parses a compact JWS and refuses what no header may ask.

    Raises TokenRefused; its code is `unsupported` where the token may well be good, but cannot be judged here.
    """
    signing_input, _, signature = text.rpartition(".")
    protected, dot, payload = signing_input.partition(".")
    if not dot or "." in payload:
        raise TokenRefused("a compact JWT has three parts")
    if not text.isascii():
        raise TokenRefused("a compact JWT is written in base64url")
    header = _known_header(protected) if len(protected) <= _MAX_KNOWN else _header(protected)
    return Jws(
        signing_input=signing_input.encode(),
        signature=b64url_decoded(signature, "signature"),
        algorithm=header.algorithm,
        kind=header.kind,
        content=header.content,
        key_id=header.key_id,
        embedded_key=header.embedded_key,
        payload=_part(payload, "payload"),
    )


@dataclass(frozen=True, slots=True)
class _Header:
    """What a header says, nothing of it being refused."""

    algorithm: Algorithm
    kind: str
    content: str | None
    key_id: str | None
    embedded_key: PublicKey | None


def _header(text: str) -> _Header:
    """Raises TokenRefused."""
    header = _part(text, "header")
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
    for name in ("typ", "cty", "kid"):
        if name in header and not isinstance(header[name], str):
            raise TokenRefused(f"{name} is not text")
    try:
        embedded = public_key_from_jwk(header["jwk"]) if "jwk" in header else None
    except KeyRefused as refusal:
        raise TokenRefused(f"the header's jwk: {refusal.detail}", code="embedded-key") from None
    return _Header(
        algorithm=_ALGORITHMS[algorithm],
        kind=_media(header.get("typ", "JWT")),
        content=_media(header["cty"]) if "cty" in header else None,
        key_id=text_of(header.get("kid")),
        embedded_key=embedded,
    )


_known_header = lru_cache(maxsize=256)(_header)
"""All tokens of one key have the same header. None that is refused is kept."""


def verify_jws(jws: Jws, key: PublicKey) -> None:
    """The signature under a key of the signer's. Raises TokenRefused."""
    if jws.algorithm != key.algorithm:
        raise TokenRefused(f"the key is for {key.algorithm}, the token says {jws.algorithm}", code="key-mismatch")
    if not key.verify(jws.signature, jws.signing_input):
        raise TokenRefused("the signature does not fit the token", code="signature-invalid")


def thumbprint(key: PublicKey) -> str:
    """RFC 7638: by which a JWK may be named."""
    return base64url.encode(sha256(jcs(key.to_jwk())).digest())


def instant_claim(claims: dict[str, Any], name: str) -> datetime | None:
    """A NumericDate (RFC 7519 §2), to the second; None where there is none."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not _CALENDAR[0] <= value < _CALENDAR[1]:
        return None
    return _instant(floor(value))


@lru_cache(maxsize=1024)
def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def b64url_decoded(text: str, what: str) -> bytes:
    """One text for one value, so that no token can be written in two ways. Raises TokenRefused."""
    try:
        return base64url.decode(text)
    except ValueError:
        raise TokenRefused(f"the token's {what} is not base64url, written in its one way") from None


def _media(name: str) -> str:
    return name.lower().removeprefix("application/")


def _part(text: str, what: str) -> dict[str, Any]:
    try:
        value = parse_json(b64url_decoded(text, what))
    except JsonRefused as refusal:
        raise TokenRefused(f"the token's {what}: {refusal.detail}", code=refusal.code) from None
    if not is_object(value):
        raise TokenRefused(f"the token's {what} is not a JSON object")
    return value
