"""The canonical form of documents that differ in some of their texts only, worked out once for all of them.

An outline is made of one of them: it is walked with a mark in the place of each text that varies, so that every
statement is known, and in which of them, and where, the texts will stand. Nodes that they do not touch are ready from
then on. The others are written anew, all in one go, each statement in its place, and then cut apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final, TypeAlias

import orjson

from cairn.credentials.canonicalize import terms as rdf
from cairn.credentials.canonicalize.compact_form import is_context_term
from cairn.credentials.canonicalize.forest import Node, by_text, first_degree_hash, labels_of
from cairn.credentials.canonicalize.walk import HandOver, walk

Path: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a text."""
_Links: TypeAlias = list[tuple[str, int]]
"""` <p> ` and the number of the blank node under it."""

_MARK: Final = "urn:cairn-mark:"
_MARKS: Final = re.compile(f"{_MARK}([0-9]+):")
_MARKED_IRIS: Final = re.compile(f"<{_MARK}([0-9]+):>")
_MARKED_TAIL: Final = re.compile(rf' <[^>]*> (?:<{_MARK}[0-9]+:>|"{_MARK}[0-9]+:"(?:\^\^<([^>]*)>)?) \.\n')
"""With a text that is all of its value; and the datatype of that."""
_NODE: Final = "\0"
"""Stands between nodes, and the next one between statements: nothing escaped has control characters."""
_LINE: Final = "\1"
_IRIS: Final = re.compile(f"{rdf.IRI.pattern}(?:{_LINE}{rdf.IRI.pattern})*")


class Outline:
    """Of one document with texts that vary at `paths`, of which it keeps none.

    Raises HandOver where the walk does not take the document.
    """

    def __init__(self, document: dict[str, Any], paths: Sequence[Path]) -> None:
        if _MARK.encode() in orjson.dumps(document):
            raise HandOver
        forest = walk(fill(document, plan_of(paths), [f"{_MARK}{slot}:" for slot in range(len(paths))]))
        if forest.graphs or forest.is_too_large():
            raise HandOver
        links: dict[Node | None, _Links] = {}
        for child, (parent, lead) in enumerate(forest.hung):
            links.setdefault(parent, []).append((lead, child))
        self._linked = [(node, links[node]) for node in range(len(forest.tails)) if node in links]
        """The blank nodes under which others hang."""
        self._ranked: list[tuple[bytes, int]] = []
        """Of the blank nodes that are ready, the first-degree hashes."""
        self._own: list[list[str]] = []
        """And the tails, in order, without links, after an empty text. Of the others, none."""
        self._plain: list[int] = []
        """The other blank nodes, if they only hang from an IRI and make statements that are all of another term."""
        self._other: list[tuple[int, str, _Links]] = []
        """And if they do not: which they are, from which statement of a blank node they hang, and what from them."""
        plain: list[str] = []
        other: list[str] = []
        for node, (said, (parent, lead)) in enumerate(zip(forest.tails, forest.hung, strict=True)):
            head = f"{parent}{lead}_:a .\n" if isinstance(parent, str) else ""
            foot = f"_:z{lead}_:a .\n" if isinstance(parent, int) else ""
            below = links.get(node, [])
            tails, is_mixed = _in_order(said)
            written = _LINE.join([head, *tails])
            is_open = _MARK in written
            self._own.append([] if is_open else ["", *tails])
            if not is_open:
                self._ranked.append((_first_degree(tails, below, head or foot), node))
            elif is_mixed or foot or below:
                self._other.append((node, foot, below))
                other.append(written)
            else:
                self._plain.append(node)
                plain.append(written)
        self._ready: dict[str, list[str]] = {}
        """Of the IRIs that are ready, the tails, after an empty text."""
        self._named: list[tuple[_Links, bool]] = []
        """Of the others, of which the root is the first, the links, and whether statements are of the same term."""
        self._has_named_root = None not in links
        named: list[str] = []
        for subject, said in forest.named.items():
            tails, is_mixed = _in_order(said)
            written = _LINE.join([subject, *tails])
            if _MARK in written or (self._has_named_root and not named):
                self._named.append((links.get(subject, []), is_mixed))
                named.append(written)
            else:
                self._ready[subject] = ["", *tails]
        self._ready_links = [(subject, links[subject]) for subject in self._ready if subject in links]
        written = _NODE.join([*plain, *other, *named])
        self._frame = _MARKS.split(written)
        self._texts = picking([int(slot) for slot in self._frame[1::2]])
        self._iris = picking(list({int(slot): 0 for slot in _MARKED_IRIS.findall(written)}))

    def canonical(self, values: Sequence[str]) -> str:
        """RDFC-1.0 of that document. Raises HandOver, or DocumentRefused as the walk does."""
        return self.canonical_of_escaped(_escaped(values))

    def canonical_of_escaped(self, values: Sequence[str]) -> str:
        """The same of texts in which all is escaped that N-Quads escapes."""
        _require_iris(self._iris(values))
        frame = self._frame.copy()
        frame[1::2] = self._texts(values)
        written = iter("".join(frame).split(_NODE))
        ranked, own = self._ranked.copy(), self._own.copy()
        for node, text in zip(self._plain, written, strict=False):
            tails = text.split(_LINE)
            ranked.append((sha256("_:a".join(tails).encode()).digest(), node))
            tails[0] = ""
            own[node] = tails
        for (node, foot, below), text in zip(self._other, written, strict=False):
            head, *tails = text.split(_LINE)
            tails = sorted(set(tails))
            ranked.append((_first_degree(tails, below, head or foot), node))
            own[node] = ["", *tails]
        ranked.sort()
        if len(dict(ranked)) < len(ranked):
            raise HandOver
        order, names = [node for _, node in ranked], labels_of(len(ranked))
        labels = dict(zip(order, names, strict=True))
        for node, links in self._linked:
            own[node] = sorted(own[node] + [f"{lead}{labels[child]} .\n" for lead, child in links])
        named = self._ready.copy()
        for subject, links in self._ready_links:
            named[subject] = sorted(named[subject] + [f"{lead}{labels[child]} .\n" for lead, child in links])
        root: str | None = None
        for (links, is_mixed), text in zip(self._named, written, strict=False):
            tails = text.split(_LINE)
            subject, tails[0] = tails[0], ""
            if root is None and self._has_named_root:
                root = subject
            tails += [f"{lead}{labels[child]} .\n" for lead, child in links]
            if subject in named:
                if subject == root:
                    raise HandOver
                tails += named[subject]
            if is_mixed or subject in named:
                tails = list(set(tails))
            tails.sort()
            named[subject] = tails
        parts = [subject.join(tails) for subject, tails in sorted(named.items())]
        parts += [names[rank].join(own[order[rank]]) for rank in by_text(len(order))]
        return "".join(parts)


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


