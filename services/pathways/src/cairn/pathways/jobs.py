"""Work inside pathways."""

from __future__ import annotations

from functools import partial

from cairn.common.worker import Job
from cairn.pathways.deps import Deps
from cairn.pathways.use_cases import backfill, falling_due, impact


def jobs(deps: Deps) -> list[Job]:
    """Every job that is this service's own."""
    return [
        Job("backfill", partial(backfill.step, deps), idle_seconds=0.5),
        Job("impact", partial(impact.step, deps), idle_seconds=0.5),
        Job("due", partial(falling_due.step, deps), idle_seconds=1),
    ]
