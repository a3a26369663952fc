"""Allocation: which credential fills which leaf. Exact: the best of all legal allocations, by dynamic programming.

The plan lists classes of credentials, branches and leaves in the order in which to decide them. The walk carries
*states*: a state is what it must remember, namely how far each leaf in progress is, which branches count, and which
awards are used up, as bit fields of one number. Of all the ways that lead to a state only the best is kept, since
whatever follows is the same for each. Leaves that share no credential are never open together, so independent parts are
solved apart, and a leaf that many credentials compete for costs as many states as it has levels, not as they have
subsets.

That works because everything the objective compares (STACKING, "Objective, in turn") adds up over the credentials
allocated: progress, and below it one whole number (`plan.Ranks`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import nsmallest
from typing import Final

from cairn.pathways.domain.framework import Node
from cairn.pathways.domain.plan import Branch, Candidate, Item, Plan, Slot

# How many states live on once the effort is spent: enough for a sensible allocation, though not to prove it best.
_NARROW: Final = 32


@dataclass(frozen=True, slots=True)
class Allocation:
    """The holdings given to each leaf that got any, sorted, and how far that goes (1 is complete)."""

    by_leaf: Mapping[str, tuple[str, ...]]
    progress: Fraction


@dataclass(slots=True)
class Effort:
    """A bound on the work, in steps (a state extended in one way). Past it only a narrow search goes on."""

    limit: int
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`allocation` is None if none completes; unless `exact`, that is not proven, nor is an allocation the best."""

    allocation: Allocation | None
    exact: bool


def allocate(root: Node, candidates: Sequence[Candidate], effort: Effort, *, complete: bool) -> Outcome:
    """The best legal allocation of `candidates` to the leaves below `root`: with `complete` among those that meet it
    (None if there is none), else among all. The order of `candidates` does not matter. Leaf ids must be unique."""
    plan = Plan(root, candidates)
    if complete and not (plan.reachable(root) and plan.matchable()):
        return Outcome(None, exact=True)
    return _Walk(plan, effort, complete=complete).run()


_Link = tuple["_Link", str, str] | None
_States = dict[int, tuple[int, _Link]]


