"""base58-btc (draft-msporny-base58-03), several digits at a time: a signature a day is nothing, a batch of them is."""

from __future__ import annotations

import re
from itertools import product
from typing import Final

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS: Final = ["".join(pair) for pair in product(_ALPHABET, repeat=2)]
_VALUES: Final = bytes.maketrans(_ALPHABET.encode(), bytes(range(58)))
_TEXT: Final = re.compile(f"[{_ALPHABET}]*")
_TEN: Final = 58**10
_FOUR: Final = 58**4
"""As many digits as one limb of Python's integers holds, by which it divides fastest."""


def encode(data: bytes) -> str:
    """The text of `data`; each leading zero byte is a `1`."""
    zeros = len(data) - len(data.lstrip(b"\0"))
    number = int.from_bytes(data)
    parts: list[str] = []
    while number:
        number, four = divmod(number, _FOUR)
        first, last = divmod(four, 3364)
        parts.append(_PAIRS[first] + _PAIRS[last])
    parts.reverse()
    return "1" * zeros + "".join(parts).lstrip("1")


def decode(text: str) -> bytes:
    """The bytes of `text`, which takes time in the square of its length: callers bound it. Raises ValueError."""
    if not _TEXT.fullmatch(text):
        raise ValueError("not base58-btc")
    digits = text.lstrip("1")
    zeros = len(text) - len(digits)
    values = digits.rjust(-(-len(digits) // 10) * 10, "1").encode().translate(_VALUES)
    number = 0
    for at in range(0, len(values), 10):
        ten = 0
        for value in values[at : at + 10]:
            ten = ten * 58 + value
        number = number * _TEN + ten
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
