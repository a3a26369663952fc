"""The audit: has this learner earned it, and if not, what is left?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from cairn.pathways.domain.framework import Framework, LossPolicy
from cairn.pathways.domain.holding import Holding, Standing
from cairn.pathways.domain.request import Decision, Spent

DEFAULT_STEPS: Final = 200_000


@dataclass(frozen=True, slots=True)
class NodeResult:
    """`needs` says what is still missing where it is still needed, and is None where nothing is: see `to_json`."""

    id: str
    met: bool
    allocated: tuple[str, ...]
    needs: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Unused:
    """Why a holding did not count."""

    holding: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left in all, by the cheapest way: credits as a decimal string, and a suggestion per leaf still open."""

    credits: str
    suggestions: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """The answer, with the allocation that proves it. `to_json` is the shape of STACKING.md; what it leaves out
    (`exhausted`, `standings`, `loss`) is there for `explain` and `transition`."""

    status: Literal["complete", "incomplete", "undetermined"]
    earned_at: datetime | None
    qualification: str
    version: str
    as_of: datetime
    allocation: Mapping[str, tuple[str, ...]]
    nodes: tuple[NodeResult, ...]
    unused: tuple[Unused, ...]
    remaining: Remaining
    digest: str
    exhausted: bool
    standings: Mapping[str, Standing]
    loss: LossPolicy

    def to_json(self) -> dict[str, object]:
        raise NotImplementedError


def audit(
    framework: Framework,
    holdings: Sequence[Holding],
    decisions: Sequence[Decision] = (),
    as_of: datetime | None = None,
    *,
    enrolled: datetime | None = None,
    awards: Mapping[str, Collection[str]] | None = None,
    spent: Sequence[Spent] = (),
    steps: int = DEFAULT_STEPS,
) -> Audit:
    """Audit one learner against one framework, at an instant.

    `awards` maps a qualification to the achievements its awards are of. `steps` bounds the effort; past it the answer
    may be `undetermined` and is never a wrong no. The order of `holdings` does not matter. Raises Refused when two
    unequal holdings share an id.
    """
    raise NotImplementedError
