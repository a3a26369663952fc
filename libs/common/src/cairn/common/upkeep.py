"""How a service's worker is put together: consumers, jobs, the relay, and what keeps the house in order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

from sqlalchemy import text

from cairn.common import dead_letters, inbox
from cairn.common.bus import open_bus
from cairn.common.bus.contract import Bus
from cairn.common.consumer import Consumer
from cairn.common.db import EVERY_TENANT, Database
from cairn.common.dead_letters import Handler
from cairn.common.events import MODELS
from cairn.common.outbox import Relay
from cairn.common.settings import Settings
from cairn.common.vault import Vault
from cairn.common.worker import Job, Part, job_part, run_worker

_HOURLY: Final = 3600.0


async def work(
    settings: Settings,
    database: Database,
    vault: Vault,
    *,
    jobs: Sequence[Job],
    topics: Sequence[str],
    handle: Handler,
    types: Collection[str] = MODELS,
    batch: int = 200,
    calls: Mapping[str, asyncio.Event] | None = None,
) -> None:
    """Run a service's worker until it is asked to stop: its jobs, and one consumer group, named after the service.

    The group takes events of those `types`; `calls` are the relay's.
    """
    bus = await open_bus(settings)
    try:
        consumer = Consumer(
            bus, database, vault, group=settings.service, topics=topics, handle=handle, types=types, batch=batch
        )
        relay = Relay(settings.database_url.get_secret_value(), bus, service=settings.service, calls=calls)
        parts: list[tuple[str, Part]] = [("consumer", consumer.run), ("relay", relay.run)]
        housekeeping = Job("housekeeping", partial(tidy, database, bus), idle_seconds=_HOURLY)
        parts += [(job.name, job_part(settings.service, job)) for job in (*jobs, housekeeping)]
        await run_worker(settings, database, parts)
    finally:
        await bus.close()


async def tidy(database: Database, bus: Bus) -> int:
    """Remove what has outlived its time; how many rows. Zero when there is no more."""
    async with database.transaction(EVERY_TENANT) as tx:
        gone = await inbox.prune(tx) + await dead_letters.expire(tx)
        gone += (await tx.execute(text("DELETE FROM saved_answers WHERE expires_at < now()"))).rowcount
        await tx.commit()
    return gone + await bus.prune()
