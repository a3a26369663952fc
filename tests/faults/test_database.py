"""R5: PostgreSQL stops as by a power cut, under load."""

from __future__ import annotations

import asyncio
import time
from signal import SIGQUIT

from .invariant import check
from .system import System
from .traffic import ready_traffic


async def test_r5_postgresql_stopped_at_once_under_load_is_an_answer_503_and_then_all_is_well(system: System) -> None:
    traffic = await ready_traffic(system, rate=30)
    posting = asyncio.create_task(traffic.run(8))
    await asyncio.sleep(2)
    # As a power cut: nothing is written out, and recovery follows.
    await system.kill("postgres", SIGQUIT)
    started = time.monotonic()
    for part in system.parts:
        await system.ready(part)
    assert time.monotonic() - started < 10
    await posting
    assert set(traffic.statuses) == {202, 503}
    assert all(sent.retry_after for sent in traffic.sent.values() if sent.status == 503)
    await traffic.insist()
    await traffic.signed()
    await check(system)
