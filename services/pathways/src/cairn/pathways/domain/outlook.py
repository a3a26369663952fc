"""Outlook: how good what a state can still become may be.

Where many credentials compete for leaves that take several, or limits look at some leaves only, the walk has too many
states to follow them all. Most lead nowhere, and prices tell which (Lagrange; Held and Karp, 1971): each credential has
one, which every leaf pays that takes it, and each limit pays for what adds to its sum. Then nothing competes, and each
leaf takes what is cheapest for it, as it would pack a bag. Less than that in all, with the prices given back once,
nothing can cost; so a state that cannot come up to an allocation that is at hand, even at these prices, need not be
followed.

The better the prices, the closer that bound. They are improved step by step, each towards what is taken too often or
too seldom (a subgradient, with part of the step before in it: Camerini, Fratta and Maffioli, 1975): first as if
credentials could be divided, when a price for each leaf says it all, and then with whole ones. Any prices give a sound
bound: nothing depends on how good they are but the effort. All numbers are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, TypeVar

from cairn.pathways.domain.gauges import Gauge, Rule
from cairn.pathways.domain.outline import Branch, Choice, Slot
from cairn.pathways.domain.plan import Item, Plan

_Way = TypeVar("_Way")

# Steps towards better prices, divided and whole; and how many without success make the next ones shorter.
_DIVIDED: Final = 300
_WHOLE: Final = 60
_PATIENCE: Final = 6
# So many steps of a walk each option takes in all that.
_EACH: Final = 100
# Directions are kept in units of 1/_FINE.
_FINE: Final = 1 << 16
# More than anything costs.
NEVER: Final = 1 << 256

# What an item costs a leaf, how much it adds, and what it adds to which sums.
_Ways = list[tuple[int, int, list[tuple[int, int]]]]


@dataclass(slots=True)
class View:
    """What is to come after a turn, at the prices: `rest` is what is given back of the prices; then, for each leaf that
    is open, its field, the bits that say that it counts, and what it costs by how much it has; for each choice that is
    open its field, its number, the bits, and what so many more branches cost; for each sum its field and its price.

    Where credentials are reused (`cover`), also the most that so many more of them give for their `dates`; and for each
    choice of which no branch counts yet its field, its number, and the leaves of each branch."""

    rest: int
    leaves: list[tuple[int, int, int, list[int]]] = field(default_factory=list[tuple[int, int, int, list[int]]])
    choices: list[tuple[int, int, int, int, list[int]]] = field(
        default_factory=list[tuple[int, int, int, int, list[int]]]
    )
    sums: Sequence[tuple[int, int, int, int]] = ()
    dates: Sequence[int] = ()
    late: Sequence[tuple[int, int, int, list[list[tuple[int, int, list[int]]]]]] = ()


class _Bag:
    """A leaf with all that may come to it, in the order of the walk. `unit` is what each gives that it lacks."""

    def __init__(self, slot: Slot, unit: int, *, complete: bool) -> None:
        self.slot = slot
        self.unit = unit
        self.items: list[tuple[int, _Ways]] = []
        top = slot.most if slot.exact and slot.most is not None else slot.need
        self._end = [
            NEVER if complete and have < slot.need else -unit * min(have, slot.need) for have in range(top + 1)
        ]
        self.tables: list[list[int]] = [self._end]
        """What it comes to, before each item and at the end, by how much it has."""

    def _reached(self, table: list[int], inc: int) -> list[int]:
        """By how much it has, what it comes to with so much more."""
        slot, count = self.slot, len(table)
        reached = table[inc:]
        if slot.exact:
            return reached + [NEVER] * (count - len(reached))
        reached += [table[-1]] * (count - len(reached))
        if slot.most is not None:
            fits = max(0, slot.most - inc + 1)
            reached[fits:] = [NEVER] * (count - len(reached[:fits]))
        return reached

    def lay(self, prices: Sequence[int], sums: Sequence[int]) -> None:
        table = self._end
        self.tables = [table]
        for number, ways in reversed(self.items):
            best = table
            for cost, inc, adds in ways:
                here = cost + prices[number]
                for row, amount in adds:
                    here -= sums[row] * amount
                best = [min(a, b + here) for a, b in zip(best, self._reached(table, inc), strict=True)]
            table = best
            self.tables.append(table)
        self.tables.reverse()

    def taken(self, prices: Sequence[int], sums: Sequence[int]) -> list[tuple[int, list[tuple[int, int]]]]:
        """Which items it takes, and what they add to sums."""
        found: list[tuple[int, list[tuple[int, int]]]] = []
        have, top = 0, len(self._end) - 1
        for place, (number, ways) in enumerate(self.items):
            here, table = self.tables[place][have], self.tables[place + 1]
            if here == table[have]:
                continue
            for cost, inc, adds in ways:
                after = min(have + inc, top)
                value = cost + prices[number] - sum(sums[row] * amount for row, amount in adds) + table[after]
                if value == here:
                    found.append((number, adds))
                    have = after
                    break
        return found


class Outlook:
    """Over the turns of a plan in which no credential is shared. `above` is where progress stands in the value of a
    state. Bounds are in units of 2 to the `shift`: below that are dates and ids, which prices do not look at."""

    def __init__(
        self, plan: Plan, rules: Sequence[Rule], turns: Sequence[Slot | Item | Branch], above: int, *, strict: bool
    ) -> None:
        self.shift = plan.ranks.coarse
        self._plan = plan
        self._turns = turns
        self._rivals: dict[Choice, list[Branch]] = {}
        """The branches of each choice. Those within come after those around them."""
        for branch in plan.branches:
            self._rivals.setdefault(branch.choice, []).append(branch)
        self._whole = plan.outline.whole << above - self.shift
        miss = 1 << max(0, plan.ranks.above - self.shift)
        self._gauges: list[Gauge] = []
        most: list[int | None] = []
        for rule in rules:
            for gauge in rule.gauges if not rule.active else ():
                self._gauges.append(gauge)
                most.append(None if rule.hard or strict else miss // len(rule.gauges))
        row = {gauge.shift: number for number, gauge in enumerate(self._gauges)}
        self._bags = {
            slot: _Bag(slot, slot.unit << above - self.shift, complete=plan.complete) for slot in plan.slots.values()
        }
        place = {slot: number for number, slot in enumerate(self._bags)}
        items = [turn for turn in turns if isinstance(turn, Item)]
        self._options: list[list[tuple[int, int, int, list[tuple[int, int]]]]] = []
        self._span = [1] * len(row)
        worst = [0] * len(row)
        for number, item in enumerate(items):
            ways: dict[Slot, _Ways] = {}
            low = [0] * len(row)
            for option in item.options:
                adds = [(row[shift], amount) for shift, amount in option.gauges if shift in row]
                ways.setdefault(option.slot, []).append((option.cost >> self.shift, option.inc, adds))
                for at, amount in adds:
                    self._span[at] = max(self._span[at], abs(amount))
                    low[at] = min(low[at], amount)
            worst = [a + b for a, b in zip(worst, low, strict=True)]
            for slot, some in ways.items():
                self._bags[slot].items.append((number, some))
            self._options.append([(place[slot], *way) for slot, some in ways.items() for way in some])
        self._lacks = [gauge.zero - gauge.start for gauge in self._gauges]
        # A limit that may be missed cannot ask for more than a miss costs.
        self._most = [
            None if top is None else top // max(1, lack - least)
            for top, lack, least in zip(most, self._lacks, worst, strict=True)
        ]
        self._prices = [0] * len(items)
        self._sums = [0] * len(row)
        self.effort = _EACH * sum(map(len, self._options))
        """What better prices take, in steps of a walk."""

    def improve(self, enough: int) -> int:
        """Find good prices. Returns the bound on everything; it is no use to get it beyond `enough`."""
        bags = list(self._bags.values())
        complete = self._plan.complete
        inc = [max((inc for _, ways in bag.items for _, inc, _ in ways), default=1) or 1 for bag in bags]
        start = [0 if complete else bag.unit // 2 for bag in bags] + self._sums
        most: list[int | None] = [None if complete else bag.unit for bag in bags]
        found, _ = climb(self._divided, start, [*inc, *self._span], [*most, *self._most], enough, _DIVIDED, 2)
        self._sums = found[len(bags) :]
        self._prices = [-each for each in self._per_item(found)]
        count = len(self._prices)
        start = [*self._prices, *self._sums]
        found, best = climb(
            self._undivided, start, [1] * count + self._span, [None] * count + self._most, enough, _WHOLE, 6
        )
        self._lay(found)
        return best

    def _lay(self, prices: list[int]) -> None:
        count = len(self._prices)
        self._prices, self._sums = prices[:count], prices[count:]
        for bag in self._bags.values():
            bag.lay(self._prices, self._sums)

    def _per_item(self, prices: Sequence[int], came: list[int] | None = None) -> list[int]:
        """What comes of each item at the best of some prices for leaves and sums; and what then `came` to each."""
        count = len(self._bags)
        per_item: list[int] = []
        for options in self._options:
            least, chosen = 0, None
            for option in options:
                leaf, cost, inc, adds = option
                cost -= prices[leaf] * inc
                for row, amount in adds:
                    cost -= prices[count + row] * amount
                if cost < least:
                    least, chosen = cost, option
            per_item.append(least)
            if chosen is not None and came is not None:
                came[chosen[0]] += chosen[2]
                for row, amount in chosen[3]:
                    came[count + row] += amount
        return per_item

    def _divided(self, prices: list[int]) -> tuple[int, list[int]]:
        """The bound at some prices for leaves and sums, and what each lacks."""
        came = [0] * len(prices)
        total = sum(self._per_item(prices, came))
        each = {
            slot: (price - (0 if self._plan.complete else bag.unit)) * slot.need
            for price, (slot, bag) in zip(prices, self._bags.items(), strict=False)
        }
        costs, required = self._required(each)
        counting = self._counting(costs)
        lacks = [slot.need if counting.issuperset(slot.guard) else 0 for slot in self._bags] + self._lacks
        total += sum(price * lack for price, lack in zip(prices[len(each) :], self._lacks, strict=True))
        return total + required, [lack - came for lack, came in zip(lacks, came, strict=True)]

    def _undivided(self, prices: list[int]) -> tuple[int, list[int]]:
        """The bound at some prices for items and sums, and how often each item is taken beyond once, and what each sum
        lacks."""
        self._lay(prices)
        costs, total = self._required({slot: bag.tables[0][0] for slot, bag in self._bags.items()})
        over, lacks = [-1] * len(self._prices), list(self._lacks)
        total += sum(price * lack for price, lack in zip(self._sums, lacks, strict=True)) - sum(self._prices)
        counting = self._counting(costs)
        for slot, bag in self._bags.items():
            if counting.issuperset(slot.guard):
                for number, adds in bag.taken(self._prices, self._sums):
                    over[number] += 1
                    for row, amount in adds:
                        lacks[row] -= amount
        return total, over + lacks

    def _counting(self, costs: Mapping[Branch, int]) -> set[Branch]:
        """The cheapest branches."""
        counting: set[Branch] = set()
        for choice, some in self._rivals.items():
            if counting.issuperset(some[0].guard):
                counting.update(sorted(some, key=costs.__getitem__)[: choice.n])
        return counting

    def _required(self, each: Mapping[Slot, int]) -> tuple[dict[Branch, int], int]:
        """What each branch costs if it counts, and all that has to count, given what each leaf does."""
        plan = self._plan
        costs: dict[Branch, int] = {branch: -int(branch.bonus * self._whole) for branch in plan.branches}
        top = 0
        for slot, cost in each.items():
            if slot.guard:
                costs[slot.guard[-1]] += cost
            else:
                top += cost
        for choice, some in reversed(self._rivals.items()):
            if plan.outline.split:
                for branch in some:
                    costs[branch] = min(costs[branch], -int(branch.idle * self._whole))
            least = sum(sorted(costs[branch] for branch in some)[: choice.n])
            if some[0].guard:
                costs[some[0].guard[-1]] += least
            else:
                top += least
        return costs, top

    def views(self) -> list[View]:
        """After each turn, what is to come."""
        costs, _ = self._required({slot: bag.tables[0][0] for slot, bag in self._bags.items()})
        split = self._plan.outline.split
        sums = [
            (gauge.shift, gauge.mask, gauge.zero, price)
            for gauge, price in zip(self._gauges, self._sums, strict=True)
            if price
        ]
        left = dict.fromkeys(self._bags, 0)
        undecided: dict[Branch, None] = {}
        prices = iter(reversed(self._prices))
        rest = 0
        found: list[View] = []
        for turn in reversed(self._turns):
            view = View(rest, sums=sums)
            for slot, bag in self._bags.items():
                if left[slot] and undecided.keys().isdisjoint(slot.guard):
                    on = slot.scores if split else slot.on
                    # What it has is in the value of the state already.
                    table = [
                        value + bag.unit * min(have, slot.need)
                        for have, value in enumerate(bag.tables[-1 - left[slot]])
                    ]
                    view.leaves.append((slot.shift, slot.mask, on, table))
            open_: dict[Choice, list[Branch]] = {}
            for branch in undecided:
                if undecided.keys().isdisjoint(branch.guard):
                    open_.setdefault(branch.choice, []).append(branch)
            for choice, some in open_.items():
                on = sum(branch.score if split else branch.bit for branch in some[0].guard)
                shift = choice.score_shift if split else choice.shift
                so_many = [0, *accumulate(sorted(costs[branch] for branch in some))]
                view.choices.append((shift, choice.mask, choice.n, on, so_many))
            found.append(view)
            if isinstance(turn, Item):
                rest -= next(prices)
                for slot in turn.slots:
                    left[slot] += 1
            elif isinstance(turn, Branch):
                undecided[turn] = None
        return found[::-1]

    def of(self, states: Mapping[int, tuple[int, _Way]], view: View) -> list[tuple[int, int]]:
        """For each state the least that it can come to, and the state."""
        shift, rest, leaves, choices, sums = self.shift, view.rest, view.leaves, view.choices, view.sums
        found: list[tuple[int, int]] = []
        for state, (value, _) in states.items():
            least = (value >> shift) + rest
            for at, mask, on, table in leaves:
                if state & on == on:
                    least += table[state >> at & mask]
            for at, mask, number, on, so_many in choices:
                if state & on == on:
                    more = number - (state >> at & mask)
                    least += so_many[more] if more < len(so_many) else so_many[-1]
            for at, mask, zero, price in sums:
                least += price * (zero - (state >> at & mask))
            found.append((least, state))
        return found


def climb(
    bound_at: Callable[[list[int]], tuple[int, list[int]]],
    prices: list[int],
    span: Sequence[int],
    most: Sequence[int | None],
    enough: int,
    steps: int,
    gentle: int,
) -> tuple[list[int], int]:
    """From some prices to better ones: those, and the bound at them. `bound_at` tells the bound and what each price
    lacks, `span` how much of it one credential makes, `most` how far a price may rise. The first step aims at a part of
    the bound, the smaller the more `gentle`."""
    bound, lacks = bound_at(prices)
    best, found = bound, prices
    pull = [0] * len(prices)
    step, fails = (max(abs(bound), 1 << 12) if bound < 0 else enough - bound) >> gentle, 0
    for _ in range(steps):
        size = 0
        for row, lack in enumerate(lacks):
            price, top = prices[row], most[row]
            way = lack * _FINE // span[row] + pull[row] * 7 // 10
            if (way < 0 and price <= 0) or (way > 0 and top is not None and price >= top):
                way = 0
            pull[row] = way
            size += way * way
        if not size or not step or best > enough:
            break
        length = (best + step - bound) * _FINE
        prices = [
            _within(price + length * way // (size * each), top) if way else price
            for price, way, each, top in zip(prices, pull, span, most, strict=True)
        ]
        bound, lacks = bound_at(prices)
        if bound > best:
            fails = 0
            if bound >= best + step // 2:
                step *= 2
            best, found = bound, prices
        else:
            fails += 1
            if fails >= _PATIENCE:
                step, fails = step * 2 // 3, 0
    return found, best


def _within(price: int, top: int | None) -> int:
    return max(0, price if top is None else min(price, top))
