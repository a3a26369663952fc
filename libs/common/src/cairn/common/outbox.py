"""Facts leave through the outbox: written in the transaction of the state that they report, carried by `relay`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from cairn.common.events import Event, encode, topic_of
from cairn.common.telemetry import traceparent

_STAGE: Final = text("""
    INSERT INTO outbox (tenant_id, id, aggregatetype, aggregateid, type, payload, tracingspancontext)
    SELECT tenant, id, topic, key, type, payload, trace
      FROM unnest(cast(:tenants AS text[]), cast(:ids AS uuid[]), cast(:topics AS text[]), cast(:keys AS text[]),
                  cast(:types AS text[]), cast(:payloads AS bytea[]), cast(:traces AS text[]))
           WITH ORDINALITY AS u (tenant, id, topic, key, type, payload, trace, n)
     ORDER BY n
""")


async def stage(connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Write the events beside the state, in their order. Raises KeyError for a type that no topic carries."""
    here = traceparent()
    await connection.execute(
        _STAGE,
        {
            "tenants": [event.tenant for event in events],
            "ids": [event.id for event in events],
            "topics": [topic_of(event.type).name for event in events],
            "keys": [event.key for event in events],
            "types": [event.type for event in events],
            "payloads": [encode(event) for event in events],
            "traces": [event.traceparent or here for event in events],
        },
    )
