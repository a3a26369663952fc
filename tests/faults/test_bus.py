"""R3, R9, R10: what comes late, what cannot be taken, and who comes and goes in mid-batch."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from cairn.common.bus.postgres import PostgresBus
from cairn.common.events import Event, encode
from cairn.common.events.models import CredentialStatusChanged
from cairn.onebox.story.cast import AWAY

from .invariant import check
from .kills import in_peace
from .system import System
from .traffic import ready_traffic
from .world import Cohort

_STAGED = """
    INSERT INTO outbox (tenant_id, id, aggregatetype, aggregateid, type, payload)
    VALUES ($1, $2, 'credentials', $3, $4, $5) RETURNING seq
"""


async def test_r3_what_commits_late_with_a_lower_number_leaves_all_the_same(system: System) -> None:
    traffic = await ready_traffic(system, rate=30)
    event = poison("late", "lrn_late")
    connection: Any = await asyncpg.connect(system.url("issuance"))
    async with connection.transaction():
        late = await connection.fetchval(_STAGED, AWAY, event.id, event.key, event.type, encode(event))
        await traffic.run(2)
        await traffic.signed()
        [row] = await system.rows("issuance", "SELECT last_value AS n FROM outbox_seq_seq")
        assert row["n"] > late + 30
        assert event.id not in {said.id for _, said in await system.events()}
    await connection.close()
    await check(system)
    assert event.id in {said.id for _, said in await system.events()}


async def test_r9_poison_among_good_events_is_put_aside_and_the_good_go_on(system: System) -> None:
    clean = await ready_traffic(system, rate=30)
    await clean.run(4)
    await clean.signed()
    traffic = await ready_traffic(system, rate=30)
    learners = list(traffic.cohort.ids.values())
    bus = await PostgresBus.connect(system.url("bus", "issuance"))
    posting = asyncio.create_task(traffic.run(4))
    bad = [poison(f"poison-{number}", learners[number]) for number in range(4)]
    for event in bad:
        await asyncio.sleep(0.7)
        await bus.publish("credentials", [event])
    await bus.close()
    await posting
    await traffic.signed()
    await check(system)
    refused = "SELECT count(*) AS n FROM dead_letters WHERE code = 'learner-refused' AND subject_key = ANY ($1)"
    [row] = await system.rows("pathways", refused, learners)
    assert row["n"] == len(bad)
    # A second, because this machine may do other things; the rest is the promise.
    assert await p99(system, learners) < 2 * await p99(system, list(clean.cohort.ids.values())) + 1


async def p99(system: System, learners: Sequence[str]) -> float:
    """Seconds from the bus to the transaction in which pathways took an event; of a hundred, one is slower."""
    on_the_bus = "SELECT event_id, at FROM log WHERE topic = 'credentials' AND key = ANY ($1)"
    said = {row["event_id"]: row["at"] for row in await system.rows("bus", on_the_bus, learners)}
    taken = await system.rows("pathways", "SELECT event_id, at FROM inbox")
    waits = [(row["at"] - said[row["event_id"]]).total_seconds() for row in taken if row["event_id"] in said]
    return statistics.quantiles(waits, n=100)[98]


def poison(subject: str, learner: str) -> Event:
    """Of a learner of one institution, said by another: the shape is right, and it can never be taken."""
    at = datetime.now(UTC)
    fact = CredentialStatusChanged(learner=learner, credential=subject, at=at)
    return Event("credential.suspended.v1", "/issuance", subject, AWAY, learner, fact.to_json(), at)


async def test_r10_workers_that_come_and_go_in_mid_batch_leave_nothing_behind(
    system: System, long_seconds: float
) -> None:
    peace = await in_peace(system, 50)
    coming = True

    async def come_and_go(part: str) -> None:
        while coming:
            with system.another(part) as worker:
                await worker.ready()
                await asyncio.sleep(5)
            await asyncio.sleep(5)

    going = [asyncio.create_task(come_and_go(part)) for part in ("pathways-worker", "issuance-worker")]
    end, number = asyncio.get_running_loop().time() + long_seconds, 0
    while asyncio.get_running_loop().time() < end:
        cohort = Cohort(system, f"turn-{number}", 50)
        await cohort.play()
        await cohort.settled(peace.whole)
        number += 1
    coming = False
    await asyncio.gather(*going)
    await check(system)
