"""The words of Open Badges 3.0 as typed models, with the European micro-credential elements beside them.

Every model is frozen, refuses unknown keys, and is camelCase on the wire. Sources: Open Badges 3.0 §B (data models),
Council Recommendation (EU) 2022/C 243/02, annex I (the elements that describe a micro-credential).
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x1f]+")


def _iri(value: str) -> str:
    if not _IRI.fullmatch(value):
        raise ValueError("not an absolute IRI, such as https://uni.example/a/1 or urn:uuid:…")
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return value


Iri = Annotated[str, Field(max_length=2000), AfterValidator(_iri)]
Instant = Annotated[datetime, AfterValidator(_aware)]
Text = Annotated[str, Field(min_length=1, max_length=20_000)]
CompactJwt = Annotated[str, Field(max_length=200_000, pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+$")]
Name = Annotated[str, Field(min_length=1, max_length=1_000)]
Amount = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=4)]


class Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )


class Image(Model):
    """`id` is a URL or a data: URL."""

    id: Annotated[str, Field(max_length=200_000), AfterValidator(_iri)]
    caption: Text | None = None


class IdentifierEntry(Model):
    identifier: Name
    identifier_type: Name


class Address(Model):
    """Where somebody is; of an issuer at least the country (European micro-credential element)."""

    address_country_code: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    address_country: Name | None = None
    address_region: Name | None = None
    address_locality: Name | None = None
    street_address: Name | None = None
    post_office_box_number: Name | None = None
    postal_code: Name | None = None


class Endorsed(Model):
    """What may carry endorsements: whole signed credentials, and compact JWTs of such."""

    endorsement: tuple[dict[str, Any], ...] = ()
    endorsement_jwt: tuple[CompactJwt, ...] = ()


class Profile(Endorsed):
    """An issuer or creator. The issuer's `id` is its DID."""

    id: Iri
    name: Name | None = None
    url: Iri | None = None
    phone: Name | None = None
    email: Name | None = None
    description: Text | None = None
    image: Image | None = None
    official: Name | None = None
    address: Address | None = None
    other_identifier: tuple[IdentifierEntry, ...] = ()
    parent_org: Profile | None = None


class Alignment(Model):
    """A link to a node of another framework: a skill, a standard, a course."""

    target_name: Name
    target_url: Iri
    target_type: Name | None = None
    """`ceasn:Competency`, `ceterms:Credential`, `CFItem`, … or `ext:` and a name."""
    target_code: Name | None = None
    target_description: Text | None = None
    target_framework: Name | None = None


class RubricCriterionLevel(Model):
    id: Iri
    name: Name
    level: Name | None = None
    points: Name | None = None
    description: Text | None = None
    alignment: tuple[Alignment, ...] = ()


class ResultDescription(Model):
    """A result that the achievement can have. `id` is what a `Result` points to."""

    id: Iri
    name: Name
    result_type: Name
    """`GradePointAverage`, `LetterGrade`, `Percent`, `RawScore`, `Status`, … or `ext:` and a name."""
    allowed_value: tuple[Name, ...] = ()
    """In ascending order."""
    required_value: Name | None = None
    required_level: Iri | None = None
    rubric_criterion_level: tuple[RubricCriterionLevel, ...] = ()
    value_min: Name | None = None
    value_max: Name | None = None
    alignment: tuple[Alignment, ...] = ()


class Result(Model):
    """What the learner reached, against one `ResultDescription`."""

    result_description: Iri | None = None
    value: Name | None = None
    achieved_level: Iri | None = None
    status: Literal["Completed", "Enrolled", "Failed", "InProgress", "OnHold", "Provisional", "Withdrew"] | None = None
    alignment: tuple[Alignment, ...] = ()


class Criteria(Model):
    """How the achievement is earned: a page, a narrative in Markdown, or both."""

    id: Iri | None = None
    narrative: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.id is None and self.narrative is None:
            raise ValueError("criteria need an id or a narrative")
        return self


class LearningOutcome(Model):
    """What the learner can do afterwards. `id` may be a skill of ESCO or another framework."""

    title: Name
    id: Iri | None = None
    description: Text | None = None
    framework: Name | None = None


class Level(Model):
    """A level in a qualifications framework, such as EQF 6."""

    framework: Name
    value: Name
    id: Iri | None = None


class QualityAssurance(Model):
    """Who assures the quality: an agency, an accreditation, a register entry."""

    name: Name
    id: Iri
    kind: Name | None = None


