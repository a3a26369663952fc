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
    """What a walk writes. A statement without its subject, such as ` <p> "o" .\\n`, is called a tail."""

    __slots__ = ("links", "named", "tails")

    def __init__(self) -> None:
        self.named: list[str] = []
        """Whole statements in which no blank node is."""
        self.tails: list[list[str]] = []
        """For each blank node, by its number, what it says without mention of another one."""
        self.links: list[tuple[Node, str, int]] = []
        """Parent, ` <p> `, and the blank node under it."""

    def blank(self, tails: list[str]) -> int:
        self.tails.append(tails)
        return len(self.tails) - 1

    def quads(self) -> list[Quad]:
        """The same statements as quads of the default graph, the blank nodes called b0, b1, …"""
        lines = [*self.named, *(f"_:b{node}{tail}" for node, tails in enumerate(self.tails) for tail in tails)]
        lines += [
            f"{parent if isinstance(parent, str) else f'_:b{parent}'}{lead}_:b{child} .\n"
            for parent, lead, child in self.links
        ]
        return [_quad(line) for line in lines]

    def canonical(self) -> str:
        """RDFC-1.0 (§4.4). Raises DocumentRefused beyond the bounds."""
        if len(self.tails) > MAX_BLANK_NODES:
            raise DocumentRefused(f"more than {MAX_BLANK_NODES} blank nodes", code="too-complex")
        named = set(self.named)
        own = [list(dict.fromkeys(tails)) for tails in self.tails]
        if len(named) + sum(map(len, own)) + len(self.links) > MAX_QUADS:
            raise DocumentRefused(f"more than {MAX_QUADS} statements", code="too-complex")
        hashes = self.first_degree(own)
        if len(set(hashes)) < len(hashes):
            return canonical_nquads(self.quads())
        labels = [""] * len(hashes)
        ranked = sorted(range(len(hashes)), key=hashes.__getitem__)
        for rank, node in enumerate(ranked):
            labels[node] = f"_:c14n{rank}"
        for parent, lead, child in self.links:
            tail = f"{lead}{labels[child]} .\n"
            if isinstance(parent, str):
                named.add(parent + tail)
            else:
                own[parent].append(tail)
        parts = sorted(named)
        for rank in _by_text(len(hashes)):
            tails = own[ranked[rank]]
            if tails:
                tails.sort()
                label = labels[ranked[rank]]
                parts.append(label + label.join(tails))
        return "".join(parts)

    def first_degree(self, own: list[list[str]]) -> list[str]:
        """The hash of each blank node (§4.6), in which it is `_:a` and any other is `_:z`."""
        said = [tails.copy() for tails in own]
        above = [""] * len(own)
        for parent, lead, child in self.links:
            if isinstance(parent, str):
                above[child] = f"{parent}{lead}_:a .\n"
            else:
                above[child] = f"_:z{lead}_:a .\n"
                said[parent].append(f"{lead}_:z .\n")
        hashes: list[str] = []
        for tails, line in zip(said, above, strict=True):
            tails.sort()
            text = "_:a" + "_:a".join(tails) if tails else ""
            # In the order of code points an IRI comes before every blank node, and _:a before _:z.
            text = text + line if line[:1] == "_" else line + text
            hashes.append(sha256(text.encode()).hexdigest())
        return hashes


def _quad(line: str) -> Quad:
    subject, predicate, value = line[:-3].split(" ", 2)
    return subject, predicate, value, ""


@lru_cache(maxsize=256)
def _by_text(count: int) -> tuple[int, ...]:
    """The ranks of so many blank nodes in the order in which their labels sort: 0, 1, 10, 11, 2, …"""
    return tuple(sorted(range(count), key=str))
