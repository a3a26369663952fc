"""RDF Dataset Canonicalization 1.0 (RDFC-1.0) with SHA-256, over quads whose terms are written in N-Quads already.

The effort is bounded: graphs made to burn the canonicaliser (S3) are refused, never half done. Sections are those of
https://www.w3.org/TR/rdf-canon/.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import permutations
from typing import Final, TypeAlias

from cairn.credentials.errors import DocumentRefused

Quad: TypeAlias = tuple[str, str, str, str]
"""Subject, predicate, object and graph (empty for the default graph), each as N-Quads writes it."""

MAX_QUADS: Final = 20_000
MAX_BLANK_NODES: Final = 4_000
MAX_EFFORT: Final = 4_000
"""Permutations tried plus blank nodes visited in the N-degree hash; credentials need none to a few dozen."""
_MENTIONS: Final = 100
"""Statements that are looked at for one more of it."""
_MAX_ORDERED: Final = 100
"""Related nodes, some of them repeated, of which the permutations are begun."""


def canonical_nquads(quads: Iterable[Quad]) -> str:
    """The canonical form: one line a quad, sorted by code point. Raises DocumentRefused beyond the bounds."""
    unique = set(quads)
    if len(unique) > MAX_QUADS:
        raise DocumentRefused(f"more than {MAX_QUADS} statements", code="too-complex")
    lines: list[str] = []
    blank: list[Quad] = []
    for quad in unique:
        if quad[0][0] == "_" or quad[2][0] == "_" or quad[3][:1] == "_":
            blank.append(quad)
        else:
            lines.append(_line(*quad))
    if blank:
        labels = _Canonicalization(blank).labels()
        named = labels.get
        lines += [_line(named(s, s), p, named(o, o), named(g, g)) for s, p, o, g in blank]
    return "".join(sorted(lines))


def canonical_labels(quads: Iterable[Quad]) -> dict[str, str]:
    """Each blank node's canonical label, such as `_:c14n0`. Raises DocumentRefused beyond the bounds."""
    blank = [quad for quad in set(quads) if quad[0][0] == "_" or quad[2][0] == "_" or quad[3][:1] == "_"]
    return _Canonicalization(blank).labels() if blank else {}


def relabelled(quads: Iterable[Quad], labels: Mapping[str, str]) -> list[str]:
    """The quads as sorted lines, each blank node under its label in `labels`. Raises KeyError without one."""

    def named(term: str) -> str:
        return labels[term] if term[:1] == "_" else term

    return sorted({_line(named(s), p, named(o), named(g)) for s, p, o, g in quads})


def _line(subject: str, predicate: str, value: str, graph: str) -> str:
    return f"{subject} {predicate} {value} {graph} .\n" if graph else f"{subject} {predicate} {value} .\n"


def _orders(nodes: list[str]) -> Iterator[tuple[str, ...]]:
    """The permutations of a list, equal ones once. A graph is related once by each statement in it (§4.8, step 3)."""
    distinct = dict.fromkeys(nodes)
    if len(distinct) == len(nodes):
        yield from permutations(nodes)
    elif len(distinct) == 1:
        yield tuple(nodes)
    elif len(nodes) > _MAX_ORDERED:
        raise _too_alike()
    else:
        for first in distinct:
            rest = nodes.copy()
            rest.remove(first)
            yield from ((first, *order) for order in _orders(rest))


def _too_alike() -> DocumentRefused:
    return DocumentRefused("its blank nodes are too alike to be told apart with bounded effort", code="too-complex")


class _Issuer:
    """Issues identifiers in order (§4.6)."""

    __slots__ = ("issued", "prefix")

    def __init__(self, prefix: str, issued: dict[str, str] | None = None) -> None:
        self.prefix = prefix
        self.issued: dict[str, str] = issued or {}

    def issue(self, node: str) -> str:
        return self.issued.setdefault(node, f"_:{self.prefix}{len(self.issued)}")

    def copy(self) -> _Issuer:
        return _Issuer(self.prefix, dict(self.issued))


