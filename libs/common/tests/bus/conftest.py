"""The two transports behind one handle, so that the contract is tested once and holds for both."""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.protocol.group import LeaveGroupRequest
from sqlalchemy import text

from cairn.common.bus import Bus, Record, Subscription, kafka_topics, postgres_schema
from cairn.common.bus.kafka import KafkaBus
from cairn.common.bus.kafka_topics import KafkaSettings
from cairn.common.bus.postgres import PostgresBus
from cairn.common.db import EVERY_TENANT, Database
from cairn.common.events import Event, Topic, decode
from cairn.provision.kafka import KafkaBroker
from cairn.provision.postgres import BusDatabase, Cluster, ServiceDatabase
from cairn.provision.pytest_plugin import Kafka

TOPICS = [
    Topic("credentials", "issuance", ("pathways", "verification"), 4, None, ("credential.issued.v1",)),
    Topic("learning", "issuance", ("pathways",), 2, None, ("completion.recorded.v1",)),
    Topic("qualifications", "pathways", ("issuance",), 2, None, ("qualification.completed.v1",)),
]


def make_event(key: str, number: int, *, filler: int = 0, traceparent: str | None = None) -> Event:
    return Event(
        type="credential.issued.v1",
        source="urn:test",
        subject=f"{key}/{number}",
        tenant="north",
        key=key,
        data={"n": number, "filler": "x" * filler},
        time=datetime(2026, 3, 1, tzinfo=UTC),
        traceparent=traceparent,
    )


def make_events(keys: Iterable[str], count: int, *, start: int = 0, filler: int = 0) -> list[Event]:
    """`count` events of each key, the keys interleaved."""
    names = list(keys)
    return [make_event(key, number, filler=filler) for number in range(start, start + count) for key in names]


def numbers(records: Iterable[Record]) -> dict[str, list[int]]:
    """By key, what the events of these records say, in the order of reading."""
    found: dict[str, list[int]] = {}
    for record in records:
        found.setdefault(record.key, []).append(decode(record.body).data["n"])
    return found


async def read(
    subscription: Subscription, count: int, *, commit: bool = True, limit: int = 500, seconds: float = 20
) -> list[Record]:
    """At least `count` records, or what came in that time."""
    records: list[Record] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        batch = await subscription.fetch(limit, 0.1)
        records += batch
        if batch and commit:
            await subscription.commit(batch)
        if len(records) >= count:
            break
    return records


class Transport(ABC):
    """A bus of its own for one test, with TOPICS."""

    def __init__(self) -> None:
        self._open: list[Any] = []

    async def bus(self, service: str = "issuance", **options: Any) -> Bus:
        opened = await self._connect(service, **options)
        self._open.append(opened)
        return opened

    async def member(
        self,
        group: str = "pathways.test",
        topics: Sequence[str] = ("credentials",),
        *,
        service: str = "pathways",
        from_start: bool = True,
    ) -> Subscription:
        subscription = await (await self.bus(service)).subscribe(topics, group, from_start=from_start)
        self._open.append(subscription)
        return subscription

    async def close(self) -> None:
        for opened in reversed(self._open):
            await opened.close()

    @abstractmethod
    async def _connect(self, service: str, **options: Any) -> Bus: ...

    @abstractmethod
    async def evict(self, subscription: Subscription) -> None:
        """The group takes its partitions from this member, which is not told."""


class PostgresTransport(Transport):
    def __init__(self, database: BusDatabase, cluster: Cluster) -> None:
        super().__init__()
        self.database, self.cluster = database, cluster

    async def _connect(self, service: str, **options: Any) -> Bus:
        return await PostgresBus.connect(self.database.urls[service], **options)

    async def evict(self, subscription: Subscription) -> None:
        connection: Any = subscription._connection
        self.cluster.run(f"SELECT pg_terminate_backend({connection.get_server_pid()}, 5000)")


class KafkaTransport(Transport):
    def __init__(self, settings: Callable[[str], KafkaSettings]) -> None:
        super().__init__()
        self.settings = settings

    async def _connect(self, service: str, **options: Any) -> Bus:
        return await KafkaBus.connect(self.settings(service), **options)

    async def evict(self, subscription: Subscription) -> None:
        # What an administrator would send to remove a member; the member itself goes on as though nothing had happened.
        coordinator: Any = subscription._consumer._coordinator
        await coordinator._send_req(LeaveGroupRequest(coordinator.group_id, coordinator.member_id))


async def postgres_transport(cluster: Cluster, database: BusDatabase) -> PostgresTransport:
    await postgres_schema.provide(database.owner_url, database.roles, TOPICS)
    return PostgresTransport(database, cluster)


async def kafka_transport(settings: Callable[[str], KafkaSettings]) -> KafkaTransport:
    """On a cluster that others use too, under a prefix of its own."""
    prefix = f"t{secrets.token_hex(4)}-"

    def prefixed(user: str) -> KafkaSettings:
        return settings(user).model_copy(update={"kafka_topic_prefix": prefix, "kafka_replication": 1})

    await kafka_topics.provide(prefixed("admin"), TOPICS)
    return KafkaTransport(prefixed)


@pytest.fixture(params=["postgres", "kafka"])
async def transport(request: pytest.FixtureRequest) -> AsyncGenerator[Transport]:
    """Either transport, on a server for ordinary tests."""
    if request.param == "postgres":
        make: Callable[[], BusDatabase] = request.getfixturevalue("fresh_bus_database")
        made: Transport = await postgres_transport(request.getfixturevalue("postgres_server"), make())
    else:
        kafka: Kafka = request.getfixturevalue("kafka_broker")
        made = await kafka_transport(lambda _: KafkaSettings(kafka_bootstrap_servers=kafka.bootstrap_servers))
    yield made
    await made.close()


@pytest.fixture
async def embedded(
    postgres_server: Cluster, fresh_bus_database: Callable[[], BusDatabase]
) -> AsyncGenerator[PostgresTransport]:
    """The one on PostgreSQL, where the transport makes no difference."""
    made = await postgres_transport(postgres_server, fresh_bus_database())
    yield made
    await made.close()


@pytest.fixture
async def database(probe_database: ServiceDatabase) -> AsyncGenerator[Database]:
    """The database of a worker of the probe, emptied."""
    opened = Database(probe_database.url, pool=20, worker=True)
    async with opened.transaction(EVERY_TENANT) as tx:
        for table in ("outbox", "inbox", "dead_letters", "notes"):
            await tx.execute(text(f"DELETE FROM {table}"))
        await tx.commit()
    yield opened
    await opened.close()


@pytest.fixture(params=["postgres", "kafka"])
async def guarded(request: pytest.FixtureRequest) -> AsyncGenerator[Transport]:
    """Either transport, with each service as a user of its own."""
    if request.param == "postgres":
        make: Callable[[], BusDatabase] = request.getfixturevalue("fresh_bus_database")
        made: Transport = await postgres_transport(request.getfixturevalue("postgres_server"), make())
    else:
        broker: KafkaBroker = request.getfixturevalue("own_kafka")
        made = await kafka_transport(broker.settings)
    yield made
    await made.close()
