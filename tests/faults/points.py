"""The points at which a process is killed (R1, R2): each between two statements of the real code, named by function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Act = Literal["study", "link", "lose", "late", "expire"]
"""The act of a cohort's plot (`world`) during which the point is reached."""


@dataclass(frozen=True, slots=True)
class Point:
    """`at` are functions as (module, name): which of them runs depends on the bus. Only calls from `within` count, a
    module and a function, and only those whose argument `given`, by position, is not empty."""

    name: str
    process: str
    act: Act
    when: Literal["before", "after"]
    at: tuple[tuple[str, str], ...]
    within: str = ""
    given: int | None = None
    often: bool = True
    """Whether the act leads here more than once, so that a later time can be chosen."""
    short: bool = True
    """Whether it is one of the twenty that every run of the tests comes to."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


_COMMIT: Final = (("cairn.common.db", "Transaction.commit"),)
_PUBLISH: Final = (
    ("cairn.common.bus.postgres", "PostgresBus.publish"),
    ("cairn.common.bus.kafka", "KafkaBus.publish"),
)
_OFFSET: Final = (("cairn.common.consumer", "Consumer._commit"),)
_INTAKE: Final = "cairn.issuance.use_cases.completions:record"
_ISSUE: Final = "cairn.issuance.use_cases.issue"
_AWARDS: Final = "cairn.issuance.use_cases.awards"
_MERGE: Final = "cairn.issuance.use_cases.learners:merge"
_STATUS: Final = "cairn.issuance.use_cases.credentials:change_status"
_RELAY: Final = "cairn.common.outbox:Relay.step"
_TAKE: Final = "cairn.pathways.use_cases.intake:_take"
_STORE: Final = "cairn.pathways.use_cases.auditing:_store"
_SAVE: Final = (("cairn.pathways.use_cases.auditing", "audits.save_awards"),)
_ACTIVATE: Final = "cairn.pathways.use_cases.publishing:_activate"
_BACKFILL: Final = "cairn.pathways.use_cases.backfill:_audit"
_DUE: Final = "cairn.pathways.use_cases.falling_due:step"

POINTS: Final = (
    Point("completions staged, not committed", "issuance-api", "study", "before", _COMMIT, _INTAKE),
    Point("completions committed, not answered", "issuance-api", "study", "after", _COMMIT, _INTAKE),
    Point(
        "intents written, not committed", "issuance-worker", "study", "before", _COMMIT, f"{_ISSUE}:draft", short=False
    ),
    Point("intents committed, nothing signed", "issuance-worker", "study", "after", _COMMIT, f"{_ISSUE}:draft"),
    Point("signed, not stored", "issuance-worker", "study", "after", ((_ISSUE, "_sign_all"),)),
    Point(
        "signatures announced, not committed",
        "issuance-worker",
        "study",
        "before",
        _COMMIT,
        f"{_ISSUE}:sign",
        short=False,
    ),
    Point("signatures committed", "issuance-worker", "study", "after", _COMMIT, f"{_ISSUE}:sign", short=False),
    Point("issuance: events read, not sent", "issuance-worker", "study", "before", _PUBLISH, _RELAY),
    Point("issuance: events sent, not deleted", "issuance-worker", "study", "after", _PUBLISH, _RELAY),
    Point("qualification intended, not committed", "issuance-worker", "study", "after", ((_AWARDS, "_intend"),)),
    Point("awards taken, offset not committed", "issuance-worker", "study", "before", _OFFSET),
    Point("audits written, awards not", "pathways-worker", "study", "before", _SAVE, _STORE, given=1),
    Point("awards written, not said", "pathways-worker", "study", "after", _SAVE, _STORE, given=1, short=False),
    Point("batch audited, not committed", "pathways-worker", "study", "before", _COMMIT, _TAKE, short=False),
    Point("batch committed, offset not", "pathways-worker", "study", "before", _OFFSET),
    Point("pathways: events sent, not deleted", "pathways-worker", "study", "after", _PUBLISH, _RELAY),
    Point("verification: batch taken, offset not", "verification-worker", "study", "before", _OFFSET),
    Point("merge staged, not committed", "issuance-api", "link", "before", _COMMIT, _MERGE, short=False),
    Point("merge committed, not answered", "issuance-api", "link", "after", _COMMIT, _MERGE),
    Point("status changed, not committed", "issuance-api", "lose", "before", _COMMIT, _STATUS, short=False),
    Point("status committed, not answered", "issuance-api", "lose", "after", _COMMIT, _STATUS),
    Point("lapse applied, not committed", "issuance-worker", "lose", "after", ((_AWARDS, "apply"),)),
    Point("framework activated, not committed", "pathways-api", "late", "before", _COMMIT, _ACTIVATE, often=False),
    Point(
        "framework committed, not answered",
        "pathways-api",
        "late",
        "after",
        _COMMIT,
        _ACTIVATE,
        often=False,
    ),
    Point(
        "backfill window audited, not committed", "pathways-worker", "late", "before", _COMMIT, _BACKFILL, often=False
    ),
    Point("backfill window committed", "pathways-worker", "late", "after", _COMMIT, _BACKFILL, often=False),
    Point("what fell due audited, not committed", "pathways-worker", "expire", "before", _COMMIT, _DUE, often=False),
    Point("what fell due committed", "pathways-worker", "expire", "after", _COMMIT, _DUE, often=False, short=False),
)


def together(points: Sequence[Point]) -> list[list[Point]]:
    """In groups of which each process dies once at most, so that one plot serves several points."""
    groups: list[list[Point]] = []
    for point in points:
        for group in groups:
            others = {other.process for other in group}
            if point.process not in others and (point.act == "expire") == (group[0].act == "expire"):
                group.append(point)
                break
        else:
            groups.append([point])
    return groups
