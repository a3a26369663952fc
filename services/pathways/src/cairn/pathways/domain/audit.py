"""The audit: has this learner earned it, and if not, what is left?"""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final, Literal

from cairn.common.instants import format_instant
from cairn.pathways.domain.allocation import allocate
from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.canonical import array, canonical, digest
from cairn.pathways.domain.decisions import Decision, Rpl, merge_decisions
from cairn.pathways.domain.eligibility import BEGINNING, Case, Timeline
from cairn.pathways.domain.errors import Problem, Refused
from cairn.pathways.domain.findings import Findings
from cairn.pathways.domain.framework import Framework, LossPolicy, Validity
from cairn.pathways.domain.holding import Holding, Standing, merge_duplicates
from cairn.pathways.domain.outcome import Allocation, Effort, Outcome
from cairn.pathways.domain.request import Spent
from cairn.pathways.domain.results import LimitResult, NodeResult, Remaining, Unused

# The walk has so many, and looking ahead as many again: a third of a second to some three seconds in all. The tests
# show what fits well within it.
DEFAULT_STEPS: Final = 200_000

Status = Literal["complete", "incomplete", "undetermined"]


@dataclass(frozen=True, slots=True)
class Audit:
    """The answer, with the allocation that proves it. `to_json` is the shape of STACKING.md: the explanation in it is
    worked out from the `findings` when somebody asks. What it leaves out is there for `explain` and `transition`:
    whether the bound on effort decided the answer (`exhausted`), whether the allocation is proven to be the best
    (`best`), the state of every holding at `as_of` (`standings`),
    and the framework's validity and policy on loss. `valid_until` is, under the validity `always`, when the first of
    the components ceases to be valid."""

    status: Status
    earned_at: datetime | None
    qualification: str
    version: str
    as_of: datetime
    allocation: Mapping[str, tuple[str, ...]]
    digest: str
    exhausted: bool
    best: bool
    standings: Mapping[str, Standing]
    loss: LossPolicy
    findings: Findings = field(repr=False, compare=False)
    validity: Validity = "award"
    valid_until: datetime | None = None

    @property
    def nodes(self) -> tuple[NodeResult, ...]:
        return self.findings.nodes

    @property
    def limits(self) -> tuple[LimitResult, ...]:
        return self.findings.limits

    @property
    def unused(self) -> tuple[Unused, ...]:
        return self.findings.unused

    @property
    def remaining(self) -> Remaining:
        return self.findings.remaining

    def answer(self) -> dict[str, object]:
        """The part of `to_json` that is stored."""
        return {
            "status": self.status,
            "earnedAt": self.earned_at and format_instant(self.earned_at),
            "framework": self.qualification,
            "version": self.version,
            "asOf": format_instant(self.as_of),
            "allocation": {leaf: list(ids) for leaf, ids in self.allocation.items()},
        }

    def to_json(self, titles: Mapping[str, str] | None = None) -> dict[str, object]:
        """`framework` is the qualification. Only an award that lives with its components has a `validUntil`. `titles`
        names achievements for those who read why a credential did not count; what it lacks goes by the last part of its
        id."""
        until = {"validUntil": self.valid_until and format_instant(self.valid_until)}
        return {
            **self.answer(),
            **(until if self.validity == "always" else {}),
            "nodes": [node.to_json() for node in self.nodes],
            "limits": [limit.to_json() for limit in self.limits],
            "unused": [entry.to_json(titles or {}) for entry in self.unused],
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
    it the answer may be `undetermined`, never a wrong no. Neither the order of `holdings` and `decisions` nor equal
    duplicates matter; a decision about what is not there does nothing. In the framework `lint` finds nothing of kind
    `structure`. Raises Refused when two unequal holdings or decisions share an id, and ValueError for an instant
    without a time zone.
    """
    if as_of.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    case = _case(framework, holdings, decisions, as_of.astimezone(UTC), enrolled, awards or {}, spent)
    certain = _Search(case, Timeline(case, trusting=False), steps)
    found, proven = certain.complete()
    status: Status = "complete" if proven else "undetermined"
    possible = None
    if found is None:
        if any(holding.doubtful for holding in case.usable):
            # Valid throughout is the most that the unknown can turn out to be: what is not enough then never is.
            possible, sure = _Search(case, Timeline(case, trusting=True), steps).complete()
            proven = sure and (proven or possible is None)
        status = "undetermined" if possible is not None or not proven else "incomplete"
    at, since, allocation, best = found or certain.best()
    if status != "complete":
        since = None
    held = certain.timeline.candidates(at)
    findings = Findings(case, at, held, allocation, complete=found is not None, doubted=possible is not None)
    inputs = case.holdings if not case.recognised else [h for h in case.holdings if h.id not in case.recognised]
    return Audit(
        status=status,
        earned_at=since,
        qualification=framework.qualification,
        version=framework.version,
        as_of=case.as_of,
        allocation=allocation.by_leaf,
        digest=_digest(case, inputs, spent),
        exhausted=status == "undetermined" and not proven,
        best=best,
        standings=case.standings,
        loss=framework.loss,
        findings=findings,
        validity=framework.validity,
        valid_until=_first_end(held, allocation) if status == "complete" and framework.validity == "always" else None,
    )


def _case(
    framework: Framework,
    holdings: Sequence[Holding],
    decisions: Sequence[Decision],
    as_of: datetime,
    enrolled: datetime | None,
    awards: Mapping[str, Collection[str]],
    spent: Sequence[Spent],
) -> Case:
    decided = merge_decisions(decisions)
    recognised = [decision.holding for decision in decided if isinstance(decision, Rpl)]
    merged = merge_duplicates(holdings)
    if taken := {holding.id for holding in recognised} & {holding.id for holding in merged}:
        detail = f"A holding and a decision have the id {min(taken)!r}."
        raise Refused(
            [Problem("structure", "conflicting-duplicate", "/decisions", detail, "Give one of them another id.")]
        )
    together = tuple(sorted((*merged, *recognised), key=lambda holding: holding.id)) if recognised else merged
    elsewhere = {each.holding for each in spent if each.qualification != framework.qualification}
    barred = frozenset(elsewhere if not framework.reuse.across else ())
    return Case(framework, together, as_of, enrolled, awards, decided, barred)


_Found = tuple[datetime, datetime | None, Allocation, bool]


class _Search:
    """For the instants at which the rules hold. An allocation with which they do is a proof; that there is none is one
    only where the effort sufficed."""

    def __init__(self, case: Case, timeline: Timeline, steps: int) -> None:
        self._case = case
        self.timeline = timeline
        self._steps = steps
        self._effort = Effort(steps)
        self._exact = True

    def complete(self) -> tuple[_Found | None, bool]:
        """The instant that the allocation is made for, the award date, the allocation, and whether that is certainly
        the best (None if there is no such instant); and whether there is one, and when, is proven."""
        found = self._now() if self._case.framework.validity == "always" else self._earliest()
        return found, self._exact

    def best(self) -> _Found:
        """How far the learner is at `as_of`, where they do not."""
        case = self._case
        problem = case.problem(case.as_of, self.timeline.candidates(case.as_of))
        outcome = allocate(problem, Effort(self._steps), complete=False)
        return case.as_of, None, outcome.allocation or Allocation({}, Fraction(0)), outcome.exact

    def _allocated(self, at: datetime, barred: frozenset[str] = frozenset(), *, whichever: bool = False) -> Outcome:
        """The best allocation with which the rules hold at an instant, or whichever is found first."""
        problem = self._case.problem(at, self.timeline.candidates(at), barred)
        return allocate(problem, self._effort, complete=True, whichever=whichever)

    def _holds(self, at: datetime, barred: frozenset[str] = frozenset(), *, whichever: bool = False) -> Outcome:
        """Likewise; a no that is not proven leaves the answer open."""
        outcome = self._allocated(at, barred, whichever=whichever)
        self._exact = self._exact and (outcome.exact or outcome.allocation is not None)
        return outcome

    def _earliest(self) -> _Found | None:
        """The first instant at which the rules hold."""
        instants = self.timeline.instants()
        found: dict[int, Outcome] = {}

        def holds(place: int) -> bool:
            found[place] = self._holds(instants[place], whichever=place > 0)
            return found[place].allocation is not None

        if not self.timeline.steady:
            first = next((place for place in range(len(instants)) if holds(place)), None)
        elif not instants or holds(0):
            first = 0 if instants else None
        elif holds(len(instants) - 1):
            first = bisect_left(range(1, len(instants) - 1), True, key=holds) + 1
        else:
            first = None
        if first is None:
            return None
        at, outcome = instants[first], found[first]
        if not outcome.best or not outcome.exact:
            better = self._allocated(at)
            outcome = better if better.allocation is not None else outcome
        assert outcome.allocation is not None
        return at, self._since(at), outcome.allocation, outcome.best and outcome.exact

    def _since(self, instant: datetime) -> datetime:
        """What has always held has no first instant, and so is earned when it is asked for."""
        return self._case.as_of if instant == BEGINNING else instant

    def _now(self) -> _Found | None:
        """Whether the rules hold at `as_of`, and since when without a break."""
        case, timeline = self._case, self.timeline
        turns = timeline.turns(every=True)
        outcome = self._holds(case.as_of) if turns else None
        if outcome is None or outcome.allocation is None:
            return None
        allocation, best = self._longest(outcome.allocation, exact=outcome.exact)
        since, last = turns[-1], allocation
        for turn in reversed(turns):
            if not self._lasted(last, turn, since):
                earlier = self._holds(turn, whichever=True).allocation
                if earlier is None:
                    break
                last = earlier
            since = turn
        return case.as_of, self._since(since), allocation, best

    def _lasted(self, allocation: Allocation, turn: datetime, since: datetime) -> bool:
        """Whether an allocation that was good at `since` plainly was so at `turn`, before it."""
        case = self._case
        if case.decisions or case.framework.timed or any(limit.looks_at_all for limit in case.framework.limits):
            return turn == since
        names = {name for held in allocation.by_leaf.values() for name in held}
        return all(any(p.covers(turn) and p.covers(since) for p in self.timeline.periods[name]) for name in names)

    def _longest(self, allocation: Allocation, *, exact: bool) -> tuple[Allocation, bool]:
        """Of all allocations at `as_of` the best of those that stay valid longest; and whether that is certain."""
        held = self.timeline.candidates(self._case.as_of)
        first = _first_end(held, allocation)
        # Without an end at all is best; then the latest end. Those up to the first are no better than it.
        later = sorted({c.until for c in held if c.until is not None and first is not None and c.until > first})
        for end in (None, *reversed(later)) if first is not None else ():
            barred = frozenset(c.id for c in held if c.until is not None and (end is None or c.until < end))
            found = self._holds(self._case.as_of, barred)
            if found.allocation is not None:
                return found.allocation, found.exact
        return allocation, exact


def _first_end(held: Sequence[Candidate], allocation: Allocation) -> datetime | None:
    names = {name for some in allocation.by_leaf.values() for name in some}
    return min((c.until for c in held if c.id in names and c.until is not None), default=None)


def _digest(case: Case, holdings: Sequence[Holding], spent: Sequence[Spent]) -> str:
    """SHA-256 of the RFC 8785 form of everything the answer follows from: the request of `POST /v1/audits` with its
    lists sorted and its holdings and decisions in normal form."""
    return digest(
        {
            "asOf": canonical(format_instant(case.as_of)),
            "awards": canonical({qualification: sorted(ids) for qualification, ids in case.awards.items()}),
            "decisions": array([decision.canonical for decision in case.decisions]),
            "enrolled": canonical(case.enrolled and format_instant(case.enrolled)),
            "framework": case.framework.canonical,
            "holdings": array([holding.canonical for holding in holdings]),
            "spent": array(sorted(canonical({"holding": s.holding, "qualification": s.qualification}) for s in spent)),
        }
    )
