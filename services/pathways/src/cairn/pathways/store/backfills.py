"""Backfills: newly published frameworks over the learners who were there before them.

Learners are looked through in the order of ids, many at a time; whom the framework can touch is put into a queue, from
which any number of workers take some.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import RowMapping, text

from cairn.common.db import Transaction


async def start(tx: Transaction, tenant: str, framework_id: str, not_before: datetime) -> None:
    """Look at every learner again, from the first on. No step of it is under way."""
    await tx.execute(text("DELETE FROM backfill_queue WHERE framework_id = :id"), {"id": framework_id})
    await tx.execute(
        text("""
            INSERT INTO backfills (tenant_id, framework_id, not_before) VALUES (:tenant, :id, :not_before)
            ON CONFLICT (framework_id) DO UPDATE
               SET not_before = excluded.not_before, cursor = '', looked_at = 0, audited = 0, awarded = 0,
                   selected_at = NULL, finished_at = NULL
        """),
        {"tenant": tenant, "id": framework_id, "not_before": not_before},
    )


async def show(tx: Transaction, framework_id: str) -> RowMapping | None:
    """How far it has come; `of` is how many learners there are to look at by now."""
    return await tx.row(
        text("""
            SELECT b.not_before, b.audited, b.awarded, b.paused_at, b.finished_at,
                   b.looked_at - (SELECT count(*) FROM backfill_queue q WHERE q.framework_id = b.framework_id)
                       AS looked_at,
                   (SELECT count(*) FROM learners l WHERE l.tenant_id = b.tenant_id) AS "of"
              FROM backfills b WHERE b.framework_id = :id
        """),
        {"id": framework_id},
    )


async def under_way(tx: Transaction) -> Sequence[RowMapping]:
    """Backfills and impact reports that are not finished: how many learners they have looked at, of how many."""
    return await tx.rows(
        text("""
            SELECT 'backfill' AS what, f.title, f.version, b.awarded, b.paused_at IS NOT NULL AS paused,
                   b.looked_at - (SELECT count(*) FROM backfill_queue q WHERE q.framework_id = b.framework_id)
                       AS looked_at,
                   (SELECT count(*) FROM learners l WHERE l.tenant_id = b.tenant_id) AS "of"
              FROM backfills b JOIN frameworks f ON f.id = b.framework_id WHERE b.finished_at IS NULL
             UNION ALL
            SELECT 'impact', f.title, f.version, i.new_awards, false, i.looked_at, i.learners
              FROM impacts i JOIN frameworks f ON f.id = i.framework_id WHERE i.finished_at IS NULL
             ORDER BY 2, 3, 1
        """)
    )


async def pause(tx: Transaction, framework_id: str, at: datetime | None) -> None:
    """At an instant, or (None) let it go on."""
    await tx.execute(
        text("UPDATE backfills SET paused_at = :at WHERE framework_id = :id"), {"id": framework_id, "at": at}
    )


async def to_look_through(tx: Transaction, now: datetime) -> RowMapping | None:
    """One that is due and has learners left to look through, or (`selected_at` is set) whose queue is empty; locked."""
    return await tx.row(
        text("""
            SELECT b.tenant_id, b.framework_id, b.cursor, b.selected_at, f.qualification
              FROM backfills b JOIN frameworks f ON f.id = b.framework_id
             WHERE b.finished_at IS NULL AND b.paused_at IS NULL AND b.not_before <= :now
               AND (b.selected_at IS NULL
                    OR NOT EXISTS (SELECT FROM backfill_queue q WHERE q.framework_id = b.framework_id))
             ORDER BY b.not_before, b.framework_id LIMIT 1 FOR UPDATE OF b
        """),
        {"now": now},
    )


async def queue(
    tx: Transaction, job: RowMapping, learners: Collection[str], *, cursor: str, looked_at: int, at: datetime | None
) -> None:
    """Whom it can touch among `looked_at` learners up to `cursor`. `at`: when, if these were the last."""
    await tx.execute(
        text("""
            WITH queued AS (
                INSERT INTO backfill_queue (tenant_id, framework_id, learner_id)
                SELECT :tenant, :id, unnest(cast(:learners AS text[])) ON CONFLICT DO NOTHING)
            UPDATE backfills SET cursor = :cursor, looked_at = looked_at + :looked_at, selected_at = :at
             WHERE framework_id = :id
        """),
        {
            "tenant": job["tenant_id"],
            "id": job["framework_id"],
            "learners": list(learners),
            "cursor": cursor,
            "looked_at": looked_at,
            "at": at,
        },
    )


async def take(tx: Transaction, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Learners of one framework who wait to be audited, locked; others pass over them."""
    return await tx.rows(
        text("""
            WITH job AS (
                SELECT b.framework_id, f.qualification FROM backfills b JOIN frameworks f ON f.id = b.framework_id
                 WHERE b.finished_at IS NULL AND b.paused_at IS NULL AND b.not_before <= :now
                   AND EXISTS (SELECT FROM backfill_queue q WHERE q.framework_id = b.framework_id)
                 ORDER BY b.not_before, b.framework_id LIMIT 1)
            SELECT q.tenant_id, q.framework_id, q.learner_id, job.qualification
              FROM job JOIN backfill_queue q ON q.framework_id = job.framework_id
             ORDER BY q.learner_id LIMIT :limit FOR UPDATE OF q SKIP LOCKED
        """),
        {"now": now, "limit": limit},
    )


