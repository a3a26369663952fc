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
from cairn.pathways.store import backfills
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
    found = await _replay(settings, announce=False)
    sys.stdout.write(f"{found.awards:,} awards differ from what the audits say; none was changed\n")
    return 0 if found.before == found.after and not found.awards else 1


async def catch_up(settings: PathwaysSettings) -> int:
    """`catch-up`: the same for a database that was restored; awards made since the backup are made and said again."""
    found = await _replay(settings, announce=True)
    sys.stdout.write(f"{found.awards:,} awards were brought up to date\n")
    return 0


async def _replay(settings: PathwaysSettings, *, announce: bool) -> replaying.Replayed:
    deps = Deps.wire(settings, worker=True)
    bus = await open_bus(settings)
    shown, line = 0.0, ""

    def progress(what: str, done: int, of: int) -> None:
        nonlocal shown, line
        if done == of or what != line or time.monotonic() - shown > 0.2:
            start = "\n" if line not in {"", what} else "\r"
            shown, line = time.monotonic(), what
            sys.stderr.write(f"{start}{what:8} {_bar(done, of)}  {done:,} of {of:,}   ")
            sys.stderr.flush()

    try:
        found = await replaying.replay(deps, bus, consumers.TOPICS, progress, announce=announce)
    finally:
        await bus.close()
        await deps.database.close()
    same = found.before == found.after
    sys.stdout.write(
        f"\n{found.events:,} events, {found.skipped:,} of them not to be taken\n"
        f"state {found.after}: {'as before' if same else f'was {found.before}'}\n"
    )
    return found


def _bar(done: int, of: int) -> str:
    share = done / of if of else 1
    return f"{'#' * int(share * 30):30} {share:4.0%}"


async def progress(settings: PathwaysSettings) -> int:
    """`progress`: show the backfills and impact reports that are under way, until there are none."""
    deps = Deps.wire(settings, worker=True)
    try:
        while True:
            async with deps.database.transaction(EVERY_TENANT) as tx:
                rows = await backfills.under_way(tx)
            for row in rows:
                done, of = row["looked_at"], row["of"]
                sys.stdout.write(
                    f"{row['what']:8} {_bar(done, of)}  {done:,} of {of:,} learners, {row['awarded']:,} awards"
                    f"  {row['title']} {row['version']}{' (paused)' if row['paused'] else ''}\n"
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
