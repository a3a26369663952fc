"""The data of each event type: facts about a pseudonymous learner, never names or addresses (S29).

On the wire, keys are camelCase, instants RFC 3339 and decimals strings. Unknown fields are tolerated, so that an older
reader understands a newer writer (R11). `golden/` holds the frozen schemas, with which the command `check` compares.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel

from cairn.common.events.envelope import Event, MalformedEvent
from cairn.common.instants import format_instant, parse_instant


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return parse_instant(value)
    raise ValueError("an instant is an RFC 3339 string")


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and len(value) <= 40:
        try:
            number = Decimal(value)
        except ArithmeticError:
            raise ValueError("a decimal is written like 7.5") from None
        if number.is_finite():
            return number
    raise ValueError("a decimal is a string such as '7.5'")


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
DecimalString = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    PlainSerializer(lambda number: format(number, "f"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}),
]


class Fact(BaseModel):
    """Base of event data, and of the values within it."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    def to_json(self) -> dict[str, Any]:
        """As it is written on the bus."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Credits(Fact):
    value: DecimalString
    unit: str


class Grade(Fact):
    """Either a score from 0 to 1, or points on a scale."""

    score: DecimalString | None = None
    points: DecimalString | None = None
    scale: str | None = None


class Assessment(Fact):
    supervised: bool = False
    identity_verified: bool = False


class StatusEntry(Fact):
    at: Instant
    state: Literal["valid", "suspended", "revoked", "expired", "superseded", "unknown"]


class Holding(Fact):
    """What pathways knows of a credential; the shape of `STACKING.md`. `id` is the credential's id."""

    id: str
    achievement: str
    issuer: str
    type: tuple[str, ...] = ()
    credits: Credits | None = None
    level: dict[str, int] = Field(default_factory=dict[str, int])
    grade: Grade | None = None
    area: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    skill: tuple[str, ...] = ()
    assessment: Assessment | None = None
    mode: str | None = None
    source: Literal["lms", "external", "rpl"] = "lms"
    accredited_by: tuple[str, ...] = ()
    earned: Instant
    valid_until: Instant | None = None
    attempt_of: str | None = None
    components: tuple[str, ...] = ()
    status: tuple[StatusEntry, ...] = ()


class CompletionRecorded(Fact):
    """`learning`: a learner finished a course, as their institution's LMS says."""

    learner: str
    completion: str
    achievement: str
    completed_at: Instant
    source: Literal["lms", "external", "rpl"] = "lms"


class CompletionRetracted(Fact):
    """`learning`: a completion was recorded in error."""

    learner: str
    completion: str
    at: Instant
    reason: str = ""


class CredentialIssued(Fact):
    """`credentials`: self-sufficient; carries every field of a Holding. `award` where it is a qualification."""

    learner: str
    holding: Holding
    award: str | None = None


class CredentialStatusChanged(Fact):
    """`credentials`: suspended, reinstated, revoked or expired at an instant."""

    learner: str
    credential: str
    at: Instant
    reason: str = ""


class CredentialRenewed(Fact):
    """`credentials`: `credential` takes the place of `supersedes`."""

    learner: str
    credential: str
    supersedes: str
    at: Instant


class LearnerMerged(Fact):
    """`credentials`: from `at` on, `merged` is the same person as `learner`; said under the key of each."""

    learner: str
    merged: str
    merged_tenant: str
    consent: str
    at: Instant


class LearnerUnmerged(Fact):
    """`credentials`: the merge is undone, as though it had never been."""

    learner: str
    merged: str
    merged_tenant: str
    consent: str
    at: Instant


class LearnerErased(Fact):
    """`credentials`: the learner's personal data are destroyed."""

    learner: str
    at: Instant


class AchievementPublished(Fact):
    """`catalog`: an achievement as selectors may ask about it."""

    achievement: str
    issuer: str
    name: str
    type: tuple[str, ...] = ()
    credits: Credits | None = None
    level: dict[str, int] = Field(default_factory=dict[str, int])
    area: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    skill: tuple[str, ...] = ()
    at: Instant


class AchievementRetired(Fact):
    achievement: str
    at: Instant


