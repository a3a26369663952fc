"""Endorsements (Open Badges 3.0 §B, `EndorsementCredential`): a signed word for somebody, or for a credential."""

from __future__ import annotations

from typing import Any

from cairn.credentials.openbadges import words
from cairn.credentials.openbadges.drafts import Draft
from cairn.credentials.openbadges.models import Iri, Name, Text
from cairn.credentials.openbadges.parts import credential_json
from cairn.credentials.schema_check import ENDORSEMENT_SCHEMA


class EndorsementDraft(Draft):
    """`endorsed` is the id of a person, an organisation, a credential or an achievement."""

    name: Name
    endorsed: Iri
    comment: Text | None = None
    """In Markdown."""


def build_endorsement(draft: EndorsementDraft) -> dict[str, Any]:
    """The unsigned `EndorsementCredential`."""
    subject: dict[str, Any] = {"id": draft.endorsed, "type": ["EndorsementSubject"]}
    if draft.comment is not None:
        subject["endorsementComment"] = draft.comment
    return credential_json(
        draft,
        kind="EndorsementCredential",
        contexts=(words.OB_CONTEXT, words.OB_EXTENSIONS),
        schema=ENDORSEMENT_SCHEMA,
        name=draft.name,
        credentialSubject=subject,
    )
