"""From a document to the bytes that are hashed: JCS (RFC 8785), or JSON-LD to canonical N-Quads (RDFC-1.0)."""

from __future__ import annotations

from typing import Any, Final

from cairn.credentials.canonicalize import jsonld
from cairn.credentials.canonicalize.jcs import jcs
from cairn.credentials.canonicalize.makes import Make, Makes, Met, Sight
from cairn.credentials.canonicalize.rdfc import Quad, canonical_nquads
from cairn.credentials.canonicalize.walk import HandOver, walk
from cairn.credentials.errors import DocumentRefused
from cairn.credentials.shape import is_object

__all__ = ["Make", "Met", "Sight", "jcs", "look", "meet", "quads", "rdfc", "rdfc_again"]

_START: Final = 64
_makes = Makes()


def rdfc(document: dict[str, Any]) -> bytes:
    """Canonical N-Quads of a JSON-LD document.

    Raises ContextUnknown, or DocumentRefused where anything would be left out (S1) or the effort has no bound (S3).
    """
    try:
        return walk(document).canonical().encode()
    except HandOver:
        return canonical_nquads(jsonld.to_quads(document)).encode()


def look(value: Any, text: bytes) -> tuple[bool, Met | Sight | None]:
    """As `Makes.look`, of whatever orjson has read in the text; and whether it was met. Nothing is remembered.

    What is laid out with spaces is not looked at, since orjson would not write it so.
    """
    if not is_object(value) or b'": ' in text[:_START]:
        return False, None
    sight = _makes.look(value, text)
    return isinstance(sight, Met), sight


def meet(document: dict[str, Any], written: bytes | None = None, sight: Met | Sight | None = None) -> Met | None:
    """The document, if others of its make were met before: for verification. As `Makes.meet`.

    Signing goes without this memory, so that what it compares its templates with is worked out anew (S26).
    """
    return _makes.meet(document, written, sight)


def rdfc_again(document: dict[str, Any], met: Met | None) -> bytes:
    """As `rdfc`, and sooner where others like it were met before. `met` is of the document with its proofs."""
    if met is None:
        return rdfc(document)
    try:
        return met.canonical().encode()
    except (HandOver, DocumentRefused):
        return rdfc(document)


def quads(document: dict[str, Any]) -> list[Quad]:
    """The statements of a JSON-LD document, its blank nodes under passing names. Raises as `rdfc` does."""
    try:
        return walk(document).quads()
    except HandOver:
        return jsonld.to_quads(document)
