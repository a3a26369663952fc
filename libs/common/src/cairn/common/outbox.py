"""Facts leave through the outbox: written in the transaction of the state that they report, carried by the relay.

The outbox is a queue: a row is deleted once the bus has answered for it, and there is no cursor. So nothing is lost
when a transaction commits late with a lower number (R3). `docs/decisions/0004-outbox-is-a-queue.md` says why that
also keeps the order of each key.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
import structlog
from prometheus_client import Counter, Gauge

from cairn.common.bus.contract import Bus
from cairn.common.bus.postgres_session import KEEPALIVE, LOST, driver, plain
from cairn.common.events import Encoded, Event, check_readable, encode, topic_of
from cairn.common.sql import Sql
from cairn.common.telemetry import traceparent

log = structlog.get_logger(__name__)

PUBLISHED: Final = Counter(
    "cairn_outbox_published_total", "Events that the bus has answered for.", ["service", "topic"]
)
FAILURES: Final = Counter("cairn_outbox_failures_total", "Rounds of the relay that failed; tried again.", ["service"])
WAITING: Final = Gauge("cairn_outbox_waiting", "Events that wait for the bus, when last counted.", ["service"])
AGE: Final = Gauge("cairn_outbox_oldest_seconds", "Age of the oldest event waiting, when last looked.", ["service"])
ACTIVE: Final = Gauge("cairn_outbox_relay_active", "1 in the one process whose relay works.", ["service"])

STAGE: Final = Sql("""
    INSERT INTO outbox (tenant_id, id, aggregatetype, aggregateid, type, payload, tracingspancontext)
    SELECT tenant, id, topic, key, type, payload, trace
      FROM unnest(cast(:tenants AS text[]), cast(:ids AS uuid[]), cast(:topics AS text[]), cast(:keys AS text[]),
                  cast(:types AS text[]), cast(:payloads AS bytea[]), cast(:traces AS text[]))
           WITH ORDINALITY AS u (tenant, id, topic, key, type, payload, trace, n)
     ORDER BY n
