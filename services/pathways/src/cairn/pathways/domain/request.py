"""The request of `POST /v1/audits`: a framework, holdings, and what else bears on the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from cairn.pathways.domain.decisions import Decision, merge_decisions, read_decision
from cairn.pathways.domain.framework import Framework, read_framework
from cairn.pathways.domain.holding import Holding, merge_duplicates, read_holding
from cairn.pathways.domain.lint import lint
from cairn.pathways.domain.reading import JsonObject, Reader, step


@dataclass(frozen=True, slots=True)
class FrameworkRef:
    """A published framework by its qualification and version."""

    qualification: str
    version: str


@dataclass(frozen=True, slots=True)
class Spent:
    """A holding already spent on another qualification. It bars nothing while `across` is `any`."""

    holding: str
    qualification: str


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """`framework` is a reference when the request names a published one by `qualification` and `version` alone.
    `as_of` is None when absent: the caller has the clock."""

    framework: Framework | FrameworkRef
    holdings: tuple[Holding, ...]
    decisions: tuple[Decision, ...]
    as_of: datetime | None
    enrolled: datetime | None
    awards: Mapping[str, tuple[str, ...]]
    spent: tuple[Spent, ...]


_KEYS: Final = ("framework", "asOf", "enrolled", "awards", "spent", "holdings", "decisions")


def parse_audit_request(document: object) -> AuditRequest:
    """Read a whole request, the framework's structure included. Raises Refused: of shape (HTTP 422), otherwise of
    structure or not yet supported (HTTP 400)."""
    reader = Reader()
    members = reader.members(document, "", _KEYS, ("framework", "holdings"))
    framework: Framework | FrameworkRef = FrameworkRef("", "")
    if "framework" in members:
        framework = _read_framework(reader, members["framework"])
    holdings = [
        read_holding(reader, holding, at) for holding, at in reader.each(members.get("holdings", []), "/holdings")
    ]
    decisions = [
        read_decision(reader, entry, at) for entry, at in reader.each(members.get("decisions", []), "/decisions")
    ]
    for _, place in reader.each(members.get("decisions", []), "/decisions"):
        reader.not_yet(place, "A decision")
    as_of = reader.instant(members["asOf"], "/asOf") if "asOf" in members else None
    enrolled = reader.instant(members["enrolled"], "/enrolled") if "enrolled" in members else None
    awards = _read_awards(reader, members.get("awards", {}))
    spent = tuple(_read_spent(reader, entry, at) for entry, at in reader.each(members.get("spent", []), "/spent"))
    reader.settle()
    if isinstance(framework, Framework):
        reader.problems += [problem for problem in lint(framework) if problem.kind == "structure"]
    reader.settle()
    return AuditRequest(
        framework, merge_duplicates(holdings), merge_decisions(decisions), as_of, enrolled, awards, spent
    )


def _read_framework(reader: Reader, document: object) -> Framework | FrameworkRef:
    named = ("qualification", "version")
    if isinstance(document, dict) and document and not cast("JsonObject", document).keys() - set(named):
        members = reader.members(cast("JsonObject", document), "/framework", named, named)
        read = {key: reader.text(value, step("/framework", key)) for key, value in members.items()}
        return FrameworkRef(read.get("qualification", ""), read.get("version", ""))
    return read_framework(reader, cast("object", document), "/framework")


def _read_awards(reader: Reader, document: object) -> dict[str, tuple[str, ...]]:
    known = tuple(cast("JsonObject", document)) if isinstance(document, dict) else ()
    members = reader.members(cast("object", document), "/awards", known)
    return {key: reader.texts(value, step("/awards", key)) for key, value in members.items()}


def _read_spent(reader: Reader, document: object, path: str) -> Spent:
    members = reader.members(document, path, ("holding", "qualification"), ("holding", "qualification"))
    read = {key: reader.text(value, step(path, key)) for key, value in members.items()}
    return Spent(read.get("holding", ""), read.get("qualification", ""))
