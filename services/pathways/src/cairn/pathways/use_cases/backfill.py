"""A newly published framework over the learners who were there before it. Resumable: the cursor moves in the
transaction of the audits and awards that it stands for, so that a step that was cut off is simply done again."""

from __future__ import annotations

from cairn.common.db import EVERY_TENANT
from cairn.pathways.deps import Deps
from cairn.pathways.store import facts, frameworks
from cairn.pathways.use_cases.auditing import Touch, reaudit


async def step(deps: Deps) -> int:
    """One window of learners of one framework; how many learners were looked at, at least 1 while there is work."""
    now = deps.now()
    async with deps.database.transaction(EVERY_TENANT) as tx:
        await facts.share(tx)
        job = await frameworks.take_backfill(tx, now)
        if job is None:
            return 0
        tenant, framework = job["tenant_id"], str(job["framework_id"])
        window = deps.settings.backfill_window
        found = await frameworks.candidates(tx, tenant, framework, job["cursor"], window)
        holders = {row["id"]: tenant for row in found if row["holds"]}
        audited = 0
        if holders:
            learners = await facts.lock_learners(tx, {**await facts.related(tx, holders), **holders})
            versions = await frameworks.versions(tx, tenant, job["qualification"], now)
            # Sources of merged learners are readable: this transaction is for every tenant.
            done = await reaudit(tx, deps, learners, {who: Touch() for who in holders}, only={tenant: versions})
            audited = done.subjects
        cursor = found[-1]["id"] if found else job["cursor"]
        finished = now if len(found) < window else None
        await frameworks.advance_backfill(tx, framework, cursor, len(found), audited, finished)
        await tx.commit()
    return max(len(found), 1)
