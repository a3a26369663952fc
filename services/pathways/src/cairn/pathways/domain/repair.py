"""Repair: what matching placed, changed as little as it takes to meet limits.

With limits that bind, what is left of an allocation is a matching under side constraints, which has no quick exact
method. Where the dynamic programme would need too many states, exchanges of one credential for another lead to an
allocation that meets the limits, if not always to the best of those; and the largest that a sum can be, over all
matchings, proves a no.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import lcm
from typing import Final

from cairn.pathways.domain.gauges import sums
from cairn.pathways.domain.limits import Amount, Gpa, Limit, Share
from cairn.pathways.domain.matching import Network
from cairn.pathways.domain.plan import Candidate, Problem

_FINE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum that must not end below zero, in whole numbers: what it starts with, what each candidate adds, and the
    weight that makes sums of several kinds comparable."""

    start: int
    adds: Mapping[str, int]
    weight: int

    def lacks(self, value: int) -> int:
        return max(0, -value) * self.weight


def sums_of(limits: Sequence[Limit], problem: Problem) -> list[Sum]:
    """Those of the limits over everything that is allocated. What they leave out is judged afterwards."""
    found: list[Sum] = []
    for limit in limits:
        if not isinstance(limit, Share | Amount | Gpa) or limit.scope is not None or limit.looks_at_all:
            continue
        for start, add in sums(limit, problem.moment, problem.grain):
            adds = {c.id: add(c.counted(())) for c in problem.candidates}
            scale = lcm(start.denominator, *(amount.denominator for amount in adds.values()))
            whole = {name: int(amount * scale) for name, amount in adds.items()}
            largest = max(map(abs, whole.values()), default=0) or 1
            found.append(Sum(int(start * scale), whole, max(1, _FINE // largest)))
    return found


def repair(network: Network, fixed: Sequence[str], constraints: Sequence[Sum], costs: Mapping[str, int]) -> bool:
    """Exchange credentials until all sums are at or above zero, then for better ones as long as they stay there.
    `fixed` is what is allocated besides. Returns whether it succeeded."""
    standing = [each.start + sum(each.adds[name] for name in (*network.placed, *fixed)) for each in constraints]

    def after(name: str, out: str) -> list[int]:
        return [now + s.adds[name] - s.adds[out] for now, s in zip(standing, constraints, strict=True)]

    def exchange(better: Callable[[str, str], tuple[int, int] | None]) -> bool:
        best: tuple[tuple[int, int], str, str] | None = None
        for name in sorted(network.options.keys() - network.placed, key=costs.__getitem__):
            for out in network.swaps(name):
                rank = better(name, out)
                if rank is not None and (best is None or (rank, name, out) < best):
                    best = rank, name, out
        if best is None:
            return False
        standing[:] = after(best[1], best[2])
        network.swap(best[1], best[2])
        return True

    def lack(values: Sequence[int]) -> int:
        return sum(each.lacks(value) for each, value in zip(constraints, values, strict=True))

    def mends(name: str, out: str) -> tuple[int, int] | None:
        less = lack(after(name, out))
        return (less, costs[name] - costs[out]) if less < lack(standing) else None

    def betters(name: str, out: str) -> tuple[int, int] | None:
        gain = costs[name] - costs[out]
        return (gain, 0) if gain < 0 and min(after(name, out), default=0) >= 0 else None

    while lack(standing):
        if not exchange(mends):
            return False
    for _ in range(len(network.placed)):
        if not exchange(betters):
            break
    return True


def hopeless(fresh: Callable[[], Network], rest: Sequence[Candidate], constraints: Sequence[Sum]) -> bool:
    """Whether a sum, or two together, stay below zero whatever is placed: of what leaves need the most helpful, of all
    else what helps at all."""
    together = [
        Sum(
            a.start * a.weight + b.start * b.weight,
            {name: a.adds[name] * a.weight + b.adds[name] * b.weight for name in a.adds},
            1,
        )
        for a, b in combinations(constraints, 2)
    ]
    for each in (*constraints, *together):
        network = fresh()
        network.fill({name: -each.adds[name] for name in network.options})
        most = each.start + sum(each.adds[name] for name in network.placed)
        most += sum(max(0, each.adds[name]) for name in network.options.keys() - network.placed)
        most += sum(max(0, each.adds[c.id]) for c in rest)
        if most < 0:
            return True
    return False
