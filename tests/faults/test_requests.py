"""R7, R16: the same request many times at once, and processes that are restarted in turn while requests come in."""

from __future__ import annotations

import asyncio
from signal import SIGTERM
from typing import Any

import httpx

from cairn.onebox.story.cast import HOME

from .invariant import check
from .system import System
from .traffic import ready_traffic
from .world import Cohort


async def test_r7_the_same_request_fifty_times_at_once_is_one_credential(system: System) -> None:
    cohort = Cohort(system, "twice", 1)
    await cohort.prepare()
    body = cohort.completion(cohort.members[0].user, "stats")
    headers = {"Authorization": f"Bearer {system.access.tokens[HOME]}", "Idempotency-Key": "once"}
    async with httpx.AsyncClient(
        base_url=system.access.address, headers=headers, trust_env=False, timeout=30
    ) as client:

        async def post(body: dict[str, Any]) -> httpx.Response:
            return await client.post("/issuance/v1/completions", json=body)

        answers = await asyncio.gather(*(post(body) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        changed = await post({**body, "grade": {"score": "0.9"}})
        assert changed.json()["code"] == "idempotency-key-reused"
    await check(system)
    ids = list(cohort.ids.values())
    assert len(await system.rows("issuance", "SELECT id FROM credentials WHERE learner_id = ANY ($1)", ids)) == 1


async def test_r16_processes_restarted_in_turn_under_load_fail_no_request(system: System) -> None:
    traffic = await ready_traffic(system, rate=10)
    posting = asyncio.create_task(traffic.run(20))
    reading = asyncio.create_task(traffic.read(90, lambda: not posting.done()))
    for part in system.parts:
        await system.kill(part, SIGTERM)
    await posting
    assert [sent for sent in traffic.sent.values() if sent.status != 202] == []
    assert [answer for answer in await reading if answer.status != 200] == []
    await traffic.signed()
    await check(system)
