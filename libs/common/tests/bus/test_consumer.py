"""The consumer runner: each event is taken, waited for, or kept as a dead letter; none is skipped."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
import pytest
from opentelemetry import trace
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import text

from cairn.common import dead_letters, inbox
from cairn.common.bus import Bus
from cairn.common.consumer import Consumer, Poison, TooManyDeadLetters, is_transient
from cairn.common.db import EVERY_TENANT, PLATFORM, Database, Unavailable
from cairn.common.dead_letters import Handler, NoDeadLetter
from cairn.common.events import Event, MalformedEvent, encode
from cairn.common.problem import DomainError
from cairn.common.settings import DEVELOPMENT_KEK
from cairn.common.vault import Unreadable, Vault

from .conftest import PostgresTransport, Transport

pytestmark = pytest.mark.integration

GROUP = "pathways.probe"
CANARY = "canary-7f3a"


@pytest.fixture
def vault() -> Vault:
    return Vault(SecretStr(DEVELOPMENT_KEK))


def revoked(key: str, number: int, *, tenant: str = "north", reason: str = "") -> Event:
    """A valid event of a type that `credentials` carries."""
    data = {"learner": key, "credential": f"urn:{key}:{number}", "at": "2026-03-01T00:00:00Z", "reason": reason}
    return Event(
        type="credential.revoked.v1",
        source="urn:test",
        subject=f"{key}/{number}",
        tenant=tenant,
        key=key,
        data=data,
        time=datetime(2026, 3, 1, tzinfo=UTC),
    )


class Recorder:
    """A handler as services write them: what it took is in the database, once, in its order."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.seen: list[Event] = []
        self.calls: list[int] = []
        self.refuse: Callable[[Sequence[Event]], None] = lambda _: None

    async def __call__(self, events: Sequence[Event]) -> None:
        self.calls.append(len(events))
        async with self.database.transaction({event.tenant for event in events}) as tx:
            new = await inbox.fresh(tx, GROUP, events)
            self.refuse(events)
            await tx.commit()
        self.seen += new

    def taken(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for event in self.seen:
            found.setdefault(event.key, []).append(int(event.subject.partition("/")[2]))
        return found


def refusing(
    which: Callable[[Event], bool], code: str = "forged", detail: str = "It names no registered award."
) -> Callable[[Sequence[Event]], None]:
    """A refusal of the first such event of a batch, and of no other."""

    def refuse(events: Sequence[Event]) -> None:
        for event in events:
            if which(event):
                raise Poison(event, code, detail)

    return refuse


def consumer_of(bus: Bus, database: Database, vault: Vault, handle: Handler, **options: Any) -> Consumer:
    return Consumer(bus, database, vault, group=GROUP, topics=["credentials"], handle=handle, **options)


async def drain(consumer: Consumer, count: int) -> None:
    """Step until so many records were taken."""
    for _ in range(100):
        count -= await consumer.step(wait=0.2)
        if count <= 0:
            return
    raise AssertionError(f"{count} records did not come")


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncGenerator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(consumer.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await asyncio.wait_for(task, 10)


async def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to pass")


async def letters(database: Database, tenant: str = "north") -> list[dead_letters.DeadLetter]:
    async with database.transaction(tenant) as tx:
        return await dead_letters.listing(tx)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"consumer": GROUP, **labels}) or 0.0


async def test_events_are_taken_in_batches_and_committed(transport: Transport, database: Database, vault: Vault):
    await (await transport.bus()).publish("credentials", [revoked(f"lrn_{n % 3}", n) for n in range(30)])
    recorder = Recorder(database)
    consumer = consumer_of(await transport.bus("pathways"), database, vault, recorder, batch=7)
    await drain(consumer, 30)
    await consumer.close()
    assert recorder.taken() == {f"lrn_{k}": list(range(k, 30, 3)) for k in range(3)}
    assert max(recorder.calls) <= 7
    again = Recorder(database)
    successor = consumer_of(await transport.bus("pathways"), database, vault, again)
    for _ in range(10):
        await successor.step(wait=0.1)
    await successor.close()
    assert again.calls == []


