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

    __slots__ = ("doubtful", "graphs", "hung", "named", "tails")

    def __init__(self) -> None:
        self.named: dict[str, list[str]] = {}
        """For each IRI, what it says without mention of a blank node."""
        self.tails: list[list[str]] = []
        """The same for each blank node, by its number."""
        self.hung: list[tuple[Node | None, str]] = []
        """And what each of them hangs from: its parent, and the parent's ` <p> `."""
        self.graphs: list[tuple[int, Forest]] = []
        """The blank node that names a graph, and what is said in it."""
        self.doubtful: list[list[str]] = []
        """Those of the tails in which one may stand twice."""

    def blank(self, tails: list[str], parent: Node | None, lead: str) -> int:
        self.tails.append(tails)
        self.hung.append((parent, lead))
        return len(self.hung) - 1

    def quads(self, graph: str = "", prefix: str = "_:b") -> list[Quad]:
        """The same statements as quads of a graph, and those of the graphs that it names.

        The blank nodes are called b0, b1, …; in the graph that b2 names, b2g0, b2g1, …
        """
        lines = [subject + tail for subject, tails in self.named.items() for tail in tails]
        lines += [f"{prefix}{node}{tail}" for node, tails in enumerate(self.tails) for tail in tails]
        lines += [
            f"{parent if isinstance(parent, str) else f'{prefix}{parent}'}{lead}{prefix}{child} .\n"
            for child, (parent, lead) in enumerate(self.hung)
            if parent is not None
        ]
        found = [_quad(line, graph) for line in lines]
        for name, inside in self.graphs:
            found += inside.quads(f"{prefix}{name}", f"{prefix}{name}g")
        return found

    def is_too_large(self) -> bool:
        statements = sum(map(len, self.named.values())) + sum(map(len, self.tails)) + len(self.hung)
        return statements > MAX_QUADS or len(self.hung) > MAX_BLANK_NODES

    def canonical(self) -> str:
        """RDFC-1.0 (§4.4). Raises DocumentRefused beyond the bounds."""
        if self.graphs:
            return canonical_nquads(self.quads())
        for tails in self.doubtful:
            if len(set(tails)) < len(tails):
                tails[:] = dict.fromkeys(tails)
        if self.is_too_large():
            raise DocumentRefused(
                f"more than {MAX_QUADS} statements, or {MAX_BLANK_NODES} blank nodes", code="too-complex"
            )
        below: dict[Node | None, list[tuple[str, int]]] = {}
        for child, (parent, lead) in enumerate(self.hung):
            below.setdefault(parent, []).append((lead, child))
        ranked: list[tuple[bytes, int]] = []
        for node, (parent, lead) in enumerate(self.hung):
            tails = self.tails[node]
            if node in below:
                tails = tails + [f"{under}_:z .\n" for under, _ in below[node]]
            above = "" if parent is None else f"{parent if isinstance(parent, str) else '_:z'}{lead}_:a .\n"
            ranked.append((first_degree_hash(tails, above), node))
        ranked.sort()
        if len(dict(ranked)) < len(ranked):
            return canonical_nquads(self.quads())
        labels = [""] * len(ranked)
        for (_, node), label in zip(ranked, labels_of(len(ranked)), strict=True):
            labels[node] = label
        parts: list[str] = []
        subjects: list[Node] = [*sorted(self.named), *[ranked[rank][1] for rank in by_text(len(ranked))]]
        for node in subjects:
            label, tails = (node, self.named[node]) if isinstance(node, str) else (labels[node], self.tails[node])
            if node in below:
                tails = tails + [f"{lead}{labels[child]} .\n" for lead, child in below[node]]
            tails.sort()
            if tails:
                parts.append(label + label.join(tails))
        return "".join(parts)


def first_degree_hash(tails: list[str], above: str) -> bytes:
    """Of a blank node, by its tails, which are put in order here, and the statement that it hangs from."""
    tails.sort()
    text = "_:a" + "_:a".join(tails) if tails else ""
    # In the order of code points an IRI comes before every blank node, and _:a before _:z.
    text = text + above if above[:1] == "_" else above + text
    return sha256(text.encode()).digest()


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
