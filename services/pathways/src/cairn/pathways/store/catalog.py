"""What institutions offer: read from the bus, readable by all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction


@dataclass(frozen=True, slots=True)
class NewAchievement:
    """An achievement as it was published (`body`) or retired (`retired_at`), in whatever order that is heard."""

    tenant: str
    id: str
    body: Mapping[str, Any] | None = None
    retired_at: datetime | None = None


async def add(tx: Transaction, new: Sequence[NewAchievement]) -> None:
    """A published achievement does not change: what is known stays, what was missing is added."""
    if not new:
        return
    merged: dict[tuple[str, str], NewAchievement] = {}
    for each in new:
        known = merged.get((each.tenant, each.id), each)
        merged[each.tenant, each.id] = NewAchievement(
            each.tenant, each.id, known.body or each.body, known.retired_at or each.retired_at
        )
    rows = [merged[place] for place in sorted(merged)]
    await tx.execute(
        text("""
            INSERT INTO achievements AS a (tenant_id, id, body, retired_at)
            SELECT * FROM unnest(cast(:tenants AS text[]), cast(:ids AS text[]), cast(:bodies AS jsonb[]),
                                 cast(:retired AS timestamptz[])) AS u (tenant, id, body, retired)
            ON CONFLICT (tenant_id, id) DO UPDATE
               SET body = coalesce(a.body, excluded.body), retired_at = coalesce(a.retired_at, excluded.retired_at)
        """),
        {
            "tenants": [row.tenant for row in rows],
            "ids": [row.id for row in rows],
            "bodies": [None if row.body is None else orjson.dumps(row.body).decode() for row in rows],
            "retired": [row.retired_at for row in rows],
        },
    )


async def names(tx: Transaction, ids: Collection[str]) -> dict[str, str]:
    """What people call the achievements; those that were never heard of are left out."""
    if not ids:
        return {}
    rows = await tx.rows(
        text("SELECT id, body->>'name' AS name FROM achievements WHERE id = ANY (:ids) AND body IS NOT NULL"),
        {"ids": sorted(ids)},
    )
    return {row["id"]: row["name"] for row in rows}


async def body(tx: Transaction, achievement: str) -> Mapping[str, Any] | None:
    """An achievement as it was published, anywhere; None where it was never heard of."""
    row = await tx.row(
        text("SELECT body FROM achievements WHERE id = :id AND body IS NOT NULL LIMIT 1").columns(body=JSONB()),
        {"id": achievement},
    )
    return None if row is None else row["body"]


async def achievements(tx: Transaction) -> Sequence[RowMapping]:
    """Everything on offer anywhere, retired ones included: who holds one keeps it."""
    return await tx.rows(
        text("SELECT tenant_id, id, body FROM achievements WHERE body IS NOT NULL ORDER BY id, tenant_id").columns(
            body=JSONB()
        )
    )
