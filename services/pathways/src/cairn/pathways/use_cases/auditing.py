"""Audit learners whom something touched, and store and say what changed: the one path of consumer, backfill, replay."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import text

from cairn.common.db import Transaction
from cairn.common.events import Event
from cairn.pathways.deps import Deps
from cairn.pathways.domain import Holding
from cairn.pathways.reading_room import Awards, Published
from cairn.pathways.store import audits, decisions, due, facts, frameworks
from cairn.pathways.store.due import Due
from cairn.pathways.store.facts import Held, Learner, Link
from cairn.pathways.use_cases.judging import Subject, Verdict, judge, keys_of
from cairn.pathways.use_cases.rulings import rulings_of
from cairn.pathways.use_cases.sayings import Saying

log = structlog.get_logger(__name__)

TAMPERED: Final = Counter("cairn_decisions_tampered_total", "Learners not audited since their decisions were altered.")
_LOOKED_AT_AGAIN: Final = timedelta(hours=1)
_SILENCE: Final = 10.0
"""Seconds after which somebody says a word to the database."""

AUDITS: Final = Counter("cairn_audits_total", "Audits made: of one learner against one version of a framework.")
AWARD_SECONDS: Final = Histogram(
    "cairn_award_seconds",
    "From the event that completed a qualification, by its own time, to the award.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)


@dataclass(slots=True)
class Touch:
    """What changed for a learner: some `holdings`, all that came under some `learners`, or `everything`; or something
    about some `qualifications`."""

    holdings: set[str] = field(default_factory=set[str])
    learners: set[str] = field(default_factory=set[str])
    qualifications: set[str] = field(default_factory=set[str])
    everything: bool = False
    cause: Event | None = None
    """The last event that touched, where it was one: what is said in consequence belongs to its trace."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far what changed for a learner reaches: by index `keys`, and by name."""

    keys: frozenset[str]
    qualifications: frozenset[str]


@dataclass(frozen=True, slots=True)
class Done:
    subjects: int
    audits: int
    awards: int


async def reaudit(
    tx: Transaction,
    deps: Deps,
    learners: Mapping[str, Learner],
    touches: Mapping[str, Touch],
    links: Sequence[Link] | None = None,
    *,
    announce: bool = True,
) -> Done:
    """Audit the touched learners, whose rows are locked (`learners`) and whose tenants are in scope. `links` are all
    that any of them has a part in, where they were read since the lock.

    Without `announce` audits are stored, but no award changes and nothing is said; `Done.awards` then counts those that
    would have changed.
    """
    now = await deps.clock(tx)
    gone = {learner for learner in touches if learners[learner].erased}
    links = await facts.links(tx, touches) if links is None else links
    gone |= {link.alias for link in links if link.within and link.alias in touches}
    await audits.forget_learners(tx, gone)
    await due.forget(tx, gone)
    others = {each for touch in touches.values() for each in touch.learners}
    left = {who: learners[who] for who in sorted(touches) if who not in gone}
    held = await facts.holdings_of(tx, others) if others else {}
    subjects = await subjects_of(tx, deps, left, now, links)
    changed = {subject.learner: _reach(subject, touches[subject.learner], held) for subject in subjects}
    verdict = await _judge_all(tx, deps, subjects, changed, now)
    for who in left:
        if who not in changed:
            # Looked at again in a while, rather than at once and for ever; and then at everything, since nobody knows
            # by then what came in between.
            names = {*touches[who].qualifications, due.EVERYTHING}
            verdict.due += [Due(left[who].tenant, who, name, now + _LOOKED_AT_AGAIN) for name in sorted(names)]
        elif touches[who].everything:
            verdict.due.append(Due(left[who].tenant, who, due.EVERYTHING, None))
    await _store(tx, deps, verdict, touches, announce=announce)
    return Done(len(subjects), len(verdict.audits), len(verdict.awards))


async def subjects_of(
    tx: Transaction,
    deps: Deps,
    learners: Mapping[str, Learner],
    now: datetime,
    links: Sequence[Link] | None = None,
) -> list[Subject]:
    """The learners, with all that counts for them by active merges, in the order given. Those on whom the decisions
    were tampered with are left out: nothing is concluded from what may be forged, nor from its absence."""
    links = await facts.links(tx, learners) if links is None else links
    active = [link for link in links if link.active]
    wanted = {*learners, *(link.alias for link in active if link.learner in learners)}
    held, enrolled = await facts.holdings_of(tx, wanted), await facts.enrolments(tx, wanted)
    tenants = {each.tenant for each in learners.values()}
    decided = await decisions.chains(tx, deps.vault, wanted, tenants)
    subjects: list[Subject] = []
    for each in learners.values():
        mine = [link for link in active if link.learner == each.id]
        same = sorted(link.alias for link in mine if link.source_tenant == each.tenant)
        places = [(each.tenant, who) for who in (each.id, *same, decisions.INSTITUTION)]
        chains = [decided[place] for place in places if place in decided]
        if not all(chain.intact for chain in chains):
            TAMPERED.inc()
            log.error("decisions were tampered with", learner=each.id, tenant=each.tenant)
            continue
        holdings: list[Holding] = [known.holding for known in held.get(each.id, ())]
        for link in mine:
            # The tenant is part of the consent: a row that came under that id elsewhere is not meant by it.
            holdings += [known.holding for known in held.get(link.alias, ()) if known.tenant == link.source_tenant]
        first: dict[str, datetime] = {}
        for who in (each.id, *same):
            for qualification, at in enrolled.get(who, {}).items():
                first[qualification] = min(at, first.get(qualification, at))
        subjects.append(
            Subject.of(
                each.tenant,
                each.id,
                sorted(holdings, key=lambda holding: holding.id),
                same,
                {link.changed_at for link in links if link.learner == each.id},
                first,
                rulings_of(chains),
                now,
            )
        )
    return subjects


