"""A newly published framework over the learners who were there before it. Resumable: the cursor moves in the
transaction of the audits and awards that it stands for, so that a step that was cut off is simply done again.

Awards are held to a rate: a step that made many puts off the next one, so that who watches can still pause it."""

from __future__ import annotations

from datetime import timedelta

from cairn.common.db import EVERY_TENANT
from cairn.pathways.deps import Deps
from cairn.pathways.store import decisions, facts, frameworks
from cairn.pathways.use_cases.auditing import Done, Touch, reaudit
from cairn.pathways.use_cases.rulings import counting_too


async def step(deps: Deps) -> int:
    """One window of learners of one framework; how many learners were looked at, at least 1 while there is work."""
    async with deps.database.transaction(EVERY_TENANT) as tx:
        now = await deps.clock(tx)
        await facts.share(tx)
        job = await frameworks.take_backfill(tx, now)
        if job is None:
            return 0
        tenant, framework = job["tenant_id"], str(job["framework_id"])
        window = deps.settings.backfill_window
        table = await decisions.chain(tx, deps.vault, tenant, decisions.INSTITUTION)
        keys = counting_too(table, frozenset(await frameworks.keys(tx, framework)), now)
        found = await frameworks.candidates(tx, tenant, job["qualification"], keys, job["cursor"], window)
        holders = {row["id"]: tenant for row in found if row["holds"]}
        done = Done(0, 0, 0)
        if holders:
            learners = await facts.lock_learners(tx, {**await facts.related(tx, holders), **holders})
            # Sources of merged learners are readable: this transaction is for every tenant.
            done = await reaudit(
                tx, deps, learners, {who: Touch(qualifications={job["qualification"]}) for who in holders}
            )
        await frameworks.advance_backfill(
            tx,
            framework,
            cursor=found[-1]["id"] if found else job["cursor"],
            looked_at=len(found),
            audited=done.subjects,
            awarded=done.awards,
            not_before=now + timedelta(minutes=done.awards / deps.settings.backfill_awards_per_minute),
            finished_at=now if len(found) < window else None,
        )
        await tx.commit()
    return max(len(found), 1)
