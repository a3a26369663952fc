"""A memory of outlines, for whoever meets the credentials of one achievement again and again.

Credentials of one achievement share it, word for word, and it is most of what they say. Documents are remembered by
their shape: all that they have in common with others, in full, and in place of each other text nothing. So none can be
taken for another, and what a hostile document leaves behind serves only documents of its own shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import orjson

from cairn.credentials.canonicalize.outline import Outline, Path
from cairn.credentials.canonicalize.walk import HandOver
from cairn.credentials.shape import id_of, is_object

SHARED: Final = frozenset({"@context", "type", "issuer"})
"""What all credentials of one shape must have alike."""
_KEPT: Final = SHARED | {"achievement", "credentialSchema", "identityType", "statusPurpose", "statusListCredential"}
"""What they have alike, wherever it stands."""
MAX_SHAPE: Final = 65_536
_MAX_MET: Final = 256
_ONLY_JSON: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
"""An instant is no text here, although orjson would write one."""


class Outlines:
    """Bounded: a memory that is full is emptied, and what is too large, or fits no outline, is not kept."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._known: dict[bytes, Outline | Literal[False] | None] = {}
        self._met: set[int] = set()

    def __len__(self) -> int:
        return len(self._known)

    def canonical(self, document: dict[str, Any]) -> str:
        """RDFC-1.0 of the document. Raises HandOver where none of its shape was met before, or as its outline does."""
        self._meet(document)
        shape, values = shape_of(document)
        known = self._known.get(shape)
        if known:
            return known.canonical(values)
        if known is None and len(shape) <= MAX_SHAPE:
            if len(self._known) >= self._size:
                self._known.clear()
            # Worth its while from the second time on.
            self._known[shape] = _outline_of(document) if shape in self._known else None
        raise HandOver

    def _meet(self, document: dict[str, Any]) -> None:
        """Raises HandOver for an achievement that was not met before, whose shape need not even be looked at."""
        subject = document.get("credentialSubject")
        achievement = id_of(subject.get("achievement")) if is_object(subject) else None
        if achievement is None:
            raise HandOver
        met = hash(achievement)
        if met not in self._met:
            if len(self._met) >= _MAX_MET:
                self._met.clear()
            self._met.add(met)
            raise HandOver


def shape_of(document: dict[str, Any]) -> tuple[bytes, list[str]]:
    """What the document has in common with others, and its other texts, in order. Raises HandOver."""
    values: list[str] = []
    try:
        return orjson.dumps(_emptied(document, values), option=_ONLY_JSON), values
    except TypeError:
        # Such as half a surrogate pair, or too many levels: the long way says what is wrong.
        raise HandOver from None


def paths_of(document: dict[str, Any]) -> list[Path]:
    """Where the other texts stand, in the same order."""
    return list(_paths(document, ()))


def _outline_of(document: dict[str, Any]) -> Outline | Literal[False]:
    try:
        return Outline(document, paths_of(document))
    except HandOver:
        return False


def _emptied(node: dict[str, Any], values: list[str]) -> dict[str, Any]:
    copy = node.copy()
    for key, member in node.items():
        kind: object = member.__class__
        if kind is str:
            if key not in _KEPT:
                values.append(member)
                copy[key] = ""
        elif (kind is dict or kind is list) and key not in _KEPT:
            copy[key] = _emptied(member, values) if kind is dict else _emptied_list(member, values)
    return copy


def _emptied_list(items: list[Any], values: list[str]) -> list[Any]:
    copy: list[Any] = []
    for member in items:
        kind: object = member.__class__
        if kind is str:
            values.append(member)
            copy.append("")
        elif kind is dict:
            copy.append(_emptied(member, values))
        else:
            copy.append(_emptied_list(member, values) if kind is list else member)
    return copy


def _paths(value: Any, path: Path) -> Iterator[Path]:
    """The same walk, for the places. Of equal shapes they are equal."""
    kind: object = value.__class__
    if kind is str:
        yield path
    elif kind is dict:
        for key, member in value.items():
            if key not in _KEPT:
                yield from _paths(member, (*path, key))
    elif kind is list:
        for position, member in enumerate(value):
            yield from _paths(member, (*path, position))
