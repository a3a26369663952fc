"""What limits demand of a set of credentials, whichever leaf each of them fills (`selection`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import lcm
from typing import Final

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.gauges import sums
from cairn.pathways.domain.limits import Amount, Distinct, Exclude, Gpa, Limit, Share, Window
from cairn.pathways.domain.matching import Board
from cairn.pathways.domain.once import cached_property
from cairn.pathways.domain.plan import Problem
from cairn.pathways.domain.ranks import Ranks

FINE: Final = 1 << 20


@dataclass(frozen=True)
class Sum:
    """A sum that must not end below zero: what it starts with, and what each candidate of the board adds."""

    start: int
    adds: Sequence[int]

    @cached_property
    def weight(self) -> int:
        """By which sums of several kinds become comparable."""
        return max(1, FINE // max([1, *map(abs, self.adds)]))


@dataclass(frozen=True, slots=True)
class Variety:
    """How many different values there are to be: of each candidate the bits of those that it gives."""

    values: Sequence[int]
    min: int
    max: int | None


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of the whole set. `apart` has for each candidate the bits of those that it may not go with."""

    sums: Sequence[Sum] = ()
    varieties: Sequence[Variety] = ()
    apart: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Aims:
    """What is to be kept small, in turn: how many come from elsewhere, how many there are, and better grades passed
    over. Then `dates` are groups of candidates (as bits), of which as many of the first as possible are to be in; then
    those of the smaller number. `order` is the order of all of it, without demands."""

    outside: Sequence[int]
    passed_over: Sequence[int]
    dates: Sequence[int]
    order: Sequence[int]


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
        yield Sum(int(start * scale), [amount.numerator * (scale // amount.denominator) for amount in adds])


def _variety(limit: Distinct, problem: Problem, some: Sequence[Candidate]) -> Variety:
    values = [limit.values(c.holding, problem.moment) for c in some]
    every = sorted({value for own in values for value in own})
    bits = {value: 1 << place for place, value in enumerate(every)}
    most = None if limit.bounds.max is None else int(limit.bounds.max)
    return Variety([sum(bits[value] for value in own) for own in values], int(limit.bounds.min), most)


def aims_of(some: Sequence[Candidate], ranks: Ranks) -> Aims:
    """What the objective of the contract wants of some candidates, below progress and limits."""
    dates: dict[datetime, int] = {}
    for n, c in enumerate(some):
        dates[c.holding.earned] = dates.get(c.holding.earned, 0) | 1 << n
    return Aims(
        outside=[int(c.outside) for c in some],
        passed_over=[ranks.passed_over[c.id] for c in some],
        dates=[dates[date] for date in sorted(dates)],
        order=ranks.order(some),
    )