class InstitutionAccredited(Fact):
    """`catalog`: an institution that issues here, and who vouches for it."""

    institution: str
    issuer: str
    name: str
    accredited_by: tuple[str, ...] = ()
    at: Instant


class QualificationProgressed(Fact):
    """`qualifications`: an audit changed without completing. `progress` is from 0 to 1."""

    learner: str
    qualification: str
    version: str
    status: Literal["incomplete", "undetermined", "complete"]
    progress: DecimalString
    digest: str
    at: Instant


class QualificationCompleted(Fact):
    """`qualifications`: the learner has earned it. Issuance signs on this event alone (S33). `components` are
    credentials; `decisions` recognised prior learning, for which there is none."""

    learner: str
    award: str
    qualification: str
    version: str
    achievement: str
    components: tuple[str, ...]
    decisions: tuple[str, ...] | None = None
    earned_at: Instant
    digest: str
    replaces: str | None = None
    at: Instant


class QualificationLapsed(Fact):
    """`qualifications`: the award no longer holds. `action` is what its credential is to suffer."""

    learner: str
    award: str
    qualification: str
    version: str
    action: Literal["revoke", "suspend", "review"]
    reason: str
    digest: str
    at: Instant


class QualificationRestored(Fact):
    """`qualifications`: a suspended award holds again."""

    learner: str
    award: str
    qualification: str
    version: str
    components: tuple[str, ...]
    digest: str
    at: Instant


class FrameworkActivated(Fact):
    """`qualifications`: from now on, `achievement` is awarded by this version of the rules and by nothing else."""

    framework: str
    qualification: str
    version: str
    title: str
    achievement: str
    digest: str
    at: Instant


class DecisionsSealed(Fact):
    """`qualifications`: the head of a learner's chain of decisions, or (`learner` empty) of the institution's. Whoever
    cuts the chain off in the database cannot cut it off here: `pathways verify` compares (S28)."""

    learner: str
    entries: int
    seal: str
    at: Instant


class CredentialVerified(Fact):
    """`recognition`: somebody verified a credential; `verdict` sums the checks up."""

    credential: str | None
    digest: str
    issuer: str | None
    verdict: Literal["verified", "refused", "undetermined"]
    at: Instant


class ExternalCredentialRecognised(Fact):
    """`recognition`: a credential from elsewhere counts as a holding of a learner."""

    learner: str
    holding: Holding


MODELS: Final[dict[str, type[Fact]]] = {
    "completion.recorded.v1": CompletionRecorded,
    "completion.retracted.v1": CompletionRetracted,
    "credential.issued.v1": CredentialIssued,
    "credential.suspended.v1": CredentialStatusChanged,
    "credential.reinstated.v1": CredentialStatusChanged,
    "credential.revoked.v1": CredentialStatusChanged,
    "credential.expired.v1": CredentialStatusChanged,
    "credential.renewed.v1": CredentialRenewed,
    "learner.merged.v1": LearnerMerged,
    "learner.unmerged.v1": LearnerUnmerged,
    "learner.erased.v1": LearnerErased,
    "achievement.published.v1": AchievementPublished,
    "achievement.retired.v1": AchievementRetired,
    "institution.accredited.v1": InstitutionAccredited,
    "qualification.progressed.v1": QualificationProgressed,
    "qualification.completed.v1": QualificationCompleted,
    "qualification.lapsed.v1": QualificationLapsed,
    "qualification.restored.v1": QualificationRestored,
    "framework.activated.v1": FrameworkActivated,
    "decisions.sealed.v1": DecisionsSealed,
    "credential.verified.v1": CredentialVerified,
    "external-credential.recognised.v1": ExternalCredentialRecognised,
}


def fact_of(event: Event) -> Fact:
    """The typed data of an event. Raises MalformedEvent, which names the field; KeyError for an unknown type."""
    fact: Fact | None = event.fact
    if fact is None:
        try:
            fact = MODELS[event.type].model_validate(event.data)
        except ValidationError as error:
            raise MalformedEvent(_summary(error)) from None
        object.__setattr__(event, "fact", fact)
    return fact


def _summary(error: ValidationError) -> str:
    return "; ".join(f"data.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
