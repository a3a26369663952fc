"""The values that issuance works with: what the API accepts, what is stored, what a credential is made of."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from cairn.common.events.models import Credits, DecimalString, Grade, Instant
from cairn.common.instants import format_instant

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$")]
"""A tenant's or achievement's short name: lower-case letters, digits and hyphens, 3 to 40 of them."""
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Model(BaseModel):
    """Strict: a misspelt field is refused, not ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Institution(Model):
    """A tenant: one institution with one issuer DID."""

    id: Slug
    name: Text
    url: HttpUrl
    description: LongText | None = None
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)] | None = None
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    accredited_by: tuple[Text, ...] = ()
    """DIDs or URLs of the bodies that accredit it."""


class Workload(Model):
    """Notional learning time, in hours."""

    hours: DecimalString


class AssessmentPolicy(Model):
    """How the achievement is assessed (European micro-credential element)."""

    type: Text
    supervised: bool = False
    identity_verified: bool = False


class QualityAssurance(Model):
    """What assures the quality (European micro-credential element)."""

    type: Text
    body: Text | None = None
    url: HttpUrl | None = None


class Criteria(Model):
    narrative: LongText
    id: HttpUrl | None = None


class Achievement(Model):
    """The definition of a micro-credential: Open Badges 3.0 `Achievement` and the European standard elements."""

    code: Code
    name: Text
    description: LongText
    criteria: Criteria
    achievement_type: Literal[
        "Achievement",
        "Assessment",
        "Badge",
        "Certificate",
        "CertificateOfCompletion",
        "Certification",
        "Competency",
        "Course",
        "Degree",
        "Diploma",
        "LearningProgram",
        "License",
        "MicroCredential",
        "MasterDegree",
        "BachelorDegree",
    ] = "MicroCredential"
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
    tag: Annotated[tuple[Token, ...], Field(max_length=50)] = ()
    area: Annotated[tuple[Token, ...], Field(max_length=20)] = ()
    skill: Annotated[tuple[HttpUrl, ...], Field(max_length=100)] = ()
    credits: Credits | None = None
    level: dict[Token, Annotated[int, Field(ge=0, le=20)]] = Field(default_factory=dict[str, int])
    learning_outcomes: Annotated[tuple[LongText, ...], Field(max_length=50)] = ()
    workload: Workload | None = None
    assessment: AssessmentPolicy | None = None
    participation: Literal["online", "onsite", "blended"] | None = None
    quality_assurance: QualityAssurance | None = None
    image: HttpUrl | None = None
    valid_months: Annotated[int, Field(ge=1, le=600)] | None = None
    suspendable: bool = False
    """Publish suspension beside revocation, and where it ends, that it was renewed. Open Badges 3.0 has room for one
    status entry only: see ADR 6."""

    @model_validator(mode="after")
    def _check(self) -> Achievement:
        if self.credits is not None and not 0 <= self.credits.value <= 1000:
            raise ValueError("credits must lie between 0 and 1000")
        if self.workload is not None and not 0 < self.workload.hours <= 100_000:
            raise ValueError("workload must lie between 0 and 100,000 hours")
        return self


class Profile(Model):
    """Who a learner is. Sealed under the learner's own key wherever it is stored."""

    name: Text
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)] | None = None


class Identifier(Model):
    """One name by which an institution knows a learner; it vouches for it within its own tenant only (S34)."""

    kind: Literal["lms-user", "student-number", "email", "wallet-did", "european-student-identifier"]
    value: Annotated[str, StringConstraints(min_length=1, max_length=254, strip_whitespace=True)]

    @property
    def canonical(self) -> str:
        """The form in which two spellings of one identifier are equal."""
        return self.value.casefold() if self.kind == "email" else self.value


class LearnerRef(Model):
    """A learner by our id, or by an identifier that the institution has attached."""

    id: Token | None = None
    identifier: Identifier | None = None

    @model_validator(mode="after")
    def _one(self) -> LearnerRef:
        if (self.id is None) == (self.identifier is None):
            raise ValueError("give either id or identifier")
        return self


class Completion(Model):
    """An LMS says that a learner finished what an achievement asks for."""

    id: Token | None = None
    """The LMS's own id of the event. Posting it again changes nothing."""
    learner: LearnerRef
    achievement: Token
    """The achievement's code, or its id."""
    completed_at: Instant
    grade: Grade | None = None
    """`score` from 0 to 1, or `points` on a named `scale`."""
    mode: Literal["online", "onsite", "blended"] | None = None
    supervised: bool | None = None
    identity_verified: bool | None = None
    source: Literal["lms", "external"] = "lms"


class Evidence(Model):
    """What shows that the learner still can: at least an address or a narrative."""

    id: HttpUrl | None = None
    name: Text | None = None
    description: LongText | None = None
    narrative: LongText | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Evidence:
        if self.id is None and self.narrative is None:
            raise ValueError("evidence needs an id or a narrative")
        return self


class Renewal(Model):
    """A credential near its end is renewed on fresh evidence: a new completion, or what else shows it."""

    completed_at: Instant
    """When the learner showed it anew: the new credential's period begins there."""
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1, max_length=20)]
    grade: Grade | None = None
    mode: Literal["online", "onsite", "blended"] | None = None
    supervised: bool | None = None
    identity_verified: bool | None = None


def facts(completion: Completion, learner: str, achievement: str) -> dict[str, Any]:
    """What a completion says, without the ways of saying it: two posts with equal facts are one completion."""
    grade = completion.grade.to_json() if completion.grade else None
    return {
        "learner": learner,
        "achievement": achievement,
        "completedAt": format_instant(completion.completed_at),
        "grade": grade,
        "mode": completion.mode,
        "supervised": completion.supervised,
        "identityVerified": completion.identity_verified,
        "source": completion.source,
    }


def add_months(instant: datetime, months: int) -> datetime:
    """The same day of a later month, clamped to its last day."""
    total = instant.month - 1 + months
    year, month = instant.year + total // 12, total % 12 + 1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    last = 29 if month == 2 and leap else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
    return instant.replace(year=year, month=month, day=min(instant.day, last))


ZERO, ONE = Decimal(0), Decimal(1)
