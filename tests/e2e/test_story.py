"""`make run`: the story end to end through real processes on the embedded log, and what is left of it afterwards."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from cairn.onebox.box import Box
from cairn.onebox.story import Access, cast
from cairn.onebox.story.api import Api
from cairn.onebox.story.reckoning import Reckoning, differences, expected, learner_ids, reckon
from cairn.provision.processes import command_line, free_port

from .conftest import sql

PARTS = {
    "postgres",
    "gateway",
    *(f"{service}-{role}" for service in ("issuance", "pathways", "verification") for role in ("api", "worker")),
}


@pytest.fixture(scope="module")
def interrupted(boxes: Callable[..., Box], learners: int) -> Box:
    """Ctrl-C in the middle of the story."""
    box = boxes(learners=learners)
    deadline = time.monotonic() + 90
    while "Credentials signed" not in box.said:
        assert box.process.poll() is None, box.said
        assert time.monotonic() < deadline, box.said
        time.sleep(0.02)
    assert box.stop() == 0
    return box


@pytest.fixture(scope="module")
def box(boxes: Callable[..., Box], interrupted: Box, learners: int) -> Box:
    """The story, begun twice and told once."""
    return boxes(interrupted.folder, learners=learners).serving()


async def reckoned(access: Access, learners: int) -> Mapping[str, Reckoning]:
    people = cast.people(learners)
    async with Api(access) as api:
        return await reckon(api, people, await learner_ids(api, people))


def as_it_must_be(found: Mapping[str, Reckoning], learners: int) -> str | None:
    people = cast.people(learners)
    return differences(expected(people, people[0]), found)


async def test_an_interrupted_story_is_continued_and_ends_as_it_must(interrupted: Box, box: Box, learners: int) -> None:
    assert "What happened" not in interrupted.said
    assert as_it_must_be(await reckoned(box.access, learners), learners) is None
    for line in box.said.splitlines():
        assert len(line) <= 100 or str(box.folder) in line, line
    for sentence in ("What happened", "proof failed", "http://127.0.0.1:"):
        assert sentence in box.said


async def test_awards_whose_credentials_were_lost_on_the_way_are_shown_and_repaired_by_one_command(
    box: Box, learners: int
) -> None:
    lost = "WITH gone AS (DELETE FROM holdings WHERE award_id IS NOT NULL RETURNING 1) SELECT count(*) FROM gone"
    many = int(sql(box, "pathways", lost))
    assert many > 5
    # Pathways has not heard of them either, and it is a while ago.
    sql(box, "pathways", "DELETE FROM inbox; UPDATE awards SET changed_at = changed_at - interval '10 minutes'")
    standing = int(sql(box, "pathways", "SELECT count(*) FROM awards WHERE state = 'active'"))

    def letters(*words: str) -> tuple[int, str]:
        told = {"CAIRN_DATA": str(box.folder)}
        command = [sys.executable, "-m", "cairn.onebox", "letters", *words]
        done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    status, shown = await asyncio.to_thread(letters)
    assert (status, "stuck-award" in shown, f" {standing} " in shown) == (0, True, True), shown
    assert (await asyncio.to_thread(letters, "replay"))[0] == 0
    await asyncio.to_thread(_until, lambda: "No dead letters" in letters()[1])
    assert as_it_must_be(await reckoned(box.access, learners), learners) is None


def _until(probe: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_story_is_also_told_to_a_cairn_that_runs_elsewhere_and_again_by_somebody_else(
    boxes: Callable[..., Box], learners: int, tmp_path: Path
) -> None:
    """As to one in containers, of which the teller knows the gateway and the operator's key alone."""
    box = boxes().serving()
    for teller in ("one", "other"):
        done = subprocess.run(
            [sys.executable, "-m", "cairn.onebox", "story", f"{box.access.address}/", box.folder / "auth-key.json"],
            env={"CAIRN_DATA": str(tmp_path / teller), "CAIRN_STORY_LEARNERS": str(learners)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "What happened" in done.stdout


def test_a_teller_without_the_key_is_told_which_file_it_is(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cairn.onebox", "story", "http://127.0.0.1:1", tmp_path / "operator-key.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "operator-key.json is not there" in done.stderr
    assert ".cairn/auth-key.json" in done.stderr


def test_each_part_is_a_process_of_its_own_and_none_shows_a_secret(box: Box) -> None:
    pids = box.pids()
    assert set(pids) == PARTS
    assert len(set(pids.values())) == len(PARTS)
    tokens = box.access.tokens.values()
    for pid in pids.values():
        shown = command_line(pid)
        assert shown
        assert "postgresql://" not in shown
        assert not any(token in shown for token in tokens)


def test_the_gateway_serves_the_pages(box: Box) -> None:
    with httpx.Client(base_url=box.access.address, trust_env=False) as client:
        assert client.get("/readyz").status_code == 200
        assert set(client.get("/readyz").json()["parts"]) == PARTS - {"postgres", "gateway"}
        assert str(box.folder / "access.json") in client.get("/").text
        for service in ("issuance", "pathways", "verification"):
            docs = client.get(f"/{service}/docs").text
            assert "<details>" in docs
            assert f"/{service}/openapi.json" in docs
            assert client.get(f"/{service}/openapi.json").json()["servers"] == [{"url": f"/{service}"}]


def test_a_second_run_from_the_same_folder_says_so_in_one_line(box: Box) -> None:
    env = {"CAIRN_DATA": str(box.folder), "PATH": ""}
    second = subprocess.run(
        [sys.executable, "-m", "cairn.onebox"], capture_output=True, text=True, env=env, check=False
    )
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr.count("\n") == 1
    assert box.access.address in second.stderr


async def test_two_run_side_by_side_on_other_ports(box: Box, boxes: Callable[..., Box]) -> None:
    """The second is told the ports of the first, finds them taken, and says which it uses instead."""
    wanted = int(box.access.address.rpartition(":")[2])
    other = boxes(port=wanted).serving()
    assert f"port {wanted} is taken: using {other.access.address.rpartition(':')[2]}" in other.said
    assert other.access.address != box.access.address
    async with Api(other.access) as api:
        institution = cast.INSTITUTIONS[0]
        await api.call("POST", "/issuance/v1/institutions", by="operator", body=institution)
        # The tokens of one are worth nothing at the other.
    async with Api(Access(other.access.address, box.access.tokens)) as stranger:
        answer = await stranger.call("GET", "/issuance/v1/institutions", by="operator", accept=[401])
        assert answer.status == 401
    assert other.stop() == 0
    async with Api(box.access) as api:
        assert (await api.get("/readyz", by=None))["status"] == "ok"


async def test_r1_after_a_killed_supervisor_the_data_are_there_and_no_network_is_needed(
    box: Box, boxes: Callable[..., Box], learners: int
) -> None:
    """The second run finds nothing in its way, plays nothing twice, and asks nothing of the proxy, which is dead."""
    before = await reckoned(box.access, learners)
    first = box.pids()
    box.process.kill()
    box.process.wait()
    dead = f"http://127.0.0.1:{free_port()}"
    names = [f"{word}_proxy" for word in ("http", "https", "all")]
    proxies = dict.fromkeys([*names, *map(str.upper, names)], dead) | {"NO_PROXY": "", "no_proxy": ""}
    again = boxes(box.folder, learners=learners, env=proxies).serving()
    assert [pid for pid in first.values() if "cairn." in command_line(pid)] == []
    assert "The story was played here before" in again.said
    assert await reckoned(again.access, learners) == before
    second = again.pids()
    assert again.stop(signal.SIGTERM) == 0
    assert {name: command_line(pid) for name, pid in second.items()} == dict.fromkeys(PARTS, "")


def test_a_part_that_cannot_start_is_told_with_its_log(boxes: Callable[..., Box]) -> None:
    """A bad setting reaches the service, which refuses it; the supervisor says what it said, and ends."""
    failing = boxes(env={"CAIRN_LOG_LEVEL": "shouting"})
    assert failing.process.wait(60) == 1
    assert "CAIRN_LOG_LEVEL" in failing.said
