"""Take in what issuance says: a batch in, facts stored, touched learners audited, what follows said; one commit.

Learners are locked before anything is read about them, always in the order of their ids. Whoever adds a holding locks
the learner under whose id it came and every survivor of that learner; whoever makes or ends a merge locks both. So
whichever of two batches comes second sees what the first one wrote, and no audit misses a holding. What is said about
an award is staged under the lock of the learner who has it, which keeps the order of that key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cairn.common import dead_letters, inbox
from cairn.common.consumer import Poison
from cairn.common.db import PLATFORM, Transaction
from cairn.common.events import Event
from cairn.pathways.deps import Deps
from cairn.pathways.store import catalog, decisions, facts
from cairn.pathways.store.facts import Learner, Link
from cairn.pathways.use_cases.auditing import Done, Touch, reaudit
from cairn.pathways.use_cases.telling import Told, tell

GROUP: Final = "pathways"


class _MoreToLock(Exception):
    """A merge came about while the learners were being locked: begin again, with these as well."""

    def __init__(self, learners: Mapping[str, str]) -> None:
        super().__init__()
        self.learners = dict(learners)


async def take(deps: Deps, events: Sequence[Event]) -> Done:
    """The batch, in one transaction. Events that were taken before change nothing and say nothing.

    Raises Poison for an event whose learner is another tenant's.
    """
    batch = [tell(event) for event in events]
    more: dict[str, str] = {}
    while True:
        try:
            return await _take(deps, batch, more)
        except _MoreToLock as found:
            more |= found.learners


async def _take(deps: Deps, batch: Sequence[Told], more: Mapping[str, str]) -> Done:
    wanted = named(batch)
    scope = {tenant for told in batch for tenant in (told.event.tenant, *told.learners.values())}
    if any(told.erased for told in batch):
        scope.add(PLATFORM)
    async with deps.database.transaction(scope, share=facts.REBUILD) as tx:
        learners, links = await _lock(tx, scope, wanted, more)
        for told in batch:
            if any(who not in learners or learners[who].tenant != tenant for who, tenant in told.learners.items()):
                raise Poison(told.event, "learner-refused", "it is about a learner of another tenant")
        fresh = {event.id for event in await inbox.fresh(tx, GROUP, [told.event for told in batch])}
        new = [told for told in batch if told.event.id in fresh]
        await store(tx, new)
        if any(told.link for told in new):
            links = await facts.links(tx, learners)
        touches = touched(new, links)
        if any(told.erased for told in new):
            # Nothing is concluded about them any more, as of this batch.
            learners = await facts.lock_learners(tx, {who: each.tenant for who, each in learners.items()})
        done = await reaudit(tx, deps, learners, touches, links)
        await tx.commit()
    return done


def named(batch: Iterable[Told]) -> dict[str, str]:
    """The learners whom the events name, with the tenant that the first to name each says: it counts for the new."""
    wanted: dict[str, str] = {}
    for told in batch:
        for who, tenant in told.learners.items():
            wanted.setdefault(who, tenant)
    return wanted


async def _lock(
    tx: Transaction, scope: set[str], wanted: Mapping[str, str], more: Mapping[str, str]
) -> tuple[dict[str, Learner], list[Link]]:
    """The learners of the batch and those who survive them, with their tenants in scope, and the links of all those."""
    if not wanted:
        return {}, []
    related, known = await facts.company(tx, {**wanted, **more})
    needed = {**related, **more, **wanted}
    if not set(needed.values()) <= scope:
        await tx.widen(scope | set(needed.values()))
    if not needed.keys() <= known:
        await facts.add_learners(tx, needed)
    learners = await facts.lock_known(tx, needed)
    links = await facts.links(tx, needed)
    # A merge may have been made while we waited for a lock. Adding to what is locked would break the order of ids.
    late = {who: tenant for who, tenant in facts.related_by(links, wanted).items() if who not in needed}
    if late:
        raise _MoreToLock({**needed, **late})
    return learners, links


async def store(tx: Transaction, new: Sequence[Told]) -> None:
    """One statement for each kind of fact. The tenants of all that is named are in scope."""
    holdings = [told.holding for told in new if told.holding]
    await facts.add(tx, holdings, [status for told in new for status in told.statuses])
    await facts.add_links(tx, [told.link for told in new if told.link])
    await catalog.add(tx, [told.achievement for told in new if told.achievement])
    gone = [told.erased for told in new if told.erased]
    await facts.erase(tx, {fact.learner: fact.at for fact in gone})
    await decisions.destroy_keys(tx, [fact.learner for fact in gone])
    for fact in gone:
        await dead_letters.erase(tx, fact.learner)


def touched(new: Sequence[Told], links: Sequence[Link]) -> dict[str, Touch]:
    """What the stored facts touch: the learners they are about, and those who survive them by a merge."""
    touches: dict[str, Touch] = {}
    about = {told.touched for told in new if told.touched is not None}
    survivors: dict[str, set[str]] = {who: {who} for who in about}
    for link in links:
        if link.active and link.alias in about:
            survivors[link.alias].add(link.learner)
    for told in new:
        if told.touched is None:
            continue
        changed = {status.holding for status in told.statuses}
        if told.holding is not None:
            changed.add(told.holding.holding.id)
        for who in survivors[told.touched]:
            touch = touches.setdefault(who, Touch())
            touch.holdings |= changed
            touch.cause = told.event
        if told.link is not None:
            touch = touches[told.link.learner]
            touch.everything = True
            touch.learners.add(told.link.alias)
            if told.link.tenant == told.link.source_tenant:
                # Within one tenant the merged learner is audited no more, or again.
                touches.setdefault(told.link.alias, Touch()).everything = True
    return touches
