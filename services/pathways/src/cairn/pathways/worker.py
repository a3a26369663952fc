"""The pathways worker: hears issuance, backfills new frameworks, and relays the outbox."""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial

from cairn.common.bus import open_bus
from cairn.common.db import EVERY_TENANT
from cairn.common.upkeep import work
from cairn.pathways import consumers
from cairn.pathways.deps import Deps
from cairn.pathways.jobs import jobs
from cairn.pathways.settings import PathwaysSettings
from cairn.pathways.store import frameworks
from cairn.pathways.store.state import state_hash
from cairn.pathways.use_cases import replay as replaying
from cairn.pathways.use_cases import verifying


async def run(settings: PathwaysSettings) -> None:
    """Until SIGTERM."""
    deps = Deps.wire(settings, worker=True)
    handle = partial(consumers.handle, deps)
    await work(settings, deps.database, deps.vault, jobs=jobs(deps), topics=consumers.TOPICS, handle=handle)


async def replay(settings: PathwaysSettings) -> int:
    """`replay`: rebuild holdings, merges and audits from the log. Exit code 1 where that changed anything."""
    deps = Deps.wire(settings, worker=True)
    bus = await open_bus(settings)
    shown = 0.0

    def progress(what: str, done: int, of: int) -> None:
        nonlocal shown
        if done == of or time.monotonic() - shown > 1:
            shown = time.monotonic()
            sys.stderr.write(f"\r{done:,} of {of:,} {what}   ")
            sys.stderr.flush()

    try:
        found = await replaying.replay(deps, bus, consumers.TOPICS, progress)
    finally:
        await bus.close()
        await deps.database.close()
    same = found.before == found.after
    sys.stdout.write(
        f"\n{found.events:,} events, {found.skipped:,} of them not to be taken\n"
        f"state {found.after}: {'as before' if same else f'was {found.before}'}\n"
        f"{found.awards:,} awards differ from what the audits say; none was changed\n"
    )
    return 0 if same and not found.awards else 1


async def progress(settings: PathwaysSettings) -> int:
    """`progress`: show the backfills and impact reports that are under way, until there are none."""
    deps = Deps.wire(settings, worker=True)
    try:
        while True:
            async with deps.database.transaction(EVERY_TENANT) as tx:
                rows = await frameworks.under_way(tx)
            for row in rows:
                done = row["looked_at"] / row["of"] if row["of"] else 1
                bar = "#" * int(done * 30)
                sys.stdout.write(
                    f"{row['what']:8} {bar:30} {done:4.0%}  {row['looked_at']:,} of {row['of']:,} learners,"
                    f" {row['awarded']:,} awards  {row['title']} {row['version']}"
                    f"{' (paused)' if row['paused'] else ''}\n"
                )
            sys.stdout.flush()
            if not rows:
                return 0
            await asyncio.sleep(1)
    finally:
        await deps.database.close()


async def verify(settings: PathwaysSettings) -> int:
    """`verify`: compare the decisions in the database with the heads on the bus. Exit code 1 where any is amiss."""
    deps = Deps.wire(settings, worker=True)
    bus = await open_bus(settings)
    try:
        found = await verifying.verify(deps, await verifying.heads(bus))
    finally:
        await bus.close()
        await deps.database.close()
    for tenant, learner, why in found.amiss:
        sys.stdout.write(f"AMISS  {tenant}, {learner or 'the table of equivalences'}: {why}\n")
    sys.stdout.write(f"{found.chains:,} chains with {found.entries:,} decisions, {len(found.amiss):,} of them amiss\n")
    return 1 if found.amiss else 0


async def state(settings: PathwaysSettings) -> int:
    """`state`: print the state hash."""
    deps = Deps.wire(settings, worker=True)
    try:
        async with deps.database.transaction(EVERY_TENANT) as tx:
            sys.stdout.write(await state_hash(tx) + "\n")
    finally:
        await deps.database.close()
    return 0
