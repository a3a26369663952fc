"""Guides: which states of a walk are followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from cairn.pathways.domain.outcome import Effort
from cairn.pathways.domain.outlook import View

_Way = TypeVar("_Way")

# How many states live on at the most once the effort is spent.
_NARROW: Final = 32


def narrow(weight: int) -> int:
    """How many live on where each is `weight` steps: enough for a sensible allocation, though not to prove it best."""
    return max(1, _NARROW // weight)


class Crowded(Exception):
    """There are too many states to follow them all without looking ahead."""


class Ahead(Protocol):
    """What tells how good a state can still become."""

    def of(self, states: Mapping[int, tuple[int, _Way]], view: View) -> list[tuple[int, int]]:
        """For each state the least that it can come to, and the state."""
        ...


@dataclass(slots=True)
class Guide:
    """All states, up to `plain` steps; or, by an outlook, those that may come up to `ceiling`, and of these the best
    `width`. `lost` is the best that was not followed for that."""

    plain: int | None = None
    outlook: Ahead | None = None
    views: Sequence[View] = ()
    ceiling: int = 0
    width: int | None = None
    lost: int | None = None

    def promising(
        self, states: Mapping[int, tuple[int, _Way]], place: int, effort: Effort, weight: int
    ) -> dict[int, tuple[int, _Way]]:
        """Those to follow after a turn. `weight` is how many steps each of them is."""
        if self.outlook is None:
            return dict(states)
        effort.spent += len(states) * weight
        some = [each for each in self.outlook.of(states, self.views[place]) if each[0] <= self.ceiling]
        beyond = effort.spent + 4 * len(some) * weight > effort.limit
        width = narrow(weight) if beyond else self.width
        if width is not None and len(some) > width:
            some.sort()
            self.lost = some[width][0] if self.lost is None else min(some[width][0], self.lost)
            del some[width:]
        return {state: states[state] for _, state in some}
