"""R15: one institution posts far more than ten times its usual load. It is turned away; the others notice little."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from cairn.onebox.box import Box
from cairn.onebox.story import cast
from cairn.onebox.story.cast import AWAY, HOME

BACKLOG: Final = 200
SECONDS: Final = 6
EVERY: Final = 0.1
"""Seconds between two posts of somebody's usual load."""
LINES: Final = 2
FLOOD: Final = 80 * LINES
GROWTH: Final = 64 * 2**20


class Lms:
    """An institution's LMS: posts, notes how it was answered, and how long until everything of a post was signed."""

    def __init__(self, client: httpx.AsyncClient, tenant: str, token: str, first: int) -> None:
        self._client, self._tenant, self._numbers = client, tenant, iter(range(first, 10**9))
        self._headers = {"Authorization": f"Bearer {token}"}
        self.statuses: Counter[int] = Counter()
        self.waits: list[float] = []

    async def call(self, path: str, body: Any) -> None:
        answer = await self._client.post(f"/issuance{path}", json=body, headers=self._headers)
        assert answer.is_success, answer.text

    async def post(self, lines: int) -> httpx.Response:
        start = datetime(2020, 1, 1, tzinfo=UTC)
        body = b"\n".join(
            json.dumps(
                {
                    "learner": {"identifier": {"kind": "lms-user", "value": f"user-of-{self._tenant}"}},
                    "achievement": cast.ABROAD,
                    "completedAt": (start + timedelta(seconds=next(self._numbers))).isoformat(),
                }
            ).encode()
            for _ in range(lines)
        )
        headers = self._headers | {"content-type": "application/x-ndjson"}
        answer = await self._client.post("/issuance/v1/completions", content=body, headers=headers)
        self.statuses[answer.status_code] += 1
        return answer

    async def usual(self, until: float) -> None:
        """A post now and then, each followed until it is signed."""
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until:
                group.create_task(self._followed())
                await asyncio.sleep(EVERY)

    async def _followed(self) -> None:
        started = time.monotonic()
        answer = await self.post(LINES)
        assert answer.status_code == 202, answer.text
        path = f"/issuance/v1/receipts/{answer.json()['id']}"
        while (await self._client.get(path, headers=self._headers)).json()["status"] != "done":  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.05)
        self.waits.append(time.monotonic() - started)

    async def flood(self, until: float) -> int:
        """As many lines at once as eighty usual posts have, whatever it is told; how many it offered."""

        async def one() -> None:
            answer = await self.post(FLOOD)
            assert answer.status_code in {202, 429}, answer.text
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) > 0

        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until:
                group.create_task(one())
                await asyncio.sleep(EVERY)
        return FLOOD * self.statuses.total()


async def test_r15_who_posts_ten_times_the_usual_load_gets_429_and_the_others_wait_at_most_twice_as_long(
    boxes: Callable[..., Box],
) -> None:
    env = {"CAIRN_INTAKE_BACKLOG": str(BACKLOG)}
    box = await asyncio.to_thread(lambda: boxes(env=env).serving())
    metrics = json.loads((box.folder / "access.json").read_text())["parts"]["issuance-api"] + "/metrics"
    tokens = box.access.tokens
    async with httpx.AsyncClient(base_url=box.access.address, trust_env=False, timeout=30) as client:
        operator = Lms(client, "platform", tokens["operator"], 0)
        home, away = (Lms(client, tenant, tokens[tenant], 0) for tenant in (HOME, AWAY))
        for institution, lms in zip(cast.INSTITUTIONS, (home, away), strict=True):
            await operator.call("/v1/institutions", institution)
            [course] = [each for each in cast.achievements(institution["id"]) if each["code"] == cast.ABROAD]
            await lms.call("/v1/achievements", course)
            user = {"kind": "lms-user", "value": f"user-of-{institution['id']}"}
            await lms.call("/v1/learners", {"name": "Ada Lovelace", "identifiers": [user]})

        async def memory() -> float:
            text = (await client.get(metrics)).text
            return float(next(x for x in text.splitlines() if x.startswith("process_resident_memory")).split()[1])

        for lms in (home, away):  # both have been served before
            await lms.usual(time.monotonic() + 1)
            lms.waits.clear()
        until = time.monotonic() + SECONDS
        await asyncio.gather(home.usual(until), away.usual(until))
        before, usual = await memory(), away.waits
        away.waits, home.statuses = [], Counter()
        until = time.monotonic() + SECONDS
        offered, _ = await asyncio.gather(home.flood(until), away.usual(until))
        assert offered >= 10 * LINES * SECONDS / EVERY
        assert home.statuses[429] > home.statuses[202] > 0
        assert away.statuses == {202: away.statuses.total()}
        assert await memory() - before < GROWTH
        assert p99(away.waits) <= 2 * p99(usual)
    assert await asyncio.to_thread(box.stop) == 0


def p99(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=100)[98]
