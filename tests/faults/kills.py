"""R1 and R2: a process is killed at each of the points, and its cohort ends as the one that was left in peace."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

from .points import Act, Point
from .system import BACK_SECONDS, System
from .world import Cohort, Picture


@dataclass(frozen=True, slots=True)
class Peace:
    """The pictures of two cohorts in whose plots nothing happened."""

    whole: Picture
    expiring: Picture


async def in_peace(system: System, size: int) -> Peace:
    name = f"calm-{token_hex(3)}"
    whole, expiring = Cohort(system, name, size), Cohort(system, f"{name}-x", 10, expiring=True)
    await whole.play()
    await expiring.play()
    return Peace(await whole.settled(), await expiring.settled())


async def kill_at(
    system: System, points: Sequence[Point], name: str, size: int, peace: Peace, nth: int = 1
) -> dict[str, float]:
    """Play a cohort of its own, during which the processes of the points die; seconds until each was back, by point.

    Raises AssertionError where a point is never reached, a process is late, or the cohort ends otherwise.
    """

    deaths: dict[str, asyncio.Task[float]] = {}

    async def before(act: Act) -> None:
        for point in points:
            if act == point.act:
                system.arm(point, nth if point.often else 1)
                deaths[point.name] = asyncio.create_task(system.struck(point))

    expiring = points[0].act == "expire"
    cohort = Cohort(system, name, 10 if expiring else size, before, expiring=expiring)
    await cohort.play()
    back = {name: await death for name, death in deaths.items()}
    await cohort.settled(peace.expiring if expiring else peace.whole)
    assert max(back.values()) < BACK_SECONDS, back
    return back
