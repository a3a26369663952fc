"""Audit learners whom something touched, and store and say what changed: the one path of consumer, backfill, replay."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cairn.common.db import Transaction
from cairn.common.events import Event
from cairn.pathways.deps import Deps
from cairn.pathways.domain import Holding
from cairn.pathways.reading_room import Awards, Published
from cairn.pathways.store import audits, facts, frameworks
from cairn.pathways.store.facts import Held, Learner, Link
from cairn.pathways.use_cases.judging import Saying, Subject, Verdict, judge, keys_of


@dataclass(slots=True)
class Touch:
    """What changed for a learner: some `holdings`, all that came under some `learners`, or `everything`."""

    holdings: set[str] = field(default_factory=set[str])
    learners: set[str] = field(default_factory=set[str])
    everything: bool = False


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
    *,
    only: Mapping[str, Collection[str]] | None = None,
    announce: bool = True,
) -> Done:
    """Audit the touched learners, whose rows are locked (`learners`) and whose tenants are in scope.

    `only` names frameworks by tenant, instead of those that the touched holdings lead to. Without `announce` audits are
    stored, but no award changes and nothing is said; `Done.awards` then counts those that would have changed.
    """
    links = await facts.links(tx, touches)
    gone = {learner for learner in touches if learners[learner].erased} | {
        link.alias for link in links if link.active and link.tenant == link.source_tenant and link.alias in touches
    }
    await audits.forget_learners(tx, gone)
    active = [link for link in links if link.active]
    wanted = {*touches, *(link.alias for link in links if link.learner in touches)}
    held = await facts.holdings_of(tx, wanted | {each for touch in touches.values() for each in touch.learners})
    subjects = [_subject(learners[who], active, links, held) for who in sorted(touches) if who not in gone]
    changed = {subject.learner: _changed(subject, touches[subject.learner], held) for subject in subjects}
    if only is None:
        by_tenant: dict[str, set[str]] = defaultdict(set)
        for subject in subjects:
            by_tenant[subject.tenant] |= changed[subject.learner]
        only = await frameworks.touched(tx, by_tenant, deps.now())
        fitting = changed
    else:
        fitting = None
    verdict = await _judge_all(tx, deps, subjects, only, fitting)
    await _store(tx, deps, verdict, announce=announce)
    return Done(len(subjects), len(verdict.audits), len(verdict.awards))


async def _judge_all(
    tx: Transaction,
    deps: Deps,
    subjects: Sequence[Subject],
    ids: Mapping[str, Collection[str]],
    fitting: Mapping[str, Collection[str]] | None,
) -> Verdict:
    """Every subject against the frameworks of its tenant which the keys in `fitting` can touch (None: all of `ids`)."""
    read = await frameworks.read(tx, deps.frameworks, {id_ for some in ids.values() for id_ in some})
    if not read:
        return Verdict()
    nested: dict[str, set[str]] = defaultdict(set)
    for published in read.values():
        nested[published.tenant] |= published.nested
    known = await frameworks.awards(tx, nested)
    people = [who for subject in subjects for who in (subject.learner, *subject.same)]
    latest, awards = await audits.latest(tx, people), await audits.awards(tx, people)
    now = deps.now()

    def work() -> Verdict:
        verdict = Verdict()
        for subject in subjects:
            mine = [each for each in read.values() if each.tenant == subject.tenant]
            keys = None if fitting is None else fitting[subject.learner]
            for versions in _qualifications(deps, mine, keys, known.get(subject.tenant, {})):
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
        return verdict

    # Off the loop: a batch is some hundred audits, and health must answer meanwhile.
    return await asyncio.to_thread(work)


def _qualifications(
    deps: Deps, published: Iterable[Published], keys: Collection[str] | None, known: Awards
) -> list[list[Published]]:
    """The versions of each qualification of which any can be touched."""
    versions: dict[str, list[Published]] = defaultdict(list)
    for each in published:
        versions[each.framework.qualification].append(each)
    return [
        some
        for _, some in sorted(versions.items())
        if keys is None or any(not deps.frameworks.keys(each, known).isdisjoint(keys) for each in some)
    ]


async def _store(tx: Transaction, deps: Deps, verdict: Verdict, *, announce: bool) -> None:
    await audits.save(tx, verdict.audits)
    await audits.forget(tx, verdict.forgotten)
    if announce:
        await audits.save_awards(tx, verdict.awards, deps.now())
        await tx.publish(*(_event(deps, saying) for saying in verdict.said))


def _event(deps: Deps, saying: Saying) -> Event:
    return Event(
        type=saying.type,
        source="/pathways",
        subject=saying.subject,
        tenant=saying.tenant,
        key=saying.learner,
        data=saying.fact.to_json(),
        time=deps.now(),
    )


def _subject(
    learner: Learner, active: Sequence[Link], links: Sequence[Link], held: Mapping[str, Sequence[Held]]
) -> Subject:
    mine = [link for link in active if link.learner == learner.id]
    holdings: list[Holding] = [each.holding for each in held.get(learner.id, ())]
    for link in mine:
        # The tenant is part of the consent: a row that came under that id elsewhere is not meant by it.
        holdings += [each.holding for each in held.get(link.alias, ()) if each.tenant == link.source_tenant]
    return Subject.of(
        learner.tenant,
        learner.id,
        sorted(holdings, key=lambda holding: holding.id),
        {link.alias for link in mine if link.source_tenant == learner.tenant},
        {link.changed_at for link in links if link.learner == learner.id},
    )


def _changed(subject: Subject, touch: Touch, held: Mapping[str, Sequence[Held]]) -> set[str]:
    """The keys by which to find the frameworks that the touch can bear on."""
    keys: set[str] = set()
    for id_, some in subject.keys.items():
        if touch.everything or id_ in touch.holdings:
            keys |= some
    for learner in touch.learners:
        for some in keys_of([each.holding for each in held.get(learner, ())]).values():
            keys |= some
    return keys
