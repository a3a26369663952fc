"""The request of `POST /v1/audits`: a framework, holdings, and what else bears on the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from cairn.pathways.domain.decisions import Decision, Rpl, Substitution, Waiver, merge_decisions, read_decision
from cairn.pathways.domain.errors import Problem
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
    structure (HTTP 400). Decisions about a published framework remain to be held against it by `misdirected`."""
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
    as_of = reader.instant(members["asOf"], "/asOf") if "asOf" in members else None
    enrolled = reader.instant(members["enrolled"], "/enrolled") if "enrolled" in members else None
    awards = _read_awards(reader, members.get("awards", {}))
    spent = tuple(_read_spent(reader, entry, at) for entry, at in reader.each(members.get("spent", []), "/spent"))
    reader.settle()
    if isinstance(framework, Framework):
        reader.problems += [problem for problem in lint(framework) if problem.kind == "structure"]
        reader.problems += misdirected(framework, decisions)
    reader.settle()
    merge_decisions(decisions)
    merged = merge_duplicates(holdings)
    return AuditRequest(framework, merged, tuple(decisions), as_of, enrolled, awards, spent)


_NAME: Final = "Name one of the framework."


def misdirected(framework: Framework, decisions: Sequence[Decision]) -> list[Problem]:
    """Decisions whose target is not in a framework, or is not what such a decision acts on."""
    leaves = {leaf.id for leaf in framework.leaves}
    waivable = {node.id for node in framework.nodes} | {limit.id for limit in framework.limits}
    problems: list[Problem] = []
    for place, decision in enumerate(decisions):
        at = f"/decisions/{place}/target"
        if isinstance(decision, Waiver) and decision.target == framework.root.id:
            detail = "The root cannot be waived: that would be to award the whole."
            problems.append(Problem("structure", "root-waived", at, detail, "Waive the nodes or limits within it."))
        elif isinstance(decision, Waiver) and decision.target not in waivable:
            problems.append(
                Problem("structure", "unknown-id", at, f"There is no node or limit {decision.target!r}.", _NAME)
            )
        elif isinstance(decision, Substitution | Rpl) and decision.target not in leaves:
            problems.append(Problem("structure", "unknown-id", at, f"There is no leaf {decision.target!r}.", _NAME))
    return problems


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
