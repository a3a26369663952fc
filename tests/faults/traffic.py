"""Completions at a steady rate, each posted once and by itself, and what became of each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import httpx

from cairn.onebox.story.cast import HOME

from .system import System
from .world import Cohort

_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sent:
    status: int
    """0 where the connection ended without an answer."""
    seconds: float
    retry_after: str | None
    refusal: str = ""
    """What it was answered, where that is an error."""


async def ready_traffic(system: System, *, rate: float, address: str = "") -> Traffic:
    """Of a new cohort of a hundred, so many completions a second."""
    cohort = Cohort(system, f"load-{token_hex(3)}", 100)
    await cohort.prepare()
    return Traffic(system, cohort, rate=rate, address=address)


class Traffic:
    """Of a cohort that was prepared; `address` where its posts go, by default the gateway.

    Clients do not wait for each other: what is late is late by itself.
    """

    def __init__(self, system: System, cohort: Cohort, *, rate: float, address: str = "") -> None:
        self._system, self.cohort, self._rate = system, cohort, rate
        self._path = "/v1/completions" if address else "/issuance/v1/completions"
        headers = {"Authorization": f"Bearer {system.access.tokens[HOME]}"}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        self.client = httpx.AsyncClient(
            base_url=address or system.access.address,
            headers=headers,
            trust_env=False,
            timeout=_PATIENCE,
            limits=limits,
        )
        self._lines: dict[str, dict[str, Any]] = {}
        self.sent: dict[str, Sent] = {}
        """By the completion's id."""

    async def run(self, seconds: float) -> None:
        """Post for so long, and wait for the answers."""
        started, before = time.monotonic(), len(self.sent)
        async with asyncio.TaskGroup() as posts:
            for number in range(int(seconds * self._rate)):
                await asyncio.sleep(max(0, started + number / self._rate - time.monotonic()))
                posts.create_task(self._note(self._completion(before + number)))

    async def insist(self) -> None:
        """What was not accepted is posted again, under its key, until it is: as an LMS does."""
        deadline = time.monotonic() + _PATIENCE
        while left := [id_ for id_, sent in self.sent.items() if sent.status != 202]:
            assert time.monotonic() < deadline, f"{len(left)} are still refused: {self.sent[left[0]]}"
            for id_ in left:
                await self._note(self._lines[id_])
            await asyncio.sleep(0.5)

    async def signed(self, seconds: float = 120) -> None:
        """Wait until each has its credential."""
        deadline = time.monotonic() + seconds
        while True:
            [row] = await self._system.rows("issuance", _SIGNED, list(self.cohort.ids.values()))
            if row["n"] >= len(self.sent):
                assert row["n"] == len(self.sent)
                return
            assert time.monotonic() < deadline, f"{row['n']} of {len(self.sent)} are signed"
            await asyncio.sleep(0.3)

    async def read(self, rate: float, going: Callable[[], bool]) -> list[Sent]:
        """Ask through the gateway for things of each service, so many times a second, and wait for the answers."""
        paths = [f"/issuance/v1/learners/{id_}" for user, id_ in self.cohort.ids.items() if not user.endswith("-away")]
        paths += ["/pathways/v1/frameworks", "/verification/openapi.json"]
        started, answers = time.monotonic(), list[asyncio.Task[Sent]]()
        async with asyncio.TaskGroup() as requests:
            while going():
                path = paths[len(answers) % len(paths)]
                answers.append(requests.create_task(self._send("GET", path)))
                await asyncio.sleep(max(0, started + len(answers) / rate - time.monotonic()))
        return [answer.result() for answer in answers]

    @property
    def statuses(self) -> Counter[int]:
        return Counter(sent.status for sent in self.sent.values())

    def _completion(self, number: int) -> dict[str, Any]:
        member = self.cohort.members[number % len(self.cohort.members)]
        return self.cohort.completion(member.user, "stats") | {"id": f"{member.user}/load/{number}"}

    async def _note(self, completion: dict[str, Any]) -> None:
        self._lines[completion["id"]] = completion
        headers = {"Idempotency-Key": completion["id"]}
        self.sent[completion["id"]] = await self._send("POST", self._path, json=completion, headers=headers)

    async def _send(self, method: str, path: str, **what: Any) -> Sent:
        started = time.monotonic()
        try:
            answer = await self.client.request(method, path, **what)
        except httpx.TransportError as error:
            return Sent(0, time.monotonic() - started, None, repr(error))
        refusal = answer.text if answer.is_error else ""
        return Sent(answer.status_code, time.monotonic() - started, answer.headers.get("retry-after"), refusal)


_SIGNED: Final = """
    SELECT count(*) AS n FROM credentials WHERE state = 'issued' AND award_id IS NULL AND learner_id = ANY ($1)
"""
