"""How a domain refuses: with a stable code, and nothing of HTTP, so that it needs no more than the language.

`cairn.common.problem` turns these into problem documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where (a JSON pointer), what, and how to mend it."""

    field: str
    detail: str
    fix: str

    def to_json(self) -> dict[str, str]:
        return {"field": self.field, "detail": self.detail, "fix": self.fix}


class DomainError(Exception):
    """A refusal that the caller can understand. Subclasses, or callers, set `code`; the web edge knows its status, and
    what mends it where no `fix` says so."""

    code: str = "bad-request"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        field: str | None = None,
        fix: str = "",
        faults: Sequence[Fault] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code or self.code
        self.detail = detail
        self.faults = tuple(faults) or ((Fault(field, detail, fix),) if field is not None else ())
        self.fix = fix
