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
from typing import Final

import pytest
from rich.console import Console

from cairn.onebox.box import Box
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


async def running(box: Box, part: str) -> int:
    """The part's process, once it has one: it may be on its way back from an earlier death."""
    deadline = time.monotonic() + 20
    while part not in box.pids():
        assert time.monotonic() < deadline, f"{part} does not come back"
        await asyncio.sleep(0.05)
    return box.pids()[part]


async def test_the_same_story_over_kafka_ends_the_same_and_one_trace_leads_from_a_completion_to_its_qualification(
    boxes: Callable[..., Box], learners: int, undisturbed: dict[str, Reckoning], tmp_path: Path
) -> None:
    """Each service is its own Kafka user, and may write its own topics only."""
    with KafkaBroker(tmp_path / "kafka") as broker, Collector() as collector:
        env = {
            "CAIRN_BUS": "kafka",
            "CAIRN_KAFKA_BOOTSTRAP_SERVERS": broker.secured_servers,
            "CAIRN_KAFKA_PASSWORDS": json.dumps(dict(broker.passwords)),
            "CAIRN_OTLP_ENDPOINT": collector.endpoint,
        }
        box = await asyncio.to_thread(lambda: boxes(env=env).serving())
        assert await play(box.access, learners, console(tmp_path), tmp_path / "story.json") == undisturbed
        assert await asyncio.to_thread(box.stop) == 0  # each process sends what it still has
        posted = {
            span.trace
            for span in collector.spans
            if (span.service, span.name, span.route) == ("cairn-issuance-api", "HTTP POST", "/v1/completions")
        }
        # By Kafka to pathways, and what that said by Kafka to issuance, whose signature it led to.
        audited = [s.traces for s in collector.spans if s.belongs("cairn-pathways-worker", "take pathways")]
        awarded = [s.traces for s in collector.spans if s.belongs("cairn-issuance-worker", "take issuance")]
        assert posted & frozenset().union(*audited) & frozenset().union(*awarded)
