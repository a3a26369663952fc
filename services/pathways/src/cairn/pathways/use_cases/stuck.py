"""Awards that stand here while their credential never came: found, and put right by saying them again.

Issuance takes what is said again as it took it first. An award that it never heard of it examines, one that it refused
it examines afresh, and of one that it signed it says so once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.problem import DomainError
from cairn.pathways.deps import Deps
from cairn.pathways.store import audits, facts
from cairn.pathways.use_cases.sayings import completed

log = structlog.get_logger(__name__)


async def waiting(deps: Deps, principal: Principal, seconds: float, limit: int) -> Sequence[RowMapping]:
    """Those that have waited for so long, the longest first. Who looks is logged."""
    async with deps.database.transaction(principal.tenant) as tx:
        rows = await audits.unsigned(tx, seconds, limit)
    log.info("stuck awards listed", tenant=principal.tenant, by=principal.id, found=len(rows))
    return rows


async def repair(deps: Deps, principal: Principal, award_id: UUID) -> RowMapping:
    """Say it again. Raises DomainError `not-found`, and `conflict` where it is not stuck."""
    tenant = principal.tenant
    async with deps.database.transaction(tenant, share=facts.REBUILD) as tx:
        row = await audits.award(tx, str(award_id))
        if row is None:
            raise DomainError("There is no such award here.", code="not-found")
        await facts.lock_learners(tx, {row["learner_id"]: tenant})
        if await facts.signed(tx, str(award_id)):
            raise DomainError("Its credential has come.", code="conflict")
        row = await audits.award(tx, str(award_id))
        assert row is not None
        if row["state"] != "active":
            raise DomainError(f"The award is {row['state']}: there is nothing to sign.", code="conflict")
        now = await deps.clock(tx)
        shown = await facts.known(tx, row["components"])
        said = completed(audits.award_of(row), row["achievement"], shown, now)
        await tx.publish(said.event(now))
        await tx.commit()
    log.info("stuck award said again", award=said.subject, tenant=tenant, by=principal.id)
    return row
