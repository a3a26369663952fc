"""What an allocation is to reach, and what can still be reached on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from cairn.pathways.domain.outline import Branch, Slot
from cairn.pathways.domain.plan import Item, Plan


@dataclass(frozen=True, slots=True)
class Goal:
    """What an allocation is of no use without: `least` is how far it must go, and with `strict` it meets every rule.
    Otherwise it may miss `missed` limits."""

    least: Fraction = Fraction(0)
    strict: bool = False
    missed: int = 0

    def ahead(self, plan: Plan, turns: Sequence[Slot | Item | Branch]) -> list[tuple[int, list[tuple[Slot, int]]]]:
        """After each turn, the progress that what was not begun can still give; and the leaves that are open, with how
        much can still come to each."""
        if not self.least:
            return [(0, []) for _ in turns]
        whole, branches = plan.outline.whole, 0
        supply = {slot: sum(item.slots[slot] for item in plan.items_of[slot]) for slot in plan.slots.values()}
        left: dict[Slot, int] = {}
        found: list[tuple[int, list[tuple[Slot, int]]]] = []
        for turn in reversed(turns):
            begun = [(slot, rest) for slot, rest in left.items() if rest < supply[slot]]
            fresh = sum(slot.unit * min(slot.need, rest) for slot, rest in left.items() if rest == supply[slot])
            found.append((branches + fresh, begun))
            if isinstance(turn, Slot):
                left[turn] = 0
            elif isinstance(turn, Branch):
                branches += int(max(turn.bonus, turn.idle) * whole)
            else:
                for slot, most in turn.slots.items():
                    left[slot] += most
        return found[::-1]
