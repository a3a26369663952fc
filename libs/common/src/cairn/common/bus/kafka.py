"""The bus on Apache Kafka: an idempotent producer for batches, and members of consumer groups that commit by hand.

Events are CloudEvents in structured mode (Kafka protocol binding 1.0.2, section 3.3), partitioned by key as Java's
producer does, so that other clients may read and write the same topics.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import aiokafka.partitioner
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    ProducerClosed,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)

from cairn.common.bus.contract import Fenced, Record, Refused, Subscription, Unreachable, batch_ends
from cairn.common.bus.kafka_topics import KafkaSettings
from cairn.common.events import Encoded, Event
from cairn.common.settings import Settings

log = structlog.get_logger(__name__)

_REFUSALS: Final = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    SaslAuthenticationFailed,
)
_CONTENT_TYPE: Final = ("content-type", b"application/cloudevents+json; charset=UTF-8")
_BATCH_BYTES: Final = 900_000
_HAND_OVER: Final = 3.0
"""Seconds that a rebalance waits for the batch in hand to be committed. Well below the session timeout."""
_STUCK: Final = 30.0
"""Seconds beyond its wait after which a fetch is taken to hang, and its consumer is made anew."""


class KafkaBus:
    """The bus as one Kafka user sees it. `deadline` is in seconds: a publish that takes longer raises Unreachable."""

    def __init__(self, settings: KafkaSettings, *, deadline: float = 10.0) -> None:
        self._client, self._prefix, self._deadline = settings.client(), settings.kafka_topic_prefix, deadline
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._dying: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, settings: Settings) -> KafkaBus:
        names = set(KafkaSettings.model_fields)
        return await cls.connect(KafkaSettings(**settings.model_dump(include=names)))

    @classmethod
    async def connect(cls, settings: KafkaSettings, *, deadline: float = 10.0) -> KafkaBus:
        """Waits for the cluster for as long as it takes."""
        bus = cls(settings, deadline=deadline)
        pause = 0.1
        while True:
            try:
                with _translated():
                    async with asyncio.timeout(deadline):
                        # Not by a producer: who only reads is not allowed to have one.
                        client = AIOKafkaClient(**bus._client)
                        try:
                            await client.bootstrap()
                        finally:
                            await client.close()
            except Unreachable as error:
                log.warning("bus is not reachable yet", error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)
            else:
                return bus

    async def publish(self, topic: str, events: Sequence[Event | Encoded]) -> None:
        """One batch for each partition, all under way at the same time."""
        if not events:
            return
        name = self._prefix + topic
        producer = None
        try:
            with _translated():
                async with asyncio.timeout(self._deadline):
                    producer = await self._connected()
                    count = len(await producer.partitions_for(name))
                    lanes: dict[int, list[Encoded]] = {}
                    for event in map(Encoded.of, events):
                        lanes.setdefault(_hash(event.key) % count, []).append(event)
                    results = await asyncio.gather(
                        *(_send(producer, name, partition, lane) for partition, lane in lanes.items()),
                        return_exceptions=True,
                    )
                    for result in results:
                        if isinstance(result, BaseException):
                            raise result
        except BaseException:
            # After some errors an idempotent producer never recovers (aiokafka #1017), and one that is given up must
            # not deliver its leftovers behind what is published next. So every failure costs a new producer.
            self._discard(producer)
            raise

    async def prune(self) -> int:
        """Kafka does it by itself."""
        return 0

    async def subscribe(self, topics: Sequence[str], group: str, *, from_start: bool = True) -> Subscription:
        subscription = KafkaSubscription(self._client, self._prefix, topics, self._prefix + group)
        try:
            with _translated():
                if not from_start:
                    await self._start_at_the_end([self._prefix + topic for topic in topics], self._prefix + group)
                await subscription.start()
        except BaseException:
            await subscription.close()
            raise
        return subscription

    async def close(self) -> None:
        """Publishes under way are waited for; after a failure there are none."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(producer.stop(), 5)
        if self._dying:
            await asyncio.wait(self._dying, timeout=5)

    async def _connected(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._client,
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=_BATCH_BYTES,
                    request_timeout_ms=int(self._deadline * 1000),
                )
                try:
                    await producer.start()
                except BaseException:
                    self._bury(producer)
                    raise
                self._producer = producer
            return self._producer

    def _discard(self, producer: AIOKafkaProducer | None) -> None:
        if producer is not None and self._producer is producer:
            self._producer = None
            self._bury(producer)

    def _bury(self, producer: Any) -> None:
        # `stop` would wait for its leftovers to be delivered; failing them first is the only way to end it at once.
        producer._message_accumulator.fail_all(ProducerClosed())
        task = asyncio.create_task(_stop(producer))
        self._dying.add(task)
        task.add_done_callback(self._dying.discard)

    async def _start_at_the_end(self, names: Sequence[str], group: str) -> None:
        """Give a group that has no position the present end of each partition, before it has members."""
        admin: Any = AIOKafkaAdminClient(**self._client)
        consumer: Any = AIOKafkaConsumer(**self._client, group_id=group, enable_auto_commit=False)
        try:
            await admin.start()
            await consumer.start()
            found = await admin.describe_topics(list(names))
            places = [
                TopicPartition(topic["topic"], part["partition"]) for topic in found for part in topic["partitions"]
            ]
            consumer.assign(places)
            new = [place for place in places if await consumer.committed(place) is None]
            if new:
                # Where the group has members already, one of them has done this before, and Kafka refuses us.
                with contextlib.suppress(CommitFailedError):
                    await consumer.commit(await consumer.end_offsets(new))
        finally:
            await consumer.stop()
            await admin.close()


