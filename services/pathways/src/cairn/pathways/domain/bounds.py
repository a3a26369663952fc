"""Bounds: which states of a walk need not be followed, for what limits ask."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from cairn.pathways.domain.gauges import Rule
from cairn.pathways.domain.plan import Item, Plan

_Way = TypeVar("_Way")

# Fewer states are not worth comparing.
_FEW: Final = 32


def weight(rules: int) -> int:
    """How many steps it is to extend a state in one way, and to hold it against so many rules."""
    return 1 + rules // 8


class _Bound:
    """A rule between two turns. A sum beyond `high` stays at or above zero whatever comes, one below `low` does not
    reach it any more."""

    __slots__ = ("_fields", "_lost", "_marks", "_possible")

    def __init__(self, rule: Rule, ahead: Mapping[int, tuple[int, int]], values: int, *, strict: bool) -> None:
        self._fields = [
            (gauge.shift, gauge.mask, gauge.zero - ahead[gauge.shift][1], gauge.zero - ahead[gauge.shift][0])
            for gauge in rule.gauges
        ]
        self._lost = rule.hard or (strict and not rule.active)
        self._marks = rule.marks
        self._possible = 0 if rule.marks is None else values & rule.marks.bits

    def clamped(self, state: int) -> int | None:
        for shift, mask, low, high in self._fields:
            value = state >> shift & mask
            if value < low:
                if self._lost:
                    return None
                state += (low - 1 - value) << shift
            elif value > high:
                state -= (value - high) << shift
        marks = self._marks
        if marks is not None:
            count = (state & marks.bits).bit_count()
            if self._lost and marks.max is not None and count > marks.max:
                return None
            if marks.max is None and count >= marks.min:
                return state | marks.bits
            if self._lost and ((state | self._possible) & marks.bits).bit_count() < marks.min:
                return None
        return state


class Bounds:
    """Of all rules. States are what they are in `walk`: each has its cost, and how it came about."""

    def __init__(self, plan: Plan, rules: Sequence[Rule], *, strict: bool) -> None:
        self._plan = plan
        self._rules = rules
        self._strict = strict
        self._sums = sum(gauge.mask << gauge.shift for rule in rules for gauge in rule.gauges)
        self._carries = sum(gauge.carry for rule in rules for gauge in rule.gauges)

    def after(self, turns: Sequence[object]) -> list[Sequence[_Bound]]:
        """After each item, how the rules are bounded by what can still come."""
        ahead = {gauge.shift: (0, 0) for rule in self._rules for gauge in rule.gauges}
        values = 0
        found: list[Sequence[_Bound]] = []
        for turn in reversed(turns):
            if not isinstance(turn, Item) or not self._rules:
                found.append(())
                continue
            found.append([_Bound(rule, ahead, values, strict=self._strict) for rule in self._rules])
            moves: dict[int, list[int]] = {}
            for option in turn.options:
                values |= option.mark
                for shift, amount in option.gauges:
                    moves.setdefault(shift, []).append(amount)
                for shift, amounts in self._plan.sharing.values():
                    moves.setdefault(shift, []).append(amounts.get(option.candidate.id, 0))
            for shift, amounts in moves.items():
                worst, best = ahead[shift]
                ahead[shift] = worst + min(0, *amounts), best + max(0, *amounts)
        return found[::-1]

    def kept(self, states: Mapping[int, tuple[int, _Way]], bounds: Sequence[_Bound]) -> dict[int, tuple[int, _Way]]:
        """Drop states in which a rule can no longer be met though it must; make those alike in which what still comes
        makes no difference to it."""
        reached: dict[int, tuple[int, _Way]] = {}
        for state, entry in states.items():
            after: int | None = state
            for bound in bounds:
                after = bound.clamped(after)
                if after is None:
                    break
            if after is not None and (after not in reached or entry[0] < reached[after][0]):
                reached[after] = entry
        return self._undominated(reached) if self._sums and len(reached) > _FEW else reached

    def _undominated(self, states: dict[int, tuple[int, _Way]]) -> dict[int, tuple[int, _Way]]:
        """Drop states that are no better in any sum than another one, which is the same in all else and costs no more:
        a larger sum is never worse."""
        sums, carries = self._sums, self._carries
        alike: dict[int, list[tuple[int, int]]] = {}
        for state, (value, _) in states.items():
            alike.setdefault(state & ~sums, []).append((value, state))
        reached: dict[int, tuple[int, _Way]] = {}
        for some in alike.values():
            kept: list[int] = []
            for _, state in sorted(some):
                own = state & sums
                for better in kept:
                    # A field that lacks something borrows its carry.
                    if (better - own) & carries == carries:
                        break
                else:
                    kept.append(own | carries)
                    reached[state] = states[state]
        return reached
