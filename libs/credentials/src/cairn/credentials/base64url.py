"""Base64url without padding (RFC 4648 §5; RFC 7515 §2), in its one way of writing."""

from __future__ import annotations

import pybase64


def encode(data: bytes) -> str:
    return pybase64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Raises ValueError, also for a second way of writing the same bytes."""
    if "+" in text or "/" in text:
        raise ValueError("written in base64, not in base64url")
    data = pybase64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    # Only the last group of four may be incomplete, and hold bits of no value.
    last = len(text) % 4
    if "=" in text or (last and encode(data[1 - last :]) != text[-last:]):
        raise ValueError("not written in the one way of base64url")
    return data
