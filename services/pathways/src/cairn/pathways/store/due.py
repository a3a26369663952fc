"""Instants that fall due: for each learner and qualification the next one at which time alone may change something."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text

from cairn.common.db import Transaction
from cairn.common.sql import Sql

EVERYTHING: Final = ""
"""In the place of a qualification: all that the learner has."""


@dataclass(frozen=True, slots=True)
class Due:
    """`at` None: nothing that passes by itself is ahead."""

    tenant: str
    learner: str
    qualification: str
    at: datetime | None


async def now(tx: Transaction) -> datetime:
    """The database's time, by which alone things fall due (R12): clocks of machines differ."""
    return tx.now


async def plan(tx: Transaction, dues: Sequence[Due]) -> None:
    """Put each in the place of the one before. Under the lock of the learner, in the transaction of the audit which it
    follows from: so what fell due is done once."""
    if not dues:
        return
    await tx.fetch(
        _PLAN,
        tenants=[each.tenant for each in dues],
        learners=[each.learner for each in dues],
        names=[each.qualification for each in dues],
        ats=[each.at for each in dues],
    )


_PLAN: Final = Sql("""
    WITH planned AS (
        SELECT * FROM unnest(cast(:tenants AS text[]), cast(:learners AS text[]), cast(:names AS text[]),
                             cast(:ats AS timestamptz[])) AS u (tenant, learner, qualification, at)),
    done AS (
        DELETE FROM due d USING planned p
         WHERE d.learner_id = p.learner AND d.qualification = p.qualification AND p.at IS NULL)
    INSERT INTO due AS d (tenant_id, learner_id, qualification, at)
    SELECT * FROM planned WHERE at IS NOT NULL
    ON CONFLICT (learner_id, qualification) DO UPDATE SET at = excluded.at WHERE d.at <> excluded.at
""")


async def holders(tx: Transaction, tenant: str, achievement: str, keys: Collection[str], at: datetime) -> None:
    """At an instant, whoever of the tenant's learners holds the achievement, themselves or by a merge, is to be audited
    against the qualifications that any of the `keys` lead to. Set-based: they may be very many."""
    await tx.execute(
        text("""
            INSERT INTO due AS d (tenant_id, learner_id, qualification, at)
            SELECT :tenant, l.id, q.qualification, :at
              FROM (SELECT h.learner_id FROM holdings h WHERE h.achievement = :achievement
                     UNION
                    SELECT a.learner_id FROM aliases a JOIN holdings h ON h.learner_id = a.alias_id
                     WHERE a.active AND h.achievement = :achievement) held
              JOIN learners l ON l.id = held.learner_id AND l.tenant_id = :tenant
             CROSS JOIN (SELECT DISTINCT f.qualification
                           FROM framework_index i JOIN frameworks f ON f.id = i.framework_id
                          WHERE i.tenant_id = :tenant AND i.key = ANY (:keys)) q
            ON CONFLICT (learner_id, qualification) DO UPDATE SET at = least(d.at, excluded.at)
        """),
        {"tenant": tenant, "achievement": achievement, "keys": [*keys, "*"], "at": at},
    )


async def enrolled(tx: Transaction, tenant: str, qualification: str, at: datetime) -> None:
    """At an instant, whoever enrolled for the qualification as of a later one is to be audited against it."""
    await tx.execute(
        text("""
            INSERT INTO due AS d (tenant_id, learner_id, qualification, at)
            SELECT :tenant, e.learner_id, :qualification, :at FROM enrolments e
             WHERE e.tenant_id = :tenant AND e.qualification = :qualification AND e.at > :at
             UNION
            SELECT :tenant, a.learner_id, :qualification, :at FROM enrolments e
              JOIN aliases a ON a.alias_id = e.learner_id AND a.active AND a.tenant_id = e.tenant_id
             WHERE e.tenant_id = :tenant AND e.qualification = :qualification AND e.at > :at
            ON CONFLICT (learner_id, qualification) DO UPDATE SET at = least(d.at, excluded.at)
        """),
        {"tenant": tenant, "qualification": qualification, "at": at},
    )


async def forget(tx: Transaction, learners: Collection[str]) -> None:
    """Nothing falls due any more for learners about whom nothing is concluded."""
    if learners:
        await tx.execute(text("DELETE FROM due WHERE learner_id = ANY (:ids)"), {"ids": list(learners)})


async def claim(tx: Transaction, at: datetime, limit: int) -> dict[str, str]:
    """Learners, with their tenants, for whom something is due, locked. Those whom somebody else is busy with are passed
    over, and stay due."""
    rows = await tx.rows(
        text("""
            SELECT l.id, l.tenant_id FROM learners l
             WHERE l.id IN (SELECT learner_id FROM due WHERE at <= :at ORDER BY at LIMIT :limit)
             ORDER BY l.id FOR UPDATE SKIP LOCKED
        """),
        {"at": at, "limit": limit},
    )
    return {row["id"]: row["tenant_id"] for row in rows}


async def lock_free(tx: Transaction, learners: Collection[str]) -> set[str]:
    """Those of the learners that nobody is busy with, locked."""
    rows = await tx.rows(
        text("SELECT id FROM learners WHERE id = ANY (:ids) ORDER BY id FOR UPDATE SKIP LOCKED"),
        {"ids": list(learners)},
    )
    return {row["id"] for row in rows}


async def of(tx: Transaction, learners: Collection[str], at: datetime) -> dict[str, set[str]]:
    """By learner, the qualifications that are due."""
    rows = await tx.rows(
        text("SELECT learner_id, qualification FROM due WHERE learner_id = ANY (:ids) AND at <= :at"),
        {"ids": list(learners), "at": at},
    )
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row["learner_id"]].add(row["qualification"])
    return found
