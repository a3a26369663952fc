"""The outbox and its relay: what is committed arrives, in the order of its key, however processes and servers fail."""

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY
from sqlalchemy import text

from cairn.common import inbox
from cairn.common.bus import Bus, Subscription, Unreachable
from cairn.common.bus.postgres_session import translated
from cairn.common.db import EVERY_TENANT, Database, Transaction
from cairn.common.events import Event, MalformedEvent, decode
from cairn.common.outbox import Relay
from cairn.provision.postgres import Cluster, ServiceDatabase

from .conftest import PostgresTransport, Transport, make_event, make_events, numbers, read


@asynccontextmanager
async def relay_on(database: ServiceDatabase, bus: Bus, **options: Any) -> AsyncGenerator[Relay]:
    relay = Relay(database.url, bus, service="probe", **options)
    try:
        yield relay
    finally:
        await relay.close()


@asynccontextmanager
async def running(relay: Relay) -> AsyncGenerator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(relay.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def stage(database: Database, *events: Event, tenant: str = "north") -> None:
    async with database.transaction(tenant) as tx:
        await tx.publish(*events)
        await tx.commit()


async def waiting(database: Database) -> int:
    async with database.transaction(EVERY_TENANT) as tx:
        return (await tx.rows(text("SELECT count(*) AS n FROM outbox")))[0]["n"]


async def emptied(database: Database, seconds: float = 15) -> bool:
    for _ in range(int(seconds / 0.05)):
        if await waiting(database) == 0:
            return True
        await asyncio.sleep(0.05)
    return False


async def lock(tx: Transaction, key: str) -> None:
    """As each use case does with the learner's row."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": key})


class FailingBus:
    """A real bus that fails when told to: before it has published, or after."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.failures = 0
        self.answers_lost = 0

    async def publish(self, topic: str, events: Sequence[Event]) -> None:
        if self.failures:
            self.failures -= 1
            raise Unreachable("down")
        await self._bus.publish(topic, events)
        if self.answers_lost:
            self.answers_lost -= 1
            raise Unreachable("the answer was lost")

    async def subscribe(self, topics: Sequence[str], group: str, *, from_start: bool = True) -> Subscription:
        return await self._bus.subscribe(topics, group, from_start=from_start)

    async def close(self) -> None:
        await self._bus.close()


async def test_what_is_committed_leaves_and_is_deleted(
    transport: Transport, database: Database, probe_database: ServiceDatabase
):
    await stage(database, *make_events(["lrn_1", "lrn_2"], 3))
    async with relay_on(probe_database, await transport.bus()) as relay:
        assert await relay.step() == 6
        assert await relay.step() == 0
    assert await waiting(database) == 0
    assert numbers(await read(await transport.member(), 6)) == {"lrn_1": [0, 1, 2], "lrn_2": [0, 1, 2]}


async def test_how_much_waits_is_measured(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    bus = FailingBus(await embedded.bus())
    bus.failures = 1
    await stage(database, *make_events(["lrn_1", "lrn_2"], 3))
    async with relay_on(probe_database, bus) as relay:
        with pytest.raises(Unreachable):
            await relay.step()
        assert REGISTRY.get_sample_value("cairn_outbox_waiting", {"service": "probe"}) == 6
        assert await relay.step() == 6


async def test_who_has_work_by_what_is_said_is_called_even_while_the_bus_is_away(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    bus, credentials, learning = FailingBus(await embedded.bus()), asyncio.Event(), asyncio.Event()
    bus.failures = 1
    async with relay_on(probe_database, bus, calls={"credentials": credentials, "learning": learning}) as relay:
        assert await relay.step() == 0
        assert not credentials.is_set()
        await stage(database, make_event("lrn_1", 1))
        with pytest.raises(Unreachable):
            await relay.step()
        assert (credentials.is_set(), learning.is_set()) == (True, False)


async def test_what_is_rolled_back_never_leaves(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    async with database.transaction("north") as tx:
        await tx.publish(make_event("lrn_1", 1))
    async with relay_on(probe_database, await embedded.bus()) as relay:
        assert await relay.step() == 0


async def test_the_relay_carries_every_tenant_and_requests_see_their_own(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    await stage(database, make_event("lrn_1", 1))
    await stage(database, dataclasses.replace(make_event("lrn_2", 2), tenant="south", id=""), tenant="south")
    async with database.transaction("south") as tx:
        assert [row["tenant_id"] for row in await tx.rows(text("SELECT tenant_id FROM outbox"))] == ["south"]
    async with relay_on(probe_database, await embedded.bus()) as relay:
        assert await relay.step() == 2


async def test_s22_an_event_of_another_tenant_cannot_be_staged(database: Database):
    with pytest.raises(Exception, match="row-level security"):
        await stage(database, make_event("lrn_1", 1), tenant="south")


async def test_an_event_that_no_reader_would_take_is_refused_where_it_is_said(database: Database):
    with pytest.raises(MalformedEvent, match="more than"):
        await stage(database, make_event("lrn_1", 1, filler=1_000_000))
    with pytest.raises(MalformedEvent, match="tenant"):
        await stage(database, dataclasses.replace(make_event("lrn_1", 1), tenant="*"))


async def test_batches_are_bounded_and_keep_their_order(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    await stage(database, *make_events(["lrn_1"], 25))
    async with relay_on(probe_database, await embedded.bus(), batch=10) as relay:
        assert [await relay.step() for _ in range(4)] == [10, 10, 5, 0]
    assert numbers(await read(await embedded.member(), 25)) == {"lrn_1": list(range(25))}


async def test_r2_an_event_sent_and_not_deleted_is_sent_again_and_taken_once(
    transport: Transport, database: Database, probe_database: ServiceDatabase, postgres_server: Cluster
):
    await stage(database, *make_events(["lrn_1", "lrn_2"], 3))
    bus = await transport.bus()
    async with relay_on(probe_database, bus) as killed:

        class Killing(FailingBus):
            async def publish(self, topic: str, events: Sequence[Event]) -> None:
                await super().publish(topic, events)
                # As SIGKILL would: PostgreSQL sees the connection end between the send and the delete.
                connection: Any = killed._connection
                postgres_server.run(f"SELECT pg_terminate_backend({connection.get_server_pid()}, 5000)")

        killed._bus = Killing(bus)
        with pytest.raises(Exception, match=r"(?i)terminat|closed|connection"):
            await killed.step()
    assert await waiting(database) == 6
    async with relay_on(probe_database, bus) as successor:
        assert await successor.step() == 6
    records = await read(await transport.member(), 12)
    events = [decode(record.body) for record in records]
    assert numbers(records) == {"lrn_1": [0, 1, 2, 0, 1, 2], "lrn_2": [0, 1, 2, 0, 1, 2]}
    taken: list[Event] = []
    for start in range(0, 12, 5):  # batches that cut through the repetition
        async with database.transaction("north") as tx:
            taken += await inbox.fresh(tx, "probe", events[start : start + 5])
            await tx.commit()
    assert sorted(e.subject for e in taken) == [f"lrn_{k}/{n}" for k in (1, 2) for n in (0, 1, 2)]


async def test_r2_an_answer_of_the_bus_that_is_lost_costs_a_repetition_only(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    bus = FailingBus(await embedded.bus())
    bus.answers_lost = 2
    await stage(database, *make_events(["lrn_1"], 3))
    async with relay_on(probe_database, bus) as relay, running(relay):
        assert await emptied(database)
    assert numbers(await read(await embedded.member(), 9)) == {"lrn_1": [0, 1, 2] * 3}


async def test_r15_who_says_much_does_not_keep_the_others_waiting(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    await stage(database, *make_events([f"lrn_{n}" for n in range(20)], 20))
    await stage(
        database, *(dataclasses.replace(event, tenant="south") for event in make_events(["lrn_s"], 5)), tenant="south"
    )
    async with relay_on(probe_database, await embedded.bus(), batch=20) as relay:
        await relay.step()
        assert await relay.step() == 20
        async with database.transaction("south") as tx:
            assert await tx.rows(text("SELECT seq FROM outbox")) == []
        while await relay.step():
            pass
    found = numbers(await read(await embedded.member(), 405))
    assert found == {f"lrn_{n}": list(range(20)) for n in range(20)} | {"lrn_s": list(range(5))}


async def test_r3_slow_and_fast_transactions_lose_nothing_and_keep_the_order_of_each_key(
    transport: Transport, database: Database, probe_database: ServiceDatabase
):
    keys, rounds = [f"lrn_{n}" for n in range(6)], 12
    chance = random.Random(3)
    count = dict.fromkeys(keys, 0)

    async def write(key: str) -> None:
        async with database.transaction("north") as tx:
            # Some take their transaction id before they wait for the learner, some after.
            if chance.random() < 0.5:
                note = {"id": f"{key}/{chance.random()}"}
                await tx.execute(text("INSERT INTO notes (tenant_id, id, body) VALUES ('north', :id, '')"), note)
            await lock(tx, key)
            await tx.publish(make_event(key, count[key]))
            count[key] += 1
            await asyncio.sleep(chance.choice([0, 0, 0.005, 0.05]))
            await tx.commit()

    async with relay_on(probe_database, await transport.bus(), batch=7, poll_seconds=0.002) as relay, running(relay):
        writers = [asyncio.create_task(write(key)) for _ in range(rounds) for key in keys]
        await asyncio.gather(*writers)
        assert await emptied(database)
    found = numbers(await read(await transport.member(), rounds * len(keys)))
    assert found == {key: list(range(rounds)) for key in keys}


async def test_r3_a_transaction_that_waited_with_an_older_id_stays_behind_the_one_it_waited_for(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    """The case in which reading up to the transaction horizon would turn the order of a key round (ADR 4)."""
    note = text("INSERT INTO notes (tenant_id, id, body) VALUES ('north', :id, '')")
    async with (
        database.transaction("north") as second,
        database.transaction("north") as bystander,
        database.transaction("north") as first,
    ):
        await second.execute(note, {"id": "second"})  # takes the lowest transaction id, and has no lock yet
        await bystander.execute(note, {"id": "bystander"})
        await first.execute(note, {"id": "first"})
        await lock(first, "lrn_1")
        waits = asyncio.create_task(lock(second, "lrn_1"))
        await first.publish(make_event("lrn_1", 1))
        await first.commit()
        await waits
        await second.publish(make_event("lrn_1", 2))
        await second.commit()
        async with database.transaction(EVERY_TENANT) as tx:
            below = await tx.rows(
                text("""SELECT payload FROM outbox
                         WHERE xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint""")
            )
        assert [decode(row["payload"]).data["n"] for row in below] == [2]  # what a horizon would let through: too early
        async with relay_on(probe_database, await embedded.bus()) as relay:
            assert await relay.step() == 2
            await bystander.publish(make_event("lrn_9", 0))
            await bystander.commit()
            assert await relay.step() == 1
    assert numbers(await read(await embedded.member(), 3)) == {"lrn_1": [1, 2], "lrn_9": [0]}


async def test_one_relay_works_and_another_takes_over(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase, postgres_server: Cluster
):
    bus = await embedded.bus()
    async with relay_on(probe_database, bus) as first, relay_on(probe_database, bus) as second:
        await stage(database, make_event("lrn_1", 0))
        assert [await first.step(), await second.step()] == [1, 0]
        await stage(database, make_event("lrn_1", 1))
        assert await second.step() == 0
        connection: Any = first._connection
        postgres_server.run(f"SELECT pg_terminate_backend({connection.get_server_pid()}, 5000)")
        assert await second.step() == 1
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await first.step()  # it may or may not have noticed by now
        await stage(database, make_event("lrn_1", 2))
        assert [await first.step(), await second.step()] == [0, 1]
    assert numbers(await read(await embedded.member(), 3)) == {"lrn_1": [0, 1, 2]}


async def test_r4_a_bus_that_is_down_is_waited_for(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    bus = FailingBus(await embedded.bus())
    bus.failures = 3
    async with relay_on(probe_database, bus) as relay, running(relay):
        for number in range(5):
            await stage(database, make_event("lrn_1", number))
        assert await waiting(database) == 5  # still there while the bus is down
        assert await emptied(database)
    assert numbers(await read(await embedded.member(), 5)) == {"lrn_1": [0, 1, 2, 3, 4]}


async def test_r5_a_database_that_drops_every_connection_is_waited_for(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase, postgres_server: Cluster
):
    async with relay_on(probe_database, await embedded.bus()) as relay, running(relay):
        for number in range(20):
            await stage(database, make_event("lrn_1", number))
            if number % 5 == 2:
                postgres_server.run(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE application_name IN ('cairn-relay', 'cairn-bus')"
                )
        assert await emptied(database)
    said = numbers(await read(await embedded.member(), 20))["lrn_1"]
    first_time = list(dict.fromkeys(said))
    assert first_time == list(range(20))


def test_r5_a_connection_that_is_out_of_step_is_an_outage_to_the_bus_too():
    with pytest.raises(Unreachable), translated():
        raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")


class _OutOfStep:
    """A connection that was cut off in the middle of a statement."""

    ended = False

    def is_closed(self) -> bool:
        return False

    def terminate(self) -> None:
        self.ended = True

    async def fetch(self, *_: Any) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")

    async def execute(self, *_: Any, **__: Any) -> None:
        await self.fetch()


async def test_r5_a_connection_that_is_out_of_step_is_made_anew(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    async with relay_on(probe_database, await embedded.bus()) as relay:
        await stage(database, make_event("lrn_1", 0))
        relay._connection = broken = _OutOfStep()
        relay._active = True
        async with running(relay):
            assert await emptied(database)
        assert broken.ended
    assert numbers(await read(await embedded.member(), 1)) == {"lrn_1": [0]}


async def test_the_trace_in_which_an_event_was_staged_goes_with_it(
    embedded: PostgresTransport, database: Database, probe_database: ServiceDatabase
):
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("use case") as span:
        await stage(database, make_event("lrn_1", 1))
    async with relay_on(probe_database, await embedded.bus()) as relay:
        await relay.step()
    (record,) = await read(await embedded.member(), 1)
    context = span.get_span_context()
    said = decode(record.body).traceparent
    assert said is not None
    assert said.startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
