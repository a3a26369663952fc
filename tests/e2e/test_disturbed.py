"""R1: each process is killed in mid-story and comes back; the story ends as though nothing had happened.

And the same story over Apache Kafka instead of the embedded log.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from rich.console import Console

from cairn.onebox.box import Box
from cairn.onebox.home import Home
from cairn.onebox.story import cast, play
from cairn.onebox.story.reckoning import Reckoning, expected
from cairn.provision.kafka import KafkaBroker

from .collector import Collector

KILLS: Final = {
    "enrol": ["issuance-api"],
    "posted north-coast sc0x": ["issuance-worker"],
    "posted north-coast sc1x": ["gateway"],
    "posted north-coast sc2x": ["postgres"],
    "posted north-coast sc4x": ["pathways-worker"],
    "posted north-coast sc-exam": ["issuance-api", "issuance-worker"],
    "consent": ["verification-worker", "pathways-api"],
    "complete": ["issuance-worker", "pathways-worker"],
    "revoke": ["pathways-worker"],
    "suspend": ["issuance-worker"],
    "verify": ["verification-api"],
}
"""At which moment of the story which processes die. Each dies at least once."""


@pytest.fixture(scope="module")
def undisturbed(learners: int) -> dict[str, Reckoning]:
    people = cast.people(learners)
    return expected(people, people[0])


def console(folder: Path) -> Console:
    return Console(file=(folder / "story.out").open("w"), width=100)


async def test_r1_each_process_is_killed_in_mid_story_and_nothing_is_lost_or_doubled(
    boxes: Callable[..., Box], learners: int, undisturbed: dict[str, Reckoning], tmp_path: Path
) -> None:
    box = await asyncio.to_thread(lambda: boxes().serving())
    killed: list[tuple[str, int]] = []

    async def moment(name: str) -> None:
        for part in KILLS.get(name, []):
            pid = await running(box, part)
            os.kill(pid, signal.SIGKILL)
            killed.append((part, pid))

    found = await play(box.access, learners, console(tmp_path), tmp_path / "story.json", moment=moment)
    assert found == undisturbed
    assert {part for part, _ in killed} == set(box.pids())
    for part, pid in killed:
        assert box.pids()[part] != pid
        assert f"{part} ended; starting it again" in box.said
    assert await asyncio.to_thread(box.stop) == 0


async def canaries(box: Box) -> str:
    """Tell each API things that nobody may repeat, most of them wrongly; then what every process measures."""
    told = json.loads((box.folder / "access.json").read_text())
    good = {"Authorization": f"Bearer {told['tokens'][cast.HOME]}"}
    identifier = {"kind": "lms-user", "value": "canary-user"}
    canary: dict[str, Any] = {"canary-field": "canary-value", "name": {"canary": 1}, "credential": "canary.jwt.x"}
    async with httpx.AsyncClient(base_url=told["gateway"], trust_env=False, timeout=20) as client:
        learner = {"name": "canary-name", "email": "canary@canary.example", "identifiers": [identifier]}
        answer = await client.post("/issuance/v1/learners", json=learner, headers=good)
        assert answer.status_code == 201, answer.text
        line = {"learner": {"identifier": identifier}, "achievement": "sc0x", "completedAt": "2025-01-01T00:00:00Z"}
        answer = await client.post("/issuance/v1/completions", json=line | {"id": "canary-id"}, headers=good)
        assert answer.status_code == 202, answer.text
        await client.get("/issuance/v1/learners?kind=lms-user&value=canary-nobody", headers=good)
        for path in (
            *(
                "issuance/v1/learners",
                "issuance/v1/completions",
                "issuance/credentials/issue",
                "pathways/v1/frameworks",
            ),
            *("pathways/v1/audits", "pathways/v1/learners/canary/decisions", "verification/v1/verifications"),
        ):
            for headers in (good, {"Authorization": "Bearer canary-token"}, {"Idempotency-Key": "canary-key", **good}):
                answer = await client.post(f"/{path}", json=canary, headers=headers)
                assert answer.status_code in {200, 400, 401, 404, 409, 422}, f"{path}: {answer.text}"
            await client.post(f"/{path}", content=b'{"canary": canary', headers={"content-type": "application/json"})
        found = [await client.get(f"{origin}/metrics") for origin in told["parts"].values()]
    return "".join(each.text for each in found)


async def running(box: Box, part: str) -> int:
    """The part's process, once it has one: it may be on its way back from an earlier death."""
    deadline = time.monotonic() + 20
    while part not in box.pids():
        assert time.monotonic() < deadline, f"{part} does not come back"
        await asyncio.sleep(0.05)
    return box.pids()[part]


async def test_the_same_story_over_kafka_ends_the_same_in_one_trace_and_s30_nothing_measured_names_anybody(
    boxes: Callable[..., Box], learners: int, undisturbed: dict[str, Reckoning], tmp_path: Path
) -> None:
    """Each service is its own Kafka user, and may write its own topics only. One trace leads from a completion to its
    qualification; logs, metrics and traces hold no name, no identifier and no secret."""
    with KafkaBroker(tmp_path / "kafka") as broker, Collector() as collector:
        env = {**broker.access, "CAIRN_OTLP_ENDPOINT": collector.endpoint}
        box = await asyncio.to_thread(lambda: boxes(env=env).serving())
        assert await play(box.access, learners, console(tmp_path), tmp_path / "story.json") == undisturbed
        measured = await canaries(box)
        assert await asyncio.to_thread(box.stop) == 0  # each process sends what it still has
        logs = {log.name: log.read_text() for log in (box.folder / "logs").iterdir()}
        assert sum(map(len, logs.values())) > 1000
        assert "/v1/completions" in measured
        assert b"/v1/completions" in bytes(collector.raw)
        told = {**logs, "metrics": measured, "traces": collector.raw.decode("utf-8", "replace")}
        secrets = [*box.access.tokens.values(), *Home(box.folder).secrets().keks.values(), *broker.passwords.values()]
        people = [word for person in cast.people(learners) for word in (person.name, person.user, person.away_user)]
        for where, text in told.items():
            assert [word for word in ("canary", *secrets, *people) if word in text] == [], where
        posted = {
            span.trace
            for span in collector.spans
            if (span.service, span.name, span.route) == ("cairn-issuance-api", "HTTP POST", "/v1/completions")
        }
        # By Kafka to pathways, and what that said by Kafka to issuance, whose signature it led to.
        audited = [s.traces for s in collector.spans if s.belongs("cairn-pathways-worker", "take pathways")]
        awarded = [s.traces for s in collector.spans if s.belongs("cairn-issuance-worker", "take issuance")]
        assert posted & frozenset().union(*audited) & frozenset().union(*awarded)