async def test_r1_a_batch_handled_and_not_committed_is_taken_once(
    transport: Transport, database: Database, vault: Vault
):
    await (await transport.bus()).publish("credentials", [revoked("lrn_1", n) for n in range(10)])
    recorder = Recorder(database)

    async def handle_and_die(events: Sequence[Event]) -> None:
        await recorder(events)
        raise asyncio.CancelledError  # as the end of the process would, between the handler's commit and the bus's

    first = consumer_of(await transport.bus("pathways"), database, vault, handle_and_die)
    with pytest.raises(asyncio.CancelledError):
        await drain(first, 10)
    await first.close()
    second = consumer_of(await transport.bus("pathways"), database, vault, recorder)
    await drain(second, 10)
    await second.close()
    assert recorder.taken() == {"lrn_1": list(range(10))}
    assert sum(recorder.calls) > 10


async def test_r9_a_poison_event_becomes_a_dead_letter_and_the_rest_goes_on(
    transport: Transport, database: Database, vault: Vault
):
    events = [revoked(f"lrn_{n % 4}", n, reason=CANARY if n in {17, 42} else "") for n in range(60)]
    await (await transport.bus()).publish("credentials", events)
    recorder = Recorder(database)

    def refuse(batch: Sequence[Event]) -> None:
        for event in batch:
            if event.data["reason"]:
                raise DomainError("It contradicts what is stored.", code="conflict")

    recorder.refuse = refuse
    consumer = consumer_of(await transport.bus("pathways"), database, vault, recorder)
    await drain(consumer, 60)
    await consumer.close()
    assert recorder.taken() == {f"lrn_{k}": [n for n in range(k, 60, 4) if n not in {17, 42}] for k in range(4)}
    found = await letters(database)
    assert {letter.subject_key for letter in found} == {"lrn_1", "lrn_2"}
    assert {letter.code for letter in found} == {"conflict"}
    assert {letter.consumer for letter in found} == {GROUP}
    assert all(25 <= (letter.expires_at - letter.at).days <= 30 for letter in found)


async def test_r9_a_handler_that_names_the_poison_saves_the_halving(
    embedded: PostgresTransport, database: Database, vault: Vault
):
    count = 300
    await (await embedded.bus()).publish("credentials", [revoked(f"lrn_{n % 9}", n) for n in range(count)])
    recorder = Recorder(database)
    recorder.refuse = refusing(lambda event: int(event.subject.partition("/")[2]) % 100 == 50)
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, recorder, batch=100)
    await drain(consumer, count)
    await consumer.close()
    assert len(recorder.seen) == count - 3
    assert [letter.code for letter in await letters(database)] == ["forged"] * 3
    # 1 % poison: no event is handled more than twice as often as without.
    assert sum(recorder.calls) <= 2 * count + 3


async def test_an_error_that_passes_by_itself_costs_no_dead_letter(
    embedded: PostgresTransport, database: Database, vault: Vault
):
    await (await embedded.bus()).publish("credentials", [revoked("lrn_1", n) for n in range(3)])
    recorder = Recorder(database)
    failures = iter([KeyError("race")] * 3)

    def refuse(_: Sequence[Event]) -> None:
        for error in failures:
            raise error

    recorder.refuse = refuse
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, recorder)
    await drain(consumer, 3)
    await consumer.close()
    assert recorder.taken() == {"lrn_1": [0, 1, 2]}
    assert await letters(database) == []


async def test_what_fails_again_and_again_is_a_dead_letter_that_quotes_nothing(
    embedded: PostgresTransport, database: Database, vault: Vault
):
    await (await embedded.bus()).publish("credentials", [revoked("lrn_1", 0)])
    recorder = Recorder(database)

    def refuse(events: Sequence[Event]) -> None:
        raise KeyError(CANARY)

    recorder.refuse = refuse
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, recorder)
    await drain(consumer, 1)
    await consumer.close()
    (letter,) = await letters(database)
    assert (letter.code, letter.detail) == ("failed", "KeyError")
    assert len(recorder.calls) == 3


