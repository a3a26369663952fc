"""The canonical form of documents that differ in a few texts only, worked out once for all of them.

Where a batch of credentials is issued, all but the learner's part is the same. An outline is made of one of them: it is
walked with a mark in the place of each text that varies, so that every statement is known, and in which of them, and
where, the texts will stand. Only these are written anew, and only the blank nodes that mention them hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from cairn.credentials.canonicalize import terms as rdf
from cairn.credentials.canonicalize.compact_form import is_context_term
from cairn.credentials.canonicalize.forest import by_text, first_degree_hash, labels_of
from cairn.credentials.canonicalize.walk import HandOver, walk

Path: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a text."""

_MARK: Final = "urn:cairn-mark:"
_MAX_HELD: Final = 262_144
"""Characters of statements that are kept ready under a number of their blank node."""


@dataclass(slots=True)
class _Block:
    """What one node says."""

    subject: str = ""
    """Its IRI as N-Quads writes it; empty for a blank node, and where the IRI varies."""
    subject_slot: int = -1
    fixed: list[str] = field(default_factory=list[str])
    """Tails without a text that varies, in order."""
    slots: list[tuple[str, int, str]] = field(default_factory=list["tuple[str, int, str]"])
    """Tails with one: what comes before it, which it is, what follows."""
    links: list[tuple[str, int]] = field(default_factory=list["tuple[str, int]"])
    """` <p> ` and the number of the blank node under it."""
    may_repeat: bool = False
    """Whether a text may make a statement that is made already: where its term says something else as well."""


class Outline:
    """Of one document with texts that vary at `paths`, of which it keeps none.

    Raises HandOver where the walk does not take the document.
    """

    def __init__(self, document: dict[str, Any], paths: Sequence[Path]) -> None:
        if _MARK.encode() in orjson.dumps(document):
            raise HandOver
        forest = walk(fill(document, plan_of(paths), [f"{_MARK}{slot}:" for slot in range(len(paths))]))
        if forest.graphs:
            raise HandOver
        self._is_iri = [False] * len(paths)
        self._named = [self._block(tails, subject) for subject, tails in forest.named.items()]
        self._blank = [self._block(tails) for tails in forest.tails]
        by_subject = dict(zip(forest.named, self._named, strict=True))
        above: dict[int, tuple[_Block, str]] = {}
        for parent, lead, child in forest.links:
            block = by_subject[parent] if isinstance(parent, str) else self._blank[parent]
            block.links.append((lead, child))
            above[child] = block, lead
        self._above = [above.get(node) for node in range(len(self._blank))]
        self._hashes: list[tuple[str, int]] = []
        self._open: list[int] = []
        for node, block in enumerate(self._blank):
            if block.slots or (hung := self._above[node]) is None or hung[0].subject_slot >= 0:
                self._open.append(node)
            else:
                self._hashes.append((self._hash(node, block.fixed, hung[0].subject), node))
        self._hashes.sort()
        self._closed = {block.subject: _text(block.subject, block.fixed) for block in self._named if _is_closed(block)}
        self._open_named = [block for block in self._named if not _is_closed(block)]
        self._still = [_is_closed(block) for block in self._blank]
        self._texts: dict[tuple[int, int], str] = {}
        self._held = 0

    def canonical(self, values: Sequence[str]) -> str:
        """RDFC-1.0 of that document. Raises HandOver, or DocumentRefused as the walk does."""
        written = [_iri(text) if is_iri else _quoted(text) for text, is_iri in zip(values, self._is_iri, strict=True)]
        own = [_tails(block, written) if block.slots else block.fixed for block in self._blank]
        hashes = self._hashes.copy()
        for node in self._open:
            hung = self._above[node]
            hashes.append((self._hash(node, own[node], _subject(hung[0], written) if hung else ""), node))
        hashes.sort()
        labels = [""] * len(hashes)
        last = ""
        for (digest, node), label in zip(hashes, labels_of(len(hashes)), strict=True):
            if digest == last:
                raise HandOver
            last = digest
            labels[node] = label
        texts = self._closed.copy()
        for block in self._open_named:
            subject = _subject(block, written)
            if subject in texts:
                raise HandOver
            tails = _tails(block, written) if block.slots else block.fixed
            texts[subject] = _text(subject, tails + [f"{lead}{labels[child]} .\n" for lead, child in block.links])
        parts = [texts[subject] for subject in sorted(texts)]
        if self._held > _MAX_HELD:
            self._texts.clear()
            self._held = 0
        for rank in by_text(len(hashes)):
            node = hashes[rank][1]
            if not self._still[node]:
                links = [f"{lead}{labels[child]} .\n" for lead, child in self._blank[node].links]
                parts.append(_text(labels[node], own[node] + links))
                continue
            text = self._texts.get((node, rank))
            if text is None:
                text = self._texts[node, rank] = _text(labels[node], own[node])
                self._held += len(text)
            parts.append(text)
        return "".join(parts)

    def _hash(self, node: int, own: list[str], parent: str) -> str:
        hung = self._above[node]
        above = f"{parent or '_:z'}{hung[1]}_:a .\n" if hung else ""
        return first_degree_hash(own + [f"{lead}_:z .\n" for lead, _ in self._blank[node].links], above)

    def _block(self, tails: list[str], subject: str = "") -> _Block:
        block = _Block()
        if subject.startswith(f"<{_MARK}"):
            block.subject_slot = self._slot(subject[1:-1], is_iri=True)
        else:
            block.subject = subject
        for tail in dict.fromkeys(tails):
            before, mark, rest = tail.partition(_MARK)
            if not mark:
                block.fixed.append(tail)
                continue
            number, _, after = rest.partition(":")
            is_iri = before[-1:] == "<"
            slot = self._slot(f"{_MARK}{number}:", is_iri=is_iri)
            datatype = after.removeprefix('"^^<').removesuffix("> .\n")
            if after[:1] not in ('">' if is_iri else '"') or rdf.is_native(datatype):
                raise HandOver
            block.slots.append((before, slot, after))
        block.fixed.sort()
        said = [tail.split(" ", 2)[1] for tail in (*block.fixed, *(before for before, _, _ in block.slots))]
        block.may_repeat = len(set(said)) < len(said)
        return block

    def _slot(self, mark: str, *, is_iri: bool) -> int:
        number = mark.removeprefix(_MARK).removesuffix(":")
        if not number.isdecimal() or f"{_MARK}{int(number)}:" != mark or int(number) >= len(self._is_iri):
            raise HandOver
        if is_iri:
            self._is_iri[int(number)] = True
        return int(number)


