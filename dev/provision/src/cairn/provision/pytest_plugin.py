"""Fixtures of real servers for integration tests. A server that cannot be had is an error, never a skip.

Each starts when a test first asks for it, and lasts for the session. Under pytest-xdist each worker has its own.
`DATABASE_URL` (a superuser's) and `KAFKA_BOOTSTRAP_SERVERS` name servers to use instead of our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from cairn.provision.postgres import BusDatabase, Cluster, ServiceDatabase, temporary_postgres
from cairn.provision.postgres.places import binaries

if TYPE_CHECKING:
    from cairn.common.bus import Bus
    from cairn.provision.kafka import KafkaBroker

# A test that uses one of these, however indirectly, is an integration test.
_REAL = frozenset({"postgres_server", "own_kafka", "kafka_broker"})

_KINDS = {
    "unit": "pure code: no server, no process",
    "integration": "needs PostgreSQL or Kafka",
    "e2e": "a journey across services, or a fault",
}

SERVICES = ("issuance", "pathways", "verification")


@dataclass(frozen=True, slots=True)
class Kafka:
    """A broker that asks for no name. Topics begin with `prefix`, since others may use the cluster too."""

    bootstrap_servers: str
    prefix: str


def pytest_configure(config: pytest.Config) -> None:
    for kind, meaning in _KINDS.items():
        config.addinivalue_line("markers", f"{kind}: {meaning}; set by itself from place and fixtures, unless by hand")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its kind, and run the quick kinds first."""
    order = list(_KINDS)
    kinds: dict[pytest.Item, int] = {}
    for item in items:
        kind = _kind(item, config.rootpath / "tests")
        if item.get_closest_marker(kind) is None:
            item.add_marker(kind)
        if kind == "e2e":
            item.add_marker(pytest.mark.xdist_group("e2e"))  # ports, processes and clocks: one after the other
        kinds[item] = order.index(kind)
    items.sort(key=lambda item: kinds[item])


def _kind(item: pytest.Item, journeys: Path) -> str:
    for kind in _KINDS:
        if item.get_closest_marker(kind) is not None:
            return kind
    if item.path.is_relative_to(journeys):
        return "e2e"
    fixtures: Sequence[str] = getattr(item, "fixturenames", ())
    return "unit" if _REAL.isdisjoint(fixtures) else "integration"


@pytest.fixture(scope="session")
def postgres_server() -> Generator[Cluster]:
    """A PostgreSQL server on which tests may make databases and roles."""
    given = os.environ.get("DATABASE_URL")
    if given is None:
        with temporary_postgres() as cluster:
            yield cluster
        return
    cluster = Cluster.external(given, psql=binaries(None) / "psql")
    try:
        yield cluster
    finally:
        cluster.drop_all()


@pytest.fixture(scope="session")
def fresh_service_database(postgres_server: Cluster) -> Callable[[str], ServiceDatabase]:
    """`fresh_service_database("issuance")` is a new, empty database with the service's two roles."""
    return postgres_server.fresh


@pytest.fixture(scope="session")
def migrated_database(fresh_service_database: Callable[[str], ServiceDatabase]) -> Callable[[str], ServiceDatabase]:
    """`migrated_database("issuance")` is a new database with the service's tables and nothing in them."""
    from cairn.common.migrations import migrate

    def make(service: str) -> ServiceDatabase:
        made = fresh_service_database(service)
        with ThreadPoolExecutor(1) as thread:  # Alembic's env starts a loop of its own
            thread.submit(migrate, service, made.owner_url, role=made.role).result()
        return made

    return make


async def empty(database: ServiceDatabase) -> None:
    """Remove every row of every table, as their owner; the version of the migrations stays."""
    from cairn.common.db import EVERY_TENANT, Database

    owner = Database(database.owner_url, pool=1, worker=True)
    async with owner.transaction(EVERY_TENANT) as tx:
        await tx.connection.exec_driver_sql(_TRUNCATE)
        await tx.commit()
    await owner.close()


_TRUNCATE = """
    DO $$ BEGIN EXECUTE (
        SELECT 'TRUNCATE ' || string_agg(quote_ident(relname), ', ') || ' CASCADE' FROM pg_class
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    ); END $$
"""


