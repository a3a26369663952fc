"""The issuance service's refusals, and how each appears over HTTP. Every code has a page in `docs/errors/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cairn.common.problem import Problem

PROBLEMS: Final[Mapping[str, Problem]] = {
    "institution-exists": Problem(409, "The institution is registered already"),
    "achievement-exists": Problem(409, "The achievement is published already"),
    "achievement-unknown": Problem(400, "The institution has published no such achievement"),
    "achievement-retired": Problem(400, "The achievement was retired"),
    "learner-unknown": Problem(400, "The institution has registered no such learner"),
    "learner-erased": Problem(410, "The learner was erased"),
    "identifier-taken": Problem(409, "The identifier belongs to another learner of the institution"),
    "completion-impossible": Problem(400, "The completion cannot be true"),
    "completion-changed": Problem(409, "The completion was recorded before with other facts"),
    "backlog-full": Problem(429, "Too much of this institution waits for its credentials", retry_after=5),
    "too-many-lines": Problem(413, "There are too many lines"),
    "link-code-refused": Problem(403, "The link code is not valid"),
    "merge-refused": Problem(409, "The learners cannot be merged"),
    "award-refused": Problem(400, "The award does not add up"),
    "credential-refused": Problem(400, "The credential cannot be issued as it is"),
    "issuer-foreign": Problem(400, "The caller does not sign for this issuer"),
    "renewal-refused": Problem(409, "The credential cannot be renewed"),
    "key-refused": Problem(409, "The institution's keys do not allow this"),
    "status-refused": Problem(409, "The credential's status does not allow this"),
}
