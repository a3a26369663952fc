"""What a registrar makes of an award that lost a component under the policy `review`: it is taken back, or suspended.

To uphold it, decide: a waiver or a substitution makes the rules hold again, and says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal
from uuid import UUID, uuid4

from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.problem import DomainError
from cairn.pathways.deps import Deps
from cairn.pathways.domain.transition import AwardState
from cairn.pathways.store import audits, decisions, facts
from cairn.pathways.store.audits import NewAward
from cairn.pathways.store.decisions import Entry
from cairn.pathways.use_cases.deciding import append, place_of, words_of
from cairn.pathways.use_cases.sayings import lapsed

Action = Literal["revoke", "suspend"]
_STATES: Final[dict[Action, AwardState]] = {"revoke": "revoked", "suspend": "suspended"}


async def waiting(deps: Deps, principal: Principal, limit: int) -> Sequence[RowMapping]:
    """Awards that rest on something that was lost, and wait for a registrar; the longest waiting first."""
    async with deps.database.transaction(principal.tenant) as tx:
        return await audits.in_review(tx, limit)


async def settle(deps: Deps, principal: Principal, id_: UUID, action: Action, reason: str) -> RowMapping:
    """Who did it and why goes into the learner's chain of decisions. Raises DomainError `not-found`, and `conflict`
    where the award does not wait for a review."""
    tenant = principal.tenant
    async with deps.database.transaction(tenant, share=facts.REBUILD) as tx:
        now = await deps.clock(tx)
        row = await audits.award(tx, str(id_))
        if row is None:
            raise DomainError("There is no such award here.", code="not-found")
        learner = row["learner_id"]
        await facts.lock_learners(tx, {learner: tenant})
        row = await audits.award(tx, str(id_))
        assert row is not None
        if row["state"] != "review":
            raise DomainError(f"The award is {row['state']}, and waits for no review.", code="conflict")
        chain = await decisions.chain(tx, deps.vault, tenant, learner)
        if not chain.intact:
            raise DomainError("Decisions were altered in the database.", code="decisions-altered")
        entry_id = str(uuid4())
        key = await decisions.key(tx, deps.vault, tenant, learner)
        entry = Entry(
            tenant=tenant,
            id=entry_id,
            learner=learner,
            ordinal=0,
            kind="review",
            qualification=row["qualification"],
            body={"award": str(id_), "action": action},
            by=principal.id,
            at=now,
            valid_until=None,
            revokes=None,
            sealed=deps.vault.seal(key, words_of(reason), place_of(entry_id)),
        )
        await append(tx, deps, chain, entry)
        award = replace(audits.award_of(row), state=_STATES[action], due=None)
        await audits.save_awards(tx, [NewAward(award, row["achievement"], "reviewed")], now)
        await tx.publish(lapsed(award, "reviewed", now).event(now))
        after = await audits.award(tx, str(id_))
        await tx.commit()
    assert after is not None
    return after
