"""Matching: the parts of an allocation in which every credential counts for one.

Where each leaf asks for so many credentials, or for credits that any one of its credentials has, the sets of
credentials that can be placed together are the independent sets of a matroid. Taking them in the order of their cost,
each that still can be placed beside those before it, therefore ends with the best set (Rado, Edmonds), whatever the
leaves compete for; and a set of leaves and a set of credentials that can each be served can be served together
(Mendelsohn and Dulmage, 1958), so that progress may be settled first. The dynamic programme of `walk` would need a
state for each set of leaves that are open at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import accumulate, pairwise
from typing import Final

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.outline import Choice, Slot
from cairn.pathways.domain.plan import Item, Option, Part, Plan, tied

# With fewer that fit several leaves there are few states.
SMALL: Final = 6


def parts(plan: Plan) -> list[Part]:
    """The independent parts of a plan."""
    choices = (some for some in plan.outline.choices if some[0].leaf.id in plan.slots)
    found = [Part(some, []) for some in tied(plan.slots.values(), [*(item.slots for item in plan.items), *choices])]
    of = {slot: part for part in found for slot in part.slots}
    for item in plan.items:
        of[item.options[0].slot].items.append(item)
    return found


def matchable(part: Part, plan: Plan) -> bool:
    """Whether every credential counts for one in a part, and each choice is between leaves that ask for one."""
    options: dict[Slot, list[Option]] = {slot: [] for slot in part.slots}
    for item in part.items:
        for option in item.options:
            if option.forbid or option.mark:
                return False
            options[option.slot].append(option)
    for slot, own in options.items():
        if not slot.need:
            return False
        whole = all(option.inc >= slot.need for option in own)
        if not (whole or all(option.inc == 1 for option in own)):
            return False
        asks = part.asks[slot] = 1 if whole else slot.need
        if plan.generous and not _all_or_none(slot, own, asks):
            return False
        if slot.guard and (len(slot.guard) > 1 or asks > 1 or any(branch.bonus for branch in slot.guard)):
            return False
    alone = [branch for slot in part.slots for branch in slot.guard]
    choices = {branch.choice for branch in alone}
    return len(set(alone)) == len(alone) == sum(branch.choice in choices for branch in plan.branches)


def _all_or_none(slot: Slot, options: Sequence[Option], asks: int) -> bool:
    """Whether there is room for any number beyond what a leaf asks for, or for none."""
    incs = sorted(option.inc for option in options)
    return slot.most is None or len(incs) <= asks or sum(incs[: asks + 1]) > slot.most


class Places:
    """What can be placed where, in numbers.

    A leaf has a *pool* of so many places (`caps`), and so has all that several leaves have together: a choice, of which
    so many branches count; and, where all is not complete, leaves of the same weight in progress. `above` gives for
    each leaf its pools from the narrowest on, `below` the leaves of each pool; the first pools are the leaves
    themselves. `fits` gives the leaves of each candidate. Of a `kind` one is placed: members of one class that fit the
    same leaves.
    """

    def __init__(self, caps: Iterable[int]) -> None:
        self.caps = list(caps)
        self.below: list[list[int]] = [[leaf] for leaf in range(len(self.caps))]
        self.above: list[list[int]] = [[leaf] for leaf in range(len(self.caps))]
        self.fits: Sequence[Sequence[int]] = ()
        self.kinds: Sequence[object] = ()

    def pool(self, leaves: Iterable[int], cap: int) -> int:
        """A pool of several leaves. Returns its number."""
        self.below.append(list(leaves))
        for leaf in self.below[-1]:
            self.above[leaf].append(len(self.caps))
        self.caps.append(cap)
        return len(self.caps) - 1


class Board(Places):
    """The places of some parts: candidates in the order of their ids, leaves in the order of theirs. `apart` holds
    those who may not go with one, though they are of another kind: the other members of its class. What is `loose` may
    be placed beyond what its leaves ask for. `wanted` is how many places there are, `weights` are the pools of leaves
    of one weight."""

    def __init__(self, some: Sequence[Part], *, complete: bool) -> None:
        by_name = sorted((slot.leaf.id, slot, ask) for part in some for slot, ask in part.asks.items())
        self.leaves = [name for name, _, _ in by_name]
        asks = {slot: ask for _, slot, ask in by_name}
        self.slots = list(asks)
        super().__init__(asks.values())
        self.complete = complete
        self.shares = [slot.share(ask) for slot, ask in asks.items()]
        choices: dict[Choice, list[int]] = {}
        weights: dict[int, list[int]] = {}
        for leaf, slot in enumerate(self.slots):
            if slot.guard:
                choices.setdefault(slot.guard[0].choice, []).append(leaf)
            if not complete:
                weights.setdefault(self.shares[leaf], []).append(leaf)
        self.wanted = sum(ask for slot, ask in asks.items() if not slot.guard)
        for choice, leaves in choices.items():
            self.pool(leaves, choice.n)
            self.wanted += choice.n
        self.weights = {weight: self.pool(leaves, 0) for weight, leaves in weights.items()}
        self._seat([item for part in some for item in part.items])

    def _seat(self, items: Sequence[Item]) -> None:
        place = {slot: leaf for leaf, slot in enumerate(self.slots)}
        fits: dict[str, set[int]] = {}
        candidates: dict[str, Candidate] = {}
        loose: set[str] = set()
        for option in (option for item in items for option in item.options):
            slot, name = option.slot, option.candidate.id
            candidates[name] = option.candidate
            fits.setdefault(name, set()).add(place[slot])
            # Where all is complete, a branch that is asked for no more may count all the same.
            if slot.most is None or (self.complete and slot.guard):
                loose.add(name)
        self.names = sorted(fits)
        self.candidates = [candidates[name] for name in self.names]
        self.fits = [sorted(fits[name]) for name in self.names]
        self.loose = [name in loose for name in self.names]
        numbers = {name: number for number, name in enumerate(self.names)}
        kinds = [0] * len(self.names)
        self.apart: dict[int, list[int]] = {}
        count = 0
        for item in items:
            members = sorted({numbers[o.candidate.id] for o in item.options})
            alike: dict[tuple[int, ...], int] = {}
            for member in members:
                fitted = tuple(self.fits[member])
                if fitted not in alike:
                    alike[fitted] = count
                    count += 1
                kinds[member] = alike[fitted]
            for member in members if len(alike) > 1 else ():
                self.apart[member] = [other for other in members if kinds[other] != kinds[member]]
        self.kinds = kinds


class Matching:
    """What is placed, and where. What is placed stays placed, though perhaps elsewhere."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.at: dict[int, int] = {}
        self._held: list[list[int]] = [[] for _ in places.above]
        self._used = [0] * len(places.caps)
        self._of_kind: dict[object, int] = {}
        self.stays: set[int] = set()

    def add(self, one: int) -> bool:
        """Place one more, if there is a way."""
        kind = self._places.kinds[one]
        if kind in self._of_kind:
            return False
        end, into, via = self._search(one, self._places.fits[one])
        if end < 0:
            return False
        self._of_kind[kind] = one
        self._follow(one, end, into, via)
        return True

    def add_at(self, one: int, leaf: int) -> bool:
        """Place one more at a leaf, if that has room for it, where it stays."""
        if any(self._used[pool] >= self._places.caps[pool] for pool in self._places.above[leaf]):
            return False
        self._of_kind[self._places.kinds[one]] = one
        self.stays.add(one)
        self._put(one, leaf)
        return True

    def copy(self) -> Matching:
        other = Matching(self._places)
        other.at = dict(self.at)
        other._held = [list(some) for some in self._held]
        other._used = list(self._used)
        other._of_kind = dict(self._of_kind)
        return other

    def rivals(self, one: int) -> list[int]:
        """Those in whose stead one that cannot be added could be placed."""
        mate = self._of_kind.get(self._places.kinds[one])
        return [mate] if mate is not None else sorted(self._search(one, self._places.fits[one])[2])

    def swap(self, one: int, out: int) -> None:
        """Place one in the stead of a rival."""
        kinds = self._places.kinds
        del self._of_kind[kinds[out]]
        self._of_kind[kinds[one]] = one
        if kinds[one] == kinds[out]:
            self._put(one, self._lift(out))
            return
        _, into, via = self._search(one, self._places.fits[one])
        self._lift(out)
        self._follow(one, via[out], into, via)

    def _search(self, one: int, leaves: Iterable[int]) -> tuple[int, dict[int, int], dict[int, int]]:
        """The leaf where a shortest chain of moves ends that makes room for one more at one of some leaves, or -1; who
        would move to each leaf that was looked at; and for each who might give way the leaf that it would do so for.

        Where a pool is full, whoever is in it may give way; and that is all that can help, as long as it is full."""
        places, used = self._places, self._used
        caps, above, below, fits = places.caps, places.above, places.below, places.fits
        into = dict.fromkeys(leaves, one)
        via: dict[int, int] = {}
        opened: set[int] = set()
        queue = list(into)
        for leaf in queue:
            for pool in above[leaf]:
                if used[pool] >= caps[pool]:
                    break
            else:
                return leaf, into, via
            if pool in opened:
                continue
            opened.add(pool)
            for crowded in below[pool]:
                for other in self._held[crowded]:
                    if other in via or other in self.stays:
                        continue
                    via[other] = leaf
                    for free in fits[other]:
                        if free not in into and free != crowded:
                            into[free] = other
                            queue.append(free)
        return -1, into, via

    def _follow(self, one: int, end: int, into: dict[int, int], via: dict[int, int]) -> None:
        while (mover := into[end]) != one:
            self._lift(mover)
            self._put(mover, end)
            end = via[mover]
        self._put(one, end)

    def _lift(self, one: int) -> int:
        leaf = self.at.pop(one)
        self._held[leaf].remove(one)
        for pool in self._places.above[leaf]:
            self._used[pool] -= 1
        return leaf

    def _put(self, one: int, leaf: int) -> None:
        self.at[one] = leaf
        self._held[leaf].append(one)
        for pool in self._places.above[leaf]:
            self._used[pool] += 1

    def settle(self) -> None:
        """In the order of candidates, move each to the first leaf that leaves room for the others."""
        for one in sorted(self.at):
            now = self._lift(one)
            for leaf in self._places.fits[one]:
                if leaf == now:
                    self._put(one, leaf)
                    break
                end, into, via = self._search(one, (leaf,))
                if end >= 0:
                    self._follow(one, end, into, via)
                    break
            self.stays.add(one)


