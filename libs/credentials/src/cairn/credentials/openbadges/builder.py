"""From a typed draft of a badge to the document that is signed."""

from __future__ import annotations

import base64
from typing import Any

from cairn.credentials.instants import format_instant
from cairn.credentials.multihash import multibase_digest
from cairn.credentials.openbadges import words
from cairn.credentials.openbadges.drafts import CredentialDraft
from cairn.credentials.openbadges.models import Alignment, Component, Evidence, Stack
from cairn.credentials.openbadges.parts import (
    achievement_json,
    alignment_json,
    credential_json,
    evidence_json,
    identifier_json,
    image_json,
    number,
    present,
    profile_json,
    result_json,
)
from cairn.credentials.schema_check import ACHIEVEMENT_SCHEMA


def build_credential(draft: CredentialDraft) -> dict[str, Any]:
    """The unsigned `AchievementCredential` on VC 2.0, using only terms that the bundled contexts define.

    A draft with a `stack` becomes a qualification credential, whose evidence cites the stack.
    """
    evidence = [evidence_json(one) for one in draft.evidence]
    if draft.stack is not None:
        evidence += [*(_component(one) for one in draft.stack.components), _audit(draft.stack)]
    return credential_json(
        draft,
        kind="OpenBadgeCredential",
        contexts=(words.OB_CONTEXT, words.OB_EXTENSIONS),
        schema=ACHIEVEMENT_SCHEMA,
        name=draft.name or draft.achievement.name,
        image=image_json(draft.image),
        credentialSubject=_subject(draft),
        evidence=evidence,
    )


def _subject(draft: CredentialDraft) -> dict[str, Any]:
    return present(
        {
            "id": draft.subject_id,
            "type": ["AchievementSubject"],
            "identifier": [identifier_json(one) for one in draft.identifiers],
            "activityStartDate": format_instant(draft.activity_start) if draft.activity_start else None,
            "activityEndDate": format_instant(draft.activity_end) if draft.activity_end else None,
            "creditsEarned": number(draft.credits_earned),
            "source": profile_json(draft.source),
            "image": image_json(draft.subject_image),
            "licenseNumber": draft.licence_number,
            "role": draft.role,
            "term": draft.term,
            "narrative": draft.narrative,
            "result": [result_json(one) for one in draft.results],
            "achievement": achievement_json(draft.achievement),
        }
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
    digest = {"digestMultibase": multibase_digest(component.digest)} if component.digest else {}
    return evidence_json(evidence) | digest | {"alignment": [alignment_json(link) for link in links]}


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
    body = evidence_json(evidence) | {"digestMultibase": multibase_digest(stack.audit_digest)}
    return body | {"alignment": [alignment_json(link)]}
