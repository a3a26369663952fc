"""Awards that pathways announced, until each has its credential or its refusal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction


async def add(tx: Transaction, tenant: str, award: str, learner: str, body: dict[str, Any]) -> bool:
    """An award waits until it is examined. False where it was announced before and not refused."""
    statement = text("""
        INSERT INTO awards (tenant_id, id, learner_id, body, state) VALUES (:tenant, :id, :learner, :body, 'waiting')
        ON CONFLICT (id) DO UPDATE SET state = 'waiting', reason = NULL, announced_at = now()
         WHERE awards.state = 'refused' RETURNING id
    """).bindparams(bindparam("body", type_=JSONB()))
    row = await tx.row(statement, {"tenant": tenant, "id": award, "learner": learner, "body": body})
    return row is not None


async def award(tx: Transaction, award_id: str) -> RowMapping | None:
    """The award, locked."""
    statement = text("""
        SELECT tenant_id, id, learner_id, body, state, announced_at FROM awards WHERE id = :id FOR UPDATE
    """).columns(body=JSONB())
    return await tx.row(statement, {"id": award_id})


async def take_waiting(tx: Transaction, limit: int) -> Sequence[RowMapping]:
    statement = text("""
        SELECT tenant_id, id, learner_id, body, announced_at, now() - announced_at AS waited FROM awards
         WHERE state = 'waiting' ORDER BY announced_at LIMIT :limit FOR UPDATE SKIP LOCKED
    """).columns(body=JSONB())
    return await tx.rows(statement, {"limit": limit})


async def settle(tx: Transaction, award_id: str, state: str, reason: str | None = None) -> None:
    await tx.execute(
        text("UPDATE awards SET state = :state, reason = :reason WHERE id = :id"),
        {"id": award_id, "state": state, "reason": reason},
    )
