"""A worker ends when it is asked to, with its batch finished, and takes the process with it when a part dies."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from cairn.common.worker import Job, job_part, paced
from cairn.provision.processes import free_port


class Worker:
    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process, self.health = process, f"http://127.0.0.1:{port}"
        self.said: list[str] = []

    async def until(self, line: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while line not in self.said:
                read = await self.process.stdout.readline()
                assert read, f"it ended before {line!r}: {self.said}"
                self.said.append(read.decode().strip())

    async def end(self) -> int:
        rest, _ = await asyncio.wait_for(self.process.communicate(), 20)
        self.said += rest.decode().splitlines()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def worker(url: str, how: str) -> AsyncGenerator[Worker]:
    port = free_port()
    script = Path(__file__).with_name("draining_worker.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, script, url, str(port), how),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    try:
        yield Worker(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_finishes_its_batch_at_sigterm(probe_database, number: signal.Signals) -> None:
    async with worker(probe_database.url, "plain") as running:
        await running.until("begin 2")
        running.process.send_signal(number)
        assert await running.end() == 0
        assert running.said[-1] == "clean end"
        assert "part done" in running.said
        begun = sum(line.startswith("begin") for line in running.said)
        assert sum(line.startswith("end") for line in running.said) == begun == 2


async def test_a_worker_says_how_it_is(probe_database) -> None:
    async with worker(probe_database.url, "plain") as running, httpx.AsyncClient() as client:
        await running.until("end 2")
        assert (await client.get(f"{running.health}/livez")).status_code == 200
        assert (await client.get(f"{running.health}/readyz")).status_code == 200
        metrics = (await client.get(f"{running.health}/metrics")).text
        assert 'cairn_job_items_total{job="job",service="probe"} ' in metrics
        running.process.terminate()
        assert await running.end() == 0


async def test_livez_answers_with_the_database_down_and_readyz_does_not() -> None:
    async with worker("postgresql://nobody:x@127.0.0.1:1/none", "plain") as running, httpx.AsyncClient() as client:
        await running.until("end 2")
        assert (await client.get(f"{running.health}/livez")).status_code == 200
        answer = await client.get(f"{running.health}/readyz")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        running.process.terminate()
        assert await running.end() == 0


async def test_a_part_that_hangs_is_cut_off_after_the_drain(probe_database) -> None:
    async with worker(probe_database.url, "hangs") as running:
        await running.until("begin 1")
        started = time.monotonic()
        running.process.terminate()
        assert await running.end() == 0
        assert 0.8 < time.monotonic() - started < 5
        assert "part done" not in running.said
        assert "end 1" in running.said


async def test_a_part_that_dies_takes_the_process_with_it(probe_database) -> None:
    async with worker(probe_database.url, "raises") as running:
        assert await running.end() != 0
        assert "clean end" not in running.said
        assert "end 1" in running.said  # the other part still finished its batch


async def test_a_batch_that_fails_is_tried_again(probe_database) -> None:
    async with worker(probe_database.url, "dies") as running:
        await running.until("end 3")
        running.process.terminate()
        assert await running.end() == 0


async def test_a_job_that_fails_waits_longer_each_time_and_then_works_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = asyncio.Event()
    steps = 0
    pauses: list[float] = []

    async def step() -> int:
        nonlocal steps
        steps += 1
        if steps in {1, 2, 4}:
            raise ValueError
        if steps == 6:
            stopping.set()
        return 1

    async def note(_: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("cairn.common.worker.pause_unless", note)
    await job_part("probe", Job("again", step))(stopping)
    # The success in between counts: the third failure waits no longer than the first.
    assert pauses == [0.2, 0.4, 0, 0.2, 0, 0]


async def test_an_idle_job_wakes_when_it_is_asked_to_stop() -> None:
    stopping = asyncio.Event()

    async def step() -> int:
        return 0

    running = asyncio.create_task(job_part("probe", Job("idle", step, idle_seconds=60))(stopping))
    await asyncio.sleep(0.05)
    stopping.set()
    await asyncio.wait_for(running, 1)


@pytest.mark.parametrize("uncalled", [60, 0])
async def test_a_job_that_has_no_work_looks_again_when_it_is_called_and_sometimes_uncalled(
    monkeypatch, uncalled
) -> None:
    monkeypatch.setattr("cairn.common.worker._UNCALLED_SECONDS", uncalled)
    stopping, called, looked = asyncio.Event(), asyncio.Event(), asyncio.Queue[int]()

    async def step() -> int:
        looked.put_nowait(1)
        return 0

    job = Job("called", step, idle_seconds=0.001, called=called)
    running = asyncio.create_task(job_part("probe", job)(stopping))
    async with asyncio.timeout(20):
        await looked.get()
        if uncalled:
            await asyncio.sleep(0.1)
            assert looked.empty()
            called.set()
        await looked.get()
        stopping.set()
        await running


async def test_r15_a_step_is_as_long_as_it_may_be_whatever_the_machine(monkeypatch) -> None:
    """Whoever comes during a step waits for its end: a slow machine takes fewer at once, a quick one more."""
    each, now, asked = 0.001, 0.0, []

    async def step(limit: int) -> int:
        nonlocal now
        asked.append(limit)
        now += limit * each
        return limit

    monkeypatch.setattr("cairn.common.worker.time.perf_counter", lambda: now)
    take = paced(step, 200)
    for _ in range(8):
        await take()
    assert asked[0] == 10
    assert asked[-1] == pytest.approx(100, abs=2)
    each = 0.00001
    for _ in range(8):
        await take()
    assert asked[-1] == 200
    each = 0.02
    for _ in range(8):
        await take()
    assert asked[-1] == 10
