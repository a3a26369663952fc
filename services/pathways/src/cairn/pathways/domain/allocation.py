"""Allocation: which credential fills which leaf. Exact: the best of all legal allocations.

What matching can do is done by it (`matching`), the rest by a dynamic programme (`walk`). Limits tie all parts
together, and most of them are met without being asked for. So they are left out at first: the best allocation without a
limit is the best with it if it happens to meet it. Those that it does not meet come in, and it is done again: where
much is to be matched by trying out (`selection`), elsewhere as part of the dynamic programme.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from operator import attrgetter, itemgetter
from typing import Final

from cairn.pathways.domain.demands import Aims, Demands, aims_of, demands_of
from cairn.pathways.domain.gauges import Rule, lay_rules
from cairn.pathways.domain.goal import Goal
from cairn.pathways.domain.limits import Counted, Judgement, Limit
from cairn.pathways.domain.matching import SMALL, Board, fill, levels, matchable, parts
from cairn.pathways.domain.outcome import Allocation, Effort, Outcome
from cairn.pathways.domain.outline import Choice
from cairn.pathways.domain.plan import Part, Plan, Problem
from cairn.pathways.domain.selection import Choice as Selected
from cairn.pathways.domain.selection import Exhausted, Selection, placed
from cairn.pathways.domain.walk import Walk

# How many steps are spent on what is short of complete and crowded, once it could not be found by trying out.
_QUICK: Final = 4_000


def allocate(problem: Problem, effort: Effort, *, complete: bool, whichever: bool = False) -> Outcome:
    """The best legal allocation: with `complete` among those that meet the root and every limit (None if there is
    none), else among all. `whichever` asks for one of them, be it not the best. The order of candidates does not
    matter."""
    plan, rules = _planned(problem, (), complete=complete)
    if complete and not (plan.reachable(problem.root) and plan.matchable()):
        return Outcome(None, exact=True)
    try:
        crowd = _crowd(plan, effort)
    except Exhausted:
        if complete:
            return Outcome(None, exact=False)
        crowd, effort = None, effort.part(_QUICK)
    if complete and crowd is not None and not crowd.full:
        return Outcome(None, exact=True)
    outcome = Walk(plan, rules, effort, Goal(strict=complete)).run()
    if outcome.allocation is None:
        return outcome
    found = judged(problem, outcome.allocation if crowd is None else crowd.joined(outcome.allocation))
    active = list[Limit]()
    goal, fallback = Goal(strict=complete), None
    while missed := [limit for limit in problem.limits if limit.id in found.unmet and limit not in active]:
        if not complete and any(not limit.judged for limit in missed):
            missed = [limit for limit in missed if not limit.judged]
        elif not complete and fallback is None and problem.reuse.scope == "none":
            # It is legal, goes as far as can be, and costs least: only one that goes as far and misses fewer is better.
            # (Where credentials are reused, one that is no better may use them in a leaf of a smaller id as well.)
            fewer = len(found.unmet) - 1
            goal, fallback = Goal(found.progress, strict=not fewer, missed=fewer), found
        active += missed
        outcome = _limited(problem, active, effort, goal, complete=complete, whichever=whichever, crowd=crowd)
        if outcome.allocation is None:
            return Outcome(fallback, outcome.exact)
        found = judged(problem, outcome.allocation)
    return Outcome(found, outcome.exact, outcome.best)


def _limited(
    problem: Problem,
    limits: Sequence[Limit],
    effort: Effort,
    goal: Goal,
    *,
    complete: bool,
    whichever: bool,
    crowd: _Crowd | None,
) -> Outcome:
    """Under some limits."""
    whole = _wholly_crowded(problem, limits, complete=complete) if crowd and crowd.competing >= SMALL else None
    if whole is not None:
        try:
            if complete:
                found = whole.selected(problem, limits, effort, whichever=whichever)
                return Outcome(found, exact=True, best=not whichever)
            if (nearest := whole.nearest(problem, limits, effort, goal)) is not None:
                return nearest
        except Exhausted:
            if complete:
                return Outcome(None, exact=False)
            effort = effort.part(_QUICK)
    plan, rules = _planned(problem, limits, complete=complete)
    if complete and any(not rule.verdict and not rule.active for rule in rules):
        return Outcome(None, exact=True)
    return Walk(plan, rules, effort, goal).run()


def _crowd(plan: Plan, effort: Effort) -> _Crowd | None:
    """The parts of a plan that matching can do, taken out of it and done."""
    some = [] if plan.shared else [part for part in parts(plan) if matchable(part, plan)]
    if not some:
        return None
    crowd = _Crowd(plan, [part for part in some if not part.alone])
    for part in some:
        if part.alone:
            crowd.take(part)
    crowd.fill(effort)
    plan.leave_out(some)
    return crowd


def _wholly_crowded(problem: Problem, limits: Sequence[Limit], *, complete: bool) -> _Crowd | None:
    """All parts of a problem, if matching can do them but for some limits."""
    plan = Plan(problem, complete=complete, generous=any(limit.judged for limit in limits))
    lay_rules(plan, problem, ())
    some = parts(plan)
    if plan.shared or not all(matchable(part, plan) for part in some):
        return None
    crowd = _Crowd(plan, some)
    return crowd if demands_of(limits, problem, crowd.board) is not None else None


class _Crowd:
    """Parts of a plan in which each credential counts for one."""

    def __init__(self, plan: Plan, some: Sequence[Part]) -> None:
        self.board = Board(some, complete=plan.complete)
        self._outline = plan.outline
        self._ranks = plan.ranks
        self._generous = plan.generous
        self._given: dict[str, list[str]] = {}
        self._progress = 0
        self.full = True
        self.competing = sum(len(fits) > 1 for fits in self.board.fits)
        """How many fit several leaves."""

    @cached_property
    def _aims(self) -> Aims:
        return aims_of(self.board.candidates, self._ranks)

    def take(self, part: Part) -> None:
        """A leaf that shares nothing with another gets the best of what fits it."""
        ((slot, asks),) = part.asks.items()
        cost = attrgetter("cost")
        best = sorted((min(item.options, key=cost) for item in part.items), key=cost)[:asks]
        self._given[slot.leaf.id] = [option.candidate.id for option in best]
        self._progress += slot.share(asks) * len(best)
        self.full = self.full and len(best) == asks

    def fill(self, effort: Effort) -> None:
        """The others as well as can be, without limits. Raises Exhausted."""
        board = self.board
        if board.apart:
            whole = Selection(board, Demands(), self._aims, effort, size=board.wanted) if board.complete else None
            found = whole.best() if whole else self._furthest([[Demands()]], effort)
            self.full = self.full and found is not None
            self._place({} if found is None else placed(found, board))
            return
        matching = fill(board, self._aims.order)
        self.full = self.full and len(matching.at) == board.wanted
        matching.settle()
        self._place({board.names[one]: board.leaves[leaf] for one, leaf in matching.at.items()})

    def _place(self, found: Mapping[str, str]) -> None:
        shares = dict(zip(self.board.leaves, zip(self.board.shares, self.board.caps, strict=False), strict=True))
        for name, leaf in found.items():
            share, asks = shares[leaf]
            given = self._given.setdefault(leaf, [])
            self._progress += share if len(given) < asks else 0
            given.append(name)

    def selected(
        self, problem: Problem, limits: Sequence[Limit], effort: Effort, *, whichever: bool
    ) -> Allocation | None:
        """The best that meets some limits. Raises Exhausted."""
        demands = demands_of(limits, problem, self.board) or Demands()
        wanted = self.board.wanted
        selection = Selection(self.board, demands, self._aims, effort, size=wanted, spare=self._generous)
        found = selection.any() if whichever else selection.best()
        if found is None:
            return None
        self._place(placed(found, self.board))
        return self.joined(Allocation({}, Fraction(1)))

    def nearest(self, problem: Problem, limits: Sequence[Limit], effort: Effort, goal: Goal) -> Outcome | None:
        """The best of those that go as far as can be, and that miss no more limits than the goal allows. None if that
        is not to be told here: what a limit asks for besides has room only in a branch that does not count. Raises
        Exhausted."""
        board, given = self.board, Fraction(self._outline.given, self._outline.whole)
        asked = [
            [demands_of(each, problem, board) or Demands() for each in some] for some in _fewer(limits, goal.missed)
        ]
        least = int(goal.least * self._outline.whole) - self._outline.given
        best = self._furthest(asked, effort, least if goal.least else None)
        if best is None:
            return Outcome(None, exact=True)
        where = placed(best, board, strict=True)
        self._place(where)
        return Outcome(self.joined(Allocation({}, given)), exact=True) if len(where) == len(best.members) else None

    def _furthest(
        self, asked: Sequence[Sequence[Demands]], effort: Effort, least: int | None = None
    ) -> Selected | None:
        """The best set of those that go furthest, or as far as is asked for: among those that meet one of the first
        demands if there are any, else of the second, and so on. Leaves the board with what that asks of it."""
        board = self.board
        pools = [pool for _, pool in sorted(board.weights.items(), reverse=True)]
        fill(board, self._aims.order)
        weights, most = sorted(board.weights, reverse=True), [board.caps[pool] for pool in pools]
        for progress, ways in levels(weights, most):
            if least is not None and progress != least:
                if progress < least:
                    break
                continue
            for some in asked:
                found: list[tuple[int, Sequence[int], Selected]] = []
                for caps, demands in product(ways, some):
                    for pool, cap in zip(pools, caps, strict=True):
                        board.caps[pool] = cap
                    selection = Selection(board, demands, self._aims, effort, size=sum(caps), spare=self._generous)
                    if (choice := selection.best()) is not None:
                        cost = sum(self._ranks.base(board.candidates[one]) for one in choice.members)
                        found.append((cost, caps, choice))
                if found:
                    _, caps, choice = min(found, key=itemgetter(0))
                    for pool, cap in zip(pools, caps, strict=True):
                        board.caps[pool] = cap
                    return choice
        return None

    def joined(self, rest: Allocation) -> Allocation:
        """With what is allocated besides."""
        guards = self._outline.guards
        by_leaf = {**rest.by_leaf, **{leaf: tuple(sorted(names)) for leaf, names in self._given.items() if names}}
        counting = set(rest.counting)
        chosen: dict[Choice, int] = {}
        # Where fewer branches hold something than are to count, the first of the others do.
        for slot in sorted(self.board.slots, key=lambda slot: slot.leaf.id not in by_leaf):
            for branch in slot.guard:
                count = chosen.setdefault(branch.choice, 0)
                if count < branch.choice.n or slot.leaf.id in by_leaf:
                    chosen[branch.choice] += 1
                    counting.add(slot.leaf.id)
        return Allocation(
            {leaf: by_leaf[leaf] for leaf in guards if leaf in by_leaf},
            rest.progress + Fraction(self._progress, self._outline.whole),
            frozenset(counting) | {leaf for leaf, guard in guards.items() if not guard},
        )


def _fewer(limits: Sequence[Limit], missed: int) -> Iterator[list[Sequence[Limit]]]:
    """All of them, then all but one of those that are judged in each way, and so on: `missed` at most."""
    hard = [limit for limit in limits if not limit.judged]
    soft = [limit for limit in limits if limit.judged]
    for count in range(len(soft), max(len(soft) - missed, 0) - 1, -1):
        yield [[*hard, *some] for some in combinations(soft, count)]


def _planned(problem: Problem, active: Sequence[Limit], *, complete: bool) -> tuple[Plan, list[Rule]]:
    plan = Plan(problem, complete=complete, generous=any(limit.judged for limit in active))
    rules = lay_rules(plan, problem, active)
    plan.settle()
    return plan, rules


def judged(problem: Problem, allocation: Allocation) -> Allocation:
    """With how it stands with each limit."""
    found = judge_all(problem, allocation)
    return replace(allocation, judged=found, unmet=frozenset(name for name, each in found.items() if not each.met))


def judge_all(problem: Problem, allocation: Allocation) -> dict[str, Judgement]:
    """How an allocation stands with each limit, by its id."""
    whole = given(problem, allocation)
    return {limit.id: judge(limit, problem, whole, allocation.counting) for limit in problem.limits}


def judge(limit: Limit, problem: Problem, whole: Sequence[Counted], counting: Set[str]) -> Judgement:
    """How all that is allocated stands with a limit. One below whose scope nothing counts is met, and has nothing."""
    counts = not problem.below[limit.scope].isdisjoint(counting)
    found = limit.judge(looked_at_by(limit, problem, whole) if counts else (), problem.moment)
    return found if counts else found._replace(met=True, have=None)


def given(problem: Problem, allocation: Allocation) -> list[Counted]:
    """What is allocated, as limits look at it: each holding once, however many leaves it fills."""
    filled: dict[str, list[str]] = {}
    for leaf, names in allocation.by_leaf.items():
        for name in names:
            filled.setdefault(name, []).append(leaf)
    return [c.counted(filled[c.id]) for c in problem.candidates if c.id in filled]


def looked_at_by(limit: Limit, problem: Problem, whole: Sequence[Counted]) -> Sequence[Counted]:
    """What a limit looks at, of all that is allocated."""
    leaves = problem.below[limit.scope]
    if limit.looks_at_all:
        return [c.counted(()) for c in problem.held if not leaves.isdisjoint(c.worth)]
    return whole if limit.scope is None else [each for each in whole if not leaves.isdisjoint(each.leaves)]
