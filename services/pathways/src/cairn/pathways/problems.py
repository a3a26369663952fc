"""The pathways service's refusals, and how each appears over HTTP. Every code has a page in `docs/errors/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cairn.common.problem import DomainError, Fault, Problem
from cairn.pathways.domain import Problem as Finding
from cairn.pathways.domain import Refused

PROBLEMS: Final[Mapping[str, Problem]] = {
    "framework-refused": Problem(400, "The framework does not make sense as it is", "Correct it."),
    "framework-published": Problem(
        409, "The framework is published and does not change any more", "Publish a new version."
    ),
    "framework-unknown": Problem(
        400, "There is no such published framework here", "Publish it first, or correct its name."
    ),
    "impact-needed": Problem(
        409, "So many could be awarded that a report of the impact is needed first", "Ask for a report."
    ),
    "approval-refused": Problem(409, "The publication cannot be approved like this", "Let another person approve it."),
    "decision-refused": Problem(400, "The decision does not make sense for this learner", "Correct the decision."),
    "decisions-altered": Problem(
        409, "Decisions were altered in the database", "Restore the table of decisions from a backup."
    ),
    "audit-refused": Problem(400, "The audit's inputs contradict each other", "Correct the inputs."),
}


def refusal(refused: Refused, *, code: str) -> DomainError:
    """The engine's refusal as one of ours: `malformed` if it cannot be read, else `code`."""
    code = "malformed" if refused.malformed else code
    return DomainError("The document was refused.", code=code, faults=faults_of(refused.problems))


def faults_of(findings: Sequence[Finding]) -> list[Fault]:
    return [Fault(finding.path, finding.detail, finding.fix) for finding in findings]
