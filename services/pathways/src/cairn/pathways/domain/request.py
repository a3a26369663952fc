"""The request of `POST /v1/audits`: a framework, holdings, and what else bears on the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.holding import Holding


@dataclass(frozen=True, slots=True)
class Decision:
    """A registrar's act on one learner. None can be made yet: `parse_audit_request` refuses any."""

    id: str


@dataclass(frozen=True, slots=True)
class FrameworkRef:
    """A published framework by its qualification and version."""

    qualification: str
    version: str


@dataclass(frozen=True, slots=True)
class Spent:
    """A holding already spent on another qualification."""

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


def parse_audit_request(document: object) -> AuditRequest:
    """Raises Refused: of shape (HTTP 422), otherwise of structure or not yet supported (HTTP 400)."""
    raise NotImplementedError
