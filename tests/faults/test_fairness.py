"""R15: ten times the usual load of one institution, and how long another waits for an award, through all services."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cairn.onebox.story.api import Api, each
from cairn.onebox.story.cast import AWAY, HOME

from .invariant import check
from .system import System
from .world import Cohort

EVERY: Final = 0.2
"""Seconds between two completions of the small institution."""
POSTS: Final = 20
TIMES: Final = 10
BURST: Final = 4000
_SIGNED: Final = """
    SELECT learner_id, issued_at FROM credentials
     WHERE tenant_id = $1 AND award_id IS NOT NULL AND state = 'issued' AND learner_id = ANY ($2)
"""
_WAITING: Final = "SELECT count(*) AS n FROM completions WHERE tenant_id = $1 AND state = 'pending'"


class Small:
    """An institution one course of which is a qualification."""

    def __init__(self, system: System, api: Api) -> None:
        self._system, self._api = system, api
        self.learners: list[str] = []
        """Of whom none has completed the course yet."""

    async def prepare(self, count: int) -> None:
        ids = [await self._achievement(code) for code in ("small-course", "small-award")]
        framework = {
            "qualification": "https://small.example/q/small",
            "version": "1",
            "title": "Small",
            "award": {"achievement": ids[1]},
            "effective": {"from": "2020-01-01", "to": None},
            "creditUnit": "ECTS",
            "requirement": {"id": "root", "count": {"min": 1}, "from": {"achievement": ids[:1]}},
            "validity": "award",
            "onLoss": "review",
        }
        await _until(lambda: self._known(framework))
        draft = await self._call("/pathways/v1/frameworks", framework)
        await self._call(f"/pathways/v1/frameworks/{draft['id']}/publish")
        await each(range(count), self._register, lambda: None)

    async def waits(self, count: int) -> list[float]:
        """Seconds from each of so many posts to the signed qualification."""
        posted: dict[str, datetime] = {}
        for _ in range(count):
            learner = self.learners.pop()
            posted[learner] = datetime.now(UTC)
            await self.post(learner)
            await asyncio.sleep(EVERY)
        await _until(lambda: self.are_signed(list(posted)))
        signed = await self._signed(list(posted))
        return [(signed[learner] - at).total_seconds() for learner, at in posted.items()]

    async def post(self, learner: str) -> None:
        line = {"learner": {"id": learner}, "achievement": "small-course", "completedAt": "2025-03-01T09:00:00Z"}
        await self._call("/issuance/v1/completions", line)

    async def are_signed(self, learners: Sequence[str]) -> bool:
        return len(await self._signed(learners)) == len(learners)

    async def _signed(self, learners: Sequence[str]) -> dict[str, datetime]:
        rows = await self._system.rows("issuance", _SIGNED, AWAY, learners)
        return {row["learner_id"]: row["issued_at"] for row in rows}

    async def _known(self, framework: dict[str, Any]) -> bool:
        return not (await self._call("/pathways/v1/frameworks/lint", framework))["findings"]

    async def _achievement(self, code: str) -> str:
        body = {"code": code, "name": code, "description": "It is small.", "criteria": {"narrative": "Pass."}}
        return (await self._call("/issuance/v1/achievements", body))["id"]

    async def _register(self, number: int) -> None:
        body = {"name": "Small", "identifiers": [{"kind": "lms-user", "value": f"small-{number}"}]}
        self.learners.append((await self._call("/issuance/v1/learners", body))["id"])

    async def _call(self, path: str, body: Any = None) -> Any:
        return (await self._api.call("POST", path, by=AWAY, body=body)).body


async def test_r15_ten_times_the_load_of_one_institution_keeps_no_award_of_another_waiting(system: System) -> None:
    flood = Cohort(system, "flood", 100)
    await flood.prepare()
    number = 0

    def lines(count: int) -> list[dict[str, Any]]:
        nonlocal number
        number += count
        users = [member.user for member in flood.members]
        return [
            flood.completion(users[n % len(users)], "stats") | {"id": f"flood/{n}"}
            for n in range(number - count, number)
        ]

    async with Api(system.access) as api:

        async def post(some: Sequence[dict[str, Any]]) -> None:
            await api.call("POST", "/issuance/v1/completions", by=HOME, lines=some)

        small = Small(system, api)
        await small.prepare(2 * POSTS + 2)
        await small.waits(1)
        quiet = await small.waits(POSTS)
        flooding = asyncio.create_task(_again_and_again(lambda: post(lines(TIMES))))
        busy = await small.waits(POSTS)
        flooding.cancel()
        # Half a second, because this machine may do other things; the rest is the promise.
        assert max(busy) <= 2 * max(quiet) + 0.5, (statistics.median(quiet), statistics.median(busy))
        # All at once: whoever comes after it is served long before its end.
        await post(lines(BURST))
        await small.post(last := small.learners.pop())
        await _until(lambda: small.are_signed([last]))
        [row] = await system.rows("issuance", _WAITING, HOME)
        assert row["n"] > BURST / 2
    await check(system)


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.1)


async def _again_and_again(post: Callable[[], Awaitable[None]]) -> None:
    while True:
        await post()
        await asyncio.sleep(EVERY)
