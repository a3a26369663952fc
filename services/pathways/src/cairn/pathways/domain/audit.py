"""The audit: has this learner earned it, and if not, what is left?"""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final, Literal

from cairn.common.instants import format_instant
from cairn.pathways.domain.allocation import Allocation, Effort, allocate
from cairn.pathways.domain.canonical import array, canonical, digest
from cairn.pathways.domain.decisions import Decision
from cairn.pathways.domain.eligibility import Case, Timeline
from cairn.pathways.domain.findings import Findings, NodeResult, Remaining, Unused
from cairn.pathways.domain.framework import Framework, LossPolicy
from cairn.pathways.domain.holding import Holding, Standing, merge_duplicates
from cairn.pathways.domain.request import Spent

# About a third of a second; see the tests for what fits well within it.
DEFAULT_STEPS: Final = 200_000

Status = Literal["complete", "incomplete", "undetermined"]


@dataclass(frozen=True, slots=True)
class Audit:
    """The answer, with the allocation that proves it. `to_json` is the shape of STACKING.md. What it leaves out is
    there for `explain` and `transition`: whether the bound on effort decided the answer (`exhausted`), the state of
    every holding at `as_of` (`standings`), and the framework's policy on loss."""

    status: Status
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
        """`framework` is the qualification. `limits` is empty while frameworks cannot have any."""
        return {
            "status": self.status,
            "earnedAt": self.earned_at and format_instant(self.earned_at),
            "framework": self.qualification,
            "version": self.version,
            "asOf": format_instant(self.as_of),
            "allocation": {leaf: list(ids) for leaf, ids in self.allocation.items()},
            "nodes": [node.to_json() for node in self.nodes],
            "limits": [],
            "unused": [entry.to_json() for entry in self.unused],
            "remaining": self.remaining.to_json(),
            "digest": self.digest,
        }


def audit(
    framework: Framework,
    holdings: Sequence[Holding],
    decisions: Sequence[Decision],
    as_of: datetime,
    *,
    enrolled: datetime | None = None,
    awards: Mapping[str, Collection[str]] | None = None,
    spent: Sequence[Spent] = (),
    steps: int = DEFAULT_STEPS,
) -> Audit:
    """Audit one learner against one framework, at an instant.

    `awards` maps a qualification to the achievements its awards are of. `steps` bounds the effort of each search; past
    it the answer may be `undetermined`, never a wrong no. Neither the order of `holdings` nor equal duplicates matter.
    The framework is one that `lint` finds nothing wrong with. Raises Refused when two unequal holdings share an id, and
    ValueError for an instant without a time zone, and for any decision: there are none yet.
    """
    if decisions:
        raise ValueError("decisions are not yet supported")
    if as_of.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    case = Case(framework, merge_duplicates(holdings), as_of.astimezone(UTC), enrolled, awards or {})
    certain = Timeline(case, trusting=False)
    found, proven = _earliest(case, certain, steps)
    status: Status = "complete"
    if found is None:
        hopeful = Timeline(case, trusting=True)
        possible = None
        if hopeful.periods != certain.periods:
            # Valid throughout is the most that the unknown can turn out to be: what is not enough then never is.
            possible, sure = _earliest(case, hopeful, steps)
            proven = sure and (proven or possible is None)
        status = "undetermined" if possible is not None or not proven else "incomplete"
    at, allocation = found or (case.as_of, _best(case, certain, steps))
    earned_at = at if found is not None else None
    if found is None and allocation.progress == 1 and _in_force(case):
        # Only after the bound was hit: the search for the first instant gave up on what this one came across.
        status, earned_at = "complete", at
    findings = Findings(case, at, certain.candidates(at), allocation)
    return Audit(
        status=status,
        earned_at=earned_at,
        qualification=framework.qualification,
        version=framework.version,
        as_of=case.as_of,
        allocation=allocation.by_leaf,
        nodes=findings.nodes,
        unused=findings.unused,
        remaining=findings.remaining,
        digest=_digest(case, spent),
        exhausted=status == "undetermined" and not proven,
        standings=case.standings,
        loss=framework.loss,
    )


def _earliest(case: Case, timeline: Timeline, steps: int) -> tuple[tuple[datetime, Allocation] | None, bool]:
    """The first instant at which the rules hold, with the best allocation then; and whether a None is proven."""
    instants = timeline.instants()
    effort = Effort(steps)
    found: dict[int, Allocation] = {}
    proven = True

    def holds(place: int) -> bool:
        nonlocal proven
        outcome = allocate(case.framework.root, timeline.candidates(instants[place]), effort, complete=True)
        proven = proven and (outcome.exact or outcome.allocation is not None)
        if outcome.allocation is not None:
            found[place] = outcome.allocation
        return outcome.allocation is not None

    if not timeline.steady:
        first = next((place for place in range(len(instants)) if holds(place)), None)
    elif not instants or holds(0):
        first = 0 if instants else None
    elif holds(len(instants) - 1):
        first = bisect_left(range(1, len(instants) - 1), True, key=holds) + 1
    else:
        first = None
    if first is None:
        return None, proven
    earned = instants[first]
    if not found[first].by_leaf and case.framework.effective_from is None:
        # It asks nothing and always held: there is no first instant, so it is earned when it is asked for.
        earned = case.as_of
    return (earned, found[first]), True


def _best(case: Case, timeline: Timeline, steps: int) -> Allocation:
    """How far the learner is at `as_of`."""
    outcome = allocate(case.framework.root, timeline.candidates(case.as_of), Effort(steps), complete=False)
    return outcome.allocation or Allocation({}, Fraction(0))


def _in_force(case: Case) -> bool:
    start = case.framework.effective_from
    return start is None or start <= case.as_of


def _digest(case: Case, spent: Sequence[Spent]) -> str:
    """SHA-256 of the RFC 8785 form of everything the answer follows from: the request of `POST /v1/audits` with its
    lists sorted and its holdings in normal form."""
    return digest(
        {
            "asOf": canonical(format_instant(case.as_of)),
            "awards": canonical({qualification: sorted(ids) for qualification, ids in case.awards.items()}),
            "decisions": b"[]",
            "enrolled": canonical(case.enrolled and format_instant(case.enrolled)),
            "framework": case.framework.canonical,
            "holdings": array([holding.canonical for holding in case.holdings]),
            "spent": array(sorted(canonical({"holding": s.holding, "qualification": s.qualification}) for s in spent)),
        }
    )
