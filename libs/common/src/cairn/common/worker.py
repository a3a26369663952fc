"""A service's worker: its consumers, its jobs and its outbox relay in one process, with a small health server.

Every part is a loop that ends when asked to. One that dies takes the process down with it, so that the
supervisor (onebox, Docker, Kubernetes) starts it afresh; work not committed is simply done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import Counter, Histogram

from cairn.common.app import OURS_ALONE, health_router
from cairn.common.db import Database
from cairn.common.problem import Problems
from cairn.common.settings import Settings

log = structlog.get_logger(__name__)

JOB_ITEMS: Final = Counter("cairn_job_items_total", "Items that a job has done.", ["service", "job"])
JOB_SECONDS: Final = Histogram("cairn_job_seconds", "Time for one batch of a job.", ["service", "job"])
JOB_FAILURES: Final = Counter("cairn_job_failures_total", "Batches that failed; tried again.", ["service", "job"])

Part = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then returns when it has finished what it was doing."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work inside one service. `step` does one batch and says how many items it did; zero means there is none now."""

    name: str
    step: Callable[[], Awaitable[int]]
    idle_seconds: float = 0.25
    """How long to wait when there was nothing to do."""
    called: asyncio.Event | None = None
    """Set by whoever makes work for it. A job with this that finds nothing waits `idle_seconds`, and then until it is
    set: no longer than a second, for work may also be made by another process."""


_UNCALLED_SECONDS: Final = 1.0


def job_part(service: str, job: Job) -> Part:
    """The job as a loop. A batch that fails is tried again, later and later, up to every ten seconds."""

    async def run(stopping: asyncio.Event) -> None:
        pause = 0.0
        while not stopping.is_set():
            started, done = time.perf_counter(), 1
            if job.called is not None:
                job.called.clear()
            try:
                done = await job.step()
            except Exception as error:
                JOB_FAILURES.labels(service, job.name).inc()
                log.warning("job failed", job=job.name, error=type(error).__name__, exc_info=error)
                pause = min(max(pause * 2, 0.2), 10)
            else:
                JOB_ITEMS.labels(service, job.name).inc(done)
                if done:
                    JOB_SECONDS.labels(service, job.name).observe(time.perf_counter() - started)
                pause = 0.0 if done else job.idle_seconds
            await pause_unless(stopping, pause)
            if not done and job.called is not None:
                await _first_of(stopping, job.called)

    return run


def paced(
    step: Callable[[int], Awaitable[int]], most: int, *, seconds: float = 0.1, least: int = 10
) -> Callable[[], Awaitable[int]]:
    """A step that takes as many items as it will have done after `seconds`, going by the last time; `most` at the most.

    Whoever comes meanwhile waits for the end of the step, so a step must not be long, however slow the machine (R15).
    """
    limit = least

    async def take() -> int:
        nonlocal limit
        started = time.perf_counter()
        done = await step(limit)
        if done == limit:
            limit = min(max(int(done * seconds / (time.perf_counter() - started)), least, limit // 2), most, limit * 2)
        return done

    return take


async def pause_unless(stopping: asyncio.Event, seconds: float) -> None:
    """Sleep, but wake at once when the process is asked to stop."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=_UNCALLED_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def run_worker(settings: Settings, database: Database, parts: Sequence[tuple[str, Part]]) -> None:
    """Run the parts until SIGTERM or SIGINT, then give them `drain_seconds` to finish.

    Raises whatever a part raised, after the others have been stopped.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = _health_server(settings, database)
    # Bound here, not in the task: a port that is taken ends the process with a line that says so.
    health = asyncio.create_task(server.serve([server.config.bind_socket()]), name="health")
    tasks = [asyncio.create_task(_guard(part(stopping), stopping), name=name) for name, part in parts]
    log.info("worker started", parts=[name for name, _ in parts])
    await stopping.wait()
    _, late = await asyncio.wait(tasks, timeout=settings.drain_seconds)
    for task in late:
        task.cancel()
    server.should_exit = True
    results = await asyncio.gather(*tasks, health, return_exceptions=True)
    await database.close()
    log.info("worker stopped", late=[task.get_name() for task in late])
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _guard(part: Awaitable[None], stopping: asyncio.Event) -> None:
    try:
        await part
    finally:
        stopping.set()


def _health_server(settings: Settings, database: Database) -> uvicorn.Server:
    app = FastAPI(openapi_url=None, telemetry=OURS_ALONE)
    Problems(settings.errors_url, {}).install(app)
    app.include_router(health_router(database.ping))
    server = uvicorn.Server(uvicorn_config(settings, app, settings.health_port))
    # The worker's own handlers decide when to stop; uvicorn's would end the process's drain.
    server.install_signal_handlers = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
    server.capture_signals = contextlib.nullcontext  # pyright: ignore[reportAttributeAccessIssue]
    return server


def uvicorn_config(settings: Settings, app: Any, port: int, *, tls: bool = False) -> uvicorn.Config:
    """How every server of ours is run; with `tls`, by https where the settings name a certificate."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_seconds),
        timeout_keep_alive=65,
        backlog=2048,
        ssl_certfile=settings.tls_certificate if tls else None,
        ssl_keyfile=settings.tls_key if tls else None,
    )


def serve(settings: Settings, app: FastAPI) -> None:
    """Serve the API until SIGTERM, then finish what is in flight."""
    # uvicorn raises again the signal that ended it, and its default is to end the process with the last spans unsent.
    signal.signal(signal.SIGTERM, _end)
    uvicorn.Server(uvicorn_config(settings, app, settings.port, tls=True)).run()


def _end(_signal: int, _frame: object) -> None:
    sys.exit(0)
