"""JSON Schemas from the bundle: what Open Badges 3.0 and CLR 2.0 ask, and what a credential says that it follows.

A `credentialSchema` is looked up by its id. One that is not bundled is never fetched: nothing can be said of it.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Any, Final

from jsonschema_rs import Draft201909Validator, ValidationError

from cairn.credentials import bundle
from cairn.credentials.canonicalize.makes import FIXED
from cairn.credentials.findings import Finding
from cairn.credentials.shape import id_of, is_list, is_object, is_small, listed, text_of, types_of

_OB: Final = "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/"
_CLR: Final = "https://purl.imsglobal.org/spec/clr/v2p0/schema/json/"
ACHIEVEMENT_SCHEMA: Final = f"{_OB}ob_v3p0_achievementcredential_schema.json"
ENDORSEMENT_SCHEMA: Final = f"{_OB}ob_v3p0_endorsementcredential_schema.json"
CLR_SCHEMA: Final = f"{_CLR}clr_v2p0_clrcredential_schema.json"
_BY_KIND: Final = {
    "AchievementCredential": ACHIEVEMENT_SCHEMA,
    "OpenBadgeCredential": ACHIEVEMENT_SCHEMA,
    "EndorsementCredential": ENDORSEMENT_SCHEMA,
    "ClrCredential": CLR_SCHEMA,
}
SCHEMA_TYPES: Final = frozenset({"1EdTechJsonSchemaValidator2019", "JsonSchema"})
_APPLIED: Final = frozenset({"additionalItems", "additionalProperties", "allOf", "anyOf", "items", "oneOf"})
_BLIND: Final = frozenset(
    {
        "$comment",
        "$defs",
        "$id",
        "$schema",
        "description",
        "format",
        "minItems",
        "propertyNames",
        "required",
        "title",
        "type",
    }
)
"""Keywords of a schema that look at no text: a key is none, and formats are not checked."""
_MAX_FINDINGS: Final = 5
_MAX_SCHEMAS: Final = 8
_MAX_EXPLAINED: Final = 2_000
"""Values in a document. To say where a schema is violated takes hundreds of times longer than to say that it is."""


def against_schemas(document: dict[str, Any]) -> tuple[list[Finding], list[str]]:
    """Where the credential departs from the schema of its kind, or from a bundled one that it names.

    And which it names that are not bundled, so that nothing can be said of them.
    """
    urls = _of_its_kinds(document)
    found: list[Finding] = []
    unknown: list[str] = []
    for place, entry in enumerate(listed(document.get("credentialSchema"))):
        url = id_of(entry) or "?"
        if not _is_known(entry, url):
            unknown.append(url)
            continue
        urls.append(url)
        if place >= _MAX_SCHEMAS:
            unknown.append(url)
        if "digestSRI" in entry and not bundle.schema_fits(url, text_of(entry["digestSRI"]) or ""):
            # It is not the one that the issuer meant.
            detail = "the schema's digestSRI is not that of the schema"
            found.append(Finding("schema-digest", detail, "/credentialSchema"))
    instance = _with_one_status(document)
    for url in list(dict.fromkeys(urls))[:_MAX_SCHEMAS]:
        validator = _validator(url)
        if validator.is_valid(instance):
            continue
        if not is_small(instance, _MAX_EXPLAINED):
            found.append(
                Finding("schema-violated", "the credential departs from its schema, and is too large to say where")
            )
        else:
            found += [_finding(error) for error in islice(validator.iter_errors(instance), _MAX_FINDINGS)]
    return found[:_MAX_FINDINGS], unknown


def judge_makes(document: dict[str, Any]) -> bool:
    """Whether the document is valid by its schemas if another of its make is: all of them are bundled."""
    named = [id_of(entry) or "" for entry in listed(document.get("credentialSchema"))]
    return all(map(_judges_makes, _of_its_kinds(document) + named))


def _of_its_kinds(document: dict[str, Any]) -> list[str]:
    return [_BY_KIND[kind] for kind in types_of(document) if kind in _BY_KIND]


def _is_known(entry: Any, url: str) -> bool:
    """Whether a `credentialSchema` is of a type that is evaluated here, and in the bundle."""
    return is_object(entry) and not SCHEMA_TYPES.isdisjoint(types_of(entry)) and bundle.schema(url) is not None


def _with_one_status(document: dict[str, Any]) -> dict[str, Any]:
    """VC data model 2.0 §4.10 allows several status entries, which the 1EdTech schemas, written for one, forget.

    The structure check holds each of them to the same rule (a type).
    """
    status, subject = document.get("credentialStatus"), document.get("credentialSubject")
    if is_list(status) and status:
        document = document | {"credentialStatus": status[0]}
    if is_object(subject) and "verifiableCredential" in subject:
        inner = [_with_one_status(one) if is_object(one) else one for one in listed(subject["verifiableCredential"])]
        document = document | {"credentialSubject": subject | {"verifiableCredential": inner}}
    return document


def _finding(error: ValidationError) -> Finding:
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.instance_path)
    return Finding("schema-violated", error.message[:200], pointer or None)


@cache
def _validator(url: str) -> Draft201909Validator:
    # Formats are annotations in this draft (§7.2.1).
    return Draft201909Validator(bundle.schema(url) or False, validate_formats=False)


@cache
def _judges_makes(url: str) -> bool:
    """Whether the schema asks of texts only that they be texts, but in members that are fixed in a make.

    Then documents of one make are all valid by it, or none is.
    """
    return FIXED.issuperset(choosy_members(bundle.schema(url)))


def choosy_members(schema: Any) -> set[str | None]:
    """Below which members a schema may ask more of a text, by the innermost that has a name; None is the root.

    Whatever keyword is not known to look at no text is taken for one that does.
    """
    found: set[str | None] = set()
    seen: set[tuple[int, str | None]] = set()
    pending: list[tuple[Any, str | None]] = [(schema, None)]
    for node, name in pending:  # which grows
        if not is_object(node) or (id(node), name) in seen:
            continue
        seen.add((id(node), name))
        for keyword, value in node.items():
            if keyword == "properties":
                pending += [(member, key) for key, member in value.items()]
            elif keyword == "$ref":
                pending.append((_within(schema, value), name))
            elif keyword in _APPLIED:
                pending += [(one, name) for one in listed(value)]
            elif keyword not in _BLIND:
                found.add(name)
    return found


def _within(schema: Any, reference: str) -> Any:
    """What a `$ref` within the schema, such as `#/$defs/Profile`, leads to."""
    for step in reference.removeprefix("#/").split("/"):
        schema = schema[step]
    return schema
