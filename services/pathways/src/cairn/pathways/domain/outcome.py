"""What comes of looking for an allocation, and what it may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from cairn.pathways.domain.limits import Judgement


@dataclass(frozen=True, slots=True)
class Allocation:
    """The holdings given to each leaf that got any, sorted, and how far that goes (1 is complete). `judged` says how it
    stands with each limit, and `unmet` which it does not meet."""

    by_leaf: Mapping[str, tuple[str, ...]]
    progress: Fraction
    counting: frozenset[str] = frozenset()
    """The leaves that count: those of which each branch above does."""
    unmet: frozenset[str] = frozenset()
    judged: Mapping[str, Judgement] = field(default_factory=dict[str, Judgement])


@dataclass(slots=True)
class Effort:
    """A bound on the work, in steps (a state extended in one way). Past it only a narrow search goes on. As much again
    may be spent on looking ahead."""

    limit: int
    spent: int = 0
    ahead: int = 0

    def part(self, steps: int) -> Effort:
        """A bound on the next so many steps, which are spent for both."""
        self.spent = min(self.spent + steps, self.limit)
        return Effort(self.spent, self.spent - steps)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`allocation` is None if none completes; unless `exact`, that is not proven, nor is an allocation the best.
    Unless `best`, it was not looked for the best."""

    allocation: Allocation | None
    exact: bool
    best: bool = True
