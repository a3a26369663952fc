"""What limits demand of a set of credentials, whichever leaf each of them fills (`selection`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import lcm

from cairn.pathways.domain.gauges import sums
from cairn.pathways.domain.limits import Amount, Distinct, Exclude, Gpa, Limit, Share, Window
from cairn.pathways.domain.matching import Board
from cairn.pathways.domain.plan import Candidate, Problem, Ranks
from cairn.pathways.domain.selection import Aims, Demands, Sum, Variety


def demands_of(limits: Sequence[Limit], problem: Problem, board: Board) -> Demands | None:
    """What limits demand of what is placed on a board; None where one looks at some leaves only."""
    some = board.candidates
    found: list[Sum] = []
    varieties: list[Variety] = []
    apart = [0] * len(some)
    for limit in limits:
        leaves = problem.below[limit.scope]
        if not leaves:
            continue
        if leaves != problem.below[None]:
            return None
        match limit:
            case _ if limit.looks_at_all:
                held = [c.counted(()) for c in problem.held if not leaves.isdisjoint(c.worth)]
                met = limit.judge(held, problem.moment).met
                found.append(Sum(0 if met else -1, [0] * len(some)))
            case Share() | Amount() | Gpa():
                found.extend(_sums(limit, problem, some))
            case Distinct():
                varieties.append(_variety(limit, problem, some))
            case Exclude():
                names = [c.holding.achievement for c in some]
                for one, name in enumerate(names):
                    for other, another in enumerate(names):
                        if name != another and {name, another} <= limit.achievements:
                            apart[one] |= 1 << other
            case Window():
                dated = [(n, c.holding.earned) for n, c in enumerate(some) if limit.of.fits(c.holding, problem.moment)]
                for one, first in dated:
                    for other, last in dated:
                        if last > limit.end(first):
                            apart[one] |= 1 << other
                            apart[other] |= 1 << one
            case _:
                return None
    return Demands(found, varieties, apart)


def _sums(limit: Share | Amount | Gpa, problem: Problem, some: Sequence[Candidate]) -> Iterator[Sum]:
    for start, add in sums(limit, problem.moment, problem.grain):
        adds = [add(c.counted(())) for c in some]
        scale = lcm(start.denominator, *(amount.denominator for amount in adds))
        yield Sum(int(start * scale), [int(amount * scale) for amount in adds])


def _variety(limit: Distinct, problem: Problem, some: Sequence[Candidate]) -> Variety:
    values = [limit.values(c.holding, problem.moment) for c in some]
    every = sorted({value for own in values for value in own})
    bits = {value: 1 << place for place, value in enumerate(every)}
    most = None if limit.bounds.max is None else int(limit.bounds.max)
    return Variety([sum(bits[value] for value in own) for own in values], int(limit.bounds.min), most)


def aims_of(some: Sequence[Candidate], ranks: Ranks) -> Aims:
    """What the objective of the contract wants of some candidates, below progress and limits."""
    dates = sorted({c.holding.earned for c in some})
    return Aims(
        outside=[int(c.outside) for c in some],
        passed_over=[ranks.passed_over[c.id] for c in some],
        dates=[sum(1 << n for n, c in enumerate(some) if c.holding.earned == date) for date in dates],
        order=sorted(range(len(some)), key=lambda n: ranks.base(some[n])),
    )
