"""A memory of what documents share, for whoever meets credentials of one make, or of one achievement, again and again.

What one system issues has the same members in the same order, and differs in its texts; and the credentials of one
achievement share that, word for word, which is most of what they say. Documents are remembered by all that they have in
common with others, in full, and in place of each other text nothing. So none can be taken for another, and what a
hostile document leaves behind serves only documents of its own make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson

from cairn.credentials.bundle import context_hashes
from cairn.credentials.canonicalize.outline import Outline, Path, picking
from cairn.credentials.canonicalize.walk import HandOver
from cairn.credentials.shape import id_of, is_object, survey

FIXED: Final = frozenset(
    {
        "@context",
        "achievementType",
        "associationType",
        "credentialSchema",
        "endorsementJwt",
        "identifierType",
        "identityType",
        "inLanguage",
        "resultType",
        "status",
        "statusPurpose",
        "targetType",
        "type",
    }
)
"""Members whose texts are of the make, at any depth below them: terms, and what schemas ask more of than to be text."""
_MAX_BYTES: Final = 65_536
_MAX_ACHIEVEMENT: Final = 16_384
_MAX_PIECES: Final = 4_096
_MAX_MET: Final = 256
_OFTEN: Final = 3
_ODD: Final = re.compile(r'\\[^nrt"]')
# JSON has neither character.
_QUOTE: Final = "\2"
_CUT: Final = "\3"
_MEMBER: Final = '"achievement":'
_ACHIEVEMENT_PATH: Final = ("credentialSubject", "achievement")
_Layout: TypeAlias = tuple[str, str]
"""An achievement, if it is remembered by itself, and what is no text in the rest."""


class Make:
    """What documents have in common that are alike but for their texts, and in `FIXED` also in these."""

    def __init__(self, document: dict[str, Any], places: _Places) -> None:
        self.surveyed = survey(document)
        """Of each of them: it tells of nothing in which they differ."""
        self.context_names = self.surveyed.context_names()
        self.contexts = {url: known for url in self.context_names if (known := context_hashes().get(url))}
        """The pinned sha256 of each that is bundled."""
        self.is_credential = False
        """Whether one of them was found to be shaped as its data model and its schemas ask, as far as a make tells."""
        self._places = places
        self._outline: Outline | Literal[False] | None = None

    def outline(self, document: dict[str, Any]) -> Outline:
        """Without proofs. Raises HandOver where there is none."""
        if self._outline is None:
            self._outline = self._places.outline(document)
        if self._outline is False:
            raise HandOver
        return self._outline


class Met(NamedTuple):
    """A document of a make that is known."""

    make: Make
    document: dict[str, Any]
    pieces: list[str]
    is_quoting: bool

    def canonical(self) -> str:
        """RDFC-1.0 of the document without its proofs. Raises HandOver, or as `Outline.canonical` does."""
        outline = self.make.outline(self.document)
        return outline.canonical_of_escaped(
            [piece.replace(_QUOTE, '\\"') for piece in self.pieces] if self.is_quoting else self.pieces
        )


class Sight(NamedTuple):
    """A document of a make that is not."""

    layout: _Layout
    document: dict[str, Any]
    pieces: list[str]


class Makes:
    """Bounded: a memory that is full is emptied, and what is too large, or written oddly, is not kept."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._met: dict[int, tuple[int, str]] = {}
        """How often each achievement was met, by the hash of its id, and how it was written last."""
        self._places: dict[_Layout, _Places | None] = {}
        self._known: dict[tuple[_Layout, str], Make | None] = {}

    def __len__(self) -> int:
        return max(len(self._places), len(self._known))

    def meet(
        self, document: dict[str, Any], written: bytes | None = None, sight: Met | Sight | None = None
    ) -> Met | None:
        """The document, if its make was met before. It holds types of JSON only, as `check_json` has it.

        `written` is the document as orjson writes it, and `sight` what `look` says of that, where it is known already.
        """
        sight = sight or self.look(document, written)
        if isinstance(sight, Sight):
            self._remember(*sight)
            return None
        return sight

    def look(self, document: dict[str, Any], text: bytes | None = None) -> Met | Sight | None:
        """The document, if its make was met before; or what of it would be remembered, which it is not.

        `text` is the document as orjson writes it, or as it was read by orjson. Of what is met it is certain that these
        are the same: it differs from what orjson has written between quotation marks alone, and there is nothing
        escaped that orjson would not escape so.
        """
        try:
            plain = _plain(text or _written(document))
            rest, achievement = self._cut(plain, document)
        except HandOver:
            return None
        # A single character is found many times faster than two.
        is_quoting = "\\" in rest and '\\"' in rest
        pieces = (rest.replace('\\"', _QUOTE) if is_quoting else rest).split('"')
        # No two have the same: between quotation marks stands what is no text, and an achievement ends where it ends.
        layout = achievement, '"'.join(pieces[::2])
        places = self._places.get(layout)
        make = self._known.get((layout, places.fixed(pieces))) if places else None
        return Met(make, document, pieces, is_quoting) if make else Sight(layout, document, pieces)

    def _cut(self, text: str, document: dict[str, Any]) -> tuple[str, str]:
        """The text without its achievement, and that, if it was met so often that it is worth remembering by itself."""
        subject = document.get("credentialSubject")
        achievement = subject.get("achievement") if is_object(subject) else None
        name = id_of(achievement)
        if name is None:
            return text, ""
        key, start = hash(name), text.find(_MEMBER)
        met, known = self._met.get(key, (0, ""))
        if known and text.startswith(known, start):
            # What a member begins with, and is one, is all of it.
            end = start + len(known)
            # With another of that name it would not be certain which of them this is.
            return (text, "") if _MEMBER in text[end:] else (f"{text[:start]}{_CUT}{text[end:]}", known)
        if len(self._met) >= _MAX_MET:
            self._met.clear()
        known = f"{_MEMBER}{_plain(_written(achievement))}" if met >= _OFTEN else ""
        self._met[key] = met + 1, known if len(known) <= _MAX_ACHIEVEMENT else ""
        return text, ""

    def _remember(self, layout: _Layout, document: dict[str, Any], pieces: list[str]) -> None:
        """A little more each time, so that what is met once costs next to nothing."""
        if len(pieces) > _MAX_PIECES:
            return
        if len(self) >= self._size:
            self._places.clear()
            self._known.clear()
        if layout not in self._places:
            self._places[layout] = None
            return
        found = _Places(document, pieces, is_cut=bool(layout[0]))
        places = self._places[layout] = self._places[layout] or found
        if found.positions == places.positions:
            # The places of another document are those of other members, where it has these in their stead.
            shape = layout, found.fixed(pieces)
            self._known[shape] = Make(document, found) if shape in self._known else None