@dataclass(slots=True)
class _Held:
    """A partition that is ours: committed up to `done`, fetched up to `fetched`, both exclusive; -1: not known."""

    done: int = -1
    fetched: int = -1


class KafkaSubscription(ConsumerRebalanceListener):
    """A member of a group.

    A rebalance takes every partition away and gives some back. It waits a little for the batch in hand to be
    committed; what was fetched before it and is not committed by then can only be fetched again.
    """

    def __init__(self, client: Mapping[str, Any], prefix: str, topics: Sequence[str], group: str) -> None:
        self._client, self._prefix, self._group = client, prefix, group
        self._names = [prefix + topic for topic in topics]
        self._consumer: Any = None
        self._held: dict[TopicPartition, _Held] = {}
        self._assigned = asyncio.Event()
        self._settled = asyncio.Event()
        self._committing: asyncio.Task[None] | None = None

    async def start(self) -> Any:
        """Join the group, with a new consumer."""
        consumer: Any = AIOKafkaConsumer(
            **self._client,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=2 * 1024 * 1024,
            # Some hundred events, or those of a tenth of a second, come together: one for itself costs the broker, and
            # us, as much.
            fetch_min_bytes=128 * 1024,
            fetch_max_wait_ms=100,
            # Rebalances while a member starts or ends are frequent in a rolling restart: notice them soon.
            heartbeat_interval_ms=1000,
            session_timeout_ms=10_000,
            retry_backoff_ms=200,
        )
        self._consumer = consumer
        consumer.subscribe(self._names, listener=self)
        try:
            await consumer.start()
        except BaseException:
            await self._stop()
            raise
        return consumer

    async def fetch(self, limit: int, wait: float) -> Sequence[Record]:
        self._settled.set()
        with _translated():
            consumer = self._consumer or await self.start()
            # While partitions are being dealt out, aiokafka's getmany would wait for as long as that takes.
            loop = asyncio.get_running_loop()
            end = loop.time() + wait
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._assigned.wait(), wait)
            if not self._assigned.is_set():
                return []
            try:
                async with asyncio.timeout(wait + _STUCK):
                    left = max(0, end - loop.time())
                    batches = await consumer.getmany(timeout_ms=int(left * 1000), max_records=limit)
            except (KafkaError, TimeoutError):
                # Its background tasks may be dead for good: the next fetch starts with a new consumer.
                await self._stop()
                raise
        records: list[Record] = []
        for place, messages in batches.items():
            held = self._held.get(place)
            if held is None:
                continue
            held.fetched = messages[-1].offset + 1
            topic = place.topic.removeprefix(self._prefix)
            records += [
                Record(topic, place.partition, m.offset, (m.key or b"").decode(errors="replace"), m.value or b"")
                for m in messages
            ]
        if records:
            self._settled.clear()
        return records

    async def commit(self, records: Sequence[Record]) -> None:
        if not records:
            return
        ends = {self._place(topic, part): end for (topic, part), end in batch_ends(records).items()}
        stale = [place for place, end in ends.items() if place not in self._held or self._held[place].fetched < end]
        if stale:
            await self.rewind(records)
            raise Fenced(f"{self._group} lost {stale}")
        task = self._committing = asyncio.create_task(self._consumer.commit(ends))
        try:
            await asyncio.wait({task}, timeout=10)
        finally:
            # Also where a rebalance or our own caller gave up. aiokafka would try again, and by then possibly
            # as a member of the next generation, for partitions that are no longer ours.
            task.cancel()
            self._committing = None
        try:
            with _translated():
                await task
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # pyright: ignore[reportOptionalMemberAccess]
                raise
            if all(place in self._held for place in ends):
                raise Unreachable("the commit was not answered") from None
            raise Fenced(f"{self._group} was rebalanced") from None
        except (CommitFailedError, IllegalStateError) as error:
            await self.rewind(records)
            raise Fenced(str(error)) from error
        for place, end in ends.items():
            if place in self._held:
                self._held[place].done = end
        if all(held.done == held.fetched for held in self._held.values()):
            self._settled.set()

    async def rewind(self, records: Sequence[Record]) -> None:
        firsts: dict[TopicPartition, int] = {}
        for record in records:
            place = self._place(record.topic, record.partition)
            firsts[place] = min(firsts.get(place, record.offset), record.offset)
        for place, first in firsts.items():
            held = self._held.get(place)
            if held is not None and first < held.fetched and self._assigned.is_set():
                self._consumer.seek(place, first)
                held.fetched = first

    async def lag(self) -> int:
        with _translated():
            if self._consumer is None or not self._held:
                return 0
            async with asyncio.timeout(10):
                ends = await self._consumer.end_offsets(list(self._held))
                total = 0
                for place, held in list(self._held.items()):
                    done = held.done if held.done >= 0 else await self._consumer.committed(place)
                    if done is None:
                        done = (await self._consumer.beginning_offsets([place]))[place]
                    total += max(0, ends.get(place, done) - done)
        return total

    def holds_all(self) -> bool:
        consumer = self._consumer
        if consumer is None or not self._assigned.is_set():
            return False
        return all(
            parts and all(TopicPartition(name, part) in self._held for part in parts)
            for name, parts in ((name, consumer.partitions_for_topic(name)) for name in self._names)
        )

    async def close(self) -> None:
        await self._stop()

    async def on_partitions_revoked(self, revoked: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """aiokafka calls this before it rejoins the group; until it returns, the group still takes our commits."""
        self._assigned.clear()
        if self._committing is not None or any(held.fetched > held.done for held in self._held.values()):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), _HAND_OVER)
        self._held = {}
        if self._committing is not None:
            self._committing.cancel()

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._held = {place: _Held() for place in assigned}
        self._assigned.set()

    async def _stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._assigned.clear()
        self._held = {}
        self._settled.set()
        if consumer is not None:
            with contextlib.suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(consumer.stop(), 5)

    def _place(self, topic: str, partition: int) -> TopicPartition:
        return TopicPartition(self._prefix + topic, partition)


