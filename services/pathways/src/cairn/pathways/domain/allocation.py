"""Allocation: which credential fills which leaf. Exact: the best of all legal allocations.

What nothing competes for is given out at once (`apart`). What matching can do is done by it (`matching`), the rest by a
dynamic programme (`walk`). Limits tie all parts together, and most of them are met without being asked for. So they are
left out at first: the best allocation without a limit is the best with it if it happens to meet it. Those that it does
not meet come in, and it is done again: where much is to be matched by trying out (`selection`), elsewhere as part of
the dynamic programme.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final

from cairn.pathways.domain.apart import served
from cairn.pathways.domain.crowd import Crowd
from cairn.pathways.domain.demands import demands_of
from cairn.pathways.domain.gauges import Rule, lay_rules
from cairn.pathways.domain.goal import Goal
from cairn.pathways.domain.limits import Counted, Judgement, Limit
from cairn.pathways.domain.matching import SMALL, matchable, parts
from cairn.pathways.domain.outcome import Allocation, Effort, Outcome
from cairn.pathways.domain.outline import Slot
from cairn.pathways.domain.plan import Plan, Problem
from cairn.pathways.domain.selection import Exhausted
from cairn.pathways.domain.sharedwalk import SharedWalk
from cairn.pathways.domain.walk import Walk

# How many steps are spent on what is short of complete and crowded, once it could not be found by trying out.
_QUICK: Final = 4_000


def allocate(problem: Problem, effort: Effort, *, complete: bool, whichever: bool = False) -> Outcome:
    """The best legal allocation: with `complete` among those that meet the root and every limit (None if there is
    none), else among all. `whichever` asks for one of them, be it not the best. The order of candidates does not
    matter."""
    outcome, effort, crowded = _freely(problem, effort, complete=complete, whichever=whichever)
    if outcome.allocation is None or not problem.limits:
        return outcome
    found = judged(problem, outcome.allocation)
    # Short of complete, all that follows goes as far as this does.
    furthest = complete or outcome.exact
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
        outcome = _limited(problem, active, effort, goal, complete=complete, whichever=whichever, crowded=crowded)
        if outcome.allocation is None:
            return Outcome(fallback, furthest and outcome.exact)
        found = judged(problem, outcome.allocation)
    return Outcome(found, furthest and outcome.exact, outcome.best)


def _freely(problem: Problem, effort: Effort, *, complete: bool, whichever: bool) -> tuple[Outcome, Effort, bool]:
    """Without limits. Returns also what may be spent from there on, and whether many candidates compete."""
    outline = problem.regime.outline(problem.root, problem.grain, complete=complete, generous=False)
    apart = served(problem, outline)
    if complete and not apart.full:
        return Outcome(None, exact=True), effort, False
    if len(apart.slots) == len(outline.slots) and outline.plain:
        return Outcome(apart.allocation(outline), exact=True), effort, False
    plan, rules = _planned(problem, (), complete=complete, done=apart.slots)
    if complete and not (plan.reachable(problem.root) and plan.matchable()):
        return Outcome(None, exact=True), effort, False
    crowd = Crowd(plan, [] if plan.shared else [part for part in parts(plan) if matchable(part, plan)], apart)
    try:
        crowd.fill(effort)
    except Exhausted:
        if complete:
            return Outcome(None, exact=False), effort, False
        crowd, effort = Crowd(plan, [], apart), effort.part(_QUICK)
    if complete and not crowd.full:
        return Outcome(None, exact=True), effort, False
    plan.leave_out({*crowd.board.slots})
    outcome = _walked(plan, rules, effort, Goal(strict=complete), whichever=whichever)
    found = outcome.allocation and crowd.joined(outcome.allocation)
    return Outcome(found, outcome.exact, outcome.best), effort, crowd.competing >= SMALL


def _limited(
    problem: Problem,
    limits: Sequence[Limit],
    effort: Effort,
    goal: Goal,
    *,
    complete: bool,
    whichever: bool,
    crowded: bool,
) -> Outcome:
    """Under some limits."""
    whole = _wholly_crowded(problem, limits, complete=complete) if crowded else None
    if whole is not None:
        try:
            found = (
                whole.selected(problem, limits, effort, whichever=whichever)
                if complete
                else whole.nearest(problem, limits, effort, goal)
            )
            if found is not None:
                return found
        except Exhausted:
            if complete:
                return Outcome(None, exact=False)
            effort = effort.part(_QUICK)
    plan, rules = _planned(problem, limits, complete=complete)
    if complete and any(not rule.verdict and not rule.active for rule in rules):
        return Outcome(None, exact=True)
    return _walked(plan, rules, effort, goal, whichever=whichever)


def _wholly_crowded(problem: Problem, limits: Sequence[Limit], *, complete: bool) -> Crowd | None:
    """All parts of a problem, if matching can do them but for some limits."""
    plan = Plan(problem, complete=complete, generous=any(limit.judged for limit in limits))
    lay_rules(plan, problem, ())
    some = parts(plan)
    if plan.shared or not all(matchable(part, plan) for part in some):
        return None
    crowd = Crowd(plan, some)
    return crowd if demands_of(limits, problem, crowd.board) is not None else None


def _planned(
    problem: Problem, active: Sequence[Limit], *, complete: bool, done: Set[Slot] = frozenset()
) -> tuple[Plan, list[Rule]]:
    plan = Plan(problem, complete=complete, generous=any(limit.judged for limit in active), done=done)
    rules = lay_rules(plan, problem, active)
    plan.settle()
    return plan, rules


def _walked(plan: Plan, rules: Sequence[Rule], effort: Effort, goal: Goal, *, whichever: bool) -> Outcome:
    if plan.shared:
        return SharedWalk(plan, rules, effort, goal, whichever=whichever).run()
    return Walk(plan, rules, effort, goal).run()


def judged(problem: Problem, allocation: Allocation) -> Allocation:
    """With how it stands with each limit."""
    found = judge_all(problem, allocation)
    unmet = frozenset([name for name, each in found.items() if not each.met])
    return Allocation(allocation.by_leaf, allocation.progress, allocation.counting, unmet, found)


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
