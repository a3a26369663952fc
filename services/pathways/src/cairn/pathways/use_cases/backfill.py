"""A newly published framework over the learners who were there before it.

Whom it can touch is found set-based, thousands of learners at a time, and put into a queue; from there any number of
workers take some, audit them, and take them off in the transaction of their audits and awards. A step that was cut off
is thereby simply done again, and no learner's row is locked for longer than one batch takes.

Awards are held to a rate: a batch that made many puts off the next one, so that who watches can still pause it.
"""

from __future__ import annotations

from typing import Final

from cairn.common.db import EVERY_TENANT
from cairn.pathways.deps import Deps
from cairn.pathways.store import backfills, decisions, facts, frameworks
from cairn.pathways.use_cases.auditing import Touch, reaudit
from cairn.pathways.use_cases.rulings import counting_too

_LOOKED_THROUGH: Final = 10
"""Times as many as are audited in one step: a framework touches few of those that there are."""


async def step(deps: Deps) -> int:
    """One batch of one framework; how many learners were audited or looked through, at least 1 while there is work."""
    return await _audit(deps) or await _select(deps)


async def _audit(deps: Deps) -> int:
    async with deps.database.transaction(EVERY_TENANT, share=facts.REBUILD) as tx:
        now = await deps.clock(tx)
        taken = await backfills.take(tx, now, deps.settings.backfill_window)
        if not taken:
            return 0
        holders = {row["learner_id"]: row["tenant_id"] for row in taken}
        learners = await facts.lock_learners(tx, {**await facts.related(tx, holders), **holders})
        # Sources of merged learners are readable: this transaction is for every tenant.
        touch = Touch(qualifications={taken[0]["qualification"]})
        done = await reaudit(tx, deps, learners, dict.fromkeys(holders, touch))
        await backfills.done(
            tx,
            taken,
            audited=done.subjects,
            awarded=done.awards,
            now=now,
            seconds=60 * done.awards / deps.settings.backfill_awards_per_minute,
        )
        await tx.commit()
    return len(taken)


async def _select(deps: Deps) -> int:
    async with deps.database.transaction(EVERY_TENANT, share=facts.REBUILD) as tx:
        now = await deps.clock(tx)
        job = await backfills.to_look_through(tx, now)
        if job is None:
            return 0
        if job["selected_at"] is not None:
            await backfills.finish(tx, job, now)
            await tx.commit()
            return 1
        tenant, framework = job["tenant_id"], str(job["framework_id"])
        window = deps.settings.backfill_window * _LOOKED_THROUGH
        table = await decisions.chain(tx, deps.vault, tenant, decisions.INSTITUTION)
        keys = counting_too(table, frozenset(await frameworks.keys(tx, framework)), now)
        found = await backfills.candidates(tx, tenant, job["qualification"], keys, job["cursor"], window)
        await backfills.queue(
            tx,
            job,
            [row["id"] for row in found if row["holds"]],
            cursor=found[-1]["id"] if found else job["cursor"],
            looked_at=len(found),
            at=now if len(found) < window else None,
        )
        await tx.commit()
    return max(len(found), 1)
