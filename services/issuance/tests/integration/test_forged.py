"""S33 and R9 over the bus: what does not add up is a dead letter, on either transport, and the rest goes on."""

from functools import partial

from cairn.common.bus import Bus
from cairn.common.consumer import Consumer
from cairn.common.events import Event
from cairn.issuance import consumers
from cairn.provision.pytest_plugin import Transport

from .test_awards import CERTIFICATE, activated, completed


async def say(bus: Bus, *events: Event) -> None:
    for event in events:
        await bus.publish("qualifications", [event])


async def hear(service, bus: Bus, expected: int) -> None:
    """As the worker does, until that many records have been taken."""
    deps = service.worker
    consumer = Consumer(
        bus,
        deps.database,
        deps.vault,
        group=consumers.GROUP,
        topics=consumers.TOPICS,
        handle=partial(consumers.handle, deps),
    )
    taken = 0
    for _ in range(60):
        taken += await consumer.step(wait=0.5)
        if taken >= expected:
            break
    await consumer.close()
    assert taken == expected


async def test_s33_forged_awards_are_dead_letters_and_the_true_one_is_signed(service, transport: Transport):
    await service.post("/v1/achievements", CERTIFICATE)
    ada, grace = await service.learner("ada"), await service.learner("grace")
    component = await service.issued("ada")
    await say(transport.pathways, activated())
    await hear(service, transport.issuance, 1)
    forged = [
        completed(grace, [component], award="award-2"),
        completed(ada, [component], award="award-3", digest=""),
        completed(ada, [component], award="award-4", achievement="https://cairn.localhost/issuance/achievements/x/y"),
    ]
    await say(transport.pathways, *forged, completed(ada, [component]))
    await hear(service, transport.issuance, 4)
    await service.work()
    rows = await service.sql("SELECT learner_id, award_id, state FROM credentials WHERE award_id IS NOT NULL")
    assert [(row["learner_id"], row["award_id"], row["state"]) for row in rows] == [(ada, "award-1", "issued")]
    letters = (await service.get("/v1/dead-letters")).json()
    assert [letter["code"] for letter in letters] == ["award-refused"] * 3
    assert (await service.get("/v1/dead-letters", "harbour")).json() == []
