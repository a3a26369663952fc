"""The verification worker: hears who is accredited, forgets what is old, and relays the outbox."""

from __future__ import annotations

from functools import partial

from cairn.common.upkeep import work
from cairn.common.vault import Vault
from cairn.common.worker import Job
from cairn.verification import consumers, jobs
from cairn.verification.deps import Deps
from cairn.verification.settings import VerificationSettings


async def run(settings: VerificationSettings) -> None:
    """Until the process is asked to stop."""
    deps = Deps.wire(settings, worker=True)
    forget = Job("forget", partial(jobs.forget, deps), idle_seconds=60)
    handle = partial(consumers.handle, deps)
    try:
        await work(
            settings,
            deps.database,
            Vault(settings.kek),
            jobs=[forget],
            topics=consumers.TOPICS,
            handle=handle,
            types=consumers.TYPES,
        )
    finally:
        await deps.close()
