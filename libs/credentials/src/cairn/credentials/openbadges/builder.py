"""From a typed draft to the document that is signed."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from cairn.credentials.instants import format_instant
from cairn.credentials.openbadges import words
from cairn.credentials.openbadges.models import (
    Achievement,
    Alignment,
    Component,
    CredentialDraft,
    Evidence,
    Image,
    Profile,
    Result,
    Stack,
    StatusEntry,
)
from cairn.credentials.schema_check import ACHIEVEMENT_SCHEMA
from cairn.credentials.structure import VC2


def build_credential(draft: CredentialDraft) -> dict[str, Any]:
    """The unsigned `AchievementCredential` on VC 2.0, using only terms that the bundled contexts define.

    A draft with a `stack` becomes a qualification credential, whose evidence cites the stack. One status entry is
    written as an object, several as an array (VC data model 2.0 §4.10; the 1EdTech schema knows only the object).
    """
    evidence = [_typed("Evidence", one) for one in draft.evidence]
    if draft.stack is not None:
        evidence += [*(_component(one) for one in draft.stack.components), _audit(draft.stack)]
    status = [_status(entry) for entry in draft.status]
    return _present(
        {
            "@context": [VC2, words.OB_CONTEXT, words.OB_EXTENSIONS],
            "id": draft.id,
            "type": ["VerifiableCredential", "OpenBadgeCredential"],
            "name": draft.name or draft.achievement.name,
            "description": draft.description,
            "image": _image(draft.image),
            "issuer": _profile(draft.issuer),
            "validFrom": format_instant(draft.valid_from),
            "validUntil": format_instant(draft.valid_until) if draft.valid_until else None,
            "awardedDate": format_instant(draft.awarded) if draft.awarded else None,
            "credentialSubject": _subject(draft),
            "evidence": evidence,
            "credentialSchema": [{"id": ACHIEVEMENT_SCHEMA, "type": "1EdTechJsonSchemaValidator2019"}],
            "credentialStatus": status[0] if len(status) == 1 else status,
        }
    )


def _subject(draft: CredentialDraft) -> dict[str, Any]:
    return _present(
        {
            "id": draft.subject_id,
            "type": ["AchievementSubject"],
            "identifier": [_typed("IdentityObject", one, plain=True) for one in draft.identifiers],
            "activityStartDate": format_instant(draft.activity_start) if draft.activity_start else None,
            "activityEndDate": format_instant(draft.activity_end) if draft.activity_end else None,
            "creditsEarned": _number(draft.credits_earned),
            "licenseNumber": draft.licence_number,
            "role": draft.role,
            "term": draft.term,
            "narrative": draft.narrative,
            "result": [_result(one) for one in draft.results],
            "achievement": _achievement(draft.achievement),
        }
    )


def _achievement(achievement: Achievement) -> dict[str, Any]:
    alignments = [*achievement.alignment, *european_alignments(achievement)]
    return _present(
        {
            "id": achievement.id,
            "type": ["Achievement"],
            "name": achievement.name,
            "description": achievement.description,
            "criteria": _plain(achievement.criteria),
            "achievementType": achievement.achievement_type,
            "creator": _profile(achievement.creator),
            "creditsAvailable": _number(achievement.credits_available),
            "fieldOfStudy": achievement.field_of_study,
            "humanCode": achievement.human_code,
            "image": _image(achievement.image),
            "inLanguage": achievement.in_language,
            "specialization": achievement.specialization,
            "tag": list(achievement.tag),
            "version": achievement.version,
            "otherIdentifier": [_typed("IdentifierEntry", one, plain=True) for one in achievement.other_identifier],
            "related": [_typed("Related", one) for one in achievement.related],
            "alignment": [_alignment(one) for one in alignments],
            "resultDescription": [
                _typed("ResultDescription", one)
                | _present(
                    {
                        "rubricCriterionLevel": [
                            _typed("RubricCriterionLevel", level)
                            | _present({"alignment": [_alignment(link) for link in level.alignment]})
                            for level in one.rubric_criterion_level
                        ],
                        "alignment": [_alignment(link) for link in one.alignment],
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


def _component(component: Component) -> dict[str, Any]:
    """One stone of the stack, as evidence: the credential, its digest, and which achievement of which issuer it was."""
    links = [
        Alignment(
            target_type=words.CREDENTIAL,
            target_name=component.name or component.achievement,
            target_url=component.achievement,
        ),
        Alignment(target_type=words.ISSUED_BY, target_name="Issuer", target_url=component.issuer),
    ]
    evidence = Evidence(id=component.credential, name=component.name, genre=words.COMPONENT_GENRE)
    digest = {"digestMultibase": _multihash(component.digest)} if component.digest else {}
    return _typed("Evidence", evidence) | digest | {"alignment": [_alignment(link) for link in links]}


def _audit(stack: Stack) -> dict[str, Any]:
    link = Alignment(
        target_type=words.FRAMEWORK,
        target_name=stack.title or stack.framework,
        target_url=stack.framework,
        target_code=stack.version,
    )
    digest = base64.urlsafe_b64encode(bytes.fromhex(stack.audit_digest)).rstrip(b"=").decode()
    evidence = Evidence(
        id=f"ni:///sha-256;{digest}",
        name="Audit",
        genre=words.AUDIT_GENRE,
        narrative=f"The audit of the credentials cited here against version {stack.version} of the framework.",
    )
    body = _typed("Evidence", evidence) | {"digestMultibase": _multihash(stack.audit_digest)}
    return body | {"alignment": [_alignment(link)]}


def _status(entry: StatusEntry) -> dict[str, Any]:
    return {
        "id": f"{entry.list_url}#{entry.index}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": entry.purpose,
        "statusListIndex": str(entry.index),
        "statusListCredential": entry.list_url,
    }


def _result(result: Result) -> dict[str, Any]:
    return _typed("Result", result) | _present({"alignment": [_alignment(link) for link in result.alignment]})


def _alignment(alignment: Alignment) -> dict[str, Any]:
    return _typed("Alignment", alignment)


def _profile(profile: Profile | None) -> dict[str, Any] | None:
    return _typed("Profile", profile) | _present({"image": _image(profile.image)}) if profile else None


def _image(image: Image | None) -> dict[str, Any] | None:
    return {"id": image.id, "type": "Image"} | _present({"caption": image.caption}) if image else None


def _typed(kind: str, model: BaseModel, *, plain: bool = False) -> dict[str, Any]:
    """The model's own scalars under its type: an array, except where the 1EdTech schema wants the bare word."""
    body = _plain(model)
    head = {"id": body.pop("id")} if "id" in body else {}
    return head | {"type": kind if plain else [kind]} | body


def _plain(model: BaseModel) -> dict[str, Any]:
    body = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    nested = ("alignment", "rubricCriterionLevel", "image")
    return {key: value for key, value in body.items() if value != [] and key not in nested}


def _present(members: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing: null and empty lists would go unsigned."""
    return {key: value for key, value in members.items() if value is not None and value != []}


def _number(amount: Decimal | None) -> int | float | None:
    if amount is None:
        return None
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _decimal_text(amount: Decimal) -> str:
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _truth(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def _multihash(digest: str) -> str:
    """A sha2-256 multihash in base64url multibase, as `digestMultibase` wants it (VC data model 2.0 §5.3)."""
    return "u" + base64.urlsafe_b64encode(b"\x12\x20" + bytes.fromhex(digest)).rstrip(b"=").decode()
