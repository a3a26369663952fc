"""Base64url without padding (RFC 4648 §5; RFC 7515 §2), in its one way of writing."""

from __future__ import annotations

import base64


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Raises ValueError, also for a second way of writing the same bytes."""
    # What this passes over, such as characters of no value, the comparison below does not.
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not written in the one way of base64url")
    return data
