"""base58-btc (draft-msporny-base58-03), several digits at a time: a signature a day is nothing, a batch of them is."""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from typing import Final

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS: Final = ["".join(pair) for pair in product(_ALPHABET, repeat=2)]
_VALUES: Final = bytes.maketrans(_ALPHABET.encode(), bytes(range(58)))
_TEXT: Final = re.compile(f"[{_ALPHABET}]*")
_FOUR: Final = 58**4
"""As many digits as one limb of Python's integers holds, by which it divides fastest."""


def encode(data: bytes) -> str:
    """The text of `data`; each leading zero byte is a `1`."""
    zeros = len(data) - len(data.lstrip(b"\0"))
    number = int.from_bytes(data)
    parts: list[str] = []
    while number:
        number, four = divmod(number, _FOUR)
        parts.append(_PAIRS[four // 3364] + _PAIRS[four % 3364])
    parts.reverse()
    return "1" * zeros + "".join(parts).lstrip("1")


def decode(text: str) -> bytes:
    """The bytes of `text`, which takes time in the square of its length: callers bound it. Raises ValueError."""
    if not _TEXT.fullmatch(text):
        raise ValueError("not base58-btc")
    digits = text.lstrip("1")
    number = int.from_bytes(digits.encode().translate(_VALUES))
    for width, lower, base in _halvings((len(digits) - 1).bit_length()):
        number = (number >> width & lower) * base + (number & lower)
    return bytes(len(text) - len(digits)) + number.to_bytes((number.bit_length() + 7) // 8)


@cache
def _halvings(times: int) -> list[tuple[int, int, int]]:
    """How a number of 2^times digits, each in a byte of its own, becomes one: neighbours are joined, all at once.

    Of each step: the bits of a lane, a mask of every second lane, and what a lane counts beside its lower neighbour.
    """
    bits = 8 << times
    lanes = [8 << step for step in range(times)]
    masks = [((1 << bits) - 1) // ((1 << 2 * width) - 1) * ((1 << width) - 1) for width in lanes]
    return [(width, mask, 58 ** (width // 8)) for width, mask in zip(lanes, masks, strict=True)]
