"""What both transports do while their server is killed, silent or away."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from cairn.common.bus import Bus, Fenced, Record, Subscription, Unreachable
from cairn.provision.kafka import KafkaBroker
from cairn.provision.postgres import EmbeddedPostgres, destroy

from .conftest import Transport, kafka_transport, make_event, make_events, numbers, postgres_transport

pytestmark = pytest.mark.integration

KEYS = [f"lrn_{n}" for n in range(8)]
SERVICES = ("issuance", "pathways", "verification")


class Server(Protocol):
    def kill(self) -> None: ...
    def start(self) -> object: ...


@pytest.fixture(params=["postgres", "kafka"])
async def mortal(request: pytest.FixtureRequest) -> AsyncGenerator[tuple[Transport, Server]]:
    """Either transport, and its server, which keeps what it has acknowledged."""
    if request.param == "kafka":
        broker: KafkaBroker = request.getfixturevalue("own_kafka")
        transport: Transport = await kafka_transport(broker.settings)
        yield transport, broker
        await transport.close()
        return
    home = Path(tempfile.mkdtemp(prefix="cairn-bus-"))
    server = EmbeddedPostgres(home / "postgres").start()
    try:
        transport = await postgres_transport(server.cluster, server.cluster.fresh_bus(SERVICES))
        yield transport, server
        await transport.close()
    finally:
        server.stop(immediate=True)
        destroy(home / "postgres")
        shutil.rmtree(home, ignore_errors=True)


async def insist(bus: Bus, topic: str, events: list) -> int:
    """Publish as the relay does: again until it is answered. How often it was not."""
    failures = 0
    while True:
        try:
            await bus.publish(topic, events)
        except Unreachable:
            failures += 1
            await asyncio.sleep(0.1)
        else:
            return failures


async def follow(member: Subscription, found: list[Record], enough: Callable[[], bool]) -> None:
    """Read as the consumer runner does, through whatever happens."""
    for _ in range(600):
        if enough():
            return
        batch: Sequence[Record] = []
        try:
            batch = await member.fetch(200, 0.1)
            await member.commit(batch)
            found += batch
        except Fenced:
            await asyncio.sleep(0.1)
        except Unreachable:
            # Whether it was committed is not known: nothing of it was noted, so it is asked for again.
            await member.rewind(batch)
            await asyncio.sleep(0.1)


async def test_r4_r5_a_server_killed_under_load_loses_nothing_and_keeps_the_order(mortal: tuple[Transport, Server]):
    transport, server = mortal
    publisher = await transport.bus()
    member = await transport.member()
    rounds = 60
    found: list[Record] = []
    failures, longest = 0, 0.0

    def complete() -> bool:
        seen = numbers(found)
        return all(len(set(seen.get(key, []))) == rounds for key in KEYS)

    following = asyncio.create_task(follow(member, found, complete))
    for start in range(rounds):
        if start in {15, 40}:
            server.kill()
            restart = asyncio.create_task(asyncio.to_thread(server.start))
        began = time.monotonic()
        failures += await insist(publisher, "credentials", make_events(KEYS, 1, start=start))
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.01)
    await restart
    await following
    # A short absence the producer of Kafka sits out by itself: then it shows as a wait.
    assert failures > 0 or longest > 0.5, "the server was never away, so nothing was tested"
    for key, said in numbers(found).items():
        # Some may come twice, with the same ids; the first time each comes, it comes in its order.
        assert list(dict.fromkeys(said)) == list(range(rounds)), key


async def test_r14_a_silent_broker_is_given_up_within_the_deadline(own_kafka: KafkaBroker):
    transport = await kafka_transport(own_kafka.settings)
    publisher = await transport.bus(deadline=2.0)
    await publisher.publish("credentials", [make_event("lrn_1", 0)])
    own_kafka.pause()
    try:
        started = time.monotonic()
        with pytest.raises(Unreachable):
            await publisher.publish("credentials", [make_event("lrn_1", 1)])
        assert time.monotonic() - started < 4
    finally:
        own_kafka.resume()
    await insist(publisher, "credentials", [make_event("lrn_1", 1)])
    found: list[Record] = []
    await follow(await transport.member(), found, lambda: 1 in numbers(found).get("lrn_1", []))
    assert list(dict.fromkeys(numbers(found)["lrn_1"])) == [0, 1]
    await transport.close()


async def test_opening_waits_for_a_server_that_is_not_there_yet(mortal: tuple[Transport, Server]):
    transport, server = mortal
    server.kill()
    opening = asyncio.create_task(transport.bus())
    await asyncio.sleep(1)
    assert not opening.done()
    await asyncio.to_thread(server.start)
    await insist(await asyncio.wait_for(opening, 30), "credentials", [make_event("lrn_1", 1)])
