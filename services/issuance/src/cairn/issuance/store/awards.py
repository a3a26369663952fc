"""Awards that pathways announced, until each has its credential or its refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.events.models import QualificationCompleted
from cairn.common.sql import Sql

_ADD: Final = Sql("""
    INSERT INTO awards (tenant_id, id, learner_id, body, state)
    SELECT :tenant, id, learner, body, 'waiting'
      FROM unnest(cast(:ids AS text[]), cast(:learners AS text[]), cast(:bodies AS jsonb[])) AS u (id, learner, body)
     ORDER BY id
    ON CONFLICT (id) DO UPDATE SET body = excluded.body, state = 'waiting', reason = NULL, announced_at = now()
     WHERE awards.state = 'refused' RETURNING id
""")
_SETTLE: Final = Sql("""
    UPDATE awards a SET state = u.state, reason = u.reason
      FROM unnest(cast(:ids AS text[]), cast(:states AS text[]), cast(:reasons AS text[])) AS u (id, state, reason)
     WHERE a.id = u.id
""")


async def add(tx: Transaction, tenant: str, facts: Sequence[QualificationCompleted]) -> set[str]:
    """Awards wait until they are examined. Those that were not announced before, or refused then."""
    rows = await tx.fetch(
        _ADD,
        tenant=tenant,
        ids=[fact.award for fact in facts],
        learners=[fact.learner for fact in facts],
        bodies=[orjson.dumps(fact.to_json()).decode() for fact in facts],
    )
    return {row["id"] for row in rows}


async def award(tx: Transaction, award_id: str) -> RowMapping | None:
    """The award, locked."""
    statement = text("""
        SELECT tenant_id, id, learner_id, body, state, announced_at FROM awards WHERE id = :id FOR UPDATE
    """).columns(body=JSONB())
    return await tx.row(statement, {"id": award_id})


async def take_waiting(tx: Transaction, patience: float, limit: int) -> Sequence[RowMapping]:
    """Those whose framework is known by now, and those that have waited (`late`) for so many seconds; locked. Others
    would only be in their way."""
    statement = text("""
        SELECT * FROM (
            SELECT a.tenant_id, a.id, a.learner_id, a.body, a.announced_at,
                   a.announced_at <= now() - make_interval(secs => :patience) AS late
              FROM awards a WHERE a.state = 'waiting') AS a
         WHERE late OR EXISTS (
               SELECT FROM frameworks f WHERE f.tenant_id = a.tenant_id
                  AND f.qualification = a.body ->> 'qualification' AND f.version = a.body ->> 'version')
         ORDER BY announced_at LIMIT :limit FOR UPDATE SKIP LOCKED
    """).columns(body=JSONB())
    return await tx.rows(statement, {"patience": patience, "limit": limit})


async def wait_again(tx: Transaction, award: str, news: Mapping[str, Any]) -> None:
    """What was withdrawn before it was signed is to be examined again, with what is news of it."""
    statement = text("""
        UPDATE awards SET state = 'waiting', reason = NULL, announced_at = now(), body = body || cast(:news AS jsonb)
         WHERE id = :id AND state = 'withdrawn'
    """)
    await tx.execute(statement, {"id": award, "news": orjson.dumps(news).decode()})


async def settle(tx: Transaction, outcomes: Mapping[str, tuple[str, str | None]]) -> None:
    """Set state and reason of each award."""
    if outcomes:
        states, reasons = zip(*outcomes.values(), strict=True)
        await tx.fetch(_SETTLE, ids=list(outcomes), states=states, reasons=reasons)
