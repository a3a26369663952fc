"""Cover: how good what a state can still become may be, where credentials are reused.

Then credentials compete for nothing, and leaves are what has a price: each credential is worth what all the leaves that
it may serve at once pay, and is taken if that is more than it costs. What the leaves pay for all they need, less what
is gained by each credential so taken, is a bound below which no allocation comes (as in `outlook`, of which this is the
first step only: the one in which credentials could be divided).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, TypeVar

from cairn.pathways.domain.gauges import Rule
from cairn.pathways.domain.outline import Branch, Choice, Slot
from cairn.pathways.domain.outlook import NEVER, Outlook, View, climb
from cairn.pathways.domain.plan import Item, Plan
from cairn.pathways.domain.sharing import Way

_T = TypeVar("_T")

# Steps towards better prices.
_STEPS: Final = 80
# So many steps of a walk each item takes in that.
_EACH: Final = 50


class Cover(Outlook):
    """Over the turns of a plan in which credentials are shared, each item in some `ways`. Bounds are values of states,
    dates and ids included."""

    def __init__(
        self,
        plan: Plan,
        rules: Sequence[Rule],
        turns: Sequence[Slot | Item | Branch],
        above: int,
        ways: Mapping[Item, Sequence[Way]],
        *,
        strict: bool,
        late: bool,
    ) -> None:
        super().__init__(plan, rules, turns, above, strict=strict)
        self._late = late
        row = {gauge.shift: len(self._bags) + number for number, gauge in enumerate(self._gauges)}
        place = {slot: number for number, slot in enumerate(self._bags)}
        self.effort = _EACH * len(ways)
        self._ways = [
            [
                (
                    self._coarse(way.cost),
                    [(place[s], min(inc, s.need)) for group in (way.free, *way.groups) for s, inc, _ in group if s.need]
                    + [(row[shift], amount) for shift, amount in way.moves.items() if shift in row],
                )
                for way in ways[turn]
            ]
            for turn in turns
            if isinstance(turn, Item)
        ]
        self.one = 1 << plan.ranks.count - self.shift
        self._less = sum(plan.ranks.passed_over.values())
        self._gives = {
            item: max((self._coarse(way.cost) << self.shift) - way.cost for way in some) for item, some in ways.items()
        }
        """For its date and id."""

    def _coarse(self, value: int) -> int:
        """A value but for dates and ids, which are taken off it."""
        return -(-value >> self.shift)

    def _per_item(self, prices: Sequence[int], came: list[int] | None = None) -> list[int]:
        per_item: list[int] = []
        for ways in self._ways:
            least, chosen = 0, None
            for cost, adds in ways:
                here = cost - sum([prices[row] * amount for row, amount in adds])
                if here < least:
                    least, chosen = here, adds
            per_item.append(least)
            if chosen is not None and came is not None:
                for row, amount in chosen:
                    came[row] += amount
        return per_item

    def improve(self, enough: int) -> int:
        bags = list(self._bags.values())
        complete = self._plan.complete
        start = [0 if complete else bag.unit // 2 for bag in bags] + self._sums
        most: list[int | None] = [None if complete else bag.unit for bag in bags]
        span = [max((inc for _, some in bag.items for _, inc, _ in some), default=1) or 1 for bag in bags]
        found, best = climb(self._divided, start, [*span, *self._span], [*most, *self._most], enough, _STEPS, 2)
        self._sums = found[len(bags) :]
        self._prices = [-each for each in self._per_item(found)]
        for price, bag in zip(found, bags, strict=False):
            left, size = 0, len(bag.tables[0])
            bag.tables = [self._table(bag.slot, price, bag.unit, left, size)]
            for _, some in reversed(bag.items):
                left += max(inc for _, inc, _ in some)
                bag.tables.append(self._table(bag.slot, price, bag.unit, left, size))
            bag.tables.reverse()
        return self._rounded(best)

    def _table(self, slot: Slot, price: int, unit: int, left: int, size: int) -> list[int]:
        """By how much a leaf has, what it pays for what it lacks, if so much is left to come at most."""
        lacks = [max(0, slot.need - have) for have in range(size)]
        return [NEVER if self._plan.complete and lack > left else price * lack - unit * slot.need for lack in lacks]

    def views(self) -> list[View]:
        found = super().views()
        left = dict.fromkeys(self._bags, 0)
        undecided: dict[Choice, list[list[Slot]]] = {}
        gives: list[int] = []
        for view, turn in zip(reversed(found), reversed(self._turns), strict=True):
            view.dates = [0, *accumulate(gives)]
            if self._late:
                view.choices.clear()
                view.late = [
                    (choice.shift, choice.mask, choice.n, [self._fields(slots, left) for slots in branches])
                    for choice, branches in undecided.items()
                ]
            if isinstance(turn, Item):
                gives = sorted([*gives, self._gives[turn]], reverse=True)
                for slot in turn.slots:
                    left[slot] += 1
            elif isinstance(turn, Branch):
                undecided.setdefault(turn.choice, []).append([slot for slot in self._bags if turn in slot.guard])
        return found

    def _fields(self, slots: Sequence[Slot], left: Mapping[Slot, int]) -> list[tuple[int, int, list[int]]]:
        return [(slot.shift, slot.mask, self._bags[slot].tables[-1 - left[slot]]) for slot in slots]

    def _rounded(self, least: int) -> int:
        """Credentials are whole."""
        return max(least, (least + self.one - 1 - self._less) // self.one * self.one)

    def of(self, states: Mapping[int, tuple[int, _T]], view: View) -> list[tuple[int, int]]:
        """For each state the least that it can come to, and the state."""
        shift, rest, leaves, choices, sums = self.shift, view.rest, view.leaves, view.choices, view.sums
        one, over, dates = self.one, self.one - 1 - self._less, view.dates
        last = len(dates) - 1
        found: list[tuple[int, int]] = []
        for state, (value, _) in states.items():
            so_far = -(-value >> shift)
            least = so_far + rest
            for at, mask, on, table in leaves:
                if state & on == on:
                    least += table[state >> at & mask]
            for at, mask, number, on, so_many in choices:
                if state & on == on:
                    more = number - (state >> at & mask)
                    least += so_many[more] if more < len(so_many) else so_many[-1]
            for at, mask, zero, price in sums:
                least += price * (zero - (state >> at & mask))
            for at, mask, number, some in view.late:
                more = number - (state >> at & mask)
                if more > 0:
                    costs = sorted([sum([table[state >> s & m] for s, m, table in slots]) for slots in some])
                    least += sum(costs[:more])
            whole = (least + over) // one * one
            least = max(whole, least, so_far) if self._plan.complete else max(whole, least)
            more = (least - so_far) // one if self._plan.complete else last
            # Unless it costs a credential more, it has no more than so many more dates.
            found.append((value + (least - so_far << shift) - dates[min(more, last)], state))
        return found
