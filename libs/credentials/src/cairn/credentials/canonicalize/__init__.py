"""From a document to the bytes that are hashed: JCS (RFC 8785), or JSON-LD to canonical N-Quads (RDFC-1.0)."""

from __future__ import annotations

from typing import Any

import rfc8785

from cairn.credentials.canonicalize.jsonld import to_quads
from cairn.credentials.canonicalize.rdfc import canonical_nquads
from cairn.credentials.errors import DocumentRefused

__all__ = ["jcs", "rdfc"]


def jcs(value: Any) -> bytes:
    """RFC 8785. Raises DocumentRefused for what it cannot write exactly: integers beyond 2^53, NaN, lone surrogates."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise DocumentRefused(f"not canonical under RFC 8785: {error}", code="not-canonical") from None


def rdfc(document: dict[str, Any]) -> bytes:
    """Canonical N-Quads of a JSON-LD document.

    Raises ContextUnknown, or DocumentRefused where anything would be left out (S1) or the effort has no bound (S3).
    """
    return canonical_nquads(to_quads(document)).encode()
