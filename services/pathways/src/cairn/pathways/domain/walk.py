"""The walk: an exact dynamic programme over a plan.

The plan lists classes of credentials, branches and leaves in the order in which to decide them. The walk carries
*states*: a state is what it must remember, namely how far each leaf in progress is, which branches count, which
credentials may no longer be used, and how limits stand, as bit fields of one number. Of all the ways that lead to a
state only the best is kept, since whatever follows is the same for each. Leaves that share no credential are never open
together, so independent parts are solved apart, and a leaf that many credentials compete for costs as many states as it
has levels, not as they have subsets.

That works because everything the objective compares (STACKING, "Objective, in turn") adds up over the credentials
allocated: progress, and below it one whole number (`plan.Ranks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from heapq import nsmallest
from typing import Final

from cairn.pathways.domain.bounds import Bounds, weight
from cairn.pathways.domain.gauges import Rule
from cairn.pathways.domain.goal import Goal
from cairn.pathways.domain.guide import Crowded, Guide, narrow
from cairn.pathways.domain.outcome import Allocation, Effort, Outcome
from cairn.pathways.domain.outline import Branch, Choice, Slot
from cairn.pathways.domain.outlook import Outlook
from cairn.pathways.domain.plan import Item, Plan

# How many steps a walk may take before it looks ahead, and how many states then go on at first.
_PLAIN: Final = 20_000
_BEAM: Final = 100


# What was decided on the way to a state: a holding given to leaves, or a branch that counts.
Link = tuple["Link", str, "tuple[str, ...] | Branch"] | None
States = dict[int, tuple[int, Link]]
# An allocation with its value.
Found = tuple[int, Allocation] | None


class Walk:
    """One walk over the turns of a plan. A state's value is its cost so far less its progress, which stands above
    it."""

    def __init__(self, plan: Plan, rules: Sequence[Rule], effort: Effort, goal: Goal) -> None:
        self._plan = plan
        self._effort = effort
        self._complete = plan.complete
        self._goal = goal
        self._least = int(goal.least * plan.outline.whole)
        self._rules = rules
        # Between the costs and the progress: how many limits are not met.
        self._above = plan.ranks.above + len(rules).bit_length()
        self._exact = True
        self._weight = weight(len(rules))
        self._narrow = narrow(self._weight)
        self._plain = _PLAIN
        # More than `n` branches may count.
        self._more = plan.complete and plan.generous
        # The leaves of each branch, where branches are decided on after them.
        self._late: Mapping[Branch, Sequence[Slot]] = {}

    def run(self) -> Outcome:
        found = self._searched(self._plan.order())
        return Outcome(found and found[1], self._exact)

    def _searched(self, turns: Sequence[Slot | Item | Branch]) -> Found:
        effort = self._effort
        ahead: Found = None
        if effort.ahead < effort.limit:
            start = effort.spent
            try:
                return self._best(self._through(turns, Guide(plain=min(start + self._plain, effort.limit))))
            except Crowded:
                # Looking ahead has an effort of its own: what can be done without is done all the same.
                self._effort = Effort(effort.limit, effort.ahead)
                ahead, exact = self._guided(turns)
                self._effort, effort.ahead = effort, self._effort.spent
                if exact:
                    return ahead
                effort.spent = start
        found = self._best(self._through(turns, Guide()))
        if ahead is not None and not self._exact and (found is None or ahead[0] < found[0]):
            found = ahead
        return found

    def _guided(self, turns: Sequence[Slot | Item | Branch]) -> tuple[Found, bool]:
        """With an outlook: first only the most promising states, for an allocation to measure by; then all that may
        come up to it. Returns the best with its value, and whether that is proven."""
        outlook = Outlook(self._plan, self._rules, turns, self._above, strict=self._goal.strict)
        most = sum(max(option.cost for option in item.options) for item in self._plan.items)
        ceiling = (most if self._complete else (1 - self._least << self._above) - 1) >> outlook.shift
        self._effort.spent += outlook.effort
        # What comes of itself is in the value of every state, and not in the bound on what is to come.
        enough = ceiling + (self._plan.outline.given << self._above - outlook.shift)
        if outlook.improve(enough) > enough:
            return None, True
        guide = Guide(None, outlook, outlook.views(), ceiling)
        best: Found = None
        for guide.width in (_BEAM, None):
            guide.lost = None
            found = self._best(self._through(turns, guide))
            if found is not None and (best is None or found[0] < best[0]):
                best, guide.ceiling = found, found[0] >> outlook.shift
            if guide.lost is None or (best is not None and guide.lost > guide.ceiling):
                return best, True
        return best, False

    def _through(self, turns: Sequence[Slot | Item | Branch], guide: Guide) -> States:
        """All the states that are left after the last turn."""
        plan = self._plan
        self._guide = guide
        start = sum(gauge.start << gauge.shift for rule in self._rules for gauge in rule.gauges)
        states: States = {start: (-(plan.outline.given << self._above), None)}
        later = self._supplies(turns)
        clears = _clears(turns, sum(rule.bits for rule in self._rules), self._late)
        bounds = Bounds(plan, self._rules, strict=self._goal.strict)
        ahead = self._goal.ahead(plan, turns)
        steps = zip(turns, clears, later, bounds.after(turns), ahead, strict=True)
        for place, (turn, clear, supply, bound, reach) in enumerate(steps):
            match turn:
                case Item():
                    states = self._take(self._narrowed(states, self._ways_of(turn)), turn, supply)
                case Branch():
                    states = self._decide(self._narrowed(states, 2), turn, supply)
                case Slot():
                    states = self._close(states, turn)
            if bound:
                states = bounds.kept(states, bound)
            if self._goal.least:
                states = self._reaching(states, *reach)
            if clear:
                states = _without(states, clear)
            if guide.outlook is not None and isinstance(turn, Item):
                states = guide.promising(states, place, self._effort, self._weight)
        return states

    def _best(self, states: States) -> Found:
        best: tuple[int, Link] | None = None
        for state, (value, link) in states.items():
            unmet = [rule for rule in self._rules if not rule.met(state)]
            if any(rule.hard or self._goal.strict for rule in unmet):
                continue
            worth = value + (len(unmet) << self._plan.ranks.above)
            if best is None or worth < best[0]:
                best = worth, link
        if best is None:
            return None
        value, link = best
        by_leaf: dict[str, list[str]] = {}
        taken: set[Branch] = set()
        while link is not None:
            link, holding, given = link
            if isinstance(given, Branch):
                taken.add(given)
            for leaf in given if isinstance(given, tuple) else ():
                by_leaf.setdefault(leaf, []).append(holding)
        progress = -((value + (1 << (self._above - 1))) >> self._above)
        return value, Allocation(
            {leaf: tuple(sorted(by_leaf[leaf])) for leaf in self._plan.slots if leaf in by_leaf},
            Fraction(progress, self._plan.outline.whole),
            self._plan.outline.counting(taken),
        )

    def _reaching(self, states: States, ahead: int, begun: Sequence[tuple[Slot, int]]) -> States:
        """The states from which one can still go as far as is wanted."""
        wanted = self._least - ahead - 1
        fields = [(slot.shift, slot.mask, slot.need, slot.unit, rest) for slot, rest in begun]
        reached: States = {}
        for state, entry in states.items():
            lack = wanted
            for shift, mask, need, unit, rest in fields:
                lack -= unit * max(0, min(need - (state >> shift & mask), rest))
            if entry[0] < -lack << self._above:
                reached[state] = entry
        return reached

    def _supplies(self, turns: Sequence[Slot | Item | Branch]) -> list[list[int]]:
        """For an item, what can still come to each of its leaves after it; for a branch, how many siblings follow."""
        left = dict.fromkeys(self._plan.slots.values(), 0)
        siblings: dict[Choice, int] = {}
        supplies: list[list[int]] = []
        for turn in reversed(turns):
            supply: list[int] = []
            if isinstance(turn, Item):
                supply = [left[slot] for slot in turn.slots]
                for slot, most in turn.slots.items():
                    left[slot] += most
            elif isinstance(turn, Branch):
                supply = [siblings.get(turn.choice, 0)]
                siblings[turn.choice] = supply[0] + 1
            supplies.append(supply)
        return supplies[::-1]

    def _narrowed(self, states: States, ways: int) -> States:
        """Account for extending every state in so many ways. When that is more than the effort allows, only the best
        few go on: what they find is legal, what they do not find may exist."""
        ways *= self._weight
        spent, wide = self._effort.spent + len(states) * ways, len(states) > self._narrow
        if wide and self._guide.plain is not None and spent > self._guide.plain:
            raise Crowded
        if wide and self._guide.outlook is None and spent > self._effort.limit:
            self._exact = False
            states = dict(nsmallest(self._narrow, states.items(), key=lambda entry: entry[1][0]))
        self._effort.spent += len(states) * ways
        return states

    def _ways_of(self, item: Item) -> int:
        return len(item.options) + 1

    def _take(self, states: States, item: Item, supply: Sequence[int]) -> States:
        """Allocate one member of a class to one leaf, or none."""
        split, above = self._plan.outline.split, self._above
        ways = [
            (
                (o.slot, o.slot.shift, o.slot.mask, o.slot.on, o.slot.need, o.slot.most, o.slot.exact),
                (o.inc, o.helps, o.forbid, o.mark, o.delta, o.cost, o.slot.unit << above, o.slot.scores),
                (o.candidate.id, (o.slot.leaf.id,)),
            )
            for o in item.options
        ]
        touched = [
            (slot, slot.shift, slot.mask, slot.on, slot.need - rest)
            for slot, rest in zip(item.slots, supply, strict=True)
        ]
        reached: States = {}
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
            for where, what, (holding, leaf) in ways:
                slot, shift, mask, on, need, most, exact = where
                inc, helps, forbid, mark, delta, cost, unit, scores = what
                if state & on != on or state & forbid or (forced is not None and slot is not forced):
                    continue
                have = state >> shift & mask
                if have >= need and not helps:
                    continue
                if most is not None and have + inc > most:
                    continue
                gain = inc if have + inc <= need else max(need - have, 0)
                after = (state | mark) + delta + ((inc if exact else gain) << shift)
                worth = value + cost
                if gain and (not split or state & scores == scores):
                    worth -= unit * gain
                if after not in reached or worth < reached[after][0]:
                    reached[after] = (worth, (link, holding, leaf))
        return reached

    def _decide(self, states: States, branch: Branch, supply: Sequence[int]) -> States:
        """Let a branch count or not, and be scored or not, so that in the end exactly `n` of its choice do. Where all
        that matters is that the rules are met, more may count."""
        choice, whole, siblings = branch.choice, self._plan.outline.whole, supply[0]
        on, above = _bits(branch.guard), _scores(branch.guard)
        counts, split = branch.bit | self._plan.marks.get(branch, 0), self._plan.outline.split
        bonus, idle = (int(share * whole) << self._above for share in (branch.bonus, branch.idle))
        reached: States = {}

        def keep(state: int, value: int, link: Link) -> None:
            if state not in reached or value < reached[state][0]:
                reached[state] = (value, link)

        for state, (value, link) in states.items():
            if state & on != on:
                keep(state, value, link)
                continue
            chosen = state >> choice.shift & choice.mask
            ways = [(state, value, link, False)] if choice.n - chosen <= siblings else []
            if chosen < choice.n or self._more:
                after = (state | counts) + (int(chosen < choice.n) << choice.shift)
                ways.append((after, value if split else value - bonus, (link, "", branch), True))
            for after, worth, way, counted in ways:
                if not split or state & above != above:
                    keep(after, worth, way)
                    continue
                scored = state >> choice.score_shift & choice.mask
                if choice.n - scored <= siblings:
                    keep(after, worth, way)
                if scored < choice.n:
                    keep((after | branch.score) + (1 << choice.score_shift), worth - (bonus if counted else idle), way)
        return reached

    def _close(self, states: States, slot: Slot) -> States:
        """Nothing more can come to a leaf: where it must be met, drop the states in which it is not."""
        if not self._complete:
            return states
        on = slot.on
        return {
            state: entry
            for state, entry in states.items()
            if state & on != on or state >> slot.shift & slot.mask >= slot.need
        }


def _bits(branches: Sequence[Branch]) -> int:
    return sum(branch.bit for branch in branches)


def _scores(branches: Sequence[Branch]) -> int:
    return sum(branch.score for branch in branches)


def _clears(turns: Sequence[Slot | Item | Branch], kept: int, late: Mapping[Branch, Sequence[Slot]]) -> list[int]:
    """After each turn, the bits of the state that nothing later looks at, but for those that are kept to the end."""
    clears: list[int] = []
    seen = kept
    for turn in reversed(turns):
        if isinstance(turn, Item):
            looks = 0
            for option in turn.options:
                slot = option.slot
                looks |= option.forbid | option.mark | slot.on | slot.scores | slot.mask << slot.shift
        elif isinstance(turn, Branch):
            choice = turn.choice
            looks = turn.bit | turn.score | _bits(turn.guard) | _scores(turn.guard)
            looks |= choice.mask << choice.shift | choice.mask << choice.score_shift
            looks |= sum(slot.mask << slot.shift for slot in late.get(turn, ()))
        else:
            looks = turn.on | turn.mask << turn.shift
        clears.append(looks & ~seen)
        seen |= looks
    return clears[::-1]


def _without(states: States, clear: int) -> States:
    return merged((state & ~clear, entry) for state, entry in states.items())


def merged(entries: Iterable[tuple[int, tuple[int, Link]]]) -> States:
    """States of which those that have become one keep the best."""
    found: States = {}
    for state, entry in entries:
        if state not in found or entry[0] < found[state][0]:
            found[state] = entry
    return found
