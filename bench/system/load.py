"""The load: what an LMS posts, and what one waits for. Everything goes through the gateway, as any client's would."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from bench.system import budget
from bench.system.crew import Crew
from cairn.common.instants import parse_instant
from cairn.onebox.box import Box
from cairn.onebox.story import cast
from cairn.onebox.story.api import Api, each, until
from cairn.onebox.story.cast import HOME, Person
from cairn.onebox.story.reckoning import credentials

BATCH: Final = 100
_PATIENCE: Final = 200.0
_CODES: Final = (*cast.COURSES, cast.EXAM)
_SIGNED: Final = re.compile(r'^cairn_job_items_total\{job="sign",service="issuance"\} (\S+)$', re.MULTILINE)

Said = Callable[[str], None]
"""Takes a line on how far it is."""


@dataclass(slots=True)
class Burst:
    """Of completions posted as fast as they are taken. Rates are per second of the wall."""

    completions: int
    accepted: float
    signed: float
    audited: float
    """To the last signed qualification: by then every completion is in an audited stack."""
    costs: Mapping[str, float] = field(default_factory=dict[str, float])
    """Microseconds of the processor for each completion, by part."""


@dataclass(slots=True)
class Steady:
    """Of a load that goes on. Times are milliseconds, from a learner's last completion to the award."""

    rate: float
    awards: int
    p50: float
    p99: float


