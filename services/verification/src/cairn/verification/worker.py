"""The verification worker: hears who is accredited, forgets what is old, and relays the outbox."""

from __future__ import annotations

from functools import partial

from cairn.common.bus import open_bus
from cairn.common.consumer import Consumer
from cairn.common.housekeeping import housekeeping
from cairn.common.outbox import Relay
from cairn.common.vault import Vault
from cairn.common.worker import Job, job_part, run_worker
from cairn.verification import consumers, jobs
from cairn.verification.deps import Deps
from cairn.verification.settings import VerificationSettings


async def run(settings: VerificationSettings) -> None:
    """Until the process is asked to stop."""
    deps = Deps.wire(settings, worker=True)
    bus = await open_bus(settings)
    relay = Relay(settings.database_url.get_secret_value(), bus, service=settings.service)
    catalog = Consumer(
        bus,
        deps.database,
        Vault(settings.kek),
        group=consumers.GROUP,
        topics=consumers.TOPICS,
        handle=partial(consumers.handle, deps),
    )
    forget = Job("forget", partial(jobs.forget, deps), idle_seconds=60)
    try:
        await run_worker(
            settings,
            deps.database,
            [
                ("relay", relay.run),
                ("catalog", catalog.run),
                ("forget", job_part(settings.service, forget)),
                ("housekeeping", job_part(settings.service, housekeeping(deps.database))),
            ],
        )
    finally:
        await bus.close()
        await deps.close()
