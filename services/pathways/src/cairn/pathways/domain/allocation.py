"""Allocation: which credential fills which leaf. Exact: the best of all legal allocations.

What matching can do is done by it (`matching`), the rest by a dynamic programme (`walk`). Limits tie all parts
together, and most of them are met without being asked for. So they are left out at first: the best allocation without a
limit is the best with it if it happens to meet it. Those that it does not meet come in, and it is done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from cairn.pathways.domain.gauges import Rule, lay_rules
from cairn.pathways.domain.limits import Counted, Judgement, Limit
from cairn.pathways.domain.matching import SMALL, Network, matchable, parts
from cairn.pathways.domain.plan import Plan, Problem
from cairn.pathways.domain.repair import hopeless, repair, sums_of
from cairn.pathways.domain.walk import Allocation, Effort, Outcome, Walk

# How many steps are spent on limits that bind where much is to be matched, before exchanges are tried.
_QUICK: Final = 4_000


def allocate(problem: Problem, effort: Effort, *, complete: bool) -> Outcome:
    """The best legal allocation: with `complete` among those that meet the root and every limit (None if there is
    none), else among all. The order of candidates does not matter."""
    plan, rules = _planned(problem, (), complete=complete)
    if complete and not (plan.reachable(problem.root) and plan.matchable()):
        return Outcome(None, exact=True)
    matched = _Matched(plan) if not plan.shared else None
    if matched is not None and complete and not matched.full:
        return Outcome(None, exact=True)
    outcome = Walk(plan, rules, effort).run()
    if outcome.allocation is None:
        return outcome
    found = judged(problem, matched.joined(outcome.allocation) if matched is not None else outcome.allocation)
    relaxed, active = outcome.allocation, list[Limit]()
    while missed := [limit for limit in problem.limits if limit.id in found.unmet and limit not in active]:
        active += missed
        plan, rules = _planned(problem, active, complete=complete)
        if complete and any(not rule.verdict and not rule.active for rule in rules):
            return Outcome(None, exact=True)
        crowded = matched is not None and matched.network is not None
        outcome = Walk(plan, rules, effort.part(_QUICK) if crowded else effort).run()
        if matched is not None and crowded and not outcome.exact:
            mended = _mended(problem, matched, relaxed, complete=complete)
            if mended is not None:
                return mended
            plan, rules = _planned(problem, active, complete=complete)
            outcome = Walk(plan, rules, effort).run()
        if outcome.allocation is None:
            return outcome
        found = judged(problem, outcome.allocation)
    return Outcome(found, outcome.exact)


class _Matched:
    """The parts of a plan that matching can do, taken out of it and done."""

    def __init__(self, plan: Plan) -> None:
        crowded = sum(len(item.slots) > 1 for item in plan.items) >= SMALL
        some = [part for part in parts(plan) if matchable(part, plan)] if crowded else []
        self._parts = [part for part in some if len(part.slots) >= SMALL]
        self._complete = plan.complete
        self._guards = dict(plan.guards)
        self.slots = {slot.leaf.id: slot for part in self._parts for slot in part.slots}
        self.network: Network | None = self.fresh() if self._parts else None
        self.costs = {o.candidate.id: plan.ranks.base(o.candidate) for item in plan.items for o in item.options}
        self.full = self.network is None or self.network.fill(self.costs)
        if self._parts:
            plan.leave_out(self._parts)

    def fresh(self) -> Network:
        return Network(self._parts, complete=self._complete)

    def joined(self, rest: Allocation) -> Allocation:
        """With what the remaining plan allocates."""
        if self.network is None:
            return rest
        given: dict[str, list[str]] = {}
        for name, leaf in self.network.leaves().items():
            given.setdefault(leaf, []).append(name)
        by_leaf = {**rest.by_leaf, **{leaf: tuple(sorted(names)) for leaf, names in given.items()}}
        shares = (0 if self._complete else self.slots[leaf].share * len(names) for leaf, names in given.items())
        counting = set(rest.counting)
        chosen: dict[int, int] = {}
        # Where fewer branches hold something than are to count, the first of the others do.
        for leaf in sorted(self.slots, key=lambda leaf: leaf not in given):
            for branch in self.slots[leaf].guard:
                count = chosen.setdefault(id(branch.choice), 0)
                if count < branch.choice.n:
                    chosen[id(branch.choice)] += 1
                    counting.add(leaf)
        return Allocation(
            {leaf: by_leaf[leaf] for leaf in self._guards if leaf in by_leaf},
            rest.progress + sum(shares, Fraction(0)),
            frozenset(counting),
        )


def _mended(problem: Problem, matched: _Matched, rest: Allocation, *, complete: bool) -> Outcome | None:
    """An allocation that meets the limits, though perhaps not the best; or a certain no; or None for neither. What is
    shown of an audit that is not complete may also be what meets all limits but those that are judged."""
    network = matched.network
    if network is None:
        return None
    constraints = sums_of(problem.limits, problem)
    before = judged(problem, matched.joined(rest))
    fixed = [name for names in rest.by_leaf.values() for name in names]
    repaired = repair(network, fixed, constraints, matched.costs)
    found = judged(problem, matched.joined(rest)) if repaired else before
    if not found.unmet:
        return Outcome(found, exact=False)
    others = [c for c in problem.candidates if c.id not in network.options]
    if complete:
        return Outcome(None, exact=True) if hopeless(matched.fresh, others, constraints) else None
    legal = not any(limit.id in found.unmet and not limit.judged for limit in problem.limits)
    return Outcome(found, exact=False) if legal else None


def _planned(problem: Problem, active: Sequence[Limit], *, complete: bool) -> tuple[Plan, list[Rule]]:
    plan = Plan(problem, complete=complete, generous=any(limit.judged for limit in active))
    rules = lay_rules(plan, problem, active)
    plan.settle()
    return plan, rules


def judged(problem: Problem, allocation: Allocation) -> Allocation:
    """With how it stands with each limit."""
    found = judge(problem, allocation)
    return replace(allocation, judged=found, unmet=frozenset(name for name, each in found.items() if not each.met))


def judge(problem: Problem, allocation: Allocation) -> dict[str, Judgement]:
    """How an allocation stands with each limit, by its id. One below whose scope nothing counts is met, and has
    nothing."""
    filled: dict[str, list[str]] = {}
    for leaf, names in allocation.by_leaf.items():
        for name in names:
            filled.setdefault(name, []).append(leaf)
    whole = [c.counted(filled[c.id]) for c in problem.candidates if c.id in filled]
    judged: dict[str, Judgement] = {}
    for limit in problem.limits:
        counts = not problem.below[limit.scope].isdisjoint(allocation.counting)
        found = limit.judge(counted(limit, problem, whole) if counts else (), problem.moment)
        judged[limit.id] = found if counts else Judgement(met=True, have=None, need=found.need)
    return judged


def counted(limit: Limit, problem: Problem, whole: Sequence[Counted]) -> Sequence[Counted]:
    """What a limit looks at, of all that is allocated: each holding once, however many leaves it fills."""
    leaves = problem.below[limit.scope]
    if limit.looks_at_all:
        return [c.counted(()) for c in problem.held if not leaves.isdisjoint(c.worth)]
    return whole if limit.scope is None else [each for each in whole if not leaves.isdisjoint(each.leaves)]
