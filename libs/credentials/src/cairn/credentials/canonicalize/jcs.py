"""RFC 8785: by orjson, ten times faster, for values that it writes the same way; the others by rfc8785."""

from __future__ import annotations

from typing import Any, Final

import orjson
import rfc8785

from cairn.credentials.errors import DocumentRefused

_MAX_SAFE_INTEGER: Final = 2**53 - 1


def jcs(value: Any) -> bytes:
    """RFC 8785. Raises DocumentRefused for what it cannot write exactly: integers beyond 2^53, NaN, lone surrogates."""
    try:
        if _is_plain(value):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Lone surrogates, keys that are not text, more levels than orjson goes down: below it is said which.
        pass
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise DocumentRefused(f"not canonical under RFC 8785: {error}", code="not-canonical") from None


def _is_plain(value: Any) -> bool:
    """Whether orjson writes the value as RFC 8785 asks.

    It writes 6.0 as it is, and exponents in a way of its own; it sorts by code points, and RFC 8785 by UTF-16 units,
    which differ from U+D800 on. Of other types than those of JSON it has its own ideas.
    """
    keys: set[str] = set()
    level: list[Any] = [value]
    while level:
        below: list[Any] = []
        for item in level:
            kind: object = item.__class__
            if kind is str:
                continue
            if kind is dict:
                keys.update(item)
                below.extend(item.values())
            elif kind is list:
                below.extend(item)
            elif kind is int:
                if not -_MAX_SAFE_INTEGER <= item <= _MAX_SAFE_INTEGER:
                    return False
            elif kind is float:
                if not 1e-3 <= abs(item) < 1e15 or item.is_integer():
                    return False
            elif kind is not bool and item is not None:
                return False
        level = below
    names = "".join(keys)
    return names.isascii() or max(names) < "\ud800"
