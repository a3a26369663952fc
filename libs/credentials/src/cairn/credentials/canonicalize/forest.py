"""Statements whose blank nodes hang in trees, and their canonical form in one pass.

JSON without blank node ids makes such graphs: a blank node stands under one other node, or is the root. The
first-degree hashes of RDFC-1.0 then nearly always tell the nodes apart, and each is taken over statements that are at
hand. Where two are alike, the full algorithm decides. Sections are those of https://www.w3.org/TR/rdf-canon/.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias

from cairn.credentials.canonicalize.rdfc import MAX_BLANK_NODES, MAX_QUADS, Quad, canonical_nquads
from cairn.credentials.errors import DocumentRefused

Node: TypeAlias = str | int
"""An IRI as N-Quads writes it, or the number of a blank node."""


class Forest:
    """What a walk writes. A statement without its subject, such as ` <p> "o" .\n`, is called a tail."""

    __slots__ = ("graphs", "links", "named", "tails")

    def __init__(self) -> None:
        self.named: dict[str, list[str]] = {}
        """For each IRI, what it says without mention of a blank node."""
        self.tails: list[list[str]] = []
        """The same for each blank node, by its number."""
        self.links: list[tuple[Node, str, int]] = []
        """Parent, ` <p> `, and the blank node under it."""
        self.graphs: list[tuple[int, Forest]] = []
        """The blank node that names a graph, and what is said in it."""

    def blank(self, tails: list[str]) -> int:
        self.tails.append(tails)
        return len(self.tails) - 1

    def quads(self, graph: str = "", prefix: str = "_:b") -> list[Quad]:
        """The same statements as quads of a graph, and those of the graphs that it names.

        The blank nodes are called b0, b1, …; in the graph that b2 names, b2g0, b2g1, …
        """
        lines = [subject + tail for subject, tails in self.named.items() for tail in tails]
        lines += [f"{prefix}{node}{tail}" for node, tails in enumerate(self.tails) for tail in tails]
        lines += [
            f"{parent if isinstance(parent, str) else f'{prefix}{parent}'}{lead}{prefix}{child} .\n"
            for parent, lead, child in self.links
        ]
        found = [_quad(line, graph) for line in lines]
        for name, inside in self.graphs:
            found += inside.quads(f"{prefix}{name}", f"{prefix}{name}g")
        return found

    def canonical(self) -> str:
        """RDFC-1.0 (§4.4). Raises DocumentRefused beyond the bounds."""
        if self.graphs:
            return canonical_nquads(self.quads())
        if len(self.tails) > MAX_BLANK_NODES:
            raise DocumentRefused(f"more than {MAX_BLANK_NODES} blank nodes", code="too-complex")
        named = {subject: _once(tails) for subject, tails in self.named.items()}
        own = [_once(tails) for tails in self.tails]
        if sum(map(len, named.values())) + sum(map(len, own)) + len(self.links) > MAX_QUADS:
            raise DocumentRefused(f"more than {MAX_QUADS} statements", code="too-complex")
        hashes = self.first_degree(own)
        if len(set(hashes)) < len(hashes):
            return canonical_nquads(self.quads())
        labels = [""] * len(hashes)
        ranked = sorted(range(len(hashes)), key=hashes.__getitem__)
        for node, label in zip(ranked, labels_of(len(ranked)), strict=True):
            labels[node] = label
        for parent, lead, child in self.links:
            (named[parent] if isinstance(parent, str) else own[parent]).append(f"{lead}{labels[child]} .\n")
        parts: list[str] = []
        for subject in sorted(named):
            tails = named[subject]
            if tails:
                tails.sort()
                parts.append(subject + subject.join(tails))
        for rank in by_text(len(hashes)):
            node = ranked[rank]
            tails = own[node]
            if tails:
                tails.sort()
                parts.append(labels[node] + labels[node].join(tails))
        return "".join(parts)

    def first_degree(self, own: list[list[str]]) -> list[str]:
        """The hash of each blank node (§4.6), in which it is `_:a` and any other is `_:z`."""
        said = own.copy()
        for node in {parent for parent, _, _ in self.links if isinstance(parent, int)}:
            said[node] = own[node].copy()
        above = [""] * len(own)
        for parent, lead, child in self.links:
            if isinstance(parent, str):
                above[child] = f"{parent}{lead}_:a .\n"
            else:
                above[child] = f"_:z{lead}_:a .\n"
                said[parent].append(f"{lead}_:z .\n")
        return [first_degree_hash(tails, line) for tails, line in zip(said, above, strict=True)]


def first_degree_hash(tails: list[str], above: str) -> str:
    """Of a blank node, by its tails, which are put in order here, and the statement that it hangs from."""
    tails.sort()
    text = "_:a" + "_:a".join(tails) if tails else ""
    # In the order of code points an IRI comes before every blank node, and _:a before _:z.
    text = text + above if above[:1] == "_" else above + text
    return sha256(text.encode()).hexdigest()


def _once(tails: list[str]) -> list[str]:
    return tails.copy() if len(tails) < 2 or len(set(tails)) == len(tails) else list(dict.fromkeys(tails))


def _quad(line: str, graph: str) -> Quad:
    subject, predicate, value = line[:-3].split(" ", 2)
    return subject, predicate, value, graph


@lru_cache(maxsize=256)
def labels_of(count: int) -> tuple[str, ...]:
    """The canonical labels of so many blank nodes, by rank."""
    return tuple(f"_:c14n{rank}" for rank in range(count))


@lru_cache(maxsize=256)
def by_text(count: int) -> tuple[int, ...]:
    """The ranks of so many blank nodes in the order in which their labels sort: 0, 1, 10, 11, 2, …"""
    return tuple(sorted(range(count), key=str))
