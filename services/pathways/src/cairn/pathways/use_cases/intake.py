"""Take in what issuance says: a batch in, facts stored, touched learners audited, what follows said; one commit.

Learners are locked before anything is read about them, always in the order of their ids. Whoever adds a holding locks
the learner under whose id it came and every survivor of that learner; whoever makes or ends a merge locks both. So
whichever of two batches comes second sees what the first one wrote, and no audit misses a holding. What is said about
an award is staged under the lock of the learner who has it, which keeps the order of that key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cairn.common import dead_letters, inbox
from cairn.common.consumer import Poison
from cairn.common.db import Transaction
from cairn.common.events import Event, fact_of
from cairn.common.events.models import (
    AchievementPublished,
    AchievementRetired,
    CredentialIssued,
    CredentialRenewed,
    CredentialStatusChanged,
    LearnerErased,
    LearnerMerged,
    LearnerUnmerged,
)
from cairn.common.tenancy import is_tenant
from cairn.pathways.deps import Deps
from cairn.pathways.domain import Refused, parse_holding
from cairn.pathways.store import catalog, decisions, facts
from cairn.pathways.store.catalog import NewAchievement
from cairn.pathways.store.facts import Learner, Link, NewHolding, NewLink, NewStatus
from cairn.pathways.use_cases.auditing import Done, Touch, reaudit

GROUP: Final = "pathways"

_STATES: Final = {
    "credential.suspended.v1": "suspended",
    "credential.reinstated.v1": "valid",
    "credential.revoked.v1": "revoked",
    "credential.expired.v1": "expired",
}


class _MoreToLock(Exception):
    """A merge came about while the learners were being locked: begin again, with these as well."""

    def __init__(self, learners: Mapping[str, str]) -> None:
        super().__init__()
        self.learners = dict(learners)


@dataclass(slots=True)
class Told:
    """What one event says. `learners` are all that it names, with their tenants; `touched` the one it is about."""

    event: Event
    learners: dict[str, str] = field(default_factory=dict[str, str])
    touched: str | None = None
    holding: NewHolding | None = None
    statuses: list[NewStatus] = field(default_factory=list[NewStatus])
    link: NewLink | None = None
    achievement: NewAchievement | None = None
    erased: LearnerErased | None = None


def tell(event: Event) -> Told:
    """Raises Poison for what cannot be taken, and MalformedEvent."""
    told = Told(event)
    match fact_of(event):
        case CredentialIssued() as fact:
            _about(told, fact.learner)
            try:
                holding = parse_holding(fact.holding.to_json())
            except Refused as refused:
                codes = ", ".join(f"{problem.code} at {problem.path}" for problem in refused.problems)
                raise Poison(event, "malformed", f"the holding was refused: {codes}") from None
            told.holding = NewHolding(event.tenant, fact.learner, holding, fact.award)
            told.statuses = [
                NewStatus(event.tenant, holding.id, entry.at, entry.state, event.id) for entry in holding.status
            ]
        case CredentialStatusChanged() as fact:
            _about(told, fact.learner)
            state = _STATES[event.type]
            told.statuses = [NewStatus(event.tenant, fact.credential, fact.at, state, event.id)]
        case CredentialRenewed() as fact:
            _about(told, fact.learner)
            told.statuses = [NewStatus(event.tenant, fact.supersedes, fact.at, "superseded", event.id)]
        case LearnerMerged() | LearnerUnmerged() as fact:
            _link(told, fact)
        case LearnerErased() as fact:
            _about(told, fact.learner)
            told.erased = fact
        case AchievementPublished() as fact:
            told.achievement = NewAchievement(event.tenant, fact.achievement, fact.to_json())
        case AchievementRetired() as fact:
            told.achievement = NewAchievement(event.tenant, fact.achievement, retired_at=fact.at)
        case _:
            pass  # what else is on these topics is for others
    return told


def _about(told: Told, learner: str) -> None:
    told.learners[learner] = told.event.tenant
    told.touched = learner


def _link(told: Told, fact: LearnerMerged | LearnerUnmerged) -> None:
    """A merge is said twice. What is said under the merged learner's key only makes that learner known here."""
    event = told.event
    if event.key == fact.merged:
        told.learners[fact.merged] = event.tenant
        return
    if event.key != fact.learner or not is_tenant(fact.merged_tenant) or fact.learner == fact.merged:
        raise Poison(event, "malformed", "the merge is said under the key of neither learner, or names no tenant")
    _about(told, fact.learner)
    told.learners[fact.merged] = fact.merged_tenant
    merged = isinstance(fact, LearnerMerged)
    told.link = NewLink(
        event.tenant, fact.learner, fact.merged_tenant, fact.merged, fact.consent, fact.at, merged=merged
    )


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
    wanted: dict[str, str] = {}
    for told in batch:
        for who, tenant in told.learners.items():
            if wanted.setdefault(who, tenant) != tenant:
                raise _stranger(told)
    scope = {told.event.tenant for told in batch} | set(wanted.values())
    async with deps.database.transaction(scope, share=facts.REBUILD) as tx:
        learners, links = await _lock(tx, scope, wanted, more)
        for told in batch:
            if any(who not in learners for who in told.learners):
                raise _stranger(told)
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


def _stranger(told: Told) -> Poison:
    return Poison(told.event, "learner-refused", "it is about a learner of another tenant")


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
