"""Sharing: the ways to give one credential to leaves, where credentials are reused.

Which leaves a credential is said to serve is what the objective compares last. So the walk looks first for the best set
of credentials, of which each serves whatever it may: where neither a maximum, nor a limit, nor a pair tells two leaves
apart, to serve both is as good as to serve one. That leaves few ways. Then it walks over that set only, for the leaves.

Lists of leaf ids compare word by word: [a, b] comes before [b], and [a] before [a, b]. Of leaves that nothing tells
apart the best list therefore has all up to some last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeVar

from cairn.pathways.domain.bounds import weight
from cairn.pathways.domain.outcome import Effort
from cairn.pathways.domain.outline import Branch, Slot
from cairn.pathways.domain.outlook import View
from cairn.pathways.domain.plan import Item, Option, Plan

_T = TypeVar("_T")

# What an option does to limits that does nothing.
_NONE: Final = (0, 0, ())
# How many sets of leaves are tried for one credential.
_SETS: Final = 64


@dataclass(frozen=True, slots=True)
class Way:
    """A member of a class given to leaves, each with how much it gets and its bit in a list of leaves: to those that
    count, and to one at least in each of the `groups` but the first (`free`). The rest is as in an option."""

    name: str
    free: Sequence[tuple[Slot, int, int]]
    groups: Sequence[Sequence[tuple[Slot, int, int]]]
    cost: int
    forbid: int
    mark: int
    moves: Mapping[int, int]

    @property
    def delta(self) -> int:
        return sum(amount << shift for shift, amount in self.moves.items())


def ways(plan: Plan, item: Item, effort: Effort, *, listed: bool) -> tuple[list[Way], bool]:
    """Those that can be of use: for the best set of credentials or, with `listed`, for the best list of leaves. Tells
    also whether these are all that there are within the effort."""
    found: list[Way] = []
    exact = True
    for _, some in groupby(item.options, key=lambda option: option.candidate.id):
        options = sorted(some, key=lambda option: plan.ranks.leaf_rank[option.slot.leaf.id])
        sets, every = _furthest(plan, options, effort)
        chosen: dict[tuple[Option, ...], None] = {}
        for each in sets:
            for size in range(1 if listed else len(each), len(each) + 1):
                chosen[each[:size]] = None
        found.extend(_way(plan, each) for each in chosen)
        exact = exact and every
    return found, exact


def branches_late(turns: Sequence[Slot | Item | Branch]) -> list[Slot | Item | Branch]:
    """Each branch right after the last of its leaves is closed."""
    last = {branch: turn for turn in turns if isinstance(turn, Slot) for branch in turn.guard}
    found: list[Slot | Item | Branch] = [turn for turn in turns if isinstance(turn, Branch) and turn not in last]
    for turn in turns:
        if not isinstance(turn, Branch):
            found += [turn, *(branch for branch, slot in last.items() if slot is turn)]
    return found


def by_name(turns: Sequence[Slot | Item | Branch]) -> list[Slot | Item | Branch]:
    """Credentials in the order of their ids, in which their lists of leaves are compared; a branch before the first
    that may go there, a leaf after the last."""
    items = sorted((turn for turn in turns if isinstance(turn, Item)), key=lambda item: item.options[0].candidate.id)
    last = {slot: item for item in items for slot in item.slots}
    found: dict[Slot | Item | Branch, None] = {}
    for item in items:
        for slot in item.slots:
            found |= dict.fromkeys(slot.guard)
        found[item] = None
        found |= dict.fromkeys(slot for slot in item.slots if last[slot] is item)
    return list(found | dict.fromkeys(turn for turn in turns if isinstance(turn, Branch)) | dict.fromkeys(turns))


class Lists:
    """The lists of leaves so far as what to go by. Those from which not all leaves can get what they need come to
    nothing."""

    def __init__(self, plan: Plan, turns: Sequence[Slot | Item | Branch]) -> None:
        self._mask = (1 << plan.ranks.lists) - 1
        self.never = 2 << plan.ranks.lists
        left = dict.fromkeys(plan.slots.values(), 0)
        self.views: list[View] = []
        for turn in reversed(turns):
            begun = [slot for slot, rest in left.items() if plan.complete and 0 < rest < slot.need]
            self.views.append(View(0, [(s.shift, s.mask, s.on, self._table(s, left[s])) for s in begun]))
            if isinstance(turn, Item):
                for slot, most in turn.slots.items():
                    left[slot] += most
        self.views.reverse()

    def _table(self, slot: Slot, rest: int) -> list[int]:
        return [self.never if have + rest < slot.need else 0 for have in range(slot.mask + 1)]

    def of(self, states: Mapping[int, tuple[int, _T]], view: View) -> list[tuple[int, int]]:
        """For each state its lists, and the state."""
        return [
            (
                (value & self._mask)
                + sum([table[state >> at & mask] for at, mask, on, table in view.leaves if state & on == on]),
                state,
            )
            for state, (value, _) in states.items()
        ]


def _furthest(plan: Plan, options: Sequence[Option], effort: Effort) -> tuple[list[tuple[Option, ...]], bool]:
    """The sets of leaves that may share a credential and to which none can be added for nothing, in their order; and
    whether these are all."""
    if plan.reuse.scope == "pairs":
        may = {frozenset(pair.leaves) for pair in plan.reuse.pairs}
        beside = [[o for o in options if o is each or _pair(o, each) in may] for each in options]
    else:
        beside = [list(options)] * len(options)
    units: dict[object, list[Option]] = {}
    fits: list[set[Option]] = []
    for option, others in zip(options, beside, strict=True):
        # Leaves that nothing tells apart, and that may go with the same others, go together.
        key = option if _bound(plan, option, options) else (_traits(option), *others)
        if key not in units:
            fits.append(set(others))
        units.setdefault(key, []).append(option)
    sets: list[list[Option]] = [[]]
    exact, most = True, max(2, _SETS // weight(len(plan.sharing)))
    for unit, others in zip(units.values(), fits, strict=True):
        effort.spent += len(sets)
        exact = exact and len(sets) < most and effort.spent < effort.limit
        sets += [[*some, *unit] for some in (sets if exact else sets[:1]) if others.issuperset(some)]
    found: list[tuple[Option, ...]] = []
    for some in sets[1:]:
        traits = {_NONE, *map(_traits, some)}
        if not any(
            unit[0] not in some
            and _traits(unit[0]) in traits
            and others.issuperset(some)
            and not _bound(plan, unit[0], some)
            for unit, others in zip(units.values(), fits, strict=True)
        ):
            found.append(tuple(sorted(some, key=options.index)))
    return found, exact


def _pair(one: Option, other: Option) -> frozenset[str]:
    return frozenset((one.slot.leaf.id, other.slot.leaf.id))


def _traits(option: Option) -> tuple[int, int, tuple[tuple[int, int], ...]]:
    """What tells its leaf apart from others."""
    return option.forbid, option.mark, option.gauges


def _bound(plan: Plan, option: Option, others: Iterable[Option]) -> bool:
    """Whether it may be better not to give it to a leaf beside others, though it changes no limit."""
    slot = option.slot
    if slot.most is not None and sum([item.slots[slot] for item in plan.items_of[slot]]) > slot.most:
        return True
    return bool(plan.sharing) and any(_pair(option, other) in plan.sharing for other in others)


def _way(plan: Plan, options: Sequence[Option]) -> Way:
    groups: dict[object, list[tuple[Slot, int, int]]] = {}
    bound = {option for option in options if _bound(plan, option, options)}
    # What these do is done with them, whether or not another leaf that does it counts.
    done = {_NONE, *map(_traits, bound)}
    moves: dict[int, int] = {}
    forbid, mark, last = 0, 0, len(plan.ranks.leaf_rank) - 1
    for option in options:
        key = option if option in bound else None if _traits(option) in done else _traits(option)
        bit = 1 << last - plan.ranks.leaf_rank[option.slot.leaf.id]
        groups.setdefault(key, []).append((option.slot, option.inc, bit))
        forbid |= option.forbid
        mark |= option.mark
        moves |= option.gauges
    candidate = options[0].candidate
    leaves = {option.slot.leaf.id for option in options}
    for pair, (shift, amounts) in plan.sharing.items():
        if pair <= leaves:
            moves[shift] = amounts[candidate.id]
    free = groups.pop(None, ())
    rest = tuple(groups.values())
    base = plan.ranks.base(candidate)
    return Way(candidate.id, free if rest else (), rest or (free,), base, forbid, mark, moves)
