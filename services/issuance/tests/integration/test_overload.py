"""Intake past its bound: 429 for the institution that piles up, whichever process it asks, and for nobody else."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from cairn.issuance.app import issuance_app
from cairn.issuance.deps import Deps
from cairn.issuance.settings import IssuanceSettings

BOUND = 40
AT_ONCE = 8


@pytest.fixture
async def four(service, settings: IssuanceSettings) -> AsyncGenerator[list[httpx.AsyncClient]]:
    """Four processes of the API, as far as each is concerned: they share nothing but the database."""
    told = settings.model_copy(update={"intake_backlog": BOUND, "database_pool": 4})
    async with AsyncExitStack() as stack:
        made: list[httpx.AsyncClient] = []
        for _ in range(4):
            deps = Deps.wire(told)
            stack.push_async_callback(deps.close)
            transport = httpx.ASGITransport(issuance_app(told, deps))
            made.append(
                await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://issuance"))
            )
        yield made


async def test_s32_four_processes_let_in_no_more_than_one_and_a_forwarding_header_changes_nothing(
    service, four: list[httpx.AsyncClient]
) -> None:
    for tenant in ("north", "harbour"):
        await service.learner(f"user-of-{tenant}", tenant)
    limit = asyncio.Semaphore(AT_ONCE)

    async def post(number: int, tenant: str = "north") -> httpx.Response:
        body = {
            "learner": {"identifier": {"kind": "lms-user", "value": f"user-of-{tenant}"}},
            "achievement": "stats",
            "completedAt": (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat(),
        }
        spoofed = {"X-Forwarded-For": f"10.0.{number}.1", "Forwarded": f"for=10.0.{number}.1", "X-Real-IP": "10.9.9.9"}
        async with limit:
            return await four[number % 4].post("/v1/completions", json=body, headers=service.auth(tenant) | spoofed)

    answers = await asyncio.gather(*(post(number) for number in range(10 * BOUND)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {202, 429}
    assert BOUND <= statuses[202] <= BOUND + AT_ONCE, "but for what was under way at once"
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "backlog-full"
    assert int(refused.headers["retry-after"]) > 0
    waiting = (await service.sql("SELECT count(*) AS n FROM completions WHERE state = 'pending'"))[0]["n"]
    assert waiting == statuses[202]
    # Another institution is not held up by it, and when the credentials are signed, this one is let in again.
    assert {(await post(number, "harbour")).status_code for number in range(4)} == {202}
    await service.work()
    await asyncio.sleep(0.6)
    assert {(await post(number)).status_code for number in range(5000, 5004)} == {202}
