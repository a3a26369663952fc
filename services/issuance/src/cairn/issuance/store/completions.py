"""Completions and the receipts for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.sql import Sql
from cairn.common.telemetry import traceparent
from cairn.issuance.store.turns import in_turn

_PENDING: Final = "state = 'pending'"
_TURNS: Final = in_turn("completions", _PENDING, "recorded_at")


_ADD: Final = Sql("""
    INSERT INTO completions (tenant_id, id, learner_id, achievement_id, facts, traceparent)
    SELECT :tenant, id, learner, facts ->> 'achievement', facts, :trace
      FROM unnest(cast(:ids AS uuid[]), cast(:learners AS text[]), cast(:facts AS jsonb[])) AS u (id, learner, facts)
    ON CONFLICT (id) DO NOTHING RETURNING id
""")
_TRY_AGAIN: Final = Sql("""
    UPDATE completions c SET facts = u.facts, state = 'pending', reason = NULL, traceparent = :trace
      FROM unnest(cast(:ids AS uuid[]), cast(:facts AS jsonb[])) AS u (id, facts)
     WHERE c.id = u.id AND c.state = 'failed' RETURNING c.id
""")
_ADD_RECEIPT: Final = Sql("""
    WITH receipt AS (
        INSERT INTO receipts (tenant_id, id, principal, lines, rejected)
        VALUES (:tenant, :receipt, :principal, :lines, :rejected))
    INSERT INTO receipt_lines (tenant_id, receipt_id, line, completion_id)
    SELECT :tenant, :receipt, line, completion
      FROM unnest(cast(:accepted AS int[]), cast(:ids AS uuid[])) AS u (line, completion)
""")
_TAKE_PENDING: Final = Sql(f"""
    WITH RECURSIVE {_TURNS}
    SELECT c.tenant_id, c.id, c.learner_id, c.achievement_id, c.facts, c.traceparent, l.key, l.profile
      FROM turns
     CROSS JOIN LATERAL (
        SELECT * FROM completions WHERE {_PENDING} AND tenant_id = turns.tenant
         ORDER BY recorded_at LIMIT turns.share FOR UPDATE SKIP LOCKED) AS c
      JOIN learners l ON l.id = c.learner_id
""")  # noqa: S608
_SETTLE: Final = Sql("""
    UPDATE completions c SET state = u.state, reason = u.reason
      FROM unnest(cast(:ids AS uuid[]), cast(:states AS text[]), cast(:reasons AS text[])) AS u (id, state, reason)
     WHERE c.id = u.id
""")


async def add(tx: Transaction, tenant: str, rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Insert what is new, or came to nothing when it was posted before, in one statement, with the trace that it came
    in; the ids of those."""
    if not rows:
        return set()
    added = await tx.fetch(
        _ADD,
        tenant=tenant,
        trace=traceparent(),
        ids=[row["id"] for row in rows],
        learners=[row["facts"]["learner"] for row in rows],
        facts=[orjson.dumps(row["facts"]).decode() for row in rows],
    )
    ids = {row["id"] for row in added}
    if known := [row for row in rows if row["id"] not in ids]:
        facts = [orjson.dumps(row["facts"]).decode() for row in known]
        again = await tx.fetch(_TRY_AGAIN, trace=traceparent(), ids=[row["id"] for row in known], facts=facts)
        ids |= {row["id"] for row in again}
    return ids


async def facts_of(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    if not ids:
        return {}
    statement = text("SELECT id, facts FROM completions WHERE id = ANY (:ids)").columns(facts=JSONB())
    return {row["id"]: row["facts"] for row in await tx.rows(statement, {"ids": list(ids)})}


async def standing(tx: Transaction, id_: UUID) -> RowMapping | None:
    """The completion, unless it came to nothing."""
    return await tx.row(
        text("SELECT id, facts FROM completions WHERE id = :id AND state <> 'failed'").columns(facts=JSONB()),
        {"id": id_},
    )


async def add_receipt(
    tx: Transaction,
    tenant: str,
    receipt: UUID,
    principal: str,
    lines: int,
    rejected: Sequence[Mapping[str, Any]],
    accepted: Sequence[tuple[int, UUID]],
) -> None:
    told = orjson.dumps(list(rejected)).decode()
    await tx.fetch(
        _ADD_RECEIPT,
        tenant=tenant,
        receipt=receipt,
        principal=principal,
        lines=lines,
        rejected=told,
        accepted=[line for line, _ in accepted],
        ids=[completion for _, completion in accepted],
    )


async def receipt(tx: Transaction, receipt_id: UUID) -> RowMapping | None:
    return await tx.row(
        text("SELECT id, lines, rejected, received_at FROM receipts WHERE id = :id").columns(rejected=JSONB()),
        {"id": receipt_id},
    )


async def receipt_lines(tx: Transaction, receipt_id: UUID) -> Sequence[RowMapping]:
    """Each accepted line with its completion's state and, once there is one, its credential."""
    statement = text("""
        SELECT r.line, r.completion_id, c.state AS completion, c.reason, v.id AS credential, v.state
          FROM receipt_lines r
          JOIN completions c ON c.id = r.completion_id
          LEFT JOIN credentials v ON v.completion_id = c.id
         WHERE r.receipt_id = :id ORDER BY r.line
    """)
    return await tx.rows(statement, {"id": receipt_id})


async def take_pending(tx: Transaction, limit: int) -> Sequence[Mapping[str, Any]]:
    """Pending completions, by turns of their tenants, with their learners; others pass over these rows."""
    return await tx.fetch(_TAKE_PENDING, limit=limit)


async def waiting(tx: Transaction, tenant: str, bound: int) -> int:
    """How many of the tenant's completions have no signature yet; of more than `bound` one needs to know no more."""
    statement = text("""
        SELECT (SELECT count(*) FROM (SELECT FROM completions
                                       WHERE tenant_id = :tenant AND state = 'pending' LIMIT :bound) AS pending)
             + (SELECT count(*) FROM (SELECT FROM credentials
                                       WHERE tenant_id = :tenant AND state = 'intended' AND learner_id IS NOT NULL
                                       LIMIT :bound) AS intended) AS waiting
    """)
    [row] = await tx.rows(statement, {"tenant": tenant, "bound": bound})
    return row["waiting"]


async def settle(tx: Transaction, outcomes: Mapping[UUID, tuple[str, str | None]]) -> None:
    """Set state and reason of each completion."""
    if outcomes:
        states, reasons = zip(*outcomes.values(), strict=True)
        await tx.fetch(_SETTLE, ids=list(outcomes), states=states, reasons=reasons)
