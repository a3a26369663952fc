"""What pathways says of awards, and of how far learners are: facts for `qualifications`, under the learner's key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from cairn.common.events import Event
from cairn.common.events.models import (
    Fact,
    QualificationCompleted,
    QualificationLapsed,
    QualificationProgressed,
    QualificationRestored,
)
from cairn.pathways.domain import Audit, Award, Transition

_ACTIONS: Final[Mapping[str, Literal["revoke", "suspend", "review"]]] = {
    "revoked": "revoke",
    "suspended": "suspend",
    "review": "review",
}


@dataclass(frozen=True, slots=True)
class Saying:
    """`subject` tells the sayings of one instant apart."""

    type: str
    tenant: str
    learner: str
    subject: str
    fact: Fact

    def event(self, now: datetime, traceparent: str | None = None) -> Event:
        return Event(
            type=self.type,
            source="/pathways",
            subject=self.subject,
            tenant=self.tenant,
            key=self.learner,
            data=self.fact.to_json(),
            time=now,
            traceparent=traceparent,
        )


def progressed(result: Audit, tenant: str, learner: str, framework: str, now: datetime) -> Saying:
    fact = QualificationProgressed(
        learner=learner,
        qualification=result.qualification,
        version=result.version,
        status=result.status,
        progress=result.findings.progress,
        digest=result.digest,
        at=now,
    )
    return Saying("qualification.progressed.v1", tenant, learner, f"{learner}/{framework}", fact)


def completed(award: Award, achievement: str, shown: Collection[str], now: datetime) -> Saying:
    """`shown` are the components that have a credential: what was recognised without one, nobody can show."""
    fact = QualificationCompleted(
        learner=award.learner,
        award=award.id,
        qualification=award.qualification,
        version=award.version,
        achievement=achievement,
        components=_of(award, shown),
        decisions=tuple(sorted(set(award.components).difference(shown))) or None,
        earned_at=award.earned_at,
        digest=award.digest,
        replaces=award.replaces,
        at=now,
    )
    return Saying("qualification.completed.v1", award.tenant, award.learner, award.id, fact)


def lapsed(award: Award, reason: str, now: datetime) -> Saying:
    fact = QualificationLapsed(
        learner=award.learner,
        award=award.id,
        qualification=award.qualification,
        version=award.version,
        action=_ACTIONS[award.state],
        reason=reason,
        digest=award.digest,
        at=now,
    )
    return Saying("qualification.lapsed.v1", award.tenant, award.learner, award.id, fact)


def of_transition(
    previous: Award | None, step: Transition, award: Award, achievement: str, shown: Collection[str], now: datetime
) -> Iterator[Saying]:
    """Nothing, where the award is another and yet nobody need know."""
    before = previous.state if previous is not None else None
    if step.change == "award":
        yield completed(award, achievement, shown, now)
    elif step.change == "lapse" or (award.state == "review" and before != "review"):
        yield lapsed(award, step.reason, now)
    elif step.change == "restore" or (before == "review" and award.state == "active"):
        fact = QualificationRestored(
            learner=award.learner,
            award=award.id,
            qualification=award.qualification,
            version=award.version,
            components=_of(award, shown),
            digest=award.digest,
            at=now,
        )
        yield Saying("qualification.restored.v1", award.tenant, award.learner, award.id, fact)


def _of(award: Award, shown: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in award.components if name in shown)
