"""R8 over the bus: the log is the record, from which everything that was heard can be heard again."""

import random
from functools import partial

import pytest

from cairn.common.consumer import Consumer
from cairn.common.db import EVERY_TENANT
from cairn.common.events import topic_of
from cairn.pathways import consumers
from cairn.pathways.use_cases.replay import LogIsEmpty, replay
from cairn.provision.pytest_plugin import Transport

from .conftest import Service
from .test_convergence import RULES, play, story
from .world import HOME, MARCH, Log, catalogue


async def publish(transport: Transport, events: list) -> None:
    for event in events:
        await transport.issuance.publish(topic_of(event.type).name, [event])


async def consume(service: Service, transport: Transport, expected: int) -> None:
    """As the worker does, until that many events have been taken."""
    deps = service.worker
    handle = partial(consumers.handle, deps)
    consumer = Consumer(
        transport.pathways, deps.database, deps.vault, group=consumers.GROUP, topics=consumers.TOPICS, handle=handle
    )
    taken = 0
    for _ in range(60):
        taken += await consumer.step(wait=0.5)
        if taken >= expected:
            break
    await consumer.close()
    assert taken == expected


async def test_r8_a_replay_from_0_gives_the_same_state(service: Service, transport: Transport) -> None:
    events = story()
    expected = await play(service, events, random.Random(6))
    await service.start_again()
    offered = catalogue()
    await publish(transport, offered)
    await consume(service, transport, len(offered))
    for rules in RULES:
        await service.publish(rules)
    shuffled = events + random.Random(1).sample(events, 10)
    random.Random(2).shuffle(shuffled)
    await publish(transport, shuffled)
    await consume(service, transport, len(shuffled))
    assert await service.state() == expected
    said = len(await service.said())
    # Something was lost, and something came that nobody ever said.
    async with service.worker.database.transaction(EVERY_TENANT) as tx:
        await tx.connection.exec_driver_sql("DELETE FROM holdings WHERE id IN (SELECT id FROM holdings LIMIT 5)")
        await tx.connection.exec_driver_sql("DELETE FROM audits")
        await tx.connection.exec_driver_sql("INSERT INTO learners (tenant_id, id) VALUES ('north', 'lrn_ghost')")
        await tx.commit()
    assert await service.state() != expected
    shown: list[tuple[str, int, int]] = []
    done = await replay(service.worker, transport.pathways, consumers.TOPICS, lambda *now: shown.append(now))
    assert done.after == expected == await service.state()
    assert done.before != done.after
    assert (done.events, done.skipped, done.awards) == (len(offered) + len(shuffled), 0, 0)
    assert len(await service.said()) == said, "a replay says nothing"
    assert ("events", done.events, done.events) in shown
    again = await replay(service.worker, transport.pathways, consumers.TOPICS, lambda *_: None)
    assert again.before == again.after == expected


@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_a_log_that_says_nothing_wipes_nothing(service: Service, transport: Transport, log: Log) -> None:
    await service.hear(*log.issued("lrn_ada", "stats"))
    before = await service.state()
    with pytest.raises(LogIsEmpty):
        await replay(service.worker, transport.pathways, consumers.TOPICS, lambda *_: None)
    assert await service.state() == before


@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_r9_what_cannot_be_taken_becomes_a_dead_letter_and_the_rest_goes_on(
    service: Service, transport: Transport, log: Log
) -> None:
    good, poison = log.issued("lrn_ada", "stats"), log.issued("lrn_ada", "ml", at=MARCH, tenant="harbour")
    more = log.issued("lrn_bo", "stats")
    await publish(transport, [*good, *poison, *more])
    await consume(service, transport, 3)
    assert len(await service.sql("SELECT id FROM holdings", HOME)) == 2
    (letter,) = (await service.get("/v1/dead-letters", "harbour")).json()
    assert (letter["code"], letter["consumer"]) == ("learner-refused", "pathways")
    opened = (await service.get(f"/v1/dead-letters/{letter['id']}", "harbour")).json()
    assert poison[0].id in opened["body"]
    answer = await service.post(f"/v1/dead-letters/{letter['id']}/replay", tenant="harbour")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    done = await replay(service.worker, transport.pathways, consumers.TOPICS, lambda *_: None)
    assert (done.events, done.skipped, done.before) == (3, 1, done.after)
