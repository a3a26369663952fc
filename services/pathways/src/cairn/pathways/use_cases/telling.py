"""What an event says to pathways: facts to store, and whom they are about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cairn.common.consumer import Poison
from cairn.common.events import Event, fact_of
from cairn.common.events.models import (
    AchievementPublished,
    AchievementRetired,
    CredentialIssued,
    CredentialRenewed,
    CredentialStatusChanged,
    LearnerErased,
    LearnerMerged,
    LearnerUnmerged,
)
from cairn.common.events.models import Holding as Said
from cairn.common.tenancy import is_tenant
from cairn.pathways.domain import Holding, Refused, State, StatusEntry, parse_holding
from cairn.pathways.domain.holding import Credits, Grade
from cairn.pathways.domain.reading import LARGEST, is_decimal
from cairn.pathways.store.catalog import NewAchievement
from cairn.pathways.store.facts import NewHolding, NewLink, NewStatus

_STATES: Final = {
    "credential.suspended.v1": "suspended",
    "credential.reinstated.v1": "valid",
    "credential.revoked.v1": "revoked",
    "credential.expired.v1": "expired",
}


@dataclass(slots=True)
class Told:
    """What one event says. `learners` are all that it names, with their tenants; `touched` the one it is about."""

    event: Event
    learners: dict[str, str] = field(default_factory=dict[str, str])
    touched: str | None = None
    holding: NewHolding | None = None
    statuses: list[NewStatus] = field(default_factory=list[NewStatus])
    link: NewLink | None = None
    achievement: NewAchievement | None = None
    erased: LearnerErased | None = None


def tell(event: Event) -> Told:
    """Raises Poison for what cannot be taken, and MalformedEvent."""
    told = Told(event)
    match fact_of(event):
        case CredentialIssued() as fact:
            _about(told, fact.learner)
            holding = plain_holding(fact.holding) or read_holding(event, fact.holding)
            told.holding = NewHolding(event.tenant, fact.learner, holding, fact.award)
            told.statuses = [
                NewStatus(event.tenant, holding.id, entry.at, entry.state, event.id) for entry in holding.status
            ]
        case CredentialStatusChanged() as fact:
            _about(told, fact.learner)
            state = _STATES[event.type]
            told.statuses = [NewStatus(event.tenant, fact.credential, fact.at, state, event.id)]
        case CredentialRenewed() as fact:
            _about(told, fact.learner)
            told.statuses = [NewStatus(event.tenant, fact.supersedes, fact.at, "superseded", event.id)]
        case LearnerMerged() | LearnerUnmerged() as fact:
            _link(told, fact)
        case LearnerErased() as fact:
            _about(told, fact.learner)
            told.erased = fact
        case AchievementPublished() as fact:
            told.achievement = NewAchievement(event.tenant, fact.achievement, fact.to_json())
        case AchievementRetired() as fact:
            told.achievement = NewAchievement(event.tenant, fact.achievement, retired_at=fact.at)
        case _:
            pass  # what else is on these topics is for others
    return told


def read_holding(event: Event, said: Said) -> Holding:
    """As any JSON is read. Raises Poison, which says what was refused and where."""
    try:
        return parse_holding(said.to_json())
    except Refused as refused:
        codes = ", ".join(f"{problem.code} at {problem.path}" for problem in refused.problems)
        raise Poison(event, "malformed", f"the holding was refused: {codes}") from None


def plain_holding(said: Said) -> Holding | None:
    """What `read_holding` makes of a holding such as ours are, in a quarter of the time; None where it is for that to
    judge."""
    worth, grade, assessed = said.credits, said.grade, said.assessment
    score = None if grade is None or (grade.points, grade.scale) != (None, None) else grade.score
    texts = said.id, said.achievement, said.issuer, *said.type, *said.area, *said.tag, *said.skill, *said.accredited_by
    others = *said.components, said.mode, said.attempt_of, worth and worth.unit
    if "" in texts or "" in others or not all(0 <= step <= LARGEST for step in said.level.values()):
        return None
    if worth is not None and not is_decimal(str(worth.value)):
        return None
    if grade is not None and (score is None or not is_decimal(str(score)) or score > 1):
        return None
    return Holding(
        id=said.id,
        achievement=said.achievement,
        issuer=said.issuer,
        earned=said.earned,
        type=said.type,
        credits=worth and Credits(worth.value, worth.unit),
        level=said.level,
        grade=None if score is None else Grade(score),
        area=said.area,
        tag=said.tag,
        skill=said.skill,
        supervised=assessed and assessed.supervised,
        identity_verified=assessed and assessed.identity_verified,
        mode=said.mode,
        source=said.source,
        accredited_by=said.accredited_by,
        valid_until=said.valid_until,
        attempt_of=said.attempt_of,
        components=said.components,
        status=tuple(StatusEntry(entry.at, State(entry.state)) for entry in said.status),
    )


def _about(told: Told, learner: str) -> None:
    told.learners[learner] = told.event.tenant
    told.touched = learner


def _link(told: Told, fact: LearnerMerged | LearnerUnmerged) -> None:
    """A merge is said twice. What is said under the merged learner's key only makes that learner known here."""
    event = told.event
    if event.key == fact.merged:
        told.learners[fact.merged] = event.tenant
        return
    if event.key != fact.learner or not is_tenant(fact.merged_tenant) or fact.learner == fact.merged:
        raise Poison(event, "malformed", "the merge is said under the key of neither learner, or names no tenant")
    _about(told, fact.learner)
    told.learners[fact.merged] = fact.merged_tenant
    merged = isinstance(fact, LearnerMerged)
    told.link = NewLink(
        event.tenant, fact.learner, fact.merged_tenant, fact.merged, fact.consent, fact.at, merged=merged
    )
