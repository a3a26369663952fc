"""Base64url (RFC 4648 §5) in its one way of writing, against the standard library."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from cairn.credentials import base64url

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _expected(text: str) -> bytes | None:
    """What stands there, where the standard library writes it back as the same text."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return data if base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text else None


def _read(text: str) -> bytes | None:
    try:
        return base64url.decode(text)
    except ValueError:
        return None


@given(st.binary(max_size=200))
def test_it_writes_and_reads_as_the_standard_library_does(data: bytes) -> None:
    text = base64url.encode(data)
    assert text == base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    assert base64url.decode(text) == data


@given(st.text(_LETTERS, max_size=12) | st.text(_LETTERS + "=+/ \n.é\ud800\0", max_size=12) | st.text(max_size=8))
def test_it_refuses_every_other_way_of_writing(text: str) -> None:
    assert _read(text) == _expected(text)