async def _send(producer: Any, name: str, partition: int, events: Sequence[Encoded]) -> None:
    """The next batch goes out when the one before it is durable, so that a failure leaves a prefix, never a gap."""
    batch = producer.create_batch()
    for event in events:
        while batch.append(timestamp=None, key=event.key.encode(), value=event.body, headers=_headers(event)) is None:
            await (await producer.send_batch(batch, name, partition=partition))
            batch = producer.create_batch()
    await (await producer.send_batch(batch, name, partition=partition))


def _headers(event: Encoded) -> list[tuple[str, bytes]]:
    return [_CONTENT_TYPE, ("traceparent", event.traceparent.encode())] if event.traceparent else [_CONTENT_TYPE]


@lru_cache(maxsize=65_536)
def _hash(key: str) -> int:
    # As Java's DefaultPartitioner: the sign bit is dropped.
    java: Any = aiokafka.partitioner
    return java.murmur2(key.encode()) & 0x7FFFFFFF


async def _stop(client: Any) -> None:
    try:
        await client.stop()
    except Exception as error:  # noqa: BLE001 - it is being thrown away
        log.debug("a Kafka client ended badly", error=str(error))


@contextlib.contextmanager
def _translated() -> Generator[None]:
    """Kafka's errors in the words of the contract."""
    try:
        yield
    except (CommitFailedError, IllegalStateError, Unreachable, Refused):
        raise
    except _REFUSALS as error:
        raise Refused(f"{type(error).__name__}: {error}") from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error