async def raw(transport: PostgresTransport, bodies: Sequence[tuple[str, bytes]]) -> None:
    """Put bytes on the bus that no publisher of ours would."""
    connection: Any = await asyncpg.connect(transport.database.urls["issuance"])
    for key, body in bodies:
        event = revoked(key, 0)
        await connection.execute(
            "SELECT append('credentials', $1, $2, $3, $4, $5)", [0], [key], [event.id], ["north"], [body]
        )
    await connection.close()


async def test_r11_malformed_events_are_dead_letters_and_newer_ones_are_understood(
    embedded: PostgresTransport, database: Database, vault: Vault
):
    good = orjson.loads(encode(revoked("lrn_1", 7)))
    newer = {**good, "futureattribute": "x", "data": {**good["data"], "futureField": {"a": 1}}}
    older = {**good, "id": str(revoked("lrn_1", 8).id), "subject": "lrn_1/8"}
    older["data"] = {name: value for name, value in good["data"].items() if name != "reason"}
    await raw(
        embedded,
        [
            ("lrn_1", b"\xff not JSON"),
            ("lrn_1", orjson.dumps({**good, "specversion": "0.3"})),
            ("lrn_1", orjson.dumps({**good, "data": {"learner": CANARY}})),
            ("lrn_1", orjson.dumps({**good, "id": "7"})),
            ("lrn_2", orjson.dumps(good)),  # sent under the key of another learner
            ("lrn_1", orjson.dumps({**good, "type": "credential.revoked.v9"})),
            ("lrn_1", orjson.dumps({**good, "tenant": "a,*"})),
            ("lrn_1", orjson.dumps(newer)),
            ("lrn_1", orjson.dumps(older)),
        ],
    )
    ignored = metric("cairn_events_ignored_total")
    recorder = Recorder(database)
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, recorder)
    await drain(consumer, 9)
    await consumer.close()
    assert recorder.taken() == {"lrn_1": [7, 8]}
    assert metric("cairn_events_ignored_total") == ignored + 1
    platform, north = await letters(database, PLATFORM), await letters(database)
    assert sorted(letter.detail.split(" ")[0] for letter in platform) == ["id", "not", "specversion", "tenant"]
    assert sorted(letter.detail.split(" ")[0] for letter in north) == ["data.credential:", "partitionkey"]
    assert {letter.event_type for letter in north} == {"credential.revoked.v1"}
    assert not any(CANARY in letter.detail for letter in north)
    # Nor is it taken by the back door.
    (strayed,) = (letter for letter in north if letter.subject_key == "lrn_2")
    with pytest.raises(MalformedEvent, match="partitionkey"):
        await dead_letters.replay(database, vault, "north", strayed.id, {GROUP: recorder}, by="registrar")


async def test_s36_a_dead_letter_is_sealed_and_its_tenants_alone(
    embedded: PostgresTransport, database: Database, vault: Vault
):
    await (await embedded.bus()).publish("credentials", [revoked("lrn_1", 0, reason=CANARY)])
    recorder = Recorder(database)

    def refuse(events: Sequence[Event]) -> None:
        raise DomainError("No.", code="conflict")

    recorder.refuse = refuse
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, recorder)
    await drain(consumer, 1)
    await consumer.close()
    (letter,) = await letters(database)
    assert await letters(database, "south") == []
    async with database.transaction(EVERY_TENANT) as tx:
        stored = await tx.rows(text("SELECT * FROM dead_letters"))
        assert CANARY not in str([dict(row) for row in stored])
    async with database.transaction("north") as tx:
        _, body = await dead_letters.opened(tx, vault, letter.id, by="auditor")
        assert CANARY.encode() in body
        with pytest.raises(Unreadable):
            await dead_letters.opened(tx, Vault(SecretStr("A" * 43 + "=")), letter.id, by="thief")
    async with database.transaction("south") as tx:
        with pytest.raises(NoDeadLetter):
            await dead_letters.opened(tx, vault, letter.id, by="stranger")
    async with database.transaction(EVERY_TENANT) as tx:
        await tx.execute(text("UPDATE dead_letters SET expires_at = now() - interval '1 second'"))
        with pytest.raises(NoDeadLetter):
            await dead_letters.opened(tx, vault, letter.id, by="late")
        assert await dead_letters.expire(tx) == 1


