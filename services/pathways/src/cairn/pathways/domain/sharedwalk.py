"""The walk where credentials are reused: first for the best set of credentials, then for what each of them serves.

The first needs few ways (`sharing`), and looks ahead by prices (`cover`). Where no choice lies within another, it does
not decide beforehand which branches count: every leaf takes what comes, and a branch counts if its leaves turn out to
be met. What it finds may then serve only leaves that do not count, for the sake of a limit; if so, it is done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cairn.pathways.domain.cover import Cover
from cairn.pathways.domain.gauges import Rule
from cairn.pathways.domain.goal import Goal
from cairn.pathways.domain.guide import Guide
from cairn.pathways.domain.outcome import Allocation, Effort, Outcome
from cairn.pathways.domain.outline import Branch, Slot
from cairn.pathways.domain.plan import Item, Plan
from cairn.pathways.domain.sharing import Lists, Way, branches_late, by_name, ways
from cairn.pathways.domain.walk import Found, States, Walk, merged

# How many steps it takes before it looks ahead, how many states then go on at first, and how many for the lists.
_PLAIN: Final = 1_000
_WIDTH: Final = 30
_LISTS: Final = 30
# How far beyond the bound on everything to look next, in times.
_FURTHER: Final = 4


class SharedWalk(Walk):
    """`whichever` asks for any allocation, be it not the best."""

    def __init__(self, plan: Plan, rules: Sequence[Rule], effort: Effort, goal: Goal, *, whichever: bool) -> None:
        super().__init__(plan, rules, effort, goal)
        self._whichever = whichever
        self._plain = _PLAIN
        self._listing = False
        self._ways: Mapping[Item, Sequence[Way]] = {}
        last = len(plan.ranks.leaf_rank) - 1
        self._bits = {leaf: 1 << last - rank for leaf, rank in plan.ranks.leaf_rank.items()}
        self._spelt: dict[int, tuple[str, ...]] = {}

    def run(self) -> Outcome:
        plan, every = self._plan, self._plan.items
        late: dict[Branch, list[Slot]] = {branch: [] for branch in plan.branches}
        for slot in plan.slots.values():
            for branch in slot.guard:
                late[branch].append(slot)
        can = late and plan.complete and not any(branch.guard for branch in plan.branches)
        for lately in (late, {}) if can else ({},):
            plan.use(every)
            self._late = lately
            found = self._set()
            if found is None:
                break
            chosen = {name for names in found[1].by_leaf.values() for name in names}
            plan.use([item.only(chosen) for item in every])
            self._late = {}
            found = self._set() if self._whichever else self._lists(*found)
            if found is not None:
                return Outcome(found[1], self._exact, not self._whichever)
        return Outcome(None, self._exact)

    def _set(self) -> Found:
        """The best set of credentials, each of which serves what it may."""
        turns = self._plan.order()
        self._ways = self._ways_to(listed=False)
        return self._searched(branches_late(turns) if self._late else turns)

    def _ways_to(self, *, listed: bool) -> dict[Item, list[Way]]:
        found: dict[Item, list[Way]] = {}
        for item in self._plan.items:
            found[item], every = ways(self._plan, item, self._effort, listed=listed)
            self._exact = self._exact and every
        return found

    def _lists(self, value: int, found: Allocation) -> Found:
        """The best lists of leaves for the credentials of an allocation of some value. None if they may not be used
        together."""
        plan, goal = self._plan, self._goal
        if not plan.complete:
            self._goal = Goal(found.progress, strict=goal.strict, missed=goal.missed)
            self._least = int(found.progress * plan.outline.whole)
        turns = by_name(plan.order())
        self._ways = self._ways_to(listed=True)
        lists = Lists(plan, turns)
        guide = Guide(None, lists, lists.views, lists.never - 1)
        self._listing, self._more = True, plan.complete
        best: Found = None
        for guide.width in (_LISTS, None):
            guide.lost = None
            best = self._best(self._through(turns, guide))
            # Nothing that was not followed has lists that come before these.
            if guide.lost is None or (best is not None and best[0] - value <= guide.lost):
                break
        else:
            self._exact = False
        self._listing, self._more = False, plan.complete and plan.generous
        return best

    def _guided(self, turns: Sequence[Slot | Item | Branch]) -> tuple[Found, bool]:
        """First the most promising states; then all that may come up to the bound on everything, or to a bit more."""
        plan, effort = self._plan, self._effort
        cover = Cover(
            plan, self._rules, turns, self._above, self._ways, strict=self._goal.strict, late=bool(self._late)
        )
        costs = sum(max(option.cost for option in item.options) for item in plan.items) + 1
        most = costs if self._complete else (1 - self._least << self._above) - 1
        effort.spent += cover.effort
        given = plan.outline.given << self._above
        least = (cover.improve((most + given >> cover.shift) + 1) << cover.shift) - given
        guide = Guide(None, cover, cover.views(), most, _WIDTH)
        best = self._best(self._through(turns, guide))
        further = cover.one << cover.shift
        while guide.lost is not None and not (best and self._whichever):
            most = best[0] if best else most
            guide.ceiling, guide.width, guide.lost = min(most, least + further), None, None
            found = self._best(self._through(turns, guide))
            best = found if best is None or (found is not None and found[0] < best[0]) else best
            if guide.lost is not None:
                return best, False
            if guide.ceiling < most and (best is None or best[0] > guide.ceiling):
                guide.lost = guide.ceiling
            further *= _FURTHER
        return best, True

    def _ways_of(self, item: Item) -> int:
        return len(self._ways[item]) + 1

    def _take(self, states: States, item: Item, supply: Sequence[int]) -> States:
        """Allocate one member of a class, or none, in each way. With the set settled, it is allocated."""
        above, listing = self._above, self._listing
        reached: States = {} if listing else dict(states)
        for way in self._ways[item]:
            groups = [
                [
                    (
                        0 if self._late else s.on,
                        s.shift,
                        s.mask,
                        s.need,
                        s.most,
                        s.exact,
                        s.unit << above,
                        s.scores,
                        *rest,
                    )
                    for s, *rest in group
                ]
                for group in (*way.groups, way.free)
            ]
            needed, place = len(way.groups), self._plan.ranks.leaf_shift[way.name]
            fits = sum({self._bits[o.slot.leaf.id] for o in item.options if o.candidate.id == way.name})
            forbid, mark, delta, cost = way.forbid, way.mark, way.delta, way.cost
            for state, (value, link) in states.items():
                if state & forbid:
                    continue
                after, worth, given = (state | mark) + delta, value + cost, 0
                for number, group in enumerate(groups):
                    before = given
                    for on, shift, mask, need, most, exact, unit, scores, inc, bit in group:
                        if state & on != on:
                            continue
                        have = state >> shift & mask
                        if most is not None and have + inc > most:
                            continue
                        given |= bit
                        gain = inc if have + inc <= need else max(need - have, 0)
                        after += (inc if exact else gain) << shift
                        if gain and state & scores == scores:
                            worth -= unit * gain
                    if given == before and number < needed:
                        break
                else:
                    if listing:
                        # Each leaf counts one, and each that is passed over before the last more than all after it.
                        worth += ((fits & ~given & -(given & -given)) + given.bit_count()) << place
                    if after not in reached or worth < reached[after][0]:
                        reached[after] = worth, (link, way.name, self._spelt.get(given) or self._spell(given))
        return reached

    def _spell(self, given: int) -> tuple[str, ...]:
        self._spelt[given] = tuple(leaf for leaf, bit in self._bits.items() if given & bit)
        return self._spelt[given]

    def _decide(self, states: States, branch: Branch, supply: Sequence[int]) -> States:
        """Late, a branch counts if its leaves have got what they need."""
        if not self._late:
            return super()._decide(states, branch, supply)
        choice, siblings = branch.choice, supply[0]
        shift, mask, n = choice.shift, choice.mask, choice.n
        fields = [(slot.shift, slot.mask, slot.need) for slot in self._late[branch]]

        def after(state: int) -> int:
            met = state >> shift & mask < n and all(state >> at & every >= need for at, every, need in fields)
            return state + (met << shift)

        reached = merged((after(state), entry) for state, entry in states.items())
        return {state: entry for state, entry in reached.items() if (state >> shift & mask) + siblings >= n}

    def _close(self, states: States, slot: Slot) -> States:
        if not (self._late and slot.guard):
            return super()._close(states, slot)
        # What a leaf has that will not be met no longer matters.
        field, met = slot.mask << slot.shift, slot.need << slot.shift
        return merged((state if state & field >= met else state & ~field, entry) for state, entry in states.items())
