from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

Wait = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
def wait() -> Wait:
    """Wait, for ten seconds at most, until something is true."""

    async def until(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            await asyncio.sleep(0.02)

    return until