class _Places:
    """Where in the pieces of a layout its texts are."""

    def __init__(self, document: dict[str, Any], pieces: list[str], *, is_cut: bool) -> None:
        texts = [position for position in range(1, len(pieces), 2) if pieces[position + 1][:1] != ":"]
        paths = [path for path in _paths(document, ()) if not (is_cut and path[:2] == _ACHIEVEMENT_PATH)]
        varying = [pair for pair in zip(texts, paths, strict=True) if FIXED.isdisjoint(pair[1])]
        self.positions = [position for position, _ in varying]
        self._signed = [pair for pair in varying if pair[1][0] != "proof"]
        self._fixed = picking(sorted({*range(1, len(pieces), 2)}.difference(self.positions)))

    def fixed(self, pieces: list[str]) -> str:
        """What is of the make in them."""
        return '"'.join(self._fixed(pieces))

    def outline(self, document: dict[str, Any]) -> Outline | Literal[False]:
        unsecured = {name: member for name, member in document.items() if name != "proof"}
        try:
            return Outline(unsecured, [path for _, path in self._signed], [position for position, _ in self._signed])
        except HandOver:
            return False


def _written(value: Any) -> bytes:
    """Its JSON. Raises HandOver."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Such as half a surrogate pair, or too many levels: the long way says what is wrong.
        raise HandOver from None


def _plain(written: bytes) -> str:
    """Raises HandOver, but where JSON escapes in a text what N-Quads escapes, and writes it alike."""
    if len(written) > _MAX_BYTES:
        raise HandOver
    text = written.decode()
    is_odd = "\x7f" in text or (not text.isascii() and ("\ufffe" in text or "\uffff" in text))
    if is_odd or ("\\" in text and _ODD.search(text)):
        raise HandOver
    return text


def _paths(value: Any, path: Path) -> Iterator[Path]:
    """The places of all texts, in the order in which they are written."""
    kind: object = value.__class__
    if kind is str:
        yield path
    elif kind is dict:
        for key, member in value.items():
            yield from _paths(member, (*path, key))
    elif kind is list:
        for position, member in enumerate(value):
            yield from _paths(member, (*path, position))
