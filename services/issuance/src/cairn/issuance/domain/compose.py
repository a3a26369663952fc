"""From what the university knows to the credential that it signs, and to the facts that it announces.

Two documents come of one completion: the credential, which names the learner to whoever they show it, and the
holding, which names nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from cairn.common.events import models as events
from cairn.common.events import stable_id
from cairn.common.instants import parse_instant
from cairn.credentials import (
    Achievement as BadgeAchievement,
)
from cairn.credentials import (
    Address,
    ClrDraft,
    Component,
    CredentialDraft,
    Criteria,
    EuropeanElements,
    Identifier,
    LearningOutcome,
    Level,
    QualityAssurance,
    RefreshService,
    Result,
    ResultDescription,
    Stack,
    StatusEntry,
    build_clr,
    build_credential,
    read_facts,
    stack_associations,
)
from cairn.credentials import Alignment as BadgeAlignment
from cairn.credentials import Evidence as BadgeEvidence
from cairn.credentials import Image as BadgeImage
from cairn.credentials import Profile as BadgeProfile
from cairn.issuance.domain.model import Achievement, Evidence, Institution, Profile, add_months


@dataclass(frozen=True, slots=True)
class Issuer:
    """An institution as the issuer of a credential."""

    did: str
    institution: Institution


RENEWED_GENRE: Final = "renewed-credential"


@dataclass(frozen=True, slots=True)
class Subject:
    """For whom, and where the credential's status will be found: (list URL, index) by purpose."""

    credential: str
    profile: Profile
    status: Mapping[str, tuple[str, int]]
    refresh: str | None = None
    """Where its successor will be found, for a credential that ends."""
    salt: str = field(default_factory=partial(secrets.token_urlsafe, 16))
    """With which the learner's address is hashed."""


def achievement_document(id_: str, achievement: Achievement, issuer: Issuer) -> BadgeAchievement:
    """The Open Badges 3.0 `Achievement`, with the European elements as alignments."""
    results: list[ResultDescription] = [
        ResultDescription(id=f"{id_}#score", name="Score", result_type="Percent", value_min="0", value_max="100"),
        ResultDescription(id=f"{id_}#grade", name="Grade", result_type="GradePointAverage"),
    ]
    quality = achievement.quality_assurance
    return BadgeAchievement(
        id=id_,
        name=achievement.name,
        description=achievement.description,
        criteria=Criteria(
            narrative=achievement.criteria.narrative,
            id=str(achievement.criteria.id) if achievement.criteria.id else None,
        ),
        achievement_type=achievement.achievement_type,
        creator=_creator(issuer),
        credits_available=achievement.credits.value if achievement.credits else None,
        field_of_study=", ".join(achievement.area) or None,
        human_code=achievement.code,
        image=BadgeImage(id=str(achievement.image)) if achievement.image else None,
        in_language=achievement.language,
        alignment=tuple(
            BadgeAlignment(target_name=str(skill), target_url=str(skill), target_type="ceasn:Competency")
            for skill in achievement.skill
        ),
        result_description=tuple(results),
        tag=achievement.tag,
        european=EuropeanElements(
            learning_outcomes=tuple(LearningOutcome(title=outcome) for outcome in achievement.learning_outcomes),
            workload_hours=achievement.workload.hours if achievement.workload else None,
            credit_unit=achievement.credits.unit if achievement.credits else None,
            levels=tuple(Level(framework=name, value=str(value)) for name, value in sorted(achievement.level.items())),
            assessment_type=achievement.assessment.type if achievement.assessment else None,
            assessment_supervised=achievement.assessment.supervised if achievement.assessment else None,
            assessment_identity_verified=achievement.assessment.identity_verified if achievement.assessment else None,
            participation=achievement.participation,
            quality_assurance=(
                (
                    QualityAssurance(
                        name=quality.body or quality.type,
                        id=str(quality.url or issuer.institution.url),
                        kind=quality.type,
                    ),
                )
                if quality
                else ()
            ),
        ),
    )


