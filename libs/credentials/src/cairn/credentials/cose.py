"""COSE_Sign1 around a credential or a presentation (VC-JOSE-COSE 1.0 §3.3; RFC 9052 §4.2), read and not issued.

What it says is what a JWS says, in CBOR; so it is read into one, and judged by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, cast

import cbor2
import pybase64

from cairn.credentials.errors import JsonRefused, TokenRefused
from cairn.credentials.jws import Jws
from cairn.credentials.keys import Algorithm
from cairn.credentials.shape import is_list, is_object, text_of
from cairn.credentials.strict_json import parse_json

COSE_KINDS: Final = frozenset({"vc+cose", "vp+cose"})
COSE_START: Final = b"\xd2\x84"
"""The tag of a COSE_Sign1 and the head of its array, by which neither JSON nor a picture starts."""

_ALGORITHMS: Final[Mapping[int, Algorithm]] = {-7: "ES256", -8: "EdDSA", -35: "ES384", -36: "ES512"}
_ALG, _CRIT, _CONTENT, _KID, _CLAIMS, _TYP = 1, 2, 3, 4, 15, 16
_FOREIGN_KEYS: Final = frozenset({32, 33, 34, 35})
"""`x5bag`, `x5chain`, `x5t` and `x5u`: keys come from the issuer (S5)."""


def cose_in(text: str) -> bytes:
    """The bytes of a `data:` URL in base64, padded or not. Raises TokenRefused."""
    try:
        return pybase64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise TokenRefused("the envelope's data is not base64", pointer="/id") from None


def read_cose(data: bytes) -> Jws:
    """Parses a tagged COSE_Sign1 whose payload is a JSON object, and refuses what no header may ask.

    Raises TokenRefused, as `read_jws` does.
    """
    parts = _decoded(data[1:]) if data.startswith(COSE_START) else None
    if not is_list(parts) or len(parts) != 4 or not all(isinstance(parts[place], bytes) for place in (0, 2, 3)):
        raise TokenRefused("not a COSE_Sign1 of header, payload and signature")
    protected, beside, payload, signature = parts
    header, beside = _header(_decoded(protected)), _header(beside)
    if header.keys() & beside.keys():
        raise TokenRefused("a header parameter is there twice")
    if _CRIT in header:
        raise TokenRefused("the header demands extensions that are not understood", code="crit-unknown")
    if _FOREIGN_KEYS & (header.keys() | beside.keys()):
        raise TokenRefused("keys come from the issuer, never from the header", code="embedded-key")
    algorithm = _ALGORITHMS.get(header[_ALG]) if type(header.get(_ALG)) is int else None
    if algorithm is None or _CLAIMS in header:
        raise TokenRefused("the algorithm, or claims in the header, are not read here", code="unsupported")
    key_id = header.get(_KID, beside.get(_KID))
    return Jws(
        signing_input=cbor2.dumps(["Signature1", protected, b"", payload]),
        signature=signature,
        algorithm=algorithm,
        kind=_media(header.get(_TYP)) or "",
        content=_media(header.get(_CONTENT)),
        key_id=key_id.decode("ascii", "replace") if isinstance(key_id, bytes) else None,
        embedded_key=None,
        payload=_payload(payload),
    )


def _decoded(data: bytes) -> Any:
    """One item in the one plain way of CBOR, and nothing after it. Raises TokenRefused."""
    try:
        decoder = cbor2.CBORDecoder(BytesIO(data), max_depth=4, allow_indefinite=False, allow_duplicate_keys=False)
        value = decoder.decode()
        exact = cbor2.dumps(value) == data
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError):
        raise TokenRefused("not CBOR") from None
    if not exact:
        raise TokenRefused("not written in the one plain way of CBOR")
    return value


def _header(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict) or not all(type(label) in (int, str) for label in cast("dict[Any, Any]", value)):
        raise TokenRefused("a header is not a map of labels")
    return cast("dict[Any, Any]", value)


def _media(value: Any) -> str | None:
    text = text_of(value)
    return None if text is None else text.lower().removeprefix("application/")


def _payload(data: bytes) -> dict[str, Any]:
    try:
        value = parse_json(data)
    except JsonRefused as refusal:
        raise TokenRefused(f"the payload: {refusal.detail}", code=refusal.code) from None
    if not is_object(value):
        raise TokenRefused("the payload is not a JSON object")
    return value
