"""What every service's worker throws away: saved answers and dead letters whose time is over (S36)."""

from __future__ import annotations

from functools import partial
from typing import Final

from sqlalchemy import text

from cairn.common import dead_letters
from cairn.common.db import EVERY_TENANT, Database
from cairn.common.worker import Job

_ANSWERS: Final = text("DELETE FROM saved_answers WHERE expires_at < now()")


def housekeeping(database: Database) -> Job:
    """The job; `database` is a worker's."""
    return Job("housekeeping", partial(tidy, database), idle_seconds=60)


async def tidy(database: Database) -> int:
    """How many rows were thrown away."""
    async with database.transaction(EVERY_TENANT) as tx:
        gone = await dead_letters.expire(tx) + (await tx.execute(_ANSWERS)).rowcount
        await tx.commit()
    return gone