def achievement_json(id_: str, achievement: Achievement, issuer: Issuer) -> dict[str, Any]:
    """The achievement as it is published by itself, under its own id."""
    draft = CredentialDraft(
        id=id_,
        issuer=_profile(issuer),
        achievement=achievement_document(id_, achievement, issuer),
        identifiers=(Identifier(identity_type="name", identity_hash="-", hashed=False),),
        valid_from=datetime(2020, 1, 1, tzinfo=UTC),
    )
    document = build_credential(draft)
    return {"@context": document["@context"], **document["credentialSubject"]["achievement"]}


def credential_for_completion(
    issuer: Issuer,
    achievement_id: str,
    achievement: Achievement,
    subject: Subject,
    facts: Mapping[str, Any],
    now: datetime,
    renewal: Sequence[Evidence] = (),
) -> tuple[dict[str, Any], events.Holding]:
    """The unsigned credential of a completion, and its holding. `facts` are as `model.facts` gives them.

    One that `renews` another cites that as evidence, beside the fresh evidence of its `renewal`.
    """
    earned = parse_instant(facts["completedAt"])
    grade = events.Grade.model_validate(facts["grade"]) if facts.get("grade") else None
    valid_until = add_months(earned, achievement.valid_months) if achievement.valid_months else None
    draft = _draft(issuer, achievement_id, achievement, subject, earned, now, valid_until).model_copy(
        update={"results": _results(achievement_id, grade), "evidence": _evidence(facts.get("renews"), renewal)}
    )
    return build_credential(draft), _holding(issuer, achievement_id, achievement, subject, facts, earned, valid_until)


@dataclass(frozen=True, slots=True)
class StackFacts:
    """What a qualification rests on: the framework, the audit, and the credentials that it allocated."""

    qualification: str
    version: str
    title: str
    digest: str
    earned_at: datetime
    components: Sequence[tuple[str, str, str]]
    """(credential, achievement, issuer)"""


def credential_for_award(
    issuer: Issuer, achievement_id: str, achievement: Achievement, subject: Subject, stack: StackFacts, now: datetime
) -> tuple[dict[str, Any], events.Holding]:
    """The unsigned qualification credential, whose evidence cites the stack, and its holding: it can stack further."""
    valid_until = add_months(stack.earned_at, achievement.valid_months) if achievement.valid_months else None
    cited = Stack(
        framework=stack.qualification,
        version=stack.version,
        title=stack.title,
        audit_digest=stack.digest,
        components=tuple(
            Component(credential=credential, achievement=achievement_, issuer=issuer_)
            for credential, achievement_, issuer_ in stack.components
        ),
    )
    draft = _draft(issuer, achievement_id, achievement, subject, stack.earned_at, now, valid_until).model_copy(
        update={"stack": cited}
    )
    holding = _holding(issuer, achievement_id, achievement, subject, {}, stack.earned_at, valid_until)
    components = tuple(credential for credential, _, _ in stack.components)
    return build_credential(draft), holding.model_copy(update={"components": components})


def learner_record(
    issuer: Issuer, whole: dict[str, Any], parts: Sequence[dict[str, Any]], *, partial: bool, now: datetime
) -> dict[str, Any]:
    """The unsigned CLR 2.0 of a qualification and of the parts of its stack, all of them signed.

    It has the qualification's own status entries: it stands and falls with it.
    """
    told = read_facts(whole)
    achievements = [read_facts(part).achievement for part in parts]
    draft = ClrDraft(
        id=f"urn:uuid:{stable_id('clr', told.id or '')}",
        issuer=_profile(issuer),
        name=told.name or "Learner record",
        identifiers=told.identifiers,
        credentials=(whole, *parts),
        associations=stack_associations(told.achievement or "", sorted({one for one in achievements if one})),
        partial=partial,
        valid_from=now,
        valid_until=parse_instant(told.valid_until) if told.valid_until else None,
    )
    return build_clr(draft) | {"credentialStatus": whole["credentialStatus"]}


