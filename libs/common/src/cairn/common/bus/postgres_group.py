"""A member of a consumer group on the embedded bus.

It takes partitions by session-level advisory locks, on the connection by which it also reads and commits. So whoever
commits holds the lock, and a member whose connection is gone can neither commit nor block anybody: PostgreSQL itself is
the coordinator. The connection must be a direct one, not of a pooler in transaction mode.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from cairn.common.bus.contract import Fenced, Record, Unreachable, batch_ends
from cairn.common.bus.postgres_schema import CHANNEL
from cairn.common.bus.postgres_session import DEADLINE, LOST, SESSION, driver, translated

_REBALANCE: Final = 1.0
"""Seconds between looks at who else is in the group; also the longest wait for a notification that got lost."""


Place = tuple[str, int]
"""Topic and partition."""


@dataclass(slots=True)
class _Held:
    """A partition that is ours: committed up to `done`, fetched up to `fetched`, both exclusive."""

    done: int
    fetched: int
    leaving: bool = False

    @property
    def idle(self) -> bool:
        return self.done == self.fetched


class PostgresSubscription:
    """A member of a group: one connection, its advisory locks, and a place in each partition it holds."""

    def __init__(self, url: str, group: str, places: Sequence[Place]) -> None:
        self._url, self._group, self._places = url, group, places
        self._topics = frozenset(topic for topic, _ in places)
        self._held: dict[Place, _Held] = {}
        self._connection: Any = None
        self._woken = asyncio.Event()
        self._next_look = 0.0
        self._turn = 0
        self._locks: dict[int, Place] = {}
        self._group_lock = 0
        self._closed = False

    async def join(self, *, from_start: bool) -> None:
        """Become a member. Without `from_start`, a group that has no position yet starts with what comes next."""
        async with self._session() as connection:
            if not from_start:
                topics = sorted({topic for topic, _ in self._places})
                await connection.execute(
                    """INSERT INTO positions ("group", topic, partition, "offset")
                       SELECT $1, topic, partition, next_offset FROM partitions WHERE topic = ANY ($2::text[])
                       ON CONFLICT DO NOTHING""",
                    self._group,
                    topics,
                )
            await self._look(connection)

    async def fetch(self, limit: int, wait: float) -> Sequence[Record]:
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        while True:
            self._woken.clear()
            async with self._session() as connection:
                if loop.time() >= self._next_look:
                    await self._look(connection)
                records = await self._read(connection, limit)
            left = end - loop.time()
            if records or left <= 0 or self._closed:
                return records
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), min(left, _REBALANCE))

    async def commit(self, records: Sequence[Record]) -> None:
        if not records:
            return
        ends = batch_ends(records)
        connection = self._connection
        stale = [place for place, end in ends.items() if place not in self._held or self._held[place].fetched < end]
        if connection is None or connection.is_closed() or stale:
            self._restart(ends)
            raise Fenced(f"{self._group} lost {stale or 'its connection'}")
        try:
            # By the connection that holds the locks: if this succeeds, nobody else had the partitions meanwhile.
            await connection.execute(
                """INSERT INTO positions ("group", topic, partition, "offset")
                   SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[])
                   ON CONFLICT (reader, "group", topic, partition)
                   DO UPDATE SET "offset" = greatest(positions."offset", excluded."offset")""",
                self._group,
                [topic for topic, _ in ends],
                [part for _, part in ends],
                list(ends.values()),
            )
        except LOST as error:
            self._drop()
            raise Fenced(f"{self._group} lost its connection: {error}") from error
        for place, end in ends.items():
            held = self._held[place]
            held.done = max(held.done, end)
        if any(held.leaving and held.idle for held in self._held.values()):
            with contextlib.suppress(Unreachable):
                async with self._session() as connection:
                    await self._release(connection)

    async def rewind(self, records: Sequence[Record]) -> None:
        for record in records:
            held = self._held.get((record.topic, record.partition))
            if held is not None:
                held.fetched = max(held.done, min(held.fetched, record.offset))

    async def lag(self) -> int:
        async with self._session() as connection:
            rows = await connection.fetch(
                "SELECT topic, partition, next_offset FROM partitions WHERE topic = ANY ($1::text[])",
                sorted({topic for topic, _ in self._held}),
            )
        ends = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        return sum(ends[place] - held.done for place, held in self._held.items())

    def holds_all(self) -> bool:
        return self._held.keys() >= set(self._places)

    async def close(self) -> None:
        """Leave the group. What was fetched and not committed goes to other members at once."""
        self._closed = True
        self._woken.set()
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is None or connection.is_closed():
            return
        try:
            async with asyncio.timeout(2):
                await connection.execute("SELECT pg_advisory_unlock_all()")
                await self._tell_group(connection)
                await connection.close()
        except LOST:
            connection.terminate()

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[Any]:
        """The member's connection, made anew where it was lost: then nothing is held any more."""
        if self._closed:
            raise Unreachable("the subscription is closed")
        with translated():
            try:
                if self._connection is None or self._connection.is_closed():
                    await self._reconnect()
                assert self._connection is not None
                yield self._connection
            except LOST:
                self._drop()
                raise
            except asyncio.CancelledError:
                # A statement that was cut off may or may not have taken a lock: start from what is certain.
                self._drop()
                raise

    async def _reconnect(self) -> None:
        self._drop()
        connection = await driver.connect(self._url, timeout=5, command_timeout=DEADLINE, server_settings=SESSION)
        self._connection = connection
        role = await connection.fetchval("SELECT current_user")
        self._group_lock = _lock_number(role, self._group)
        self._locks = {_lock_number(role, self._group, topic, str(part)): (topic, part) for topic, part in self._places}
        await connection.add_listener(CHANNEL, self._heard)
        # Shared: each member holds it, and counting its holders counts the members.
        await connection.execute("SELECT pg_advisory_lock_shared($1)", self._group_lock)
        await self._tell_group(connection)
        self._next_look = 0.0

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._held = {}
        if connection is not None:
            connection.terminate()

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if payload == f"@{self._group}":
            self._next_look = 0.0
        elif payload not in self._topics:
            return
        self._woken.set()

    async def _tell_group(self, connection: Any) -> None:
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"@{self._group}")

    async def _look(self, connection: Any) -> None:
        """Take free partitions up to our fair share; let go of those above it as soon as they are idle."""
        rows = await connection.fetch(_HOLDERS, [self._group_lock, *self._locks])
        members = sorted(row["pid"] for row in rows if row["number"] == self._group_lock)
        own = connection.get_server_pid()
        # The place among the members decides who has one more, so that all come to the same shares without talking.
        each, over = divmod(len(self._places), max(1, len(members)))
        share = each + (1 if own in members and members.index(own) < over else 0)
        keep = sorted(self._held, key=lambda place: (self._held[place].idle, place))[:share]
        for place, held in self._held.items():
            held.leaving = place not in keep
        await self._release(connection)
        taken = {row["number"] for row in rows}
        free = sorted(number for number in self._locks if number not in taken)
        # Each begins elsewhere, so that members that come together do not try the same ones.
        start = own % len(free) if free else 0
        for number in (*free[start:], *free[:start]):
            if len(self._held) >= share:
                break
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", number):
                topic, part = self._locks[number]
                done = await connection.fetchval(
                    'SELECT "offset" FROM positions WHERE "group" = $1 AND topic = $2 AND partition = $3',
                    self._group,
                    topic,
                    part,
                )
                self._held[topic, part] = _Held(done or 0, done or 0)
        self._next_look = asyncio.get_running_loop().time() + _REBALANCE

    async def _release(self, connection: Any) -> None:
        gone = [number for number, place in self._locks.items() if _is_leaving(self._held.get(place))]
        for number in gone:
            # Forgotten before it is let go of: another member may have it from then on.
            del self._held[self._locks[number]]
        if gone:
            await connection.execute("SELECT pg_advisory_unlock(number) FROM unnest($1::bigint[]) AS number", gone)
            await self._tell_group(connection)

    async def _read(self, connection: Any, limit: int) -> Sequence[Record]:
        places = [place for place, held in self._held.items() if not held.leaving]
        if not places:
            return []
        # Another partition is first each time, so that a full one does not starve the others.
        self._turn = (self._turn + 1) % len(places)
        places = [*places[self._turn :], *places[: self._turn]]
        rows = await connection.fetch(
            _READ,
            [topic for topic, _ in places],
            [part for _, part in places],
            [self._held[place].fetched for place in places],
            limit,
        )
        records = [Record(*row) for row in rows]
        for place, end in batch_ends(records).items():
            self._held[place].fetched = end
        return records

    def _restart(self, places: Iterable[Place]) -> None:
        for place in places:
            if place in self._held:
                self._held[place].fetched = self._held[place].done


_HOLDERS: Final = """
    SELECT pid, number FROM (
        SELECT pid, (classid::bigint << 32) | objid::bigint AS number FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND objsubid = 1
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) held WHERE number = ANY ($1::bigint[])
"""

_READ: Final = """
    SELECT l.topic, l.partition, l."offset", l.key, l.body
      FROM unnest($1::text[], $2::int[], $3::bigint[]) AS w (topic, partition, start)
     CROSS JOIN LATERAL (
        SELECT * FROM log
         WHERE log.topic = w.topic AND log.partition = w.partition AND log."offset" >= w.start
         ORDER BY log."offset" LIMIT $4
     ) l LIMIT $4
"""


def _is_leaving(held: _Held | None) -> bool:
    return held is not None and held.leaving and held.idle


def _lock_number(*parts: str) -> int:
    digest = blake2b("".join(f"{len(part)}:{part}" for part in parts).encode(), digest_size=8, person=b"cairn bus")
    return int.from_bytes(digest.digest(), signed=True)
