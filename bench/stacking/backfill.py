"""A new framework over everybody: `python -m bench.stacking.backfill [learners]`.

Each learner holds four credentials. The framework asks for four courses, each of any of a hundred programmes out of a
thousand: it can take what one learner in ten holds, and every other one of those completes it. One worker does it, step
by step, as the job does; beside it there is only PostgreSQL.
"""

from __future__ import annotations

import asyncio
import sys

from sqlalchemy import text

from bench.stacking.population import BASE, HOME, Stopwatch, course, programme, service
from cairn.common.db import EVERY_TENANT
from cairn.common.events import stable_id
from cairn.pathways.use_cases import backfill


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


async def run(learners: int) -> None:
    async with service(backfill_awards_per_minute=10**9, backfill_window=2_000) as made:
        with Stopwatch() as filling:
            await made.learners(1, learners)
        print(f"{learners:,} learners with {learners * 4:,} credentials, in {filling.wall:.0f} s", flush=True)
        await made.frameworks([framework()])
        id_ = str(stable_id("bench", f"{BASE}q/new"))
        async with made.owner.transaction(EVERY_TENANT) as tx:
            await tx.execute(
                text("INSERT INTO backfills (tenant_id, framework_id, not_before) VALUES (:home, :id, now())"),
                {"home": HOME, "id": id_},
            )
            await tx.commit()
        looked_at = 0
        with Stopwatch() as watch:
            while done := await backfill.step(made.deps):
                looked_at += done
                if looked_at % 100_000 < done:
                    print(f"  {looked_at:,} learners", file=sys.stderr, flush=True)
        async with made.deps.database.transaction(EVERY_TENANT) as tx:
            row = await tx.row(text("SELECT looked_at, audited, awarded FROM backfills"))
        assert row is not None
        assert row["looked_at"] == learners
        print(f"{row['looked_at']:,} learners looked at, {row['audited']:,} audited, {row['awarded']:,} awards")
        print(f"{watch.wall:.0f} s, of which {watch.cpu:.0f} s CPU of the worker")
        print(f"{learners / watch.wall:,.0f} learners/s, {row['audited'] / watch.wall:,.0f} audits/s")


def main(arguments: list[str]) -> int:
    asyncio.run(run(int(next(iter(arguments), "1000000"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
