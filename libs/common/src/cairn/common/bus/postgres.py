"""The bus as a log in a PostgreSQL database, for one machine or a small site. Its shape is in `postgres_schema.py`, who
reads it in `postgres_group.py`."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from cairn.common.bus.contract import Refused, Subscription, Unreachable
from cairn.common.bus.postgres_group import PostgresSubscription
from cairn.common.bus.postgres_session import DEADLINE, LOST, SESSION, driver, plain, translated
from cairn.common.db import UnsafeRole
from cairn.common.events import Encoded, Event
from cairn.common.settings import Settings

log = structlog.get_logger(__name__)


class PostgresBus:
    """The bus as one role of the database `bus` sees it."""

    def __init__(self, pool: Any, url: str, partitions: Mapping[str, int]) -> None:
        self._pool, self._url, self._partitions = pool, url, partitions

    @classmethod
    async def open(cls, settings: Settings) -> PostgresBus:
        assert settings.bus_url is not None
        return await cls.connect(settings.bus_url.get_secret_value())

    @classmethod
    async def connect(cls, url: str) -> PostgresBus:
        """Waits for the database for as long as it takes. Raises UnsafeRole, and Refused for an unknown role."""
        url = plain(url)
        pause = 0.1
        while True:
            pool = await driver.create_pool(
                url, min_size=0, max_size=2, timeout=5, command_timeout=DEADLINE, server_settings=SESSION
            )
            try:
                with translated():
                    await _refuse_unsafe_role(pool)
                    rows = await pool.fetch("SELECT name, partitions FROM topics")
            except Unreachable as error:
                log.warning("bus is not reachable yet", error=str(error))
                pool.terminate()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)
            except BaseException:
                pool.terminate()
                raise
            else:
                return cls(pool, url, {row["name"]: row["partitions"] for row in rows})

    async def publish(self, topic: str, events: Sequence[Event | Encoded]) -> None:
        """All or nothing, in one transaction."""
        if not events:
            return
        count = self._partitions.get(topic)
        if count is None:
            raise Refused(f"there is no topic {topic}")
        carried = [Encoded.of(event) for event in events]
        with translated():
            await self._pool.execute(
                "SELECT append($1, $2, $3, $4, $5, $6)",
                topic,
                [zlib.crc32(event.key.encode()) % count for event in carried],
                [event.key for event in carried],
                [event.id for event in carried],
                [event.tenant for event in carried],
                [event.body for event in carried],
            )

    async def prune(self) -> int:
        """Delete some of what is older than its topic is kept, from this role's topics. Returns how many records."""
        with translated():
            return await self._pool.fetchval("SELECT coalesce(sum(prune(name)), 0)::bigint FROM topics") or 0

    async def subscribe(self, topics: Sequence[str], group: str, *, from_start: bool = True) -> Subscription:
        unknown = [topic for topic in topics if topic not in self._partitions]
        if unknown:
            raise Refused(f"there is no topic {unknown[0]}")
        places = [(topic, part) for topic in topics for part in range(self._partitions[topic])]
        subscription = PostgresSubscription(self._url, group, places)
        try:
            await subscription.join(from_start=from_start)
        except BaseException:
            await subscription.close()
            raise
        return subscription

    async def close(self) -> None:
        with contextlib.suppress(*LOST):
            await asyncio.wait_for(self._pool.close(), 2)
        self._pool.terminate()


async def _refuse_unsafe_role(pool: Any) -> None:
    """Owners and superusers pass by row-level security and may write any topic (S21, S33)."""
    row = await pool.fetchrow(
        """SELECT r.rolname, r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, d.datdba, 'MEMBER') AS unsafe
             FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()"""
    )
    if row is not None and row["unsafe"]:
        raise UnsafeRole(f"the role {row['rolname']} is a superuser, bypasses row-level security or owns the bus")
