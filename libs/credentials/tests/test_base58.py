"""base58-btc, against an independent implementation."""

from __future__ import annotations

import base58 as independent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.credentials import base58


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda data: bytes(3) + data))
def test_it_writes_and_reads_as_an_independent_implementation_does(data: bytes) -> None:
    text = base58.encode(data)
    assert text == independent.b58encode(data).decode()
    assert base58.decode(text) == data


@given(st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", max_size=300))
def test_every_text_of_its_letters_is_read(text: str) -> None:
    assert base58.decode(text) == independent.b58decode(text)


@pytest.mark.parametrize("text", ["0", "l", "zO", " ", "1\n", "é", "z6Mk "])
def test_other_letters_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base58"):
        base58.decode(text)