def picking(positions: Sequence[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    """Picks the texts at these positions out of many."""
    if len(positions) > 1:
        return itemgetter(*positions)
    # Asked for one, an itemgetter would give it bare.
    return lambda texts: [texts[position] for position in positions]


def _in_order(said: list[str]) -> tuple[list[str], bool]:
    """The tails, in order, and whether that, or their number, depends on the texts. Raises HandOver."""
    tails = sorted(set(said))
    leads = Counter([tail.split(" ", 2)[1] for tail in tails])
    is_mixed = False
    for tail in tails:
        if _MARK in tail:
            marked = _MARKED_TAIL.fullmatch(tail)
            if marked is None or (marked[1] and rdf.is_native(marked[1])):
                raise HandOver
            is_mixed = is_mixed or leads[tail.split(" ", 2)[1]] > 1
    return tails, is_mixed


def _first_degree(tails: list[str], links: _Links, above: str) -> bytes:
    return first_degree_hash(tails + [f"{lead}_:z .\n" for lead, _ in links], above)


def _require_iris(texts: Sequence[str]) -> None:
    """As `Scope.absolute`, for terms of any context: prefixes are not told apart here."""
    if texts and not _IRIS.fullmatch(_LINE.join(texts)):
        raise HandOver
    for text in texts:
        if not text.startswith(_plain_schemes()) and is_context_term(text.partition(":")[0]):
            raise HandOver


@cache
def _plain_schemes() -> tuple[str, ...]:
    return tuple([f"{name}:" for name in ("https", "http", "urn", "did") if not is_context_term(name)])


def _escaped(texts: Sequence[Any]) -> Sequence[str]:
    if not {str}.issuperset(map(type, texts)):
        raise HandOver
    together = "".join(texts)
    if together.isprintable() and '"' not in together and "\\" not in together:
        return texts
    return [rdf.escaped(text) for text in texts]
