"""Selectors: which holdings fit. A conjunction of tests; an absent or null key of the holding matches nothing."""

from dataclasses import dataclass
from decimal import Decimal

from cairn.pathways.domain.holding import Grade


@dataclass(frozen=True, slots=True)
class GradeFloor:
    """The least grade asked for: a share of full marks (`scale` is None), or points on a named scale."""

    min: Decimal
    scale: str | None = None

    def met_by(self, grade: Grade | None) -> bool:
        """A grade on another scale does not meet it: scales never convert without a table."""
        return grade is not None and grade.scale == self.scale and grade.value >= self.min


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of tests. `{}` matches all."""