async def test_r9_a_dead_letter_can_be_replayed_once_its_cause_is_mended(
    embedded: PostgresTransport, database: Database, vault: Vault
):
    await (await embedded.bus()).publish("credentials", [revoked("lrn_1", n) for n in range(3)])
    recorder = Recorder(database)
    recorder.refuse = refusing(lambda event: event.subject == "lrn_1/1", "unknown", "Not yet.")
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, recorder)
    await drain(consumer, 3)
    await consumer.close()
    (letter,) = await letters(database)
    with pytest.raises(Poison):
        await dead_letters.replay(database, vault, "north", letter.id, {GROUP: recorder}, by="registrar")
    assert [found.replayed_at for found in await letters(database)] == [None]
    recorder.refuse = lambda _: None
    with pytest.raises(NoDeadLetter):
        await dead_letters.replay(database, vault, "south", letter.id, {GROUP: recorder}, by="stranger")
    for _ in range(2):  # the second time changes nothing
        done = await dead_letters.replay(database, vault, "north", letter.id, {GROUP: recorder}, by="registrar")
        assert done.replayed_at is not None
    assert recorder.taken() == {"lrn_1": [0, 2, 1]}
    async with database.transaction("north") as tx:
        assert await dead_letters.erase(tx, "lrn_1") == 1
        await tx.commit()
    assert await letters(database) == []


async def test_an_outage_halts_and_skips_nothing(embedded: PostgresTransport, database: Database, vault: Vault):
    await (await embedded.bus()).publish("credentials", [revoked("lrn_1", n) for n in range(5)])
    recorder = Recorder(database)
    down = True

    def refuse(_: Sequence[Event]) -> None:
        if down:
            raise Unavailable("PostgreSQL gave no connection")

    recorder.refuse = refuse
    async with running(consumer_of(await embedded.bus("pathways"), database, vault, recorder)):
        await eventually(lambda: len(recorder.calls) >= 3)
        assert metric("cairn_consumer_halted") == 1
        assert recorder.seen == []
        down = False
        await eventually(lambda: len(recorder.seen) == 5)
    assert metric("cairn_consumer_halted") == 0
    assert recorder.taken() == {"lrn_1": list(range(5))}
    assert await letters(database) == []


async def test_a_consumer_that_halts_still_stops_when_asked(
    embedded: PostgresTransport, database: Database, vault: Vault
):
    await (await embedded.bus()).publish("credentials", [revoked("lrn_1", 0)])
    recorder = Recorder(database)

    def refuse(_: Sequence[Event]) -> None:
        raise ConnectionResetError

    recorder.refuse = refuse
    async with running(consumer_of(await embedded.bus("pathways"), database, vault, recorder)):
        await eventually(lambda: len(recorder.calls) >= 2)
    recorder.refuse = lambda _: None
    successor = consumer_of(await embedded.bus("pathways"), database, vault, recorder)
    await drain(successor, 1)
    await successor.close()
    assert recorder.taken() == {"lrn_1": [0]}


async def test_too_many_dead_letters_in_a_row_halt(embedded: PostgresTransport, database: Database, vault: Vault):
    await (await embedded.bus()).publish("credentials", [revoked("lrn_1", n) for n in range(20)])
    recorder = Recorder(database)

    def refuse(_: Sequence[Event]) -> None:
        raise DomainError("A fault of ours.", code="internal")

    recorder.refuse = refuse
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, recorder, patience=5)
    with pytest.raises(TooManyDeadLetters):
        await drain(consumer, 20)
    with pytest.raises(TooManyDeadLetters):  # and it goes on halting
        await drain(consumer, 20)
    assert len(await letters(database)) == 5
    recorder.refuse = lambda _: None
    await drain(consumer, 20)  # mended: nothing was committed meanwhile
    await consumer.close()
    assert recorder.taken() == {"lrn_1": list(range(20))}


