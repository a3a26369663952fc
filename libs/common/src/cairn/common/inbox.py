"""The inbox: each event is taken once by each consumer, however often the bus delivers it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from cairn.common.db import Transaction
from cairn.common.events import Event
from cairn.common.sql import Sql

KEPT: Final = timedelta(days=35)
"""Longer than any redelivery. Who winds a group back further has it see old events as new ones."""

# In the order of the ids, so that two members that were given the same events wait for each other, and never in a ring.
_TAKE: Final = Sql("""
    WITH new AS (
        INSERT INTO inbox (tenant_id, consumer, event_id)
        SELECT tenant, :consumer, id FROM unnest(cast(:tenants AS text[]), cast(:ids AS uuid[])) AS u (tenant, id)
         ORDER BY id
        ON CONFLICT DO NOTHING RETURNING event_id)
    SELECT place FROM unnest(cast(:ids AS uuid[])) WITH ORDINALITY AS u (id, place)
     WHERE id NOT IN (SELECT event_id FROM new)
""")
_PRUNE: Final = text("""
    DELETE FROM inbox WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM inbox WHERE at < now() - cast(:kept AS interval) LIMIT :limit
    ))
""")


async def fresh(tx: Transaction, consumer: str, events: Sequence[Event]) -> list[Event]:
    """Those that this consumer has not taken before, in their order. Taken for good if the transaction commits."""
    once: dict[UUID, Event] = {}
    for event in events:
        once.setdefault(UUID(event.id), event)
    if not once:
        return []
    tenants = [event.tenant for event in once.values()]
    known = {row["place"] for row in await tx.fetch(_TAKE, consumer=consumer, tenants=tenants, ids=list(once))}
    return [event for place, event in enumerate(once.values(), 1) if place not in known]


async def prune(tx: Transaction, kept: timedelta = KEPT, limit: int = 10_000) -> int:
    """Forget some of what was taken longer ago than `kept`; how many. In a transaction for EVERY_TENANT."""
    return (await tx.execute(_PRUNE, {"kept": kept, "limit": limit})).rowcount
