"""Candidates: holdings that may be allocated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cairn.pathways.domain.holding import Holding
from cairn.pathways.domain.limits import Counted


@dataclass(slots=True, eq=False)
class Candidate:
    """A holding that may be allocated at the instant in question.

    `worth` is what it adds to each leaf it fits: 1, or its credits, which may be none, in units of 1/`grain`, as its
    `credits` are. Of the candidates of one `kind` (its class) at most one is allocated, except that `repeatable` ones
    do not count against it. `until` is when it ceases to be valid.
    """

    id: str
    holding: Holding
    kind: str
    worth: Mapping[str, int]
    credits: int = 0
    grain: int = 1
    repeatable: bool = False
    until: datetime | None = None

    @property
    def outside(self) -> bool:
        """Whether it is recognised from elsewhere."""
        return self.holding.source in ("rpl", "external")

    def counted(self, leaves: Sequence[str]) -> Counted:
        """As limits look at it."""
        return Counted(self.holding, self.credits, self.grain, leaves)
