"""RFC 8785: by orjson, ten times faster, for values that it writes the same way; the others by rfc8785."""

from __future__ import annotations

from typing import Any

import orjson
import rfc8785

from cairn.credentials.errors import DocumentRefused
from cairn.credentials.shape import Survey, survey


def jcs(value: Any, surveyed: Survey | None = None) -> bytes:
    """RFC 8785. `surveyed` is what `survey` says of the value, where that is known already.

    Raises DocumentRefused for what it cannot write exactly: integers beyond 2^53, NaN, lone surrogates.
    """
    try:
        if _is_written_alike(surveyed or survey(value)):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Lone surrogates, keys that are not text, more levels than orjson goes down: below it is said which.
        pass
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise DocumentRefused(f"not canonical under RFC 8785: {error}", code="not-canonical") from None


def _is_written_alike(surveyed: Survey) -> bool:
    """Whether orjson writes the value as RFC 8785 asks.

    It writes 6.0 as it is, and exponents in a way of its own; it sorts by code points, and RFC 8785 by UTF-16 units,
    which differ from U+D800 on. Of other types than those of JSON it has its own ideas.
    """
    return surveyed.is_plain and (surveyed.letters.isascii() or max(surveyed.letters) < "\ud800")
