"""From a document to the bytes that are hashed: JCS (RFC 8785), or JSON-LD to canonical N-Quads (RDFC-1.0)."""

from __future__ import annotations

from typing import Any

from cairn.credentials.canonicalize import jsonld
from cairn.credentials.canonicalize.jcs import jcs
from cairn.credentials.canonicalize.outlines import Outlines
from cairn.credentials.canonicalize.rdfc import Quad, canonical_nquads
from cairn.credentials.canonicalize.walk import HandOver, walk
from cairn.credentials.errors import DocumentRefused

__all__ = ["jcs", "quads", "rdfc", "rdfc_again"]

_outlines = Outlines()


def rdfc(document: dict[str, Any]) -> bytes:
    """Canonical N-Quads of a JSON-LD document.

    Raises ContextUnknown, or DocumentRefused where anything would be left out (S1) or the effort has no bound (S3).
    """
    try:
        return walk(document).canonical().encode()
    except HandOver:
        return canonical_nquads(jsonld.to_quads(document)).encode()


def rdfc_again(document: dict[str, Any], written: bytes | None = None) -> bytes:
    """As `rdfc`, and sooner where documents of the same shape were met before: for verification.

    `document` holds types of JSON only, as `check_json` has it; `written` is it as orjson writes it, where that is
    known already. Signing goes without this memory, so that what it compares its templates with is worked out anew
    (S26).
    """
    try:
        return _outlines.canonical(document, written).encode()
    except (HandOver, DocumentRefused):
        return rdfc(document)


def quads(document: dict[str, Any]) -> list[Quad]:
    """The statements of a JSON-LD document, its blank nodes under passing names. Raises as `rdfc` does."""
    try:
        return walk(document).quads()
    except HandOver:
        return jsonld.to_quads(document)