@pytest.mark.parametrize("batch", [1, 20])
async def test_r9_dead_letters_between_good_events_are_not_in_a_row_whatever_the_batch(
    embedded: PostgresTransport, database: Database, vault: Vault, batch: int
):
    good = [revoked("lrn_1", n, reason="forged" if n % 3 == 1 else "") for n in range(10)]
    spoilt = [encode(event) if n % 3 != 2 else b"not JSON" for n, event in enumerate(good)]
    await raw(embedded, [("lrn_1", body) for body in spoilt])
    recorder = Recorder(database)
    recorder.refuse = refusing(lambda event: bool(event.data["reason"]))
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, recorder, batch=batch, patience=2)
    await drain(consumer, 10)
    await consumer.close()
    assert recorder.taken() == {"lrn_1": [0, 3, 6, 9]}
    assert len(await letters(database)) == len(await letters(database, PLATFORM)) == 3


async def test_r9_an_event_that_is_refused_takes_no_other_along_that_goes_by_its_id(
    embedded: PostgresTransport, database: Database, vault: Vault
):
    good = revoked("lrn_1", 0)
    await raw(embedded, [("lrn_1", encode(replace(good, subject="lrn_1/1"))), ("lrn_1", encode(good))])
    recorder = Recorder(database)
    recorder.refuse = refusing(lambda event: event.subject == "lrn_1/1")
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, recorder)
    await drain(consumer, 2)
    await consumer.close()
    assert recorder.taken() == {"lrn_1": [0]}
    assert len(await letters(database)) == 1


async def test_a_fenced_batch_is_dropped_and_taken_once(transport: Transport, database: Database, vault: Vault):
    await (await transport.bus()).publish("credentials", [revoked(f"lrn_{n % 5}", n) for n in range(40)])
    recorder = Recorder(database)
    evicted: list[Consumer] = []

    async def handle(events: Sequence[Event]) -> None:
        await recorder(events)
        if not evicted:
            evicted.append(consumer)
            await transport.evict(consumer._subscription)

    consumer = consumer_of(await transport.bus("pathways"), database, vault, handle)
    fenced = metric("cairn_batches_fenced_total")
    async with running(consumer):
        await eventually(lambda: len(recorder.seen) == 40 and sum(recorder.calls) > 40)
    assert metric("cairn_batches_fenced_total") > fenced
    assert recorder.taken() == {f"lrn_{k}": list(range(k, 40, 5)) for k in range(5)}


async def test_a_handler_works_in_the_trace_of_its_event(embedded: PostgresTransport, database: Database, vault: Vault):
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await (await embedded.bus()).publish("credentials", [replace(revoked("lrn_1", 0), traceparent=parent)])
    seen: list[str] = []

    async def handle(_: Sequence[Event]) -> None:
        seen.append(format(trace.get_current_span().get_span_context().trace_id, "032x"))

    consumer = consumer_of(await embedded.bus("pathways"), database, vault, handle)
    await drain(consumer, 1)
    await consumer.close()
    assert seen == ["4bf92f3577b34da6a3ce929d0e0e4736"]


async def test_lag_is_measured(embedded: PostgresTransport, database: Database, vault: Vault):
    await (await embedded.bus()).publish("credentials", [revoked("lrn_1", n) for n in range(10)])
    consumer = consumer_of(await embedded.bus("pathways"), database, vault, Recorder(database), batch=4)
    await drain(consumer, 1)
    assert metric("cairn_consumer_lag") == 6
    await consumer.close()


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (Unavailable("no"), True),
        (asyncpg.DeadlockDetectedError("x"), True),
        (asyncpg.SerializationError("x"), True),
        (asyncpg.LockNotAvailableError("x"), True),
        (asyncpg.AdminShutdownError("x"), True),
        (asyncpg.InterfaceError("closed"), True),
        (asyncpg.DataError("not a UUID"), False),
        (asyncpg.UniqueViolationError("x"), False),
        (asyncpg.UndefinedColumnError("x"), False),
        (KeyError("x"), False),
        (DomainError("x"), False),
    ],
)
def test_what_passes_by_itself(error: Exception, transient: bool):
    assert is_transient(error) is transient
