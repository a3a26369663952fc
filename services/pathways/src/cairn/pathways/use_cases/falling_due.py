"""What time alone changes: expiries, windows that close, the ends of grace periods and of decisions.

A learner's next such instant lies in `due`, one for each qualification, written by the audit that it follows from. When
it has come by the database's clock, the learner is audited again, which plans the one after it: all in one transaction,
under the learner's lock. So each fires once, however many workers there are and whenever one of them dies.
"""

from __future__ import annotations

from cairn.common.db import EVERY_TENANT
from cairn.pathways.deps import Deps
from cairn.pathways.store import due, facts
from cairn.pathways.use_cases.auditing import Touch, reaudit


async def step(deps: Deps) -> int:
    """One batch of learners; how many were audited. Those whom another worker is busy with stay due."""
    async with deps.database.transaction(EVERY_TENANT, share=facts.REBUILD) as tx:
        now = await deps.clock(tx)
        claimed = await due.claim(tx, now, deps.settings.due_batch)
        if not claimed:
            return 0
        # Never waiting for a second lock while holding the first: a consumer takes them in another order.
        related = {who: tenant for who, tenant in (await facts.related(tx, claimed)).items() if who not in claimed}
        free = await due.lock_free(tx, related)
        busy = {who for link in await facts.links(tx, related.keys() - free) for who in (link.learner, link.alias)}
        locked = {who: tenant for who, tenant in (claimed | related).items() if who in claimed or who in free}
        learners = await facts.lock_learners(tx, locked)
        fallen = await due.of(tx, claimed.keys() - busy, now)
        touches = {who: Touch(qualifications=some, everything=due.EVERYTHING in some) for who, some in fallen.items()}
        await reaudit(tx, deps, learners, touches)
        await tx.commit()
    return len(touches)