Plan: TypeAlias = dict[str | int, "int | Plan"]
"""A tree of keys and positions; in place of each text that varies, which it is."""


def plan_of(paths: Sequence[Path]) -> Plan:
    plan: Plan = {}
    for slot, path in enumerate(paths):
        here = plan
        for step in path[:-1]:
            below = here.setdefault(step, {})
            if isinstance(below, int):
                raise HandOver
            here = below
        if here.setdefault(path[-1], slot) != slot:
            raise HandOver
    return plan


def fill(node: Any, plan: Plan, values: Sequence[str]) -> Any:
    """A copy of the node with the texts in their places; what holds none of them is shared."""
    copy = node.copy()
    for step, inner in plan.items():
        copy[step] = values[inner] if isinstance(inner, int) else fill(copy[step], inner, values)
    return copy


def _is_closed(block: _Block) -> bool:
    return not block.slots and not block.links and block.subject_slot < 0


def _subject(block: _Block, written: Sequence[str]) -> str:
    return f"<{written[block.subject_slot]}>" if block.subject_slot >= 0 else block.subject


def _tails(block: _Block, written: Sequence[str]) -> list[str]:
    tails = block.fixed + [f"{before}{written[slot]}{after}" for before, slot, after in block.slots]
    if block.may_repeat and len(set(tails)) < len(tails):
        raise HandOver
    return tails


def _text(subject: str, tails: Sequence[str]) -> str:
    return subject + subject.join(sorted(tails)) if tails else ""


def _iri(text: Any) -> str:
    """As `Scope.absolute`, for a term of any context: prefixes are not told apart here."""
    if type(text) is not str or not rdf.IRI.fullmatch(text):
        raise HandOver
    if text[:8] != "https://" and is_context_term(text.partition(":")[0]):
        raise HandOver
    return text


def _quoted(text: Any) -> str:
    if type(text) is not str:
        raise HandOver
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return rdf.quoted(text)[1:-1]
