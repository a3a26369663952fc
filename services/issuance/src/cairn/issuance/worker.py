"""The issuance worker: drafts, signs, hears awards and relays the outbox."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cairn.common.bus import open_bus
from cairn.common.events import Event
from cairn.common.upkeep import work
from cairn.issuance.consumers import TOPICS, TYPES, handle
from cairn.issuance.deps import Deps
from cairn.issuance.jobs import Calls, jobs
from cairn.issuance.settings import IssuanceSettings
from cairn.issuance.use_cases import erasures


async def run(settings: IssuanceSettings) -> None:
    """Until the process is asked to stop."""
    deps, calls = Deps.wire(settings, worker=True), Calls()

    async def take(events: Sequence[Event]) -> None:
        await handle(deps, events)
        calls.intended.set()

    await work(
        settings,
        deps.database,
        deps.vault,
        jobs=jobs(deps, calls),
        topics=TOPICS,
        handle=take,
        types=TYPES,
        calls={"learning": calls.recorded},
    )


async def erase_again(settings: IssuanceSettings) -> int:
    """`erase-again`: a backup was restored, and nothing else runs yet: erase whom the log says was erased."""
    deps = Deps.wire(settings, worker=True)
    bus = await open_bus(settings)
    try:
        found = await erasures.again(deps, bus)
    finally:
        await bus.close()
        await deps.close()
    sys.stdout.write(f"{found.said:,} learners were erased, says the log; {found.erased:,} of them had come back\n")
    return 0
