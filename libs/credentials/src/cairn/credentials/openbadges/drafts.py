"""What goes into a credential, as typed drafts: one of a badge, and what every kind has in common."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from cairn.credentials.openbadges.models import (
    Achievement,
    Amount,
    Endorsed,
    Evidence,
    Identifier,
    Image,
    Instant,
    Iri,
    Model,
    Name,
    Profile,
    Result,
    Stack,
    Text,
)
from cairn.credentials.status_entry import MAX_SIZE


class StatusEntry(Model):
    """Where the credential's status is (Bitstring Status List 1.0 §2.1). Its size follows from the messages."""

    list_url: Iri
    index: Annotated[int, Field(ge=0)]
    purpose: Literal["revocation", "suspension", "message", "refresh"] = "revocation"
    messages: tuple[Name, ...] = ()
    """What each value means, from 0: none, or 2, 4, 8, … of them."""
    reference: tuple[Iri, ...] = ()
    """Pages that explain the messages."""

    @field_validator("messages")
    @classmethod
    def _one_for_each_value(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) == 1 or len(value).bit_count() > 1 or len(value) > 1 << MAX_SIZE:
            raise ValueError("there are 2, 4, 8, … messages, one for each value of the status")
        return value


class RefreshService(Model):
    """Where a newer credential is to be had."""

    id: Iri
    type: Name


class TermsOfUse(Model):
    """Under which the credential was given."""

    type: Name
    id: Iri | None = None


class SchemaReference(Model):
    """A JSON Schema that the credential says it follows, beside that of its own kind."""

    id: Iri
    type: Name = "1EdTechJsonSchemaValidator2019"


class Draft(Endorsed):
    """What every kind of credential says, before it is signed."""

    id: Iri
    issuer: Profile
    description: Text | None = None
    valid_from: Instant
    valid_until: Instant | None = None
    awarded: Instant | None = None
    status: tuple[StatusEntry, ...] = ()
    refresh_service: RefreshService | None = None
    terms_of_use: tuple[TermsOfUse, ...] = ()
    credential_schema: tuple[SchemaReference, ...] = ()

    @field_validator("status")
    @classmethod
    def _purposes_differ(cls, value: tuple[StatusEntry, ...]) -> tuple[StatusEntry, ...]:
        if len({entry.purpose for entry in value}) != len(value):
            raise ValueError("two status entries have the same purpose")
        return value

    @model_validator(mode="after")
    def _period_agrees(self) -> Self:
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ValueError("validUntil is not after validFrom")
        return self


class CredentialDraft(Draft):
    """Everything that one badge says."""

    achievement: Achievement
    subject_id: Iri | None = None
    """A DID or another IRI of the learner; None where only `identifiers` name them."""
    identifiers: tuple[Identifier, ...] = ()
    name: Name | None = None
    """Of the credential; the achievement's where None."""
    image: Image | None = None
    activity_start: Instant | None = None
    activity_end: Instant | None = None
    credits_earned: Amount | None = None
    results: tuple[Result, ...] = ()
    narrative: Text | None = None
    source: Profile | None = None
    """Who assessed or taught, where that was not the issuer."""
    subject_image: Image | None = None
    licence_number: Name | None = None
    role: Name | None = None
    term: Name | None = None
    evidence: tuple[Evidence, ...] = ()
    stack: Stack | None = None
    """Present on a qualification: its evidence cites the stack."""

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        if self.activity_start and self.activity_end and self.activity_end < self.activity_start:
            raise ValueError("activityEndDate is before activityStartDate")
        return self

    @model_validator(mode="after")
    def _results_are_described(self) -> Self:
        described = {one.id for one in self.achievement.result_description}
        for result in self.results:
            if result.result_description is not None and result.result_description not in described:
                raise ValueError("a result points to no resultDescription of the achievement")
        return self
