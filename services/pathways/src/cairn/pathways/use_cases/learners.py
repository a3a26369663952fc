"""What is known of a learner: their holdings, their audits as of any instant, their awards."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import Transaction
from cairn.common.problem import DomainError
from cairn.pathways.deps import Deps
from cairn.pathways.domain import Audit, Holding, audit, explain
from cairn.pathways.reading_room import Published
from cairn.pathways.store import audits, catalog, facts, frameworks
from cairn.pathways.use_cases.auditing import subjects_of
from cairn.pathways.use_cases.judging import Subject, relevant, versions_for


@dataclass(frozen=True, slots=True)
class Held:
    """`merged` are the learners who count as this one, by the merges that are active now."""

    holdings: tuple[Holding, ...]
    merged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit, and the titles of the achievements and qualifications that it names to people."""

    published: Published
    audit: Audit
    titles: Mapping[str, str]

    @property
    def sentence(self) -> str:
        return explain(self.audit, self.published.framework, self.titles)


async def holdings(deps: Deps, principal: Principal, learner_id: str) -> Held:
    """Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        subject = await _subject(tx, deps, learner_id, deps.now())
        links = await facts.links(tx, [learner_id])
    merged = sorted(link.alias for link in links if link.active and link.learner == learner_id)
    return Held(subject.holdings, tuple(merged))


async def awards(deps: Deps, principal: Principal, learner_id: str) -> Sequence[RowMapping]:
    """Every award, lapsed ones included. Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        await _known(tx, learner_id)
        return await audits.awards_of(tx, learner_id)


async def audit_learner(
    deps: Deps, principal: Principal, learner_id: str, as_of: datetime, framework: UUID | None
) -> list[Audited]:
    """Against the versions by which the learner is judged of everything that their holdings can touch, or against one
    published framework.

    Raises DomainError `not-found`.
    """
    tenant = principal.tenant
    async with deps.database.transaction(tenant) as tx:
        subject = await _subject(tx, deps, learner_id, as_of)
        if framework is None:
            keys = {key for some in subject.keys.values() for key in some}
            names = {each.entry.qualification for each in subject.rulings if each.entry.qualification is not None}
            lives = await frameworks.touched(tx, {tenant: keys}, {tenant: names}, as_of)
        else:
            row = await frameworks.framework(tx, str(framework))
            if row is None or row["state"] != "active":
                raise DomainError("There is no such published framework here.", code="not-found")
            lives = {str(framework): frameworks.Life(row["closed_at"], row["retired_at"])}
        read = await frameworks.read_with(tx, deps.frameworks, lives)
        qualifications = {each.framework.qualification for each in read.values()}
        nested = {name for each in read.values() for name in each.nested}
        known = (await frameworks.awards(tx, {tenant: nested | qualifications}))[tenant]
        held = await audits.awards(tx, [learner_id, *subject.same])

    def work() -> list[tuple[Published, Audit]]:
        done: list[tuple[Published, Audit]] = []
        for published in sorted(read.values(), key=_by_name):
            rules = published.framework
            versions = [each for each in read.values() if each.framework.qualification == rules.qualification]
            # An award of the qualification itself does not count towards it: it would hold itself up.
            own = known.get(rules.qualification, ())
            counting = [holding for holding in subject.holdings if holding.achievement not in own]
            mine = [
                held[who, rules.qualification]
                for who in (learner_id, *subject.same)
                if (who, rules.qualification) in held
            ]
            room = deps.frameworks
            fitting = {each.id: relevant(subject, each, versions, room, known, as_of) for each in versions}
            rulings = {each.id: subject.bearing(each, room.keys(each, known)) for each in versions}
            if framework is None and published.id not in versions_for(subject, versions, fitting, rulings, mine, as_of):
                continue
            result = audit(
                rules,
                counting,
                [ruling.decision() for ruling in rulings[published.id] if ruling.stands(as_of)],
                as_of,
                enrolled=subject.enrolled.get(rules.qualification),
                awards=published.awards(known),
                steps=deps.settings.audit_steps,
            )
            done.append((published, result))
        return done

    done = await asyncio.to_thread(work)
    named = {name for _, result in done for name in _named(result)}
    async with deps.database.transaction(tenant) as tx:
        titles = await titles_of(tx, named.union(holding.achievement for holding in subject.holdings))
    return [Audited(published, result, titles) for published, result in done]


async def titles_of(tx: Transaction, names: Collection[str]) -> dict[str, str]:
    """What people call the qualifications and achievements among the names; the others are left out."""
    return {**await frameworks.titles(tx, names), **await catalog.names(tx, names)}


def _named(result: Audit) -> Iterator[str]:
    """The achievements and qualifications that a learner is told of."""
    for node in result.nodes:
        needs = node.needs or {}
        yield from cast("Sequence[str]", needs.get("achievements", ()))
        yield from [cast("str", needs["qualification"])] if "qualification" in needs else []


def _by_name(published: Published) -> tuple[str, str]:
    return published.framework.qualification, published.framework.version


async def _subject(tx: Transaction, deps: Deps, learner_id: str, at: datetime) -> Subject:
    learner = await _known(tx, learner_id)
    subjects = await subjects_of(tx, deps, {learner_id: learner}, at)
    if not subjects:
        raise DomainError("Decisions on this learner were altered in the database.", code="decisions-altered")
    return subjects[0]


async def _known(tx: Transaction, learner_id: str) -> facts.Learner:
    learner = await facts.learner(tx, learner_id)
    if learner is None or learner.erased:
        raise DomainError("There is no such learner here.", code="not-found")
    return learner