class _Canonicalization:
    """The canonicalization state (§4.3) and algorithm (§4.4)."""

    def __init__(self, quads: list[Quad]) -> None:
        self.mentions: defaultdict[str, list[Quad]] = defaultdict(list)
        for quad in quads:
            for node in {term for term in (quad[0], quad[2], quad[3]) if term[:1] == "_"}:
                self.mentions[node].append(quad)
        if len(self.mentions) > MAX_BLANK_NODES:
            raise DocumentRefused(f"more than {MAX_BLANK_NODES} blank nodes", code="too-complex")
        self.first_degree = {node: self.hash_first_degree(node) for node in self.mentions}
        self.canonical = _Issuer("c14n")
        self.effort = MAX_EFFORT

    def labels(self) -> dict[str, str]:
        by_hash: defaultdict[str, list[str]] = defaultdict(list)
        for node, digest in self.first_degree.items():
            by_hash[digest].append(node)
        shared: list[list[str]] = []
        for digest in sorted(by_hash):
            nodes = by_hash[digest]
            if len(nodes) == 1:
                self.canonical.issue(nodes[0])
            else:
                shared.append(nodes)
        for nodes in shared:
            paths: list[tuple[str, _Issuer]] = []
            for node in nodes:
                if node not in self.canonical.issued:
                    temporary = _Issuer("b")
                    temporary.issue(node)
                    paths.append(self.hash_n_degree(node, temporary))
            for _, issuer in sorted(paths, key=lambda path: path[0]):
                for node in issuer.issued:
                    self.canonical.issue(node)
        return self.canonical.issued

    def hash_first_degree(self, node: str) -> str:
        """§4.6"""
        lines = [
            _line(
                s if s[0] != "_" else "_:a" if s == node else "_:z",
                p,
                o if o[0] != "_" else "_:a" if o == node else "_:z",
                g if g[:1] != "_" else "_:a" if g == node else "_:z",
            )
            for s, p, o, g in self.mentions[node]
        ]
        lines.sort()
        return sha256("".join(lines).encode()).hexdigest()

    def hash_related(self, related: str, predicate: str, issuer: _Issuer, position: str) -> str:
        """§4.7"""
        known = self.canonical.issued.get(related) or issuer.issued.get(related) or self.first_degree[related]
        middle = "" if position == "g" else predicate
        return sha256(f"{position}{middle}{known}".encode()).hexdigest()

    def hash_n_degree(self, node: str, issuer: _Issuer) -> tuple[str, _Issuer]:
        """§4.8"""
        # The name of a graph is mentioned by every statement in it, all of which are looked at below.
        self.spend(1 + len(self.mentions[node]) // _MENTIONS)
        by_hash: defaultdict[str, list[str]] = defaultdict(list)
        for subject, predicate, value, graph in self.mentions[node]:
            for position, term in (("s", subject), ("o", value), ("g", graph)):
                if term != node and term.startswith("_:"):
                    by_hash[self.hash_related(term, predicate, issuer, position)].append(term)
        data = ""
        for digest in sorted(by_hash):
            data += digest
            chosen_path, chosen_issuer = "", issuer
            for order in _orders(by_hash[digest]):
                self.spend()
                tried = self.path_of(order, issuer, chosen_path)
                if tried is not None and (not chosen_path or tried[0] < chosen_path):
                    chosen_path, chosen_issuer = tried
            data += chosen_path
            issuer = chosen_issuer
        return sha256(data.encode()).hexdigest(), issuer

    def path_of(self, order: tuple[str, ...], issuer: _Issuer, best: str) -> tuple[str, _Issuer] | None:
        """Steps 5.4.4 and 5.4.5 of §4.8: the path of one permutation, or None once it cannot beat the best."""
        copy = issuer.copy()
        path = ""
        recursion: list[str] = []
        for related in order:
            if related in self.canonical.issued:
                path += self.canonical.issued[related]
            else:
                if related not in copy.issued:
                    recursion.append(related)
                path += copy.issue(related)
            if best and len(path) >= len(best) and path > best:
                return None
        for related in recursion:
            digest, result = self.hash_n_degree(related, copy)
            path += f"{copy.issue(related)}<{digest}>"
            copy = result
            if best and len(path) >= len(best) and path > best:
                return None
        return path, copy

    def spend(self, effort: int = 1) -> None:
        self.effort -= effort
        if self.effort < 0:
            raise _too_alike()
