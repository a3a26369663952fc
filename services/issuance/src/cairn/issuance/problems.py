"""The issuance service's refusals, and how each appears over HTTP. Every code has a page in `docs/errors/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cairn.common.problem import Problem

PROBLEMS: Final[Mapping[str, Problem]] = {
    "institution-exists": Problem(409, "The institution is registered already", "Use another id."),
    "achievement-exists": Problem(409, "The achievement is published already", "Use another code."),
    "achievement-unknown": Problem(
        400, "The institution has published no such achievement", "Publish it first, or correct it."
    ),
    "achievement-retired": Problem(400, "The achievement was retired", "Use its successor."),
    "learner-unknown": Problem(400, "The institution has registered no such learner", "Register the learner first."),
    "learner-erased": Problem(410, "The learner was erased", "Nothing brings them back: ask no more."),
    "identifier-taken": Problem(409, "The identifier belongs to another learner of the institution", "Merge the two."),
    "completion-impossible": Problem(400, "The completion cannot be true", "Correct it."),
    "completion-changed": Problem(409, "The completion was recorded before with other facts", "Use a new id."),
    "backlog-full": Problem(
        429, "Too much of this institution waits for its credentials", "Send it again later.", retry_after=5
    ),
    "too-many-lines": Problem(413, "There are too many lines", "Send fewer."),
    "link-code-refused": Problem(403, "The link code is not valid", "Ask the learner for a new one."),
    "merge-refused": Problem(409, "The learners cannot be merged", "Look at both learners."),
    "award-refused": Problem(400, "The award does not add up", "Look at the award in pathways."),
    "credential-refused": Problem(400, "The credential cannot be issued as it is", "Correct it."),
    "issuer-foreign": Problem(400, "The caller does not sign for this issuer", "Name your own issuer, or none."),
    "renewal-refused": Problem(409, "The credential cannot be renewed", "Look at its status and its end."),
    "key-refused": Problem(409, "The institution's keys do not allow this", "Look at the keys."),
    "status-refused": Problem(409, "The credential's status does not allow this", "Look at its status."),
}