def fill(board: Board, order: Sequence[int]) -> Matching:
    """The best of all sets that fill most, where `order` is from the best to the worst."""
    if board.weights:
        # The weightiest leaves first; then each weight may have as many as it got, and no more.
        first = Matching(board)
        for _, pool in sorted(board.weights.items(), reverse=True):
            before = len(first.at)
            board.caps[pool] = len(order)
            for one in order:
                if one not in first.at:
                    first.add(one)
            board.caps[pool] = len(first.at) - before
    matching = Matching(board)
    for one in order:
        matching.add(one)
    return matching


def levels(weights: Sequence[int], most: Sequence[int]) -> Iterator[tuple[int, list[list[int]]]]:
    """From the most progress down: how much it is, and how many places of each weight may be filled for that, in every
    way. `weights` come from the heaviest on, with how many places can be filled of each beside all heavier ones."""
    steps = [weight - lighter for weight, lighter in pairwise([*weights, 0])]
    totals = list(accumulate(most))
    top = sum(weight * count for weight, count in zip(weights, most, strict=True))
    # As every way has no more of the heaviest ones than that, for any number of them, what it has less is moved on from
    # each weight to the next, and from the lightest to nowhere.
    queue = [(0, (0,) * len(weights))]
    seen = set(queue)
    while queue:
        loss, ways = queue[0][0], list[list[int]]()
        while queue and queue[0][0] == loss:
            _, moved = heappop(queue)
            counts = [count + more - less for count, more, less in zip(most, (0, *moved), moved, strict=False)]
            if all(count >= 0 for count in counts):
                ways.append(counts)
            for place, step in enumerate(steps):
                after = loss + step, (*moved[:place], moved[place] + 1, *moved[place + 1 :])
                if moved[place] < totals[place] and after not in seen:
                    seen.add(after)
                    heappush(queue, after)
        if ways:
            yield top - loss, ways
