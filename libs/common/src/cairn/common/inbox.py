"""The inbox: each event is taken once by each consumer, however often the bus delivers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text

from cairn.common.db import Transaction
from cairn.common.events import Event

_TAKE: Final = text("""
    INSERT INTO inbox (tenant_id, consumer, event_id)
    SELECT tenant, :consumer, id FROM unnest(cast(:tenants AS text[]), cast(:ids AS uuid[])) AS u (tenant, id)
    ON CONFLICT DO NOTHING RETURNING event_id
""")


async def fresh(tx: Transaction, consumer: str, events: Sequence[Event]) -> list[Event]:
    """Those that this consumer has not taken before, in their order. Taken for good if the transaction commits."""
    once = list({event.id: event for event in events}.values())
    if not once:
        return []
    parameters = {
        "consumer": consumer,
        "tenants": [event.tenant for event in once],
        "ids": [event.id for event in once],
    }
    new = {str(row["event_id"]) for row in await tx.rows(_TAKE, parameters)}
    return [event for event in once if event.id in new]
