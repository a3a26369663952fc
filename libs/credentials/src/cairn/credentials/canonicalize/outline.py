"""The canonical form of documents that differ in some of their texts only, worked out once for all of them.

An outline is made of one of them: it is walked with a mark in the place of each text that varies, so that every
statement is known, and in which of them, and where, the texts will stand. Nodes that they do not touch are ready from
then on. The others are written anew, all in one go, each statement in its place, and then cut apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
_LINE: Final = "\1"
"""Stands between statements: nothing escaped has control characters."""


class Outline:
    """Of one document with texts that vary at `paths`, of which it keeps none.

    `slots` are their places among the texts that it is given later: without it, those are they, in the same order.
    Raises HandOver where the walk does not take the document.
    """

    def __init__(self, document: dict[str, Any], paths: Sequence[Path], slots: Sequence[int] | None = None) -> None:
        if _MARK.encode() in orjson.dumps(document):
            raise HandOver
        marks = [f"{_MARK}{slot}:" for slot in slots or range(len(paths))]
        forest = walk(fill(document, plan_of(paths), marks))
        if forest.graphs or forest.is_too_large():
            raise HandOver
        links: dict[Node | None, _Links] = {}
        for child, (parent, lead) in enumerate(forest.hung):
            links.setdefault(parent, []).append((lead, child))
        self._linked = [(node, links[node]) for node in range(len(forest.tails)) if node in links]
        """The blank nodes under which others hang."""
        self._ranked: dict[bytes, int] = {}
        """The blank nodes that are ready, by their first-degree hashes."""
        self._own: list[list[str]] = []
        """And their tails, in order, without links, after an empty text. Of the others, none."""
        self._plain: list[tuple[int, slice]] = []
        """The other blank nodes, if they only hang from an IRI and make statements that are all of another term."""
        self._other: list[tuple[int, slice, str, list[str]]] = []
        """And if they do not: with the statement of a blank node from which they hang, and those of their own links."""
        lines: list[str] = []
        for node, (said, (parent, lead)) in enumerate(zip(forest.tails, forest.hung, strict=True)):
            head = f"{parent}{lead}_:a .\n" if isinstance(parent, str) else ""
            foot = f"_:z{lead}_:a .\n" if isinstance(parent, int) else ""
            below = links.get(node, [])
            tails, is_mixed = _in_order(said)
            if not _is_open(head, *tails):
                self._own.append(["", *tails])
                self._ranked[first_degree_hash(tails + _unlabelled(below), head or foot)] = node
                continue
            self._own.append([])
            where = _added(lines, head, tails)
            if is_mixed or foot or below:
                self._other.append((node, where, foot, _unlabelled(below)))
            else:
                self._plain.append((node, where))
        self._ready: dict[str, str] = {}
        """Of the IRIs that are ready, what is written of them, without links."""
        self._named: list[tuple[slice, _Links, bool]] = []
        """Of the others, of which the root is the first, the links, and whether statements are of the same term."""
        self._has_named_root = None not in links
        self._ready_links: list[tuple[str, list[str], _Links]] = []
        for subject, said in forest.named.items():
            tails, is_mixed = _in_order(said)
            if _is_open(subject, *tails) or (self._has_named_root and not self._named):
                self._named.append((_added(lines, subject, tails), links.get(subject, []), is_mixed))
            else:
                self._ready[subject] = subject.join(["", *tails])
                if subject in links:
                    self._ready_links.append((subject, ["", *tails], links[subject]))
        written = _LINE.join(lines)
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
        lines = "".join(frame).split(_LINE)
        ranked, own = self._ranked.copy(), self._own.copy()
        for node, where in self._plain:
            tails = lines[where]
            ranked[sha256("_:a".join(tails).encode()).digest()] = node
            tails[0] = ""
            own[node] = tails
        for node, where, foot, below in self._other:
            head, *tails = lines[where]
            tails = sorted(set(tails))
            ranked[first_degree_hash(tails + below, head or foot)] = node
            own[node] = ["", *tails]
        if len(ranked) < len(own):
            raise HandOver
        order, names = [ranked[digest] for digest in sorted(ranked)], labels_of(len(own))
        labels = dict(zip(order, names, strict=True))
        for node, links in self._linked:
            own[node] = _with_links(own[node], links, labels)
        named = self._ready.copy()
        for subject, tails, links in self._ready_links:
            named[subject] = subject.join(_with_links(tails, links, labels))
        root: str | None = None
        for where, links, is_mixed in self._named:
            tails = lines[where]
            subject, tails[0] = tails[0], ""
            if root is None and self._has_named_root:
                root = subject
            if is_mixed:
                tails = sorted(set(tails))
            written = subject.join(_with_links(tails, links, labels) if links else tails)
            if subject in named:
                if subject == root:
                    raise HandOver
                written = _merged(written, named[subject])
            named[subject] = written
        parts = [named[subject] for subject in sorted(named)]
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


def _unlabelled(links: _Links) -> list[str]:
    """As the first-degree hash has them."""
    return [f"{lead}_:z .\n" for lead, _ in links]


def _added(lines: list[str], head: str, tails: list[str]) -> slice:
    """Adds them to the lines, and says where they are."""
    start = len(lines)
    lines += [head, *tails]
    return slice(start, len(lines))


def _is_open(*lines: str) -> bool:
    return any(_MARK in line for line in lines)


def _with_links(tails: list[str], links: _Links, labels: Mapping[int, str]) -> list[str]:
    return sorted(tails + [f"{lead}{labels[child]} .\n" for lead, child in links])


def _merged(written: str, other: str) -> str:
    """The statements of both, which are of one subject, in order and once each."""
    return "".join(sorted({f"{line}\n" for line in f"{written}{other}".split("\n") if line}))


def _require_iris(texts: Sequence[str]) -> None:
    """As `Scope.absolute`, for terms of any context: prefixes are not told apart here."""
    if texts and not _plain_iris().fullmatch(_LINE.join(texts)):
        for text in texts:
            if not rdf.IRI.fullmatch(text) or is_context_term(text.partition(":")[0]):
                raise HandOver


@cache
def _plain_iris() -> re.Pattern[str]:
    """What IRIs mostly are, one after the other."""
    schemes = "|".join([name for name in ("https", "http", "urn", "did") if not is_context_term(name)])
    plain = f"(?:{schemes}){rdf.AFTER_SCHEME}"
    return re.compile(f"{plain}(?:{_LINE}{plain})*")


def _escaped(texts: Sequence[Any]) -> Sequence[str]:
    if not {str}.issuperset(map(type, texts)):
        raise HandOver
    together = "".join(texts)
    if together.isprintable() and '"' not in together and "\\" not in together:
        return texts
    return [rdf.escaped(text) for text in texts]
