"""From a document to the bytes that are hashed: JCS (RFC 8785), or JSON-LD to canonical N-Quads (RDFC-1.0)."""

from __future__ import annotations

from typing import Any

from cairn.credentials.canonicalize import jsonld
from cairn.credentials.canonicalize.jcs import jcs
from cairn.credentials.canonicalize.rdfc import Quad, canonical_nquads
from cairn.credentials.canonicalize.walk import HandOver, walk

__all__ = ["jcs", "quads", "rdfc"]


def rdfc(document: dict[str, Any]) -> bytes:
    """Canonical N-Quads of a JSON-LD document.

    Raises ContextUnknown, or DocumentRefused where anything would be left out (S1) or the effort has no bound (S3).
    """
    try:
        return walk(document).canonical().encode()
    except HandOver:
        return canonical_nquads(jsonld.to_quads(document)).encode()


def quads(document: dict[str, Any]) -> list[Quad]:
    """The statements of a JSON-LD document, its blank nodes under passing names. Raises as `rdfc` does."""
    try:
        return walk(document).quads()
    except HandOver:
        return jsonld.to_quads(document)
