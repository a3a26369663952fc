"""Rules and what is on offer, as people read them: the statement of a framework, and what an achievement counts for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from cairn.common.auth import Principal
from cairn.common.problem import DomainError
from cairn.pathways.deps import Deps
from cairn.pathways.domain import holding_keys
from cairn.pathways.domain.pinning import strings
from cairn.pathways.domain.stackability import Place, places
from cairn.pathways.domain.statement import Line, Statement, statement
from cairn.pathways.reading_room import Published
from cairn.pathways.store import catalog, decisions, frameworks
from cairn.pathways.use_cases import learners
from cairn.pathways.use_cases.frameworks import not_found, offer_of
from cairn.pathways.use_cases.rulings import counted_as, rulings_of


@dataclass(frozen=True, slots=True)
class Read:
    """A framework in words; for a learner, which parts they meet, and how far they are in a sentence."""

    qualification: str
    statement: Statement
    met: dict[str, bool]
    sentence: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Where an achievement counts in one framework; `via` is what it counts as, by the table of equivalences."""

    published: Published
    via: str | None
    line: Line
    place: Place


async def read(deps: Deps, principal: Principal, id_: UUID, learner: str | None) -> Read:
    """Drafts too, but not for a learner. Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        row = await frameworks.framework(tx, str(id_))
        if row is None:
            raise not_found()
        titles = await learners.titles_of(tx, set(strings(row["body"])))
    met: dict[str, bool] = {}
    sentence = None
    if learner is not None:
        principal.need("audits:read")
        (audited,) = await learners.audit_learner(deps, principal, learner, deps.now(), id_)
        met = {node.id: node.met for node in audited.audit.nodes}
        met |= {limit.id: limit.met for limit in audited.audit.limits}
        sentence = audited.sentence
    return Read(row["qualification"], statement(row["body"], titles), met, sentence)


async def stackability(deps: Deps, principal: Principal, achievement: str) -> tuple[str, Sequence[Counts]]:
    """The achievement's name, and every place in the open frameworks of the caller's institution where it can count.

    Raises DomainError `not-found` for an achievement that was never heard of.
    """
    tenant = principal.tenant
    async with deps.database.transaction(tenant) as tx:
        body = await catalog.body(tx, achievement)
        if body is None:
            raise DomainError("No such achievement is on offer.", code="not-found")
        now = await deps.clock(tx)
        table = await decisions.chain(tx, deps.vault, tenant, decisions.INSTITUTION)
        others = counted_as(rulings_of([table]), now).get(achievement, frozenset())
        offer = offer_of(body)
        keys = holding_keys(offer) | {f"achievement:{name}" for name in others}
        lives = await frameworks.touched(tx, {tenant: keys}, {}, now, coming=True)
        found = await frameworks.read_with(tx, deps.frameworks, lives)
        known = (await frameworks.awards(tx, {tenant: {name for each in found.values() for name in each.nested}}))[
            tenant
        ]
        named = {name for each in found.values() for name in strings(each.framework.document)}
        titles = await learners.titles_of(tx, named)
    counts: list[Counts] = []
    for each in sorted(found.values(), key=lambda one: (one.framework.qualification, one.framework.version)):
        span = each.span
        if each.achievement == achievement or each.retired_at is not None or (span.end is not None and span.end <= now):
            continue
        words = statement(each.framework.document, titles)
        lines = {line.id: line for _, line in words.requirement.lines()}
        for via in (None, *sorted(others)):
            as_that = offer if via is None else replace(offer, achievement=via)
            seen = {one.place.leaf for one in counts if one.published.id == each.id}
            for place in places(each.framework, as_that, each.awards(known)):
                if place.leaf not in seen:
                    counts.append(Counts(each, via, lines[place.leaf], place))
    return body["name"], counts