class Site:
    """A running system with a catalogue and a framework, and learners as they are needed."""

    def __init__(self, box: Box, api: Api, client: httpx.AsyncClient, crew: Crew, said: Said) -> None:
        self._box, self._api, self._client, self._crew, self._said = box, api, client, crew, said
        self._people = 0
        self._expected = 0
        self.others: dict[str, int] = {}
        """Processes that are part of the system and not of the box, such as a broker."""

    async def prepare(self) -> None:
        """The catalogue and the framework of the story."""
        for institution in cast.INSTITUTIONS:
            await self._api.call("POST", "/issuance/v1/institutions", by="operator", body=institution)
        published = [
            (await self._api.call("POST", "/issuance/v1/achievements", by=tenant, body=achievement)).body["id"]
            for tenant in cast.TENANTS
            for achievement in cast.achievements(tenant)
        ]
        framework = cast.framework(published[0].rsplit("/achievements/", 1)[0])
        draft = await self._api.call("POST", "/pathways/v1/frameworks", by=HOME, body=framework)

        async def publish() -> str | None:
            path = f"/pathways/v1/frameworks/{draft.body['id']}/publish"
            answer = await self._api.call("POST", path, by=HOME, accept=[400, 409])
            return None if answer.status < 400 else answer.code

        await until("the catalogue reaches pathways, and the framework is published", publish)

    async def people(self, count: int) -> list[Person]:
        """So many new learners, registered."""
        first = self._people + 1
        self._people += count
        some = [Person(number, f"Learner {number}", "graduate") for number in range(first, first + count)]
        self._said(f"registering {count:,} learners")

        async def register(person: Person) -> None:
            body = {"name": person.name, "identifiers": [{"kind": "lms-user", "value": person.user}]}
            await self._api.call("POST", "/issuance/v1/learners", by=HOME, body=body)

        await each(some, register, lambda: None)
        return some

    async def grow(self, workers: int) -> None:
        """So many workers of issuance and of pathways, who have shared out the work."""
        self._said(f"starting workers: {workers} of issuance and of pathways")
        while len(self._crew.addresses()) < workers:
            self._crew.add()

        async def ready() -> str | None:
            try:
                states = [(await self._client.get(f"{address}/readyz")).status_code for address in self._crew.ready()]
            except httpx.ConnectError as error:
                return str(error)
            return None if set(states) == {200} else str(states)

        await until("the new workers are ready", ready)
        await asyncio.sleep(5)  # a member of a group looks for others once a second

    async def burst(self, learners: int) -> Burst:
        """Learners complete all five courses and the exam, as fast as it is taken, a hundred lines a post."""
        bodies = _bodies(await self.people(learners))
        count, before = learners * len(_CODES), await self._signed()
        spent = budget.spent(self._box.pids(), self.others)
        self._said(f"posting {count:,} completions")
        started = time.perf_counter()
        for body in bodies:
            await self._post(body)
        accepted = time.perf_counter() - started
        signed = 0.0
        while True:
            done = await self._signed() - before
            if done >= count and not signed:
                signed = time.perf_counter() - started
            if done >= count + learners:
                break
            self._said(f"{min(done, count):,.0f} of {count:,} signed")
            assert time.perf_counter() - started < _PATIENCE, f"{done} of {count + learners} were signed"
            await asyncio.sleep(0.25)
        audited = time.perf_counter() - started
        costs = budget.per_item(spent, budget.spent(self._box.pids(), self.others), count)
        self._expected += count + learners
        return Burst(count, count / accepted, count / signed, count / audited, costs)

    async def singles(self, count: int) -> float:
        """Completions accepted a second where each is a post of its own, eight at a time."""
        people = await self.people(count)
        before, started = await self._signed(), time.perf_counter()
        self._said(f"posting {count:,} completions one by one")

        async def one(person: Person) -> None:
            body = json.dumps(cast.completion(person, _CODES[0], HOME)).encode()
            await self._post(body, "application/json")

        await each(people, one, lambda: None)
        rate = count / (time.perf_counter() - started)
        await self._until_signed(before + count)
        self._expected += count
        return rate

    async def steady(self, rate: float, seconds: float, probes: int) -> Steady:
        """A load of `rate` completions a second, during which some learners have only their exam to pass."""
        probed = await self.people(probes)
        before = await self._signed()
        for body in _bodies(probed, _CODES[:-1]):
            await self._post(body)
        bodies = _bodies(await self.people(round(rate * seconds / len(_CODES)) + 1))
        await self._until_signed(before + probes * (len(_CODES) - 1))
        ids = [await self._learner(person) for person in probed]
        self._said(f"{rate:,.0f} completions a second for {seconds:.0f} s, and {probes} last completions")
        load = asyncio.create_task(self._at(rate, bodies))
        pause = (seconds - 3) / probes
        await asyncio.sleep(2)  # until the load has filled what it fills
        posts: list[datetime] = []
        for person in probed:
            posts.append(datetime.now(UTC))
            await self._post(json.dumps(cast.completion(person, cast.EXAM, HOME)).encode(), "application/json")
            await asyncio.sleep(pause)
        took, posted = await load
        lines = sum(body.count(b"\n") for body in bodies)
        whole = lines // len(_CODES)
        await self._until_signed(before + probes * (len(_CODES) + 1) + lines + whole)
        self._expected += probes * (len(_CODES) + 1) + lines + whole
        # Asked afterwards, of the one clock that the whole machine has: asking meanwhile would be a load of its own.
        awarded = [await self._awarded(learner) for learner in ids]
        times = [(award - post).total_seconds() * 1000 for post, award in zip(posts, awarded, strict=True)]
        return Steady(posted / took, probes, statistics.median(times), statistics.quantiles(times, n=100)[98])

    async def check(self) -> None:
        """Every completion has its credential, and every learner who passed all their qualification, once."""
        found = [entry for own in (await credentials(self._api)).values() for entry in own]
        assert len(found) == self._expected, f"{len(found)} credentials, expected {self._expected}"
        assert len({entry["id"] for entry in found}) == len(found)

    async def _at(self, rate: float, bodies: Sequence[bytes]) -> tuple[float, int]:
        """Post on time, whether or not the last post was answered; seconds and completions."""
        started = time.perf_counter()
        posts: list[asyncio.Task[None]] = []
        for number, body in enumerate(bodies):
            await asyncio.sleep(max(0.0, started + number * BATCH / rate - time.perf_counter()))
            posts.append(asyncio.create_task(self._post(body)))
        await asyncio.sleep(max(0.0, started + len(bodies) * BATCH / rate - time.perf_counter()))
        await asyncio.gather(*posts)
        return time.perf_counter() - started, sum(body.count(b"\n") for body in bodies)

    async def _awarded(self, learner: str) -> datetime:
        """When pathways wrote the award down."""
        (award,) = (await self._api.get(f"/pathways/v1/learners/{learner}/awards", by=HOME))["awards"]
        return parse_instant(award["changedAt"])

    async def _learner(self, person: Person) -> str:
        return (await self._api.get(f"/issuance/v1/learners?kind=lms-user&value={person.user}", by=HOME))["id"]

    async def _post(self, body: bytes, media: str = "application/x-ndjson") -> None:
        headers = {"Authorization": f"Bearer {self._box.access.tokens[HOME]}", "Content-Type": media}
        address = f"{self._box.access.address}/issuance/v1/completions"
        answer = await self._client.post(address, content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        assert not answer.json()["rejected"], answer.text

    async def _until_signed(self, count: float) -> None:
        deadline = time.perf_counter() + _PATIENCE
        while (done := await self._signed()) < count:
            assert time.perf_counter() < deadline, f"{done} of {count} were signed"
            await asyncio.sleep(0.25)

    async def _signed(self) -> float:
        """Signatures so far, of completions and awards, by the workers' own counters: asking costs next to nothing."""
        total = 0.0
        for address in self._crew.addresses():
            found = _SIGNED.search((await self._client.get(f"{address}/metrics")).text)
            total += float(found[1]) if found else 0.0
        return total


def _bodies(people: Sequence[Person], codes: Sequence[str] = _CODES) -> list[bytes]:
    """Course by course, a hundred completions to a body."""
    lines: list[dict[str, Any]] = [cast.completion(person, code, HOME) for code in codes for person in people]
    return [
        b"".join(json.dumps(line).encode() + b"\n" for line in lines[at : at + BATCH])
        for at in range(0, len(lines), BATCH)
    ]
