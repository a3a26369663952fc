"""Work inside issuance: drafting, signing, and awards that wait for their framework."""

from __future__ import annotations

from functools import partial

import structlog

from cairn.common.db import EVERY_TENANT
from cairn.common.events.models import QualificationCompleted
from cairn.common.worker import Job
from cairn.issuance.deps import Deps
from cairn.issuance.store import awards as store
from cairn.issuance.use_cases import awards, issue

log = structlog.get_logger(__name__)


def jobs(deps: Deps) -> list[Job]:
    """Every job of the worker."""
    return [
        Job("draft", partial(issue.draft, deps), idle_seconds=0.1),
        Job("sign", partial(issue.sign, deps), idle_seconds=0.1),
        Job("waiting-awards", partial(settle_waiting, deps), idle_seconds=1),
    ]


async def settle_waiting(deps: Deps) -> int:
    """Examine awards whose framework may have arrived; refuse those that waited too long. One at a time.

    A refused award stays in its table with the reason, where it is listed among the stuck ones.
    """
    async with deps.database.transaction(EVERY_TENANT) as tx:
        waiting = await store.take_waiting(tx, 1)
        if not waiting:
            return 0
        row = waiting[0]
        await tx.widen({row["tenant_id"]})
        fact = QualificationCompleted.model_validate(row["body"])
        try:
            settled = await awards.examine(deps, tx, row["tenant_id"], fact)
        except awards.Forged as refusal:
            log.warning("award refused", award=row["id"], reason=refusal.detail)
            await store.settle(tx, row["id"], "refused", refusal.detail)
            settled = True
        if not settled and row["waited"].total_seconds() > deps.settings.award_patience_seconds:
            await store.settle(tx, row["id"], "refused", "its framework was never activated")
            settled = True
        await tx.commit()
    return int(settled)
