"""What issuance refuses, and how a credential's status may change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from cairn.common.errors import DomainError, Fault
from cairn.common.instants import CLOCK_TOLERANCE
from cairn.issuance.domain.model import ONE, ZERO, Completion

RENEWABLE: Final = timedelta(days=180)
"""How long before its end a credential may be renewed; after its end, at any time."""
EARLIEST: Final = datetime(1950, 1, 1, tzinfo=UTC)

Status = Literal["valid", "suspended", "revoked", "superseded"]
Action = Literal["suspend", "reinstate", "revoke"]


def impossible(completion: Completion, now: datetime) -> list[Fault]:
    """Everything in a completion that cannot be true, whatever learner and achievement it is about."""
    found: list[Fault] = []
    if completion.completed_at > now + CLOCK_TOLERANCE:
        found.append(Fault("/completedAt", "The completion lies in the future.", "Post it once it has happened."))
    if completion.completed_at < EARLIEST:
        found.append(Fault("/completedAt", "The completion lies before 1950.", "Correct the date."))
    grade = completion.grade
    if grade is not None:
        if (grade.score is None) == (grade.points is None):
            found.append(Fault("/grade", "A grade is either a score or points.", "Give exactly one of them."))
        if grade.score is not None and not ZERO <= grade.score <= ONE:
            found.append(Fault("/grade/score", "A score lies between 0 and 1.", "Divide by the highest score."))
        if grade.score is not None and grade.scale is not None:
            found.append(Fault("/grade/scale", "A score has no scale.", "Leave out the scale, or give points."))
        if grade.points is not None and not grade.scale:
            found.append(Fault("/grade/scale", "Points need the name of their scale.", 'Add it, such as "us-4.0".'))
        if grade.points is not None and not ZERO <= grade.points <= 1000:
            found.append(Fault("/grade/points", "Points lie between 0 and 1000.", "Correct the points."))
    return found


_NEXT: Final[dict[tuple[Status, Action], Status]] = {
    ("valid", "suspend"): "suspended",
    ("suspended", "suspend"): "suspended",
    ("suspended", "reinstate"): "valid",
    ("valid", "reinstate"): "valid",
    ("valid", "revoke"): "revoked",
    ("suspended", "revoke"): "revoked",
    ("revoked", "revoke"): "revoked",
    ("superseded", "revoke"): "revoked",
}


def not_renewable(
    *, status: str, issued: bool, earned: datetime, valid_until: datetime | None, completed: datetime, now: datetime
) -> str | None:
    """Why a credential cannot be renewed, or None. It ends, it is near its end, and the evidence is newer than it."""
    if not issued:
        return "It is not signed yet."
    if status != "valid":
        return f"It is {status}."
    if valid_until is None:
        return "It never expires."
    if now < valid_until - RENEWABLE:
        return f"It is valid until {valid_until:%Y-%m-%d}, and is renewed in the last {RENEWABLE.days} days of that."
    if completed <= earned:
        return "The evidence is no newer than the credential."
    return None


def next_status(current: Status, action: Action) -> Status:
    """The status after `action`; the same one where it changes nothing. A revoked credential never comes back.

    Raises DomainError `status-refused`.
    """
    after = _NEXT.get((current, action))
    if after is None:
        raise DomainError(
            f"A {current} credential cannot be {action}ed."
            if action == "suspend"
            else f"A {current} credential stays so.",
            code="status-refused",
            fix="Issue a new credential; revocation is final.",
        )
    return after
