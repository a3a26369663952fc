"""Impact reports: what publishing a draft would do to the learners there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import RowMapping, text

from cairn.common.db import Transaction

_COLUMNS: Final = """
    tenant_id, framework_id, digest, asked_by, asked_at, learners, cursor, looked_at, audited, new_awards, gain, lose,
    stand, finished_at
"""
Outcome = Literal["gain", "lose", "stand"]


@dataclass(frozen=True, slots=True)
class Affected:
    """`awarded`: publishing would award it, given the version by which the learner is judged."""

    learner: str
    outcome: Outcome
    awarded: bool


async def start(tx: Transaction, tenant: str, framework_id: str, digest: str, by: str, at: datetime) -> None:
    """From the first learner on. One of the same draft that is under way goes on."""
    await tx.execute(
        text("""
            DELETE FROM impacts WHERE framework_id = :id AND (digest <> :digest OR finished_at IS NOT NULL)
        """),
        {"id": framework_id, "digest": digest},
    )
    await tx.execute(
        text("""
            INSERT INTO impacts (tenant_id, framework_id, digest, asked_by, asked_at, learners)
            SELECT :tenant, :id, :digest, :by, :at, (SELECT count(*) FROM learners WHERE tenant_id = :tenant)
            ON CONFLICT DO NOTHING
        """),
        {"tenant": tenant, "id": framework_id, "digest": digest, "by": by, "at": at},
    )


async def report(tx: Transaction, framework_id: str) -> RowMapping | None:
    statement = f"SELECT {_COLUMNS} FROM impacts WHERE framework_id = :id"  # noqa: S608
    return await tx.row(text(statement), {"id": framework_id})


async def take(tx: Transaction) -> RowMapping | None:
    """One that is not finished, locked; others pass over it."""
    return await tx.row(
        text(f"""
            SELECT {_COLUMNS} FROM impacts WHERE finished_at IS NULL ORDER BY asked_at, framework_id
             LIMIT 1 FOR UPDATE SKIP LOCKED
        """)  # noqa: S608
    )


async def advance(
    tx: Transaction,
    job: RowMapping,
    affected: Sequence[Affected],
    *,
    cursor: str,
    looked_at: int,
    audited: int,
    finished_at: datetime | None,
) -> None:
    """A window is done: whom it affects, and where to go on."""
    counts = {outcome: sum(each.outcome == outcome for each in affected) for outcome in ("gain", "lose", "stand")}
    await tx.execute(
        text("""
            INSERT INTO impact_learners (tenant_id, framework_id, learner_id, outcome, awarded)
            SELECT :tenant, :id, * FROM unnest(cast(:learners AS text[]), cast(:outcomes AS text[]),
                                               cast(:awarded AS boolean[]))
            ON CONFLICT DO NOTHING
        """),
        {
            "tenant": job["tenant_id"],
            "id": job["framework_id"],
            "learners": [each.learner for each in affected],
            "outcomes": [each.outcome for each in affected],
            "awarded": [each.awarded for each in affected],
        },
    )
    await tx.execute(
        text("""
            UPDATE impacts
               SET cursor = :cursor, looked_at = looked_at + :looked_at, audited = audited + :audited,
                   new_awards = new_awards + :awarded, gain = gain + :gain, lose = lose + :lose,
                   stand = stand + :stand, finished_at = :finished_at
             WHERE framework_id = :id
        """),
        {
            "id": job["framework_id"],
            "cursor": cursor,
            "looked_at": looked_at,
            "audited": audited,
            "awarded": sum(each.awarded for each in affected),
            "finished_at": finished_at,
            **counts,
        },
    )


async def learners(
    tx: Transaction, framework_id: str, outcome: Outcome, after: str, limit: int
) -> Sequence[RowMapping]:
    """Those of one outcome, in the order of ids."""
    return await tx.rows(
        text("""
            SELECT learner_id, awarded FROM impact_learners
             WHERE framework_id = :id AND outcome = :outcome AND learner_id > :after
             ORDER BY learner_id LIMIT :limit
        """),
        {"id": framework_id, "outcome": outcome, "after": after, "limit": limit},
    )
