"""From a credential, whoever issued it, back to what a verifier shows."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cairn.credentials.multihash import read_digest
from cairn.credentials.openbadges import words
from cairn.credentials.openbadges.models import (
    Alignment,
    Component,
    CredentialFacts,
    Evidence,
    Identifier,
    LearningOutcome,
    Level,
    QualityAssurance,
    Result,
    Stack,
)
from cairn.credentials.shape import id_of, is_object, listed, text_of, types_of

M = TypeVar("M", bound=BaseModel)


def read_facts(document: dict[str, Any]) -> CredentialFacts:
    """Reads what the credential claims; never raises. Show it only together with the verdict of `verify`."""
    subject = _first(document.get("credentialSubject"))
    achievement = _first(subject.get("achievement"))
    alignments = tuple(_each(Alignment, achievement.get("alignment")))
    elements = {one.target_type: one for one in reversed(alignments) if one.target_type}
    outcomes = tuple(
        _outcome(one, id_of(achievement)) for one in alignments if one.target_type == words.LEARNING_OUTCOME
    )
    issuer = document.get("issuer")
    evidence = [one for one in listed(document.get("evidence")) if is_object(one)]
    criteria = achievement.get("criteria")
    return CredentialFacts(
        id=text_of(document.get("id")),
        types=types_of(document),
        issuer=id_of(issuer),
        issuer_name=_text(issuer.get("name")) if is_object(issuer) else None,
        subject=id_of(subject),
        identifiers=tuple(_each(Identifier, subject.get("identifier"))),
        name=_text(document.get("name")),
        description=_text(document.get("description")),
        achievement=id_of(achievement),
        achievement_name=_text(achievement.get("name")),
        achievement_type=text_of(achievement.get("achievementType")),
        criteria=(_text(criteria.get("narrative")) or id_of(criteria)) if is_object(criteria) else text_of(criteria),
        image=id_of(achievement.get("image") or document.get("image")),
        valid_from=text_of(document.get("validFrom") or document.get("issuanceDate")),
        valid_until=text_of(document.get("validUntil") or document.get("expirationDate")),
        awarded=text_of(document.get("awardedDate")),
        credits=_decimal(subject.get("creditsEarned", achievement.get("creditsAvailable"))),
        credit_unit=_framework(elements.get(words.CREDIT_POINT)),
        levels=tuple(_level(one) for one in alignments if one.target_type == words.LEVEL and one.target_code),
        learning_outcomes=outcomes,
        workload_hours=_hours(_code(elements.get(words.WORKLOAD))),
        assessment_type=_code(elements.get(words.ASSESSMENT_TYPE)),
        assessment_supervised=_truth(_code(elements.get(words.SUPERVISION))),
        assessment_identity_verified=_truth(_code(elements.get(words.IDENTITY))),
        participation=_code(elements.get(words.PARTICIPATION)),
        quality_assurance=tuple(
            QualityAssurance(name=one.target_name, id=one.target_url, kind=one.target_code)
            for one in alignments
            if one.target_type == words.QUALITY
        ),
        prerequisites=_description(elements.get(words.PREREQUISITES)),
        stackability=_description(elements.get(words.STACKABILITY)),
        skills=_skills(alignments, outcomes),
        alignment=tuple(one for one in alignments if not (one.target_type or "").startswith("ext:elm.")),
        tags=tuple(tag for tag in listed(achievement.get("tag")) if isinstance(tag, str)),
        results=tuple(_each(Result, subject.get("result"))),
        evidence=tuple(_each(Evidence, [one for one in evidence if one.get("genre") not in _STACK_GENRES])),
        stack=_stack(evidence),
    )


_STACK_GENRES = (words.COMPONENT_GENRE, words.AUDIT_GENRE)


def _stack(evidence: list[dict[str, Any]]) -> Stack | None:
    """The stack of a qualification as `build_credential` writes it, or None where there is not a whole one."""
    audit = next((one for one in evidence if one.get("genre") == words.AUDIT_GENRE), dict[str, Any]())
    framework = next(
        (one for one in _each(Alignment, audit.get("alignment")) if one.target_type == words.FRAMEWORK), None
    )
    digest = read_digest(audit.get("digestMultibase"))
    if framework is None or framework.target_code is None or digest is None:
        return None
    cited = [one for one in evidence if one.get("genre") == words.COMPONENT_GENRE]
    components = tuple(one for one in map(_component, cited) if one is not None)
    if len(components) < len(cited):
        return None
    try:
        return Stack(
            framework=framework.target_url,
            version=framework.target_code,
            audit_digest=digest,
            components=components,
            title=None if framework.target_name == framework.target_url else framework.target_name,
        )
    except ValidationError:
        return None


def _component(evidence: dict[str, Any]) -> Component | None:
    targets = {one.target_type: one.target_url for one in _each(Alignment, evidence.get("alignment"))}
    try:
        return Component(
            credential=text_of(evidence.get("id")) or "",
            achievement=targets.get(words.CREDENTIAL, ""),
            issuer=targets.get(words.ISSUED_BY, ""),
            name=_text(evidence.get("name")),
            digest=read_digest(evidence.get("digestMultibase")),
        )
    except ValidationError:
        return None


def _each(model: type[M], value: Any) -> Iterable[M]:
    """Those of the values that fit the model, by the members it knows."""
    aliases = {field.alias or name for name, field in model.model_fields.items()}
    for entry in listed(value):
        if is_object(entry):
            # Alignments within results and the like are left out here: each reader asks for its own level.
            known = {
                key: member for key, member in entry.items() if key in aliases and not isinstance(member, dict | list)
            }
            try:
                yield model.model_validate(known)
            except ValidationError:
                continue


def _outcome(one: Alignment, achievement: str | None) -> LearningOutcome:
    own = achievement is not None and one.target_url.startswith(f"{achievement}#outcome-")
    framework = None if one.target_framework == words.ELM_FRAMEWORK else one.target_framework
    return LearningOutcome(
        title=one.target_name,
        id=None if own else one.target_url,
        description=one.target_description,
        framework=framework,
    )


def _level(one: Alignment) -> Level:
    known = one.target_url.startswith((words.EQF, words.ELM))
    framework, value = one.target_framework or "?", one.target_code or "?"
    return Level(framework=framework, value=value, id=None if known else one.target_url)


def _skills(alignments: tuple[Alignment, ...], outcomes: tuple[LearningOutcome, ...]) -> tuple[str, ...]:
    named = [one.target_url for one in alignments if one.target_type == words.COMPETENCY]
    return tuple(dict.fromkeys([*named, *(one.id for one in outcomes if one.id is not None)]))


def _code(element: Alignment | None) -> str | None:
    return element.target_code if element else None


def _description(element: Alignment | None) -> str | None:
    return element.target_description if element else None


def _framework(element: Alignment | None) -> str | None:
    return element.target_framework if element else None


def _first(value: Any) -> dict[str, Any]:
    return next((one for one in listed(value) if is_object(one)), dict[str, Any]())


def _text(value: Any) -> str | None:
    """A text, or the first of its language versions."""
    for one in listed(value):
        if isinstance(one, str):
            return one
        if is_object(one) and isinstance(one.get("@value"), str):
            return one["@value"]
    return None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _hours(code: str | None) -> Decimal | None:
    if code is None or not code.startswith("PT") or not code.endswith("H"):
        return None
    try:
        hours = Decimal(code[2:-1])
    except InvalidOperation:
        return None
    return hours if hours.is_finite() else None


def _truth(code: str | None) -> bool | None:
    return {"true": True, "false": False}.get(code or "")