async def _judge_all(
    tx: Transaction, deps: Deps, subjects: Sequence[Subject], changed: Mapping[str, Reach], now: datetime
) -> Verdict:
    """Every subject against the versions of the qualifications of its tenant that what changed can bear on."""
    keys: dict[str, set[str]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    for subject in subjects:
        keys[subject.tenant] |= changed[subject.learner].keys
        names[subject.tenant] |= changed[subject.learner].qualifications
    read = await frameworks.read_with(tx, deps.frameworks, await frameworks.touched(tx, keys, names, now))
    if not read:
        return Verdict()
    nested: dict[str, set[str]] = defaultdict(set)
    for published in read.values():
        nested[published.tenant] |= published.nested
    known = await frameworks.awards(tx, nested)
    people = [who for subject in subjects for who in (subject.learner, *subject.same)]
    latest, awards = await audits.latest(tx, people), await audits.awards(tx, people)

    shelves = {tenant: _Shelf(deps, tenant, read.values(), known.get(tenant, {}), keys[tenant]) for tenant in keys}
    verdict, left = Verdict(), deque(subjects)

    def work() -> None:
        until = time.monotonic() + _SILENCE
        while left and time.monotonic() < until:
            subject = left.popleft()
            for versions in shelves[subject.tenant].within(changed[subject.learner]):
                verdict.add(
                    judge(
                        subject,
                        versions,
                        room=deps.frameworks,
                        known=known.get(subject.tenant, {}),
                        latest=latest,
                        awards=awards,
                        now=now,
                        steps=deps.settings.audit_steps,
                    )
                )

    # Off the loop: a batch is some hundred audits, and health must answer meanwhile.
    await asyncio.to_thread(work)
    while left:
        # PostgreSQL ends a transaction that says nothing for a minute, however much is being worked out meanwhile.
        await tx.execute(text("SELECT 1"))
        await asyncio.to_thread(work)
    return verdict


class _Shelf:
    """One tenant's touched frameworks, so that each learner of a batch finds theirs without a look at all of them."""

    def __init__(
        self, deps: Deps, tenant: str, read: Iterable[Published], known: Awards, keys: Collection[str]
    ) -> None:
        self._versions: dict[str, list[Published]] = defaultdict(list)
        self._by_key: dict[str, set[str]] = defaultdict(set)
        for each in read:
            if each.tenant == tenant:
                self._versions[each.framework.qualification].append(each)
                for key in deps.frameworks.keys(each, known) & set(keys):
                    self._by_key[key].add(each.framework.qualification)

    def within(self, reach: Reach) -> Iterator[list[Published]]:
        """The versions of each qualification of which any can be touched, in the order of names."""
        names = reach.qualifications & self._versions.keys()
        for key in reach.keys & self._by_key.keys():
            names |= self._by_key[key]
        for name in sorted(names):
            yield self._versions[name]


async def _store(
    tx: Transaction, deps: Deps, verdict: Verdict, touches: Mapping[str, Touch], *, announce: bool
) -> None:
    AUDITS.inc(verdict.made)
    await audits.save(tx, verdict.audits)
    await audits.forget(tx, verdict.forgotten)
    await due.plan(tx, verdict.due)
    if announce:
        await audits.save_awards(tx, verdict.awards, deps.now())
        await tx.publish(*(_event(deps, saying, touches[saying.learner].cause) for saying in verdict.said))


def _event(deps: Deps, saying: Saying, cause: Event | None) -> Event:
    if cause is not None and saying.type == "qualification.completed.v1":
        AWARD_SECONDS.observe(max(0.0, (deps.now() - cause.time).total_seconds()))
    return saying.event(deps.now(), cause.traceparent if cause else None)


def _reach(subject: Subject, touch: Touch, held: Mapping[str, Sequence[Held]]) -> Reach:
    """By what to find the frameworks that the touch can bear on."""
    keys: set[str] = set()
    for id_, some in subject.keys.items():
        if touch.everything or id_ in touch.holdings:
            keys |= some
    for learner in touch.learners:
        for some in keys_of([each.holding for each in held.get(learner, ())]).values():
            keys |= some
    names = set(touch.qualifications)
    for ruling in subject.rulings:
        # What a decision lets in is found by the decision, and not by its own keys.
        decided = ruling.entry
        if decided.qualification and (touch.everything or decided.body.get("holding") in touch.holdings):
            names.add(decided.qualification)
    return Reach(frozenset(keys), frozenset(names))
