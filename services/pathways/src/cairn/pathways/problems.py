"""The pathways service's refusals, and how each appears over HTTP. Every code has a page in `docs/errors/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cairn.common.problem import DomainError, Fault, Problem
from cairn.pathways.domain import Problem as Finding
from cairn.pathways.domain import Refused

PROBLEMS: Final[Mapping[str, Problem]] = {
    "framework-refused": Problem(400, "The framework does not make sense as it is"),
    "framework-published": Problem(409, "The framework is published and does not change any more"),
    "framework-unknown": Problem(400, "There is no such published framework here"),
    "impact-needed": Problem(409, "So many could be awarded that a report of the impact is needed first"),
    "approval-refused": Problem(409, "The publication cannot be approved like this"),
    "decision-refused": Problem(400, "The decision does not make sense for this learner"),
    "decisions-altered": Problem(409, "Decisions were altered in the database"),
    "audit-refused": Problem(400, "The audit's inputs contradict each other"),
}


def refusal(refused: Refused, *, code: str) -> DomainError:
    """The engine's refusal as one of ours: `malformed` if it cannot be read, else `code`."""
    code = "malformed" if refused.malformed else code
    return DomainError("The document was refused.", code=code, faults=faults_of(refused.problems))


def faults_of(findings: Sequence[Finding]) -> list[Fault]:
    return [Fault(finding.path, finding.detail, finding.fix or "") for finding in findings]