def _draft(
    issuer: Issuer,
    achievement_id: str,
    achievement: Achievement,
    subject: Subject,
    earned: datetime,
    now: datetime,
    valid_until: datetime | None,
) -> CredentialDraft:
    return CredentialDraft(
        id=subject.credential,
        issuer=_profile(issuer),
        achievement=achievement_document(achievement_id, achievement, issuer),
        identifiers=_identifiers(subject),
        name=achievement.name,
        valid_from=now,
        valid_until=valid_until,
        awarded=earned,
        activity_end=earned,
        credits_earned=achievement.credits.value if achievement.credits else None,
        refresh_service=(
            RefreshService(id=subject.refresh, type="1EdTechCredentialRefresh")
            if subject.refresh and valid_until
            else None
        ),
        status=tuple(
            StatusEntry(list_url=url, index=index, purpose=purpose)  # pyright: ignore[reportArgumentType]
            for purpose, (url, index) in sorted(subject.status.items())
        ),
    )


def _profile(issuer: Issuer) -> BadgeProfile:
    institution = issuer.institution
    return BadgeProfile(
        id=issuer.did,
        name=institution.name,
        url=str(institution.url),
        email=institution.email,
        description=institution.description,
        address=Address(address_country_code=institution.country) if institution.country else None,
    )


def _creator(issuer: Issuer) -> BadgeProfile:
    """The issuer again, without its address: two nodes without a name that say the same of one issuer can be told
    apart only by the slow way of canonicalisation, in every credential of theirs."""
    return _profile(issuer).model_copy(update={"address": None})


def _identifiers(subject: Subject) -> tuple[Identifier, ...]:
    """The name for people to read, the address only as a salted hash for whoever knows it already."""
    profile = subject.profile
    named = Identifier(identity_type="name", identity_hash=profile.name, hashed=False)
    if profile.email is None:
        return (named,)
    return (named, Identifier.of("emailAddress", profile.email, salt=subject.salt))


def _evidence(renews: str | None, fresh: Sequence[Evidence]) -> tuple[BadgeEvidence, ...]:
    if renews is None:
        return ()
    old = BadgeEvidence(id=renews, name="The credential that this one renews", genre=RENEWED_GENRE)
    return (old, *(BadgeEvidence.model_validate(one.to_json()) for one in fresh))


def _results(achievement_id: str, grade: events.Grade | None) -> tuple[Result, ...]:
    if grade is None:
        return ()
    description, value = result_of(achievement_id, grade.score, grade.points, grade.scale)
    return (Result(result_description=description, value=value),)


def result_of(achievement_id: str, score: Decimal | None, points: Decimal | None, scale: str | None) -> tuple[str, str]:
    """A grade as the result of an achievement: which one of those it describes, and its value."""
    if score is not None:
        return f"{achievement_id}#score", format((score * 100).normalize(), "f")
    return f"{achievement_id}#grade", f"{points:f} ({scale})"


def _holding(
    issuer: Issuer,
    achievement_id: str,
    achievement: Achievement,
    subject: Subject,
    facts: Mapping[str, Any],
    earned: datetime,
    valid_until: datetime | None,
) -> events.Holding:
    policy = achievement.assessment
    supervised, verified = facts.get("supervised"), facts.get("identityVerified")
    assessed = policy is not None or supervised is not None or verified is not None
    return events.Holding(
        id=subject.credential,
        achievement=achievement_id,
        issuer=issuer.did,
        type=(achievement.achievement_type,),
        credits=achievement.credits,
        level=dict(achievement.level),
        grade=events.Grade.model_validate(facts["grade"]) if facts.get("grade") else None,
        area=achievement.area,
        tag=achievement.tag,
        skill=tuple(map(str, achievement.skill)),
        assessment=events.Assessment(
            supervised=supervised if supervised is not None else bool(policy and policy.supervised),
            identity_verified=verified if verified is not None else bool(policy and policy.identity_verified),
        )
        if assessed
        else None,
        mode=facts.get("mode") or achievement.participation,
        source=facts.get("source", "lms"),
        accredited_by=issuer.institution.accredited_by,
        earned=earned,
        valid_until=valid_until,
        status=(events.StatusEntry(at=earned, state="valid"),),
    )