""")


def staged(events: Sequence[Event]) -> dict[str, list[Any]]:
    """Parameters of `STAGE`, which writes the events beside the state, in their order.

    Events of one key must be staged under a lock of that key (the learner's row), which also orders their numbers.
    Raises KeyError for a type that no topic carries, and MalformedEvent for one that no reader would accept.
    """
    here = traceparent()
    payloads = [encode(event, here) for event in events]
    for event, payload in zip(events, payloads, strict=True):
        # Refused here, where its cause is at hand: further on it would stop all that come after it.
        check_readable(event, payload)
    return {
        "tenants": [event.tenant for event in events],
        "ids": [event.id for event in events],
        "topics": [topic_of(event.type).name for event in events],
        "keys": [event.key for event in events],
        "types": [event.type for event in events],
        "payloads": payloads,
        "traces": [event.traceparent or here for event in events],
    }


class Relay:
    """Carries the outbox of one service to the bus. Any number may run; one works, the others stand by.

    Which one is decided by a session-level advisory lock on a connection of its own, by which it also deletes. One that
    lost its connection can therefore not delete any more, and what it still publishes is published again by its
    successor: the same events with the same ids, each key in its order.

    `batch` is the most events that leave together. Where there are fewer, those of the next `poll_seconds` do: an event
    for itself costs a bus, and all who hear it, as much as a hundred.

    `calls` are set when events of a topic are read, by that topic: for who in this process has work by them.
    """

    def __init__(
        self,
        database_url: str,
        bus: Bus,
        *,
        service: str,
        batch: int = 500,
        poll_seconds: float = 0.05,
        standby_seconds: float = 1.0,
        calls: Mapping[str, asyncio.Event] | None = None,
    ) -> None:
        self._url = plain(database_url)
        self._bus, self._service, self._batch = bus, service, batch
        self._poll, self._standby = poll_seconds, standby_seconds
        self._calls = calls or {}
        self._connection: Any = None
        self._active = self._long = False
        self._next_count = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """A part of a worker: until `stopping` is set. Outages are waited out, however long they last."""
        failing = 0.0
        try:
            while not stopping.is_set():
                try:
                    carried = await self.step()
                except Exception as error:  # noqa: BLE001 - whatever it is, events are never dropped
                    FAILURES.labels(self._service).inc()
                    log.warning("relay failed", error=type(error).__name__, detail=str(error)[:300])
                    await self._let_go_if_broken()
                    pause = failing = min(max(failing * 2, 0.1), 5)
                else:
                    failing = 0.0
                    # Polling, not NOTIFY: that would serialise the commits of all who write (ADR 4).
                    pause = 0.0 if carried >= self._batch else self._poll if self._active else self._standby
                if pause:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stopping.wait(), pause)
        finally:
            await self.close()

    async def step(self) -> int:
        """Carry one batch; how many events it had. Zero where there are none, or where another relay is at work.

        Raises whatever the database or the bus raised; calling again is always right.
        """
        if not await self._lead():
            return 0
        rows: Any = await self._connection.fetch(_READ_IN_TURN if self._long else _READ, self._batch)
        self._long = len(rows) == self._batch
        AGE.labels(self._service).set(rows[0]["age"] if rows else 0)
        if time.monotonic() >= self._next_count:
            self._next_count = time.monotonic() + _COUNT_SECONDS
            WAITING.labels(self._service).set(await self._connection.fetchval(_COUNT, _COUNT_LIMIT))
        topics: dict[str, list[Any]] = {}
        for row in rows:
            topics.setdefault(row["aggregatetype"], []).append(row)
        for topic in topics.keys() & self._calls.keys():
            self._calls[topic].set()
        done: list[int] = []
        try:
            for topic, mine in topics.items():
                await self._bus.publish(topic, [_carried(row) for row in mine])
                done += [row["seq"] for row in mine]
                PUBLISHED.labels(self._service, topic).inc(len(mine))
        finally:
            if done:
                await self._connection.execute(_DELETE, done)
        return len(rows)

    async def close(self) -> None:
        """Stand down, so that another may take over at once."""
        connection, self._connection = self._connection, None
        self._set_active(False)
        if connection is not None:
            with contextlib.suppress(*_BROKEN):
                await connection.close(timeout=2)

    async def _lead(self) -> bool:
        if self._connection is None or self._connection.is_closed():
            self._set_active(False)
            self._connection = await driver.connect(self._url, timeout=5, command_timeout=10, server_settings=_SESSION)
        if not self._active:
            # Asked for again and again rather than waited for: a waiting statement would hold back vacuum.
            self._set_active(await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK))
        return self._active

    async def _let_go_if_broken(self) -> None:
        """After a failure of the database the connection is made anew; after one of the bus it is still good."""
        connection = self._connection
        if connection is None:
            return
        try:
            await connection.execute("SELECT 1", timeout=2)
        except _BROKEN:
            connection.terminate()
            self._connection = None
            self._set_active(False)

    def _set_active(self, active: bool) -> None:
        if active != self._active:
            log.info("relay active" if active else "relay stands by", service=self._service)
        self._active = active
        ACTIVE.labels(self._service).set(active)


def _carried(row: Any) -> Encoded:
    """As it was staged: what was checked then is not read again."""
    trace = row["tracingspancontext"]
    return Encoded(str(row["id"]), row["tenant_id"], row["aggregateid"], row["payload"], trace)


_LOCK: Final = int.from_bytes(b"relay", "big")
"""Advisory locks are apart by database, and each service has its own."""

_BROKEN: Final = (*LOST, asyncpg.PostgresError)
"""What is raised by a connection that is of no use any more."""

_SESSION: Final = {
    "application_name": "cairn-relay",
    # For the whole session, so that reading is one round trip: nobody else ever has this connection (S22).
    "cairn.tenants": "*",
    # A relay whose machine fell silent must not keep its successor waiting.
    **KEEPALIVE,
}

_ROW: Final = """
    SELECT seq, tenant_id, id, aggregatetype, aggregateid, payload, tracingspancontext,
           extract(epoch FROM clock_timestamp() - at)::float8 AS age
      FROM outbox"""
_READ: Final = f"{_ROW} ORDER BY seq LIMIT $1"
_AHEAD: Final = 5000
"""How far one looks for whom to serve next, where more waits than a batch takes."""
# The first of each tenant, then the second of each, and so on: who says much does not keep the others waiting (R15).
# Each tenant's own stay in their order, and so those of each key, which is always one tenant's. The rows themselves are
# read one by one, by the primary key, whatever the planner believes of a table that is full one moment and empty soon.
_READ_IN_TURN: Final = f"""
    SELECT o.* FROM (
        SELECT seq, row_number() OVER (PARTITION BY tenant_id ORDER BY seq) AS turn
          FROM (SELECT seq, tenant_id FROM outbox ORDER BY seq LIMIT {_AHEAD}) AS near
         ORDER BY turn, seq LIMIT $1) AS next
     CROSS JOIN LATERAL ({_ROW} WHERE seq = next.seq LIMIT 1) AS o
     ORDER BY next.turn, next.seq
"""  # noqa: S608
_COUNT: Final = "SELECT count(*) AS waiting FROM (SELECT FROM outbox LIMIT $1) AS queue"
_COUNT_SECONDS: Final = 5.0
_COUNT_LIMIT: Final = 100_000
"""Of a longer queue one needs to know no more, and counting it would take longer than carrying a part of it."""

_DELETE: Final = "DELETE FROM outbox WHERE seq = ANY ($1::bigint[])"
