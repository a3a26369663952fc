"""R8 over the bus: the log is the record, from which everything that was heard can be heard again."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest
from pydantic import SecretStr

from cairn.common.bus.contract import Record
from cairn.common.bus.postgres_group import PostgresSubscription
from cairn.common.consumer import Consumer
from cairn.common.db import EVERY_TENANT
from cairn.common.events import Encoded, encode, fact_of, topic_of
from cairn.pathways import consumers
from cairn.pathways.deps import Deps
from cairn.pathways.settings import PathwaysSettings
from cairn.pathways.use_cases.replay import LogIsEmpty, replay
from cairn.provision.postgres import Cluster
from cairn.provision.pytest_plugin import Transport

from .conftest import Service
from .test_convergence import RULES, play, story
from .world import AWAY, HOME, MARCH, NOW, Log, achievement, catalogue, framework


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


class Cut(Exception):
    """The power fails."""


@pytest.mark.parametrize("at", ["events", "learners"])
@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_r8_a_replay_that_is_cut_off_has_done_nothing_and_the_next_one_does_it_all(
    service: Service, transport: Transport, log: Log, at: str
) -> None:
    offered = catalogue()
    heard = [*offered, *(each for who in ("ada", "bo", "cy") for each in log.issued(f"lrn_{who}", "stats"))]
    await publish(transport, heard)
    await consume(service, transport, len(heard))
    await service.publish(RULES[0])
    await service.backfill()
    before = await service.state()

    def cut(what: str, done: int, of: int) -> None:
        if what == at and done:
            raise Cut

    with pytest.raises(Cut):
        await replay(service.worker, transport.pathways, consumers.TOPICS, cut)
    assert await service.state() == before, "nothing was forgotten, nothing half-built"
    shown: list[tuple[str, int, int]] = []
    done = await replay(service.worker, transport.pathways, consumers.TOPICS, lambda *now: shown.append(now))
    assert done.before == done.after == before == await service.state()
    assert [now for now in shown if now[0] == "learners"][-1][1:] == (3, 3)
    assert all(done <= of for _, done, of in shown)


@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_a_restored_backup_catches_up_by_the_log_and_says_again_what_it_awards(
    service: Service, transport: Transport, log: Log, postgres_server: Cluster, settings: PathwaysSettings
) -> None:
    offered = catalogue()
    early = [*offered, *log.issued("lrn_ada", "stats")]
    await publish(transport, early)
    await consume(service, transport, len(early))
    await service.publish(framework("stats"))
    await service.backfill()
    backup = await asyncio.to_thread(postgres_server.restored, service.database)
    # After the backup, one earns the qualification and another loses it.
    late = [*log.issued("lrn_bo", "stats"), *log.status("revoked", "lrn_ada", "stats", NOW)]
    await publish(transport, late)
    await consume(service, transport, len(late))
    expected, [award] = await service.state(), await service.awards("lrn_bo")
    told = settings.model_copy(update={"database_url": SecretStr(backup.url)})
    worker = replace(Deps.wire(told, worker=True), now=service.worker.now, clock=service.worker.clock)
    restored = replace(service, worker=worker)
    try:
        assert await restored.state() != expected
        done = await replay(worker, transport.pathways, consumers.TOPICS, lambda *_: None, announce=True)
        assert (await restored.state(), done.after, done.awards) == (expected, expected, 2)
        said = [fact_of(event) for event in await restored.said("qualification.completed.v1")]
        assert [fact.award for fact in said if fact.learner == "lrn_bo"] == [award["id"]]  # type: ignore[union-attr]
        assert [event.key for event in await restored.said("qualification.lapsed.v1")] == ["lrn_ada"]
    finally:
        await worker.database.close()


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


@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_r9_a_poison_spoils_no_good_event_of_the_same_learner_that_comes_after_it_in_a_batch(
    service: Service, transport: Transport, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, poison = log.issued("lrn_ada", "stats"), log.issued("lrn_ada", "ml", at=MARCH, tenant="harbour")
    after = [*log.issued("lrn_ada", "ml"), *log.issued("lrn_ada", "data")]
    await publish(transport, before)
    await consume(service, transport, 1)
    await publish(transport, [*poison, *after])
    await consume(service, transport, 3)
    (letter,) = await service.sql("SELECT tenant_id FROM dead_letters")
    assert letter["tenant_id"] == "harbour"
    assert len(await service.sql("SELECT id FROM holdings", HOME)) == 3
    fetch, fetched = PostgresSubscription.fetch, 0

    async def first_alone(self: PostgresSubscription, most: int, wait: float) -> Sequence[Record]:
        nonlocal fetched
        fetched += 1
        return await fetch(self, 1 if fetched == 1 else 3, wait)

    monkeypatch.setattr(PostgresSubscription, "fetch", first_alone)
    apart = await replay(service.worker, transport.pathways, consumers.TOPICS, lambda *_: None)
    assert (apart.skipped, apart.before) == (1, apart.after)


@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_r9_a_replay_refuses_what_was_refused_and_keeps_nothing_of_it(
    service: Service, transport: Transport, log: Log
) -> None:
    known = [*log.issued("lrn_bo", "stats"), *log.issued("lrn_cy", "stats")]
    # lrn_bo is no learner of the other university's, so nor is lrn_lu made known. Both lie in the same partition.
    wrong = log.merged("lrn_lu", "lrn_bo", MARCH)[0]
    strayed = log.issued("lrn_cy", "ml")[0]
    later = log.issued("lrn_lu", "stats", tenant=AWAY)
    await publish(transport, [*known, wrong])
    carried = Encoded(strayed.id, strayed.tenant, "lrn_bo", encode(strayed))
    await transport.issuance.publish("credentials", [carried])
    await publish(transport, later)
    await consume(service, transport, 5)
    codes = await service.sql("SELECT code FROM dead_letters ORDER BY code")
    assert [row["code"] for row in codes] == ["learner-refused", "malformed"]
    assert len(await service.sql("SELECT id FROM holdings")) == 3
    done = await replay(service.worker, transport.pathways, consumers.TOPICS, lambda *_: None)
    assert (done.events, done.skipped, done.before) == (5, 2, done.after)


@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_r8_a_replay_agrees_after_a_version_was_retired_and_one_equivalence_led_to_another(
    service: Service, transport: Transport, log: Log
) -> None:
    heard = [*catalogue(), *log.issued("lrn_ada", "stats"), *log.issued("lrn_bo", "thesis")]
    await publish(transport, heard)
    await consume(service, transport, len(heard))
    retired = await service.publish(framework("stats", "ml"))
    await service.publish(framework("ml", qualification="https://north.example/q/ml"))
    await service.backfill()
    assert (await service.post(f"/v1/frameworks/{retired}/retire")).status_code == 200
    for one, other in (("thesis", "master"), ("master", "ml")):
        line = {"achievement": achievement(one), "countsAs": achievement(other), "reason": "a test"}
        assert (await service.post("/v1/equivalences", line)).status_code == 201
    await service.fall_due()
    await service.backfill()
    done = await replay(service.worker, transport.pathways, consumers.TOPICS, lambda *_: None)
    assert (done.before, done.awards) == (done.after, 0)


@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_s36_what_nobody_could_read_goes_with_the_learner_under_whose_key_it_came(
    service: Service, transport: Transport, log: Log
) -> None:
    for who in ("lrn_ada", "lrn_bo"):
        await transport.issuance.publish("credentials", [Encoded(str(uuid4()), HOME, who, b"not JSON")])
    await consume(service, transport, 2)
    await publish(transport, log.erased("lrn_ada", NOW))
    await consume(service, transport, 1)
    assert [row["subject_key"] for row in await service.sql("SELECT subject_key FROM dead_letters")] == ["lrn_bo"]


@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_r8_a_replay_agrees_after_a_version_was_closed_to_whose_enrolment_is_yet_to_come(
    service: Service, transport: Transport, log: Log
) -> None:
    heard = [*catalogue(), *log.issued("lrn_ada", "stats")]
    await publish(transport, heard)
    await consume(service, transport, len(heard))
    ids = [await service.publish(framework("stats", "ml", version=version)) for version in ("2026", "2027")]
    enrolment = {"qualification": framework()["qualification"], "at": "2027-03-01"}
    assert (await service.post("/v1/learners/lrn_ada/enrolments", enrolment)).status_code == 200
    await service.backfill()
    closing = {"by": ids[1], "at": "2026-12-01T00:00:00Z"}
    assert (await service.post(f"/v1/frameworks/{ids[0]}/supersede", closing)).status_code == 200
    assert await service.fall_due() == 1
    done = await replay(service.worker, transport.pathways, consumers.TOPICS, lambda *_: None)
    assert done.before == done.after
