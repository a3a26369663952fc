"""The issuance worker: drafts, signs, hears awards and relays the outbox."""

from __future__ import annotations

from functools import partial

from cairn.common.upkeep import work
from cairn.issuance.consumers import TOPICS, TYPES, handle
from cairn.issuance.deps import Deps
from cairn.issuance.jobs import jobs
from cairn.issuance.settings import IssuanceSettings


async def run(settings: IssuanceSettings) -> None:
    """Until the process is asked to stop."""
    deps = Deps.wire(settings, worker=True)
    await work(
        settings, deps.database, deps.vault, jobs=jobs(deps), topics=TOPICS, handle=partial(handle, deps), types=TYPES
    )
