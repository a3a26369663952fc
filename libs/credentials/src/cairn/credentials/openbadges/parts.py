"""The nodes that every kind of credential is made of, from the typed models to JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from cairn.credentials.instants import format_instant
from cairn.credentials.openbadges import words
from cairn.credentials.openbadges.drafts import Draft, StatusEntry
from cairn.credentials.openbadges.models import (
    Achievement,
    Alignment,
    Endorsed,
    Evidence,
    Identifier,
    Image,
    Profile,
    Result,
)
from cairn.credentials.shape import is_list
from cairn.credentials.structure import VC2


def credential_json(draft: Draft, *, kind: str, contexts: Sequence[str], schema: str, **members: Any) -> dict[str, Any]:
    """What every kind has in common, around the `members` of its own.

    One status entry is written as an object, several as an array (VC data model 2.0 §4.10; the 1EdTech schemas know
    only the object).
    """
    status = [_status(entry) for entry in draft.status]
    schemas = [{"id": schema, "type": "1EdTechJsonSchemaValidator2019"}]
    schemas += [{"id": one.id, "type": one.type} for one in draft.credential_schema]
    body = {
        "@context": [VC2, *contexts],
        "id": draft.id,
        "type": ["VerifiableCredential", kind],
        "name": None,
        "description": draft.description,
        "image": None,
        "issuer": profile_json(draft.issuer),
        "validFrom": format_instant(draft.valid_from),
        "validUntil": format_instant(draft.valid_until) if draft.valid_until else None,
        "awardedDate": format_instant(draft.awarded) if draft.awarded else None,
    }
    tail = {
        "credentialSchema": schemas,
        "credentialStatus": status[0] if len(status) == 1 else status,
        "refreshService": plain(draft.refresh_service) if draft.refresh_service else None,
        "termsOfUse": [plain(one) for one in draft.terms_of_use],
        **endorsements(draft),
    }
    return present(body | members | tail)


def achievement_json(achievement: Achievement) -> dict[str, Any]:
    alignments = [*achievement.alignment, *european_alignments(achievement)]
    return present(
        {
            "id": achievement.id,
            "type": ["Achievement"],
            "name": achievement.name,
            "description": achievement.description,
            "criteria": plain(achievement.criteria),
            "achievementType": achievement.achievement_type,
            "creator": profile_json(achievement.creator),
            "creditsAvailable": number(achievement.credits_available),
            "fieldOfStudy": achievement.field_of_study,
            "humanCode": achievement.human_code,
            "image": image_json(achievement.image),
            "inLanguage": achievement.in_language,
            "specialization": achievement.specialization,
            "tag": list(achievement.tag),
            "version": achievement.version,
            "otherIdentifier": [typed("IdentifierEntry", one, bare=True) for one in achievement.other_identifier],
            "related": [typed("Related", one) for one in achievement.related],
            **endorsements(achievement),
            "alignment": [alignment_json(one) for one in alignments],
            "resultDescription": [
                typed("ResultDescription", one)
                | present(
                    {
                        "rubricCriterionLevel": [
                            typed("RubricCriterionLevel", level)
                            | present({"alignment": [alignment_json(link) for link in level.alignment]})
                            for level in one.rubric_criterion_level
                        ],
                        "alignment": [alignment_json(link) for link in one.alignment],
                    }
                )
                for one in achievement.result_description
            ],
        }
    )


def european_alignments(achievement: Achievement) -> Iterator[Alignment]:
    """The European elements as alignments; `words` says why."""
    european = achievement.european
    for position, outcome in enumerate(european.learning_outcomes, start=1):
        yield Alignment(
            target_type=words.LEARNING_OUTCOME,
            target_name=outcome.title,
            target_url=outcome.id or f"{achievement.id}#outcome-{position}",
            target_description=outcome.description,
            target_framework=outcome.framework or words.ELM_FRAMEWORK,
        )
    for level in european.levels:
        url = level.id or (f"{words.EQF}{level.value}" if level.framework == "EQF" else f"{words.ELM}NQFLevel")
        yield Alignment(
            target_type=words.LEVEL,
            target_name=f"{level.framework} level {level.value}",
            target_url=url,
            target_code=level.value,
            target_framework=level.framework,
        )
    for assurance in european.quality_assurance:
        yield Alignment(
            target_type=words.QUALITY,
            target_name=assurance.name,
            target_url=assurance.id,
            target_code=assurance.kind,
            target_framework=words.ELM_FRAMEWORK,
        )
    hours, unit, credits_ = european.workload_hours, european.credit_unit, achievement.credits_available
    amount = _decimal_text(credits_) if credits_ is not None else None
    texts = (
        (words.WORKLOAD, "Workload", "volumeOfLearning", f"PT{_decimal_text(hours)}H" if hours is not None else None),
        (words.ASSESSMENT_TYPE, "Type of assessment", "LearningAssessment", european.assessment_type),
        (words.SUPERVISION, "Supervised assessment", "LearningAssessment", _truth(european.assessment_supervised)),
        (words.IDENTITY, "Identity verified", "idVerification", _truth(european.assessment_identity_verified)),
        (words.PARTICIPATION, "Form of participation", "mode", european.participation),
    )
    for kind, title, term, value in texts:
        if value is not None:
            yield _element(kind, title, term, code=value)
    if unit is not None:
        name = f"{amount} {unit}" if amount is not None else unit
        yield _element(words.CREDIT_POINT, name, "creditPoint", code=amount, framework=unit)
    if european.prerequisites is not None:
        yield _element(words.PREREQUISITES, "Prerequisites", "entryRequirement", description=european.prerequisites)
    if european.stackability is not None:
        yield _element(words.STACKABILITY, "Stackability", "entitlesTo", description=european.stackability)


def _element(
    kind: str,
    name: str,
    term: str,
    *,
    code: str | None = None,
    description: str | None = None,
    framework: str | None = None,
) -> Alignment:
    return Alignment(
        target_type=kind,
        target_name=name,
        target_url=f"{words.ELM}{term}",
        target_code=code,
        target_description=description,
        target_framework=framework or words.ELM_FRAMEWORK,
    )


def _status(entry: StatusEntry) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": f"{entry.list_url}#{entry.index}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": entry.purpose,
        "statusListIndex": str(entry.index),
        "statusListCredential": entry.list_url,
    }
    if entry.messages:
        body["statusSize"] = (len(entry.messages) - 1).bit_length()
        body["statusMessage"] = [
            {"status": hex(value), "message": message} for value, message in enumerate(entry.messages)
        ]
    if entry.reference:
        body["statusReference"] = list(entry.reference)
    return body


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    return typed("Evidence", evidence)


def identifier_json(identifier: Identifier) -> dict[str, Any]:
    return typed("IdentityObject", identifier, bare=True)


def result_json(result: Result) -> dict[str, Any]:
    return typed("Result", result) | present({"alignment": [alignment_json(link) for link in result.alignment]})


def alignment_json(alignment: Alignment) -> dict[str, Any]:
    return typed("Alignment", alignment)


def profile_json(profile: Profile | None) -> dict[str, Any] | None:
    if profile is None:
        return None
    return typed("Profile", profile) | present(
        {
            "image": image_json(profile.image),
            "address": typed("Address", profile.address) if profile.address else None,
            "otherIdentifier": [typed("IdentifierEntry", one, bare=True) for one in profile.other_identifier],
            "parentOrg": profile_json(profile.parent_org),
            **endorsements(profile),
        }
    )


def endorsements(node: Endorsed) -> dict[str, Any]:
    return {"endorsement": list(node.endorsement), "endorsementJwt": list(node.endorsement_jwt)}


def image_json(image: Image | None) -> dict[str, Any] | None:
    return {"id": image.id, "type": "Image"} | present({"caption": image.caption}) if image else None


def typed(kind: str, model: BaseModel, *, bare: bool = False) -> dict[str, Any]:
    """The model's own scalars under its type: an array, except where the 1EdTech schema wants the bare word."""
    body = plain(model)
    head = {"id": body.pop("id")} if "id" in body else {}
    return head | {"type": kind if bare else [kind]} | body


def plain(model: BaseModel) -> dict[str, Any]:
    """The model's scalars, and lists of such; what is nested in it is written by those who know its type."""
    body = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {key: value for key, value in body.items() if value != [] and not _is_nested(value)}


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (is_list(value) and any(isinstance(one, dict) for one in value))


def present(members: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing: null and empty lists would go unsigned."""
    return {key: value for key, value in members.items() if value is not None and value != []}


def number(amount: Decimal | None) -> int | float | None:
    if amount is None:
        return None
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _decimal_text(amount: Decimal) -> str:
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _truth(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()