@asynccontextmanager
async def migrated_further(database: ServiceDatabase) -> AsyncGenerator[None]:
    """Inside, every table has what a later version may add: columns that may be null, or that have a default."""
    from cairn.common.db import Database

    owner = Database(database.owner_url, pool=1)

    async def change(statement: str) -> None:
        async with owner.connection() as connection:
            await connection.exec_driver_sql(statement)
            await connection.commit()

    await change(_ADD)
    try:
        yield
    finally:
        await change(_TAKE_BACK)
        await owner.close()


_EACH: Final = """
    DO $$ DECLARE t text; BEGIN
        FOR t IN SELECT quote_ident(relname) FROM pg_class
                  WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version' LOOP
            EXECUTE 'ALTER TABLE ' || t || ' %s';
        END LOOP;
    END $$
"""
_ADD: Final = _EACH % "ADD COLUMN later_note text, ADD COLUMN later_flag boolean NOT NULL DEFAULT false"
_TAKE_BACK: Final = _EACH % "DROP COLUMN later_note, DROP COLUMN later_flag"


@pytest.fixture(scope="session")
def fresh_bus_database(postgres_server: Cluster) -> Callable[[], BusDatabase]:
    """`fresh_bus_database()` is a new, empty database for the embedded bus, open to the three run-time roles."""

    def make(services: Sequence[str] = SERVICES) -> BusDatabase:
        return postgres_server.fresh_bus(services)

    return make


@pytest.fixture(scope="session")
def own_kafka() -> Generator[KafkaBroker]:
    """A broker of our own, whatever the environment names: one which a test may stop, if it starts it again."""
    from cairn.provision.kafka import KafkaBroker

    home = Path(tempfile.mkdtemp(prefix="cairn-kafka-"))
    broker = KafkaBroker(home / "broker")
    try:
        yield broker.start()
    finally:
        broker.destroy()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_broker(request: pytest.FixtureRequest) -> Kafka:
    """A broker for ordinary tests."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given is None:
        own: KafkaBroker = request.getfixturevalue("own_kafka")
        given = own.bootstrap_servers
    return Kafka(given, f"t{secrets.token_hex(4)}-")


@pytest.fixture(scope="session")
def secured_kafka(own_kafka: KafkaBroker) -> KafkaBroker:
    """A broker of our own with the topics of `topics.yaml`, on which each service may do only what that table says."""
    from cairn.common.bus.kafka_topics import provide

    # In a thread: a loop may be running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, provide(own_kafka.settings("admin"))).result()
    return own_kafka


@dataclass(frozen=True, slots=True)
class Transport:
    """A bus of its own, as two services see it."""

    issuance: Bus
    pathways: Bus


@pytest.fixture(params=["postgres", "kafka"])
async def transport(request: pytest.FixtureRequest) -> AsyncGenerator[Transport]:
    """Either bus, with the topics of `topics.yaml` and nothing on them: what holds on one must hold on the other."""
    from cairn.common.bus import kafka_topics, postgres_schema
    from cairn.common.bus.kafka import KafkaBus
    from cairn.common.bus.postgres import PostgresBus

    if request.param == "postgres":
        database: BusDatabase = request.getfixturevalue("fresh_bus_database")()
        await postgres_schema.provide(database.owner_url, database.roles)
        made = Transport(*[await PostgresBus.connect(database.urls[name]) for name in ("issuance", "pathways")])
    else:
        kafka: Kafka = request.getfixturevalue("kafka_broker")
        settings = kafka_topics.KafkaSettings(
            kafka_bootstrap_servers=kafka.bootstrap_servers,
            kafka_topic_prefix=f"{kafka.prefix}{secrets.token_hex(4)}-",
            kafka_replication=1,
        )
        await kafka_topics.provide(settings)
        made = Transport(*[await KafkaBus.connect(settings) for _ in range(2)])
    yield made
    await made.issuance.close()
    await made.pathways.close()


@pytest.fixture
def resetting() -> Generator[str]:
    """Where each connection is made and reset at once, as by a process that dies: `http://127.0.0.1:…`."""
    server = socket.create_server(("127.0.0.1", 0), backlog=100)

    def reset() -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                connection, _ = server.accept()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

    serving = threading.Thread(target=reset)
    serving.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    serving.join()
