"""R1, R2: a process that dies at any point is as if it had not begun; nothing is awarded twice."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cairn.common.bus import postgres_schema
from cairn.common.bus.postgres import PostgresBus
from cairn.common.db import EVERY_TENANT, Transaction
from cairn.common.events import decode, topic_of
from cairn.pathways.settings import PathwaysSettings
from cairn.provision.postgres import BusDatabase
from cairn.provision.processes import free_port

from .conftest import KEK, Service
from .world import Log, catalogue, framework

LEARNERS = 60


class Killed(BaseException):
    """Stands for `kill -9`: nothing of ours may catch it and go on."""


@pytest.mark.parametrize("committed", [False, True])
async def test_r1_a_batch_that_is_cut_off_at_its_commit(
    campus: Service, log: Log, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    await campus.publish(framework("stats", "ml"))
    events = log.issued("lrn_ada", "stats") + log.issued("lrn_ada", "ml")
    commit = Transaction.commit

    async def cut_off(self: Transaction) -> None:
        if committed:
            await commit(self)
        raise Killed

    before = len(await campus.said())
    monkeypatch.setattr(Transaction, "commit", cut_off)
    with pytest.raises(Killed):
        await campus.hear(*events)
    monkeypatch.undo()
    assert len(await campus.said()) - before == (1 if committed else 0)
    assert len(await campus.sql("SELECT id FROM learners")) == (1 if committed else 0)
    await campus.hear(*events)  # not committed on the bus, so it comes again
    assert len(await campus.said("qualification.completed.v1")) == 1
    assert [award["state"] for award in await campus.awards("lrn_ada")] == ["active"]


async def test_a_publication_that_is_cut_off_leaves_a_draft_that_may_change(
    campus: Service, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = (await campus.post("/v1/frameworks", framework("stats"))).json()
    commit = Transaction.commit

    async def cut_off(_: Transaction) -> None:
        raise ConnectionError

    monkeypatch.setattr(Transaction, "commit", cut_off)
    answer = await campus.post(f"/v1/frameworks/{draft['id']}/publish")
    monkeypatch.setattr(Transaction, "commit", commit)
    assert answer.status_code == 503
    await campus.publish(framework("ml"))
    assert await campus.said("framework.activated.v1")
    await campus.hear(*log.issued("lrn_ada", "ml"))
    (audit,) = await campus.audits("lrn_ada")
    assert (audit["status"], audit["allocation"].keys()) == ("complete", {"ml"})


def story() -> Log:
    """Some complete, some lose it again, some lack a course."""
    log = Log()
    for number in range(LEARNERS):
        who = f"lrn_{number:03}"
        log.issued(who, "stats")
        if number % 3:
            log.issued(who, "ml")
        if number % 10 == 1:
            log.status("revoked", who, "ml", log.events[-1].time.replace(month=7))
    return log


def environment(service: Service, bus: BusDatabase, settings: PathwaysSettings) -> dict[str, str]:
    """What a process of the service is told."""
    return {
        "PATH": os.environ["PATH"],
        "CAIRN_ENVIRONMENT": "test",
        "CAIRN_DATABASE_URL": service.database.url,
        "CAIRN_BUS": "postgres",
        "CAIRN_BUS_URL": bus.urls["pathways"],
        "CAIRN_KEK": KEK,
        "CAIRN_AUTH_JWKS": settings.auth_jwks,
        "CAIRN_HOST": "127.0.0.1",
        "CAIRN_HEALTH_PORT": str(free_port()),
    }


async def run(command: str, env: dict[str, str]) -> tuple[int | None, str]:
    """The command's exit code, and what it printed."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cairn.pathways", command), env=env, stdout=pipe, stderr=pipe
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode()


async def test_r8_the_commands_state_and_replay(
    service: Service, log: Log, fresh_bus_database: Callable[[], BusDatabase], settings: PathwaysSettings
) -> None:
    bus = fresh_bus_database()
    await postgres_schema.provide(bus.owner_url, bus.roles)
    issuance = await PostgresBus.connect(bus.urls["issuance"])
    events = log.issued("lrn_ada", "stats") + log.issued("lrn_bo", "ml")
    await issuance.publish("credentials", events)
    await issuance.close()
    await service.hear(*events)
    env = environment(service, bus, settings)
    before = await service.state()
    assert await run("state", env) == (0, before + "\n")
    code, said = await run("replay", env)
    assert (code, f"state {before}: as before" in said) == (0, True), said
    async with service.worker.database.transaction(EVERY_TENANT) as tx:
        await tx.connection.exec_driver_sql("DELETE FROM holdings")
        await tx.commit()
    code, said = await run("replay", env)
    assert (code, f"state {before}: was" in said) == (1, True), said
    assert await service.state() == before


async def test_r1_kill_9_of_the_worker_in_mid_stream(
    service: Service, fresh_bus_database: Callable[[], BusDatabase], settings: PathwaysSettings
) -> None:
    """The worker as a process of its own, killed again and again while it hears, backfills and relays."""
    told = story()
    await service.hear(*catalogue())
    await service.publish(framework("stats", "ml"))
    await service.hear(*told.events)
    await service.backfill()
    expected = await service.state()
    standing = len(await service.sql("SELECT id FROM awards WHERE state = 'active'"))
    await service.start_again()

    bus = fresh_bus_database()
    await postgres_schema.provide(bus.owner_url, bus.roles)
    issuance = await PostgresBus.connect(bus.urls["issuance"])
    env = environment(service, bus, settings)
    await service.hear(*catalogue())
    await service.publish(framework("stats", "ml"))

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cairn.pathways", "worker"), env=env, stderr=asyncio.subprocess.DEVNULL
        )

    async def inbox() -> int:
        return len(await service.sql("SELECT event_id FROM inbox")) - len(catalogue())

    worker = await start()
    try:
        parts = [told.events[place::4] for place in range(4)]
        for place, part in enumerate(parts):
            for event in part:
                await issuance.publish(topic_of(event.type).name, [event])
            # In the middle of what it is doing, whatever that is.
            await _until(lambda place=place: _at_least(inbox, 5 + 20 * place))
            worker.send_signal(signal.SIGKILL)
            await worker.wait()
            worker = await start()

        async def settled() -> bool:
            waiting = await service.sql("SELECT seq FROM outbox")
            return not waiting and await service.state() == expected

        await _until(settled)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 20) == 0
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    assert await inbox() == len(told.events)
    heard = await issuance.subscribe(["qualifications"], "issuance-test")
    events = [decode(record.body) for record in await heard.fetch(1000, 2)]
    await heard.close()
    await issuance.close()
    # The bus may carry an event twice, with the same id; nothing is awarded twice.
    completed = {event.id: event for event in events if event.type == "qualification.completed.v1"}
    awards = Counter(event.data["award"] for event in completed.values())
    assert set(awards.values()) == {1}
    lapsed = {event.data["award"] for event in events if event.type == "qualification.lapsed.v1"}
    assert len(awards.keys() - lapsed) == standing > 30


async def _at_least(count: Any, least: int) -> bool:
    return await count() >= least


async def _until(holds: Any) -> None:
    for _ in range(300):
        if await holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come about within thirty seconds")
