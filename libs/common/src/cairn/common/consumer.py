"""Reads a topic in batches and gives them to a handler: at least once, each key in its order, and nothing is skipped.

    consumer = Consumer(bus, database, vault, group="pathways", topics=["credentials"], handle=handle)
    parts = [("credentials", consumer.run)]

The handler owns its transactions and commits them before it returns; only then is the batch committed on the bus. What
it raises decides what follows:

- The bus or the database is away, a deadlock, a timeout: the batch is tried again, later and later, for as long as it
  takes. The consumer halts, visibly, and skips nothing.
- `Poison(event, ...)`, a refusal of one event of the batch: a dead letter, and the others are tried again without it.
- A `DomainError`, `MalformedEvent` or any other error: the batch is halved until the event that fails is alone. A
  refusal makes it a dead letter at once, another error after some attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter as Counts
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any, Final, cast

import asyncpg
import structlog
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, set_span_in_context
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cairn.common import dead_letters
from cairn.common.bus.contract import Bus, Fenced, Record, Refused, Subscription
from cairn.common.db import PLATFORM, Database, Unavailable
from cairn.common.dead_letters import Handler
from cairn.common.events import MODELS, Event, MalformedEvent, check_key, decode, fact_of
from cairn.common.problem import DomainError
from cairn.common.telemetry import span_context
from cairn.common.vault import Vault

log = structlog.get_logger(__name__)
_tracer = trace.get_tracer(__name__)

TAKEN: Final = Counter("cairn_events_taken_total", "Events that a handler has taken.", ["consumer", "type"])
IGNORED: Final = Counter(
    "cairn_events_ignored_total", "Events of types that this consumer does not take.", ["consumer"]
)
BURIED: Final = Counter("cairn_dead_letters_total", "Events that became dead letters.", ["consumer", "code"])
FENCED: Final = Counter("cairn_batches_fenced_total", "Batches lost to another member.", ["consumer"])
LAG: Final = Gauge("cairn_consumer_lag", "Events that this member has yet to take.", ["consumer"])
HALTED: Final = Gauge(
    "cairn_consumer_halted", "1 while the consumer waits for something to be put right.", ["consumer"]
)
BATCH: Final = Histogram(
    "cairn_batch_events", "Events in a batch.", ["consumer"], buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
)
SECONDS: Final = Histogram("cairn_handle_seconds", "Time for the handler to take a batch.", ["consumer"])

_ATTEMPTS: Final = 3
_MAX_LINKS: Final = 64


class Poison(Exception):
    """Raised by a handler: this one event of its batch can never be taken. Saves the halving.

    `detail` is stored in the clear and must quote nothing of the event.
    """

    def __init__(self, event: Event, code: str, detail: str) -> None:
        super().__init__(detail)
        self.event, self.code, self.detail = event, code, detail


class TooManyDeadLetters(Exception):
    """So many in a row that the fault must be ours: nothing is taken from the bus until it is mended."""


class Consumer:
    """One member of the consumer group `group`, for one handler.

    `types` are those that the handler takes, by default all that are known: others are passed over, and not even
    remembered. `batch` is the most events in one call of the handler. `patience` is how many dead letters in a row are
    believed.
    """

    def __init__(
        self,
        bus: Bus,
        database: Database,
        vault: Vault,
        *,
        group: str,
        topics: Sequence[str],
        handle: Handler,
        types: Collection[str] = MODELS,
        batch: int = 200,
        patience: int = 50,
    ) -> None:
        self._bus, self._database, self._vault = bus, database, vault
        self.group, self.topics, self.handle = group, topics, handle
        self._types, self._batch, self._patience = types, batch, patience
        self._subscription: Subscription | None = None
        self._stopping = asyncio.Event()
        self._in_a_row = 0
        self._next_lag = 0.0
        HALTED.labels(group).set(0)

    async def run(self, stopping: asyncio.Event) -> None:
        """A part of a worker: until `stopping` is set, and then until the batch in hand is done."""
        self._stopping = stopping
        pause = 0.0
        try:
            while not stopping.is_set():
                try:
                    await self.step(wait=0.5)
                except (OSError, Refused, TooManyDeadLetters) as error:
                    # OSError: what the contract calls Unreachable.
                    pause = await self._halt(error, pause)
                else:
                    pause = self._go_on()
        except _Stopped:
            log.info("consumer stops in mid-batch", consumer=self.group)
        finally:
            await self.close()

    async def step(self, wait: float = 0.0) -> int:
        """Take one batch, waiting up to `wait` seconds for it; how many records it had.

        Raises Unreachable, Refused and TooManyDeadLetters; then nothing was committed on the bus.
        """
        if self._subscription is None:
            self._subscription = await self._bus.subscribe(self.topics, self.group)
        records = await self._subscription.fetch(self._batch, wait)
        try:
            if records:
                BATCH.labels(self.group).observe(len(records))
                await self._take(records)
                await self._commit(records)
        except Fenced:
            # Another member has these partitions now, and what we did not commit it will do.
            FENCED.labels(self.group).inc()
            log.info("batch fenced", consumer=self.group, events=len(records))
        except BaseException:
            # Nothing is skipped: whoever calls again gets the same records again.
            await self._subscription.rewind(records)
            raise
        if time.monotonic() >= self._next_lag:
            self._next_lag = time.monotonic() + 5
            LAG.labels(self.group).set(await self._subscription.lag())
        return len(records)

    async def close(self) -> None:
        """Leave the group, so that others take over at once."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()

    async def _take(self, records: Sequence[Record]) -> None:
        batch: list[tuple[Record, Event]] = []
        for record in records:
            event = None
            try:
                event = decode(record.body)
                if event.type in self._types:
                    check_key(event, record.key)
                    fact_of(event)
                    batch.append((record, event))
                else:
                    IGNORED.labels(self.group).inc()
            except MalformedEvent as error:
                # First what came before it: how many are set aside in a row must not depend on the batch.
                await self._handle(batch)
                batch = []
                await self._bury(record, event, "malformed", str(error))
        await self._handle(batch)

    async def _handle(self, batch: Sequence[tuple[Record, Event]]) -> None:
        if not batch:
            return
        error = await self._try([event for _, event in batch])
        if error is not None and len(batch) == 1:
            error = await self._insist(batch[0][1], error)
        if error is None:
            self._in_a_row = 0
            for name, count in Counts(event.type for _, event in batch).items():
                TAKEN.labels(self.group, name).inc(count)
        elif isinstance(error, Poison):
            place = next((place for place, (_, event) in enumerate(batch) if event == error.event), None)
            if place is None:
                raise RuntimeError(f"{self.group} refused an event that it was not given") from error
            # What came before it goes first: what is taken in between ends a row of dead letters.
            await self._handle(batch[:place])
            await self._bury(batch[place][0], error.event, error.code, error.detail)
            await self._handle(batch[place + 1 :])
        elif len(batch) > 1:
            # In order, so that each key stays in its own.
            middle = len(batch) // 2
            await self._handle(batch[:middle])
            await self._handle(batch[middle:])
        else:
            record, event = batch[0]
            log.warning("event refused", consumer=self.group, type=event.type, id=event.id, exc_info=error)
            await self._bury(record, event, *_verdict(error))

    async def _insist(self, event: Event, error: Exception) -> Exception | None:
        """Try an event again that failed for a reason that may pass. The last error, or None once it is taken."""
        last: Exception | None = error
        for attempt in range(1, _ATTEMPTS):
            if last is None or isinstance(last, DomainError | MalformedEvent | Poison):
                break
            await self._pause(0.05 * attempt)
            last = await self._try([event])
        return last

    async def _try(self, events: Sequence[Event]) -> Exception | None:
        """The handler, in a span that follows from where the events were said; again and again where that may help.

        What it raised otherwise; None once it has taken them.
        """
        pause = 0.0
        while True:
            started = time.perf_counter()
            try:
                with self._span(events):
                    await self.handle(events)
            except Exception as error:  # noqa: BLE001 - what it means is decided by the caller
                if not is_transient(error):
                    return error
                pause = await self._halt(error, pause)
            else:
                SECONDS.labels(self.group).observe(time.perf_counter() - started)
                self._go_on()
                return None

    async def _commit(self, records: Sequence[Record]) -> None:
        assert self._subscription is not None
        pause = 0.0
        while True:
            try:
                await self._subscription.commit(records)
            except OSError as error:
                pause = await self._halt(error, pause)
            else:
                self._go_on()
                return

    async def _bury(self, record: Record, event: Event | None, code: str, detail: str) -> None:
        if self._in_a_row >= self._patience:
            raise TooManyDeadLetters(f"{self._in_a_row} in a row, the last for {code}")
        tenant = event.tenant if event else PLATFORM
        pause = 0.0
        while True:
            try:
                async with self._database.transaction(tenant) as tx:
                    await dead_letters.store(
                        tx,
                        self._vault,
                        tenant,
                        self.group,
                        record,
                        code=code,
                        detail=detail,
                        event_type=event.type if event else "",
                    )
                    await tx.commit()
            except Exception as error:
                if not is_transient(error):
                    raise
                pause = await self._halt(error, pause)
            else:
                break
        self._in_a_row += 1
        BURIED.labels(self.group, code).inc()
        log.warning("dead letter", consumer=self.group, topic=record.topic, code=code, detail=detail)

    def _span(self, events: Sequence[Event]) -> Any:
        """A child of the events' own span where they share one; else a span with links to theirs."""
        parents = dict.fromkeys(event.traceparent for event in events)
        contexts = [context for each in islice(parents, _MAX_LINKS) if (context := span_context(each))]
        parent = contexts[0] if len(parents) == 1 and contexts else None
        return _tracer.start_as_current_span(
            f"take {self.group}",
            kind=SpanKind.CONSUMER,
            context=set_span_in_context(trace.NonRecordingSpan(parent)) if parent else None,
            record_exception=False,
            links=[] if parent else [Link(context) for context in contexts],
            attributes={"messaging.batch.message_count": len(events), "messaging.consumer.group.name": self.group},
        )

    async def _halt(self, error: Exception, pause: float) -> float:
        """Wait a while, longer each time; the time waited. Raises _Stopped where the process is to end."""
        HALTED.labels(self.group).set(1)
        pause = min(max(pause * 2, 0.1), 10)
        log.warning("consumer waits", consumer=self.group, error=type(error).__name__, seconds=pause)
        await self._pause(pause)
        return pause

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        if self._stopping.is_set():
            raise _Stopped

    def _go_on(self) -> float:
        HALTED.labels(self.group).set(0)
        return 0.0


class _Stopped(Exception):
    """The process is to end while a batch waits for something; it is left for the next one."""


def is_transient(error: BaseException) -> bool:
    """Whether the same call can succeed later without anything being changed."""
    if isinstance(error, OSError | TimeoutError | Unavailable | PoolTimeout):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = cast("BaseException", error.orig)
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)
    state: Any = getattr(error, "sqlstate", None)
    # Connection, rollback (deadlock, serialization), resources, lock not available, shutdown, system.
    return isinstance(state, str) and (state[:2] in {"08", "40", "53", "57", "58"} or state == "55P03")


def _verdict(error: Exception) -> tuple[str, str]:
    """Code and detail for a dead letter. The text of an error that is not ours may quote the event (S30)."""
    if isinstance(error, DomainError):
        return error.code, error.detail
    if isinstance(error, MalformedEvent):
        return "malformed", str(error)
    return "failed", type(error).__name__
