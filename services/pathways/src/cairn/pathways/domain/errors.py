"""What is wrong with a document, said so that its author can mend it: a stable code, the place, a sentence, the fix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["shape", "structure", "sense", "catalogue"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document.

    `kind` says who can answer it: `shape` is malformed input (HTTP 422); `structure` is well-formed and has no meaning,
    such as an empty group; `sense` has a meaning that nobody can want, such as a minimum above the maximum;
    `catalogue` needs knowledge of what is on offer.
    `path` is a JSON pointer (RFC 6901) into the document, `fix` says what to do about it.
    """

    kind: Kind
    code: str
    path: str
    detail: str
    fix: str

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "field": self.path, "detail": self.detail, "fix": self.fix}


class Refused(Exception):
    """A document was refused. `problems` holds everything found wrong with it, and is never empty."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.path or '/'}: {p.detail}" for p in self.problems))

    @property
    def malformed(self) -> bool:
        """Whether any problem is one of shape: the document could not be read at all (HTTP 422, otherwise 400)."""
        return any(problem.kind == "shape" for problem in self.problems)
