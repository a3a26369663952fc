"""Issuance, played by a log: what it says of two universities, their achievements and their learners."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cairn.common.events import Event, stable_id
from cairn.common.events.models import (
    AchievementPublished,
    CredentialIssued,
    CredentialStatusChanged,
    Fact,
    Holding,
    LearnerErased,
    LearnerMerged,
    LearnerUnmerged,
)

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
HOME, AWAY = "north", "harbour"
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def achievement(code: str, tenant: str = HOME) -> str:
    return f"https://cairn.localhost/issuance/achievements/{tenant}/{code}"


def framework(*codes: str, **more: Any) -> dict[str, Any]:
    """Every one of the achievements (of the home university, or `tenant/code`), in the shape of STACKING."""
    leaves = [
        {"id": code.rpartition("/")[2], "count": {"min": 1}, "from": {"achievement": [_named(code)]}} for code in codes
    ]
    return {
        "qualification": "https://north.example/q/data",
        "version": "2026",
        "title": "Certificate in Data",
        "award": {"achievement": achievement("certificate")},
        "creditUnit": "ECTS",
        "requirement": {"id": "root", "all": leaves},
        "onLoss": "revoke",
        **more,
    }


def _named(code: str) -> str:
    tenant, _, name = code.rpartition("/")
    return achievement(name, tenant or HOME)


def event(type_: str, tenant: str, subject: str, key: str, fact: Fact, at: datetime) -> Event:
    return Event(type=type_, source="/issuance", subject=subject, tenant=tenant, key=key, data=fact.to_json(), time=at)


@dataclass
class Log:
    """What issuance says, in the order in which it says it."""

    events: list[Event] = field(default_factory=list)

    def _say(self, *events: Event) -> list[Event]:
        self.events += events
        return list(events)

    def published(self, code: str, tenant: str = HOME, **more: Any) -> list[Event]:
        fact = AchievementPublished(
            achievement=achievement(code, tenant),
            issuer=f"did:web:{tenant}.example",
            at=MARCH,
            **{
                "name": {"ml": "Machine Learning"}.get(code, code),
                "credits": {"value": "5", "unit": "ECTS"},
                "tag": ("data",),
                **more,
            },
        )
        return self._say(event("achievement.published.v1", tenant, fact.achievement, fact.achievement, fact, MARCH))

    def issued(self, learner: str, code: str, tenant: str = HOME, at: datetime = MARCH, **more: Any) -> list[Event]:
        award = more.pop("award", None)
        name = more.pop("id", None) or credential(learner, code)
        holding = Holding.model_validate(
            {
                "id": name,
                "achievement": achievement(code, tenant),
                "issuer": f"did:web:{tenant}.example",
                "credits": {"value": "5", "unit": "ECTS"},
                "tag": ["data"],
                "earned": at,
                "status": [{"at": at, "state": "valid"}],
                **more,
            }
        )
        fact = CredentialIssued(learner=learner, holding=holding, award=award)
        return self._say(event("credential.issued.v1", tenant, name, learner, fact, at))

    def status(self, change: str, learner: str, code: str, at: datetime, tenant: str = HOME) -> list[Event]:
        """`change` is revoked, suspended, reinstated or expired."""
        name = code if code.startswith("urn:") else credential(learner, code)
        fact = CredentialStatusChanged(learner=learner, credential=name, at=at, reason="a test")
        return self._say(event(f"credential.{change}.v1", tenant, name, learner, fact, at))

    def merged(self, learner: str, merged: str, at: datetime, tenant: str = HOME, source: str = AWAY) -> list[Event]:
        fact = LearnerMerged(learner=learner, merged=merged, merged_tenant=source, consent=f"consent-{at}", at=at)
        return self._both("learner.merged.v1", tenant, source, fact)

    def unmerged(self, learner: str, merged: str, at: datetime, tenant: str = HOME, source: str = AWAY) -> list[Event]:
        fact = LearnerUnmerged(learner=learner, merged=merged, merged_tenant=source, consent=f"consent-{at}", at=at)
        return self._both("learner.unmerged.v1", tenant, source, fact)

    def erased(self, learner: str, at: datetime, tenant: str = HOME) -> list[Event]:
        return self._say(
            event("learner.erased.v1", tenant, learner, learner, LearnerErased(learner=learner, at=at), at)
        )

    def _both(self, type_: str, tenant: str, source: str, fact: LearnerMerged | LearnerUnmerged) -> list[Event]:
        return self._say(
            event(type_, tenant, fact.learner, fact.learner, fact, fact.at),
            event(type_, source, fact.merged, fact.merged, fact, fact.at),
        )


def catalogue() -> list[Event]:
    """What both universities offer."""
    log = Log()
    for code in ("stats", "ml", "thesis", "certificate", "master"):
        log.published(code)
    log.published("stats", AWAY)
    return log.events


def credential(learner: str, code: str) -> str:
    return f"urn:uuid:{stable_id('credential', learner, code)}"
