"""JSON Schema of Open Badges 3.0, from the bundle; schemas named elsewhere are not fetched."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Any, Final

from jsonschema_rs import Draft201909Validator, ValidationError

from cairn.credentials import bundle
from cairn.credentials.findings import Finding
from cairn.credentials.shape import id_of, is_list, is_object, is_small, listed, types_of

ACHIEVEMENT_SCHEMA: Final = (
    "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_achievementcredential_schema.json"
)
ACHIEVEMENT_TYPES: Final = frozenset({"AchievementCredential", "OpenBadgeCredential"})
SCHEMA_TYPES: Final = frozenset({"1EdTechJsonSchemaValidator2019", "JsonSchema"})
_MAX_FINDINGS: Final = 5
_MAX_EXPLAINED: Final = 2_000
"""Values in a document. To say where a schema is violated takes hundreds of times longer than to say that it is."""


def schema_findings(document: dict[str, Any]) -> list[Finding]:
    """Where an Open Badges 3.0 credential departs from its schema; empty for one that does not, and for other kinds."""
    kinds = frozenset(types_of(document))
    if kinds & ACHIEVEMENT_TYPES:
        validator = _achievement_validator()
    elif "EndorsementCredential" in kinds:
        validator = _endorsement_validator()
    else:
        return []
    instance = _with_one_status(document)
    if validator.is_valid(instance):
        return []
    if not is_small(instance, _MAX_EXPLAINED):
        return [Finding("schema-violated", "the credential departs from its schema, and is too large to say where")]
    return [_finding(error) for error in islice(validator.iter_errors(instance), _MAX_FINDINGS)]


def unknown_schemas(document: dict[str, Any]) -> list[str]:
    """The `credentialSchema`s that are named and not bundled, so that nothing can be said of them."""
    return [
        id_of(entry) or "?"
        for entry in listed(document.get("credentialSchema"))
        if not is_object(entry) or not SCHEMA_TYPES & set(types_of(entry)) or bundle.schema(id_of(entry) or "") is None
    ]


def _with_one_status(document: dict[str, Any]) -> dict[str, Any]:
    """VC data model 2.0 §4.10 allows several status entries, which the 1EdTech schema, written for one, forgets.

    The structure check holds each of them to the same rule (a type).
    """
    status = document.get("credentialStatus")
    return document | {"credentialStatus": status[0]} if is_list(status) and status else document


def _finding(error: ValidationError) -> Finding:
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.instance_path)
    return Finding("schema-violated", error.message[:200], pointer or None)


@cache
def _achievement_validator() -> Draft201909Validator:
    return Draft201909Validator(bundle.schema(ACHIEVEMENT_SCHEMA) or False)


@cache
def _endorsement_validator() -> Draft201909Validator:
    whole = bundle.schema(ACHIEVEMENT_SCHEMA) or {}
    return Draft201909Validator({"$ref": "#/$defs/EndorsementCredential", "$defs": whole["$defs"]})
