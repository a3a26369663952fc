"""RFC 8785."""

from __future__ import annotations

from typing import Any

import rfc8785

from cairn.credentials.errors import DocumentRefused


def jcs(value: Any) -> bytes:
    """RFC 8785. Raises DocumentRefused for what it cannot write exactly: integers beyond 2^53, NaN, lone surrogates."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise DocumentRefused(f"not canonical under RFC 8785: {error}", code="not-canonical") from None
