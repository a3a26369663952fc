"""Comprehensive Learner Record 2.0: a qualification with its stack, each credential whole and with its own proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from cairn.credentials.openbadges import words
from cairn.credentials.openbadges.drafts import Draft
from cairn.credentials.openbadges.models import Achievement, Identifier, Image, Iri, Model, Name
from cairn.credentials.openbadges.parts import (
    achievement_json,
    credential_json,
    identifier_json,
    image_json,
    plain,
    present,
)
from cairn.credentials.schema_check import CLR_SCHEMA


class Association(Model):
    """The achievement `source_id` is, say, the child of the achievement `target_id` (CLR 2.0 §B, `Association`)."""

    association_type: Literal[
        "exactMatchOf", "isChildOf", "isParentOf", "isPartOf", "isPeerOf", "isRelatedTo", "precedes", "replacedBy"
    ]
    source_id: Iri
    target_id: Iri


class ClrDraft(Draft):
    """Everything that one record says."""

    name: Name
    image: Image | None = None
    partial: bool | None = None
    """True where the issuer knows of more than is in it."""
    subject_id: Iri | None = None
    identifiers: tuple[Identifier, ...] = ()
    credentials: tuple[dict[str, Any], ...] = Field(min_length=1)
    """Signed credentials, as they were issued."""
    achievements: tuple[Achievement, ...] = ()
    """Those that associations speak of and no credential here describes."""
    associations: tuple[Association, ...] = ()


def stack_associations(qualification: str, components: Sequence[str]) -> tuple[Association, ...]:
    """The qualification is the parent of what it rests on, and that is a part of it: to be found from either end."""
    parents = [
        Association(association_type="isParentOf", source_id=qualification, target_id=component)
        for component in components
    ]
    parts = [
        Association(association_type="isPartOf", source_id=component, target_id=qualification)
        for component in components
    ]
    return (*parents, *parts)


def build_clr(draft: ClrDraft) -> dict[str, Any]:
    """The unsigned `ClrCredential` (CLR 2.0 §B.1)."""
    subject = {
        "id": draft.subject_id,
        "type": ["ClrSubject"],
        "identifier": [identifier_json(one) for one in draft.identifiers],
        "achievement": [achievement_json(one) for one in draft.achievements],
        "verifiableCredential": list(draft.credentials),
        "association": [{"type": "Association"} | plain(one) for one in draft.associations],
    }
    return credential_json(
        draft,
        kind="ClrCredential",
        contexts=(words.CLR_CONTEXT, words.OB_CONTEXT, words.OB_EXTENSIONS),
        schema=CLR_SCHEMA,
        name=draft.name,
        image=image_json(draft.image),
        partial=draft.partial,
        credentialSubject=present(subject),
    )
