"""A new framework over everybody: `python -m bench.stacking.backfill [learners [workers]]`.

Each learner holds four credentials. The framework asks for four courses, each of any of a hundred programmes out of a
thousand: it can take what one learner in ten holds, and every other one of those completes it. Workers (two) are
processes that do it step by step, as the job does; beside them there is only PostgreSQL. The rate of awards is set so
high that it limits nothing; everything else is as it is by default.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from sqlalchemy import text

from bench.stacking.population import BASE, HOME, Service, Stopwatch, course, programme, service, wired
from cairn.common.db import EVERY_TENANT
from cairn.common.events import stable_id
from cairn.pathways.use_cases import backfill

_SETTINGS: dict[str, Any] = {"backfill_awards_per_minute": 10**9}
_FINISHED = text("SELECT looked_at, audited, awarded, finished_at FROM backfills")


def framework() -> dict[str, object]:
    leaves = [
        {
            "id": f"part-{place}",
            "count": {"min": 1},
            "from": {"achievement": [course(number, place) for number in range(100)]},
        }
        for place in range(4)
    ]
    return {**programme(0), "qualification": f"{BASE}q/new", "requirement": {"id": "root", "all": leaves}}


async def work(url: str) -> None:
    """One worker, until the backfill is finished. Says how many seconds of CPU it took."""
    deps = wired(url, **_SETTINGS)
    with Stopwatch() as watch:
        while True:
            if await backfill.step(deps):
                continue
            async with deps.database.transaction(EVERY_TENANT) as tx:
                row = await tx.row(_FINISHED)
            if row is not None and row["finished_at"]:
                break
            await asyncio.sleep(0.05)
    await deps.database.close()
    print(watch.cpu)


async def run(learners: int, workers: int) -> None:
    async with service(**_SETTINGS) as made:
        with Stopwatch() as filling:
            await made.learners(1, learners)
        print(f"{learners:,} learners with {learners * 4:,} credentials, in {filling.wall:.0f} s", flush=True)
        await made.frameworks([framework()])
        async with made.owner.transaction(EVERY_TENANT) as tx:
            await tx.execute(
                text("INSERT INTO backfills (tenant_id, framework_id, not_before) VALUES (:home, :id, now())"),
                {"home": HOME, "id": str(stable_id("bench", f"{BASE}q/new"))},
            )
            await tx.commit()
        started = time.perf_counter()
        cpu = await _workers(made, workers)
        wall = time.perf_counter() - started
        async with made.deps.database.transaction(EVERY_TENANT) as tx:
            row = await tx.row(_FINISHED)
        assert row is not None
        assert row["looked_at"] == learners
        print(f"{row['looked_at']:,} learners looked at, {row['audited']:,} audited, {row['awarded']:,} awards")
        print(f"{workers} workers: {wall:.0f} s, of which {cpu:.0f} s CPU of the workers")
        print(f"{learners / wall:,.0f} learners/s, {row['audited'] / wall:,.0f} audits/s")


async def _workers(made: Service, count: int) -> float:
    """Run so many to the end; their CPU seconds."""
    command = (sys.executable, "-m", "bench.stacking.backfill", "--work", made.url)
    started = [await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(count)]
    said = [(await each.communicate())[0] for each in started]
    assert all(each.returncode == 0 for each in started)
    return sum(float(each) for each in said)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--work"]:
        asyncio.run(work(arguments[1]))
        return 0
    learners, workers, *_ = (*map(int, arguments), *(1_000_000, 2)[len(arguments) :])
    asyncio.run(run(learners, workers))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