class _Walk:
    """One walk over the turns of a plan. A state's value is its cost so far less its progress, which stands above
    it."""

    def __init__(self, plan: Plan, effort: Effort, *, complete: bool) -> None:
        self._plan = plan
        self._effort = effort
        self._complete = complete
        self._above = plan.ranks.above
        self._exact = True

    def run(self) -> Outcome:
        states: _States = {0: (-(self._plan.given << self._above), None)}
        turns = self._plan.order()
        later = self._supplies(turns)
        clears = _clears(turns)
        for turn, clear, supply in zip(turns, clears, later, strict=True):
            match turn:
                case Item():
                    states = self._take(self._narrowed(states, len(turn.options) + 1), turn, supply)
                case Branch():
                    states = self._decide(self._narrowed(states, 2), turn, supply[0])
                case Slot():
                    states = self._close(states, turn)
            if clear:
                states = _without(states, clear)
        if not states:
            return Outcome(None, self._exact)
        value, link = min(states.values(), key=lambda reached: reached[0])
        by_leaf: dict[str, list[str]] = {}
        while link is not None:
            link, holding, leaf = link
            by_leaf.setdefault(leaf, []).append(holding)
        progress = -((value + (1 << (self._above - 1))) >> self._above)
        given = {leaf: tuple(sorted(by_leaf[leaf])) for leaf in self._plan.slots if leaf in by_leaf}
        return Outcome(Allocation(given, Fraction(progress, self._plan.whole)), self._exact)

    def _supplies(self, turns: Sequence[Slot | Item | Branch]) -> list[list[int]]:
        """For an item, what can still come to each of its leaves after it; for a branch, how many siblings follow."""
        left = dict.fromkeys(self._plan.slots, 0)
        siblings: dict[int, int] = {}
        supplies: list[list[int]] = []
        for turn in reversed(turns):
            supply: list[int] = []
            if isinstance(turn, Item):
                supply = [left[slot.leaf.id] for slot in turn.slots]
                for slot in turn.slots:
                    left[slot.leaf.id] += max(option.inc for option in turn.options if option.slot is slot)
            elif isinstance(turn, Branch):
                supply = [siblings.get(id(turn.choice), 0)]
                siblings[id(turn.choice)] = supply[0] + 1
            supplies.append(supply)
        return supplies[::-1]

    def _narrowed(self, states: _States, ways: int) -> _States:
        """Account for extending every state in so many ways. When that is more than the effort allows, only the best
        few go on: what they find is legal, what they do not find may exist."""
        if self._effort.spent + len(states) * ways > self._effort.limit and len(states) > _NARROW:
            self._exact = False
            states = dict(nsmallest(_NARROW, states.items(), key=lambda entry: entry[1][0]))
        self._effort.spent += len(states) * ways
        return states

    def _take(self, states: _States, item: Item, supply: Sequence[int]) -> _States:
        """Allocate one member of a class to one leaf, or none."""
        ways = [
            (
                *(o.slot, o.slot.shift, o.slot.mask, _bits(o.slot.guard), o.slot.need, o.slot.most),
                *(o.inc, o.forbid, o.mark, o.cost, o.slot.unit << self._above, o.candidate.id, o.slot.leaf.id),
            )
            for o in item.options
        ]
        touched = [
            (slot, slot.shift, slot.mask, _bits(slot.guard), slot.need - rest)
            for slot, rest in zip(item.slots, supply, strict=True)
        ]
        reached: _States = {}
        for state, entry in states.items():
            value, link = entry
            forced: Slot | None = None
            if self._complete:
                short = [s for s, shift, mask, on, lack in touched if state >> shift & mask < lack and state & on == on]
                if len(short) > 1:
                    continue
                forced = short[0] if short else None
            if forced is None and (state not in reached or value < reached[state][0]):
                reached[state] = entry
            for slot, shift, mask, on, need, most, inc, forbid, mark, cost, unit, holding, leaf in ways:
                if state & on != on or state & forbid or (forced is not None and slot is not forced):
                    continue
                have = state >> shift & mask
                if have >= need:
                    continue
                gain = inc
                if have + inc >= need:
                    if most is not None and have + inc > most:
                        continue
                    gain = need - have
                after = (state | mark) + (gain << shift)
                worth = value + cost - unit * gain
                if after not in reached or worth < reached[after][0]:
                    reached[after] = (worth, (link, holding, leaf))
        return reached

    def _decide(self, states: _States, branch: Branch, siblings: int) -> _States:
        """Let a branch count or not, so that in the end exactly `n` of its choice do."""
        choice, on = branch.choice, _bits(branch.guard)
        bonus = int(branch.bonus * self._plan.whole) << self._above
        reached: _States = {}

        def keep(state: int, value: int, link: _Link) -> None:
            if state not in reached or value < reached[state][0]:
                reached[state] = (value, link)

        for state, (value, link) in states.items():
            chosen = state >> choice.shift & choice.mask
            if state & on != on:
                keep(state, value, link)
                continue
            if chosen < choice.n:
                keep((state | branch.bit) + (1 << choice.shift), value - bonus, link)
            if choice.n - chosen <= siblings:
                keep(state, value, link)
        return reached

    def _close(self, states: _States, slot: Slot) -> _States:
        """Nothing more can come to a leaf: where it must be met, drop the states in which it is not."""
        if not self._complete:
            return states
        on = _bits(slot.guard)
        return {
            state: entry
            for state, entry in states.items()
            if state & on != on or state >> slot.shift & slot.mask >= slot.need
        }


def _bits(branches: Sequence[Branch]) -> int:
    return sum(branch.bit for branch in branches)


def _clears(turns: Sequence[Slot | Item | Branch]) -> list[int]:
    """After each turn, the bits of the state that nothing later looks at."""
    clears: list[int] = []
    seen = 0
    for turn in reversed(turns):
        if isinstance(turn, Item):
            looks = 0
            for option in turn.options:
                looks |= option.forbid | option.mark | _bits(option.slot.guard) | option.slot.mask << option.slot.shift
        elif isinstance(turn, Branch):
            looks = turn.bit | _bits(turn.guard) | turn.choice.mask << turn.choice.shift
        else:
            looks = _bits(turn.guard) | turn.mask << turn.shift
        clears.append(looks & ~seen)
        seen |= looks
    return clears[::-1]


def _without(states: _States, clear: int) -> _States:
    """The states without some bits: those that become one keep the best."""
    merged: _States = {}
    for state, entry in states.items():
        rest = state & ~clear
        if rest not in merged or entry[0] < merged[rest][0]:
            merged[rest] = entry
    return merged