async def done(
    tx: Transaction, taken: Sequence[RowMapping], *, audited: int, awarded: int, now: datetime, seconds: float
) -> None:
    """Those who were taken are audited. The next ones are put off by `seconds`."""
    await tx.execute(
        text("""
            WITH gone AS (
                DELETE FROM backfill_queue WHERE framework_id = :id AND learner_id = ANY (:learners))
            UPDATE backfills
               SET audited = audited + :audited, awarded = awarded + :awarded,
                   not_before = greatest(not_before, :now) + make_interval(secs => :seconds)
             WHERE framework_id = :id
        """),
        {
            "id": taken[0]["framework_id"],
            "learners": [row["learner_id"] for row in taken],
            "audited": audited,
            "awarded": awarded,
            "now": now,
            "seconds": seconds,
        },
    )


async def finish(tx: Transaction, job: RowMapping, at: datetime) -> None:
    """If its queue is empty. Looked at again, now that the job is locked: while one waits for that lock, another may
    have filled the queue, and the condition of the waiting statement goes by what was there before."""
    await tx.execute(
        text("""
            UPDATE backfills SET finished_at = :at
             WHERE framework_id = :id AND NOT EXISTS (SELECT FROM backfill_queue q WHERE q.framework_id = :id)
        """),
        {"id": job["framework_id"], "at": at},
    )


async def candidates(
    tx: Transaction, tenant: str, qualification: str, keys: Collection[str], after: str, window: int
) -> Sequence[RowMapping]:
    """The tenant's next learners in the order of ids, and whether each holds, or has by consent, anything that a
    framework of the qualification with these `keys` can take; or was awarded it, or decided about. A window of learners
    rather than of matches, so that the cost of a step is bounded."""
    # Looked up in a hash: `keys && …` compares each key of each holding with every one that is wanted.
    return await tx.rows(
        text("""
            WITH wanted AS MATERIALIZED (SELECT unnest(cast(:keys AS text[])) AS key),
            page AS MATERIALIZED (
                SELECT l.tenant_id, l.id FROM learners l
                 WHERE l.tenant_id = :tenant AND l.id > :after ORDER BY l.id LIMIT :window),
            who AS (
                SELECT p.id, p.id AS holder FROM page p
                 UNION ALL
                SELECT p.id, a.alias_id FROM page p JOIN aliases a ON a.learner_id = p.id AND a.active),
            found AS (
                SELECT w.id FROM who w JOIN holdings h ON h.learner_id = w.holder
                 CROSS JOIN LATERAL unnest(h.keys) AS k (key) JOIN wanted ON wanted.key = k.key
                 UNION
                SELECT p.id FROM page p JOIN awards w ON w.learner_id = p.id AND w.qualification = :name
                 UNION
                SELECT p.id FROM page p JOIN decisions d ON d.tenant_id = p.tenant_id AND d.learner_id = p.id
                 WHERE d.qualification = :name OR d.qualification IS NULL)
            SELECT p.id, f.id IS NOT NULL AS holds FROM page p LEFT JOIN found f ON f.id = p.id ORDER BY p.id
        """),
        {"tenant": tenant, "keys": sorted(keys), "after": after, "window": window, "name": qualification},
    )


async def count_candidates(tx: Transaction, keys: Collection[str], most: int) -> int:
    """How many learners hold anything that a framework with these `keys` can take; counted up to `most`."""
    row = await tx.row(
        text("""
            WITH wanted AS MATERIALIZED (SELECT unnest(cast(:keys AS text[])) AS key)
            SELECT count(*) AS n FROM (
                SELECT DISTINCT h.learner_id FROM holdings h
                 CROSS JOIN LATERAL unnest(h.keys) AS k (key) JOIN wanted ON wanted.key = k.key LIMIT :most) AS found
        """),
        {"keys": sorted(keys), "most": most},
    )
    return 0 if row is None else row["n"]
