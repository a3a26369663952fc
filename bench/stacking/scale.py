"""What one event costs, by how many frameworks there are, how many learners, and how many frameworks it touches.

`python -m bench.stacking.scale [most-frameworks] [most-learners]` grows one database step by step and takes in the same
kind of events at each size: batches of credentials, each of another learner, through the use case of the consumer
(inbox, holdings, audits, what there is to say, commit). The database keeps to the disk.
"""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import dataclass
from typing import Final

from bench.stacking.population import BASE, PROGRAMMES, Service, Stopwatch, course, issued, programme, service
from cairn.pathways.use_cases import intake

_BATCH: Final = 100
_EVENTS: Final = 2_000
_SHARED: Final = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class Row:
    """Of one event, in milliseconds."""

    frameworks: int
    learners: int
    touched: int
    wall: float
    cpu: float
    statements: float


async def measure(made: Service, frameworks: int, learners: int, touched: int, seed: int, count: int = _EVENTS) -> Row:
    """`touched` 1 is a course of the programme itself; more is a course that so many programmes share."""
    draw = random.Random(seed)
    people = draw.sample(range(1, learners + 1), count)
    events = [
        issued(who, course(draw.randrange(PROGRAMMES), 4) if touched == 1 else f"{BASE}shared/{touched}")
        for who in people
    ]
    await intake.take(made.deps, events[:_BATCH])  # what is touched is read once
    before = made.statements
    with Stopwatch() as watch:
        for start in range(_BATCH, count, _BATCH):
            await intake.take(made.deps, events[start : start + _BATCH])
    done = count - _BATCH
    return Row(
        frameworks,
        learners,
        touched,
        watch.wall * 1e3 / done,
        watch.cpu * 1e3 / done,
        (made.statements - before) / done,
    )


async def run(most_frameworks: int, most_learners: int) -> list[Row]:
    rows: list[Row] = []
    async with service() as made:
        sharing = [
            programme(10_000_000 + shared * 1_000 + place, shared=f"{BASE}shared/{shared}")
            for shared in _SHARED[1:]
            for place in range(shared)
        ]
        await made.frameworks([*(programme(number) for number in range(PROGRAMMES)), *sharing])
        await made.learners(1, 100_000)
        have, people = PROGRAMMES, 100_000
        for size in (1_000, 10_000, 100_000):
            if size > most_frameworks:
                break
            if size > have:
                await made.frameworks([programme(number) for number in range(have, size)])
                have = size
            rows.append(_show(await measure(made, size, people, 1, seed=size)))
        for shared in _SHARED[1:]:
            rows.append(_show(await measure(made, have, people, shared, seed=shared, count=500)))
        if most_learners > people:
            await made.learners(people + 1, most_learners)
            rows.append(_show(await measure(made, have, most_learners, 1, seed=7)))
    return rows


def _show(row: Row) -> Row:
    print(
        f"| {row.frameworks:,} | {row.learners:,} | {row.touched} | {row.wall:.2f} | {row.cpu:.2f} |"
        f" {row.statements:.2f} |",
        flush=True,
    )
    return row


def main(arguments: list[str]) -> int:
    frameworks, learners = (int(each) for each in (*arguments, "100000", "1000000")[:2])
    print("| frameworks | learners | touched by an event | ms an event | of which CPU of the worker | statements |")
    print("|---:|---:|---:|---:|---:|---:|")
    asyncio.run(run(frameworks, learners))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