class EuropeanElements(Model):
    """The elements of a European micro-credential that Open Badges has no field for of its own.

    They are written as alignments, with `targetType` `ext:elm.…`, so that every Open Badges verifier accepts them.
    """

    learning_outcomes: tuple[LearningOutcome, ...] = ()
    workload_hours: Amount | None = None
    credit_unit: Name | None = None
    """What `creditsAvailable` counts, such as `ECTS`."""
    levels: tuple[Level, ...] = ()
    assessment_type: Name | None = None
    assessment_supervised: bool | None = None
    assessment_identity_verified: bool | None = None
    participation: Name | None = None
    """`online`, `onsite`, `blended`, …"""
    quality_assurance: tuple[QualityAssurance, ...] = ()
    prerequisites: Text | None = None
    stackability: Text | None = None
    """Stand-alone, independent, integrated, or stackable towards what."""


class Related(Model):
    id: Iri
    in_language: Name | None = None
    version: Name | None = None


class Achievement(Endorsed):
    """The definition of a micro-credential or a qualification."""

    id: Iri
    name: Name
    description: Text
    criteria: Criteria
    achievement_type: Name | None = None
    """`MicroCredential`, `Course`, `Certificate`, … or `ext:` and a name."""
    creator: Profile | None = None
    credits_available: Amount | None = None
    field_of_study: Name | None = None
    human_code: Name | None = None
    image: Image | None = None
    in_language: Name | None = None
    alignment: tuple[Alignment, ...] = ()
    other_identifier: tuple[IdentifierEntry, ...] = ()
    related: tuple[Related, ...] = ()
    result_description: tuple[ResultDescription, ...] = ()
    specialization: Name | None = None
    tag: tuple[Name, ...] = ()
    version: Name | None = None
    european: EuropeanElements = EuropeanElements()


class Identifier(Model):
    """Who the subject is, as a salted hash (Open Badges 3.0 §B.4.2, `IdentityObject`)."""

    identity_type: Name
    """`emailAddress`, `sisSourcedId`, `nationalIdentityNumber`, … or `ext:` and a name."""
    identity_hash: Name
    hashed: bool
    salt: Name | None = None

    @classmethod
    def of(cls, identity_type: str, value: str, *, salt: str) -> Self:
        """Hashes `value` with `salt`, which the caller draws at random. An e-mail address is lower-cased first."""
        if not salt:
            raise ValueError("an identifier is only hashed with a salt")
        plain = value.lower() if identity_type == "emailAddress" else value
        digest = hashlib.sha256((plain + salt).encode()).hexdigest()
        return cls(identity_type=identity_type, identity_hash=f"sha256${digest}", hashed=True, salt=salt)

    def matches(self, value: str) -> bool:
        """Whether `value` is the identity that was hashed."""
        if not self.hashed:
            return value == self.identity_hash
        plain = value.lower() if self.identity_type == "emailAddress" else value
        return self.identity_hash == "sha256$" + hashlib.sha256((plain + (self.salt or "")).encode()).hexdigest()


class Evidence(Model):
    id: Iri | None = None
    name: Name | None = None
    description: Text | None = None
    narrative: Text | None = None
    genre: Name | None = None
    audience: Name | None = None


class Component(Model):
    """One credential of the stack on which a qualification rests."""

    credential: Iri
    achievement: Iri
    issuer: Iri
    name: Name | None = None
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 in hex of the component, where it is at hand: of its JCS form, or of the text of a JWT."""


class Stack(Model):
    """Why a qualification was awarded: the framework's version, the audit, and what it allocated."""

    framework: Iri
    version: Name
    audit_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 in hex, as in the audit's `digest`."""
    components: tuple[Component, ...]
    """None where it rests on decisions alone, such as prior learning that was recognised."""
    title: Name | None = None


class CredentialFacts(Model):
    """What a verifier shows of a credential. Read leniently: what is absent or odd is left out."""

    id: str | None = None
    types: tuple[str, ...] = ()
    issuer: str | None = None
    issuer_name: str | None = None
    subject: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    name: str | None = None
    description: str | None = None
    achievement: str | None = None
    achievement_name: str | None = None
    achievement_type: str | None = None
    criteria: str | None = None
    image: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    awarded: str | None = None
    credits: Decimal | None = None
    credit_unit: str | None = None
    levels: tuple[Level, ...] = ()
    learning_outcomes: tuple[LearningOutcome, ...] = ()
    workload_hours: Decimal | None = None
    assessment_type: str | None = None
    assessment_supervised: bool | None = None
    assessment_identity_verified: bool | None = None
    participation: str | None = None
    quality_assurance: tuple[QualityAssurance, ...] = ()
    prerequisites: str | None = None
    stackability: str | None = None
    skills: tuple[str, ...] = ()
    """Targets of the alignments to competencies."""
    alignment: tuple[Alignment, ...] = ()
    tags: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    stack: Stack | None = None
