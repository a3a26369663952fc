"""Systems to disturb. Each is real processes on real servers, in a folder of its own, and gone after the test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from .system import System
from .world import found

Systems = Callable[..., Awaitable[System]]


@pytest.fixture
async def systems(tmp_path: Path) -> AsyncGenerator[Systems]:
    """Start a system with both institutions in it; `env` leads it to Kafka."""
    started: list[System] = []

    async def start(env: Mapping[str, str] | None = None) -> System:
        system = System(tmp_path / f"system-{len(started)}", env)
        started.append(system)
        await asyncio.to_thread(system.serving)
        await found(system)
        return system

    yield start
    for system in started:
        await asyncio.to_thread(system.remove)


@pytest.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[System]:
    """One on PostgreSQL alone, for every test that leaves it as it found it, to share."""
    system = System(tmp_path_factory.mktemp("faults") / "system")
    await asyncio.to_thread(system.serving)
    await found(system)
    yield system
    await asyncio.to_thread(system.remove)


@pytest.fixture
def long_seconds() -> float:
    """How long the long faults last: half a minute in the suite, five by hand (`make faults`)."""
    return 300 if os.environ.get("FAULTS_LONG") else 30
