"""A dry run: who would gain, lose and keep a qualification by a draft, computed over the real learners.

Two questions are answered. By the draft alone: who meets it and has no award (gain), has one and does not meet it
(lose: they keep it, since nobody is moved to other rules), has one and meets it (stand). And what publishing does,
given the version by which each learner is judged: how many awards it makes. Nothing but the report is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import EVERY_TENANT, Transaction
from cairn.common.problem import DomainError
from cairn.pathways.deps import Deps
from cairn.pathways.domain import audit, index_keys
from cairn.pathways.reading_room import Published, ReadingRoom
from cairn.pathways.store import audits, backfills, decisions, facts, frameworks, impacts
from cairn.pathways.store.impacts import Affected, Outcome
from cairn.pathways.use_cases.auditing import subjects_of
from cairn.pathways.use_cases.frameworks import refuse_findings
from cairn.pathways.use_cases.judging import Subject, held_by, instants, judge, relevant
from cairn.pathways.use_cases.rulings import counting_too


async def ask(deps: Deps, principal: Principal, id_: UUID) -> RowMapping:
    """Start a report of the draft as it is now, or let the one that is under way go on.

    Raises DomainError `not-found`, `framework-refused`, and `framework-published` for what is no draft any more.
    """
    async with deps.database.transaction(principal.tenant) as tx:
        row = await frameworks.framework(tx, str(id_), lock=True)
        if row is None:
            raise DomainError("There is no such framework here.", code="not-found")
        if row["state"] != "draft":
            raise DomainError(
                "It is published already.", code="framework-published", field="/version", fix="Write a new version."
            )
        await refuse_findings(tx, row)
        await impacts.start(tx, principal.tenant, str(id_), row["digest"], principal.id, await deps.clock(tx))
        found = await impacts.report(tx, str(id_))
        await tx.commit()
    assert found is not None
    return found


async def show(deps: Deps, principal: Principal, id_: UUID) -> tuple[RowMapping, bool]:
    """The report, and whether it still holds (`stale`). Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        row, found = await frameworks.framework(tx, str(id_)), await impacts.report(tx, str(id_))
        if row is None or found is None:
            raise DomainError("There is no impact report of such a framework here.", code="not-found")
        return found, await stale(deps, tx, row, found) is None


async def candidates(deps: Deps, tx: Transaction, row: RowMapping, most: int) -> int:
    """How many learners hold anything that the draft can take, counted up to `most` and one more."""
    draft, tenant = frameworks.published(row), row["tenant_id"]
    known = (await frameworks.awards(tx, {tenant: draft.nested}))[tenant]
    table = await decisions.chain(tx, deps.vault, tenant, decisions.INSTITUTION)
    keys = counting_too(table, index_keys(draft.framework, draft.awards(known)), await deps.clock(tx))
    return await backfills.count_candidates(tx, keys, most + 1)


async def stale(deps: Deps, tx: Transaction, row: RowMapping, report: RowMapping) -> str | None:
    """Why the report says nothing any more about publishing the framework as it is now; None while it does."""
    if report["digest"] != row["digest"]:
        return "The draft was changed since its report."
    if row["state"] != "draft":
        return None
    hours, most = deps.settings.impact_hours, deps.settings.approval_threshold
    if await deps.clock(tx) - report["asked_at"] > timedelta(hours=hours):
        return f"The report is older than {hours} hours."
    names = {row["qualification"], *frameworks.published(row).nested}
    if await frameworks.changed_since(tx, row["tenant_id"], names, report["asked_at"]):
        return "Another framework, on which it depends, was changed since the report."
    expected = report["audited"] + most
    if report["finished_at"] is not None and await candidates(deps, tx, row, expected) > expected:
        return f"More than {most} learners hold something that it can take and were not there when it was reported on."
    return None


async def learners(
    deps: Deps, principal: Principal, id_: UUID, outcome: Outcome, after: str, limit: int
) -> Sequence[RowMapping]:
    """Raises DomainError `not-found`."""
    await show(deps, principal, id_)
    async with deps.database.transaction(principal.tenant) as tx:
        return await impacts.learners(tx, str(id_), outcome, after, limit)


async def step(deps: Deps) -> int:
    """One window of learners of one report; how many were looked at, at least 1 while there is work. Cut off, it is
    done again; nobody is locked, since nothing is changed."""
    async with deps.database.transaction(EVERY_TENANT) as tx:
        job = await impacts.take(tx)
        if job is None:
            return 0
        now = await deps.clock(tx)
        tenant, id_ = job["tenant_id"], str(job["framework_id"])
        row = await frameworks.framework(tx, id_)
        assert row is not None, "a report goes with its framework"
        draft = replace(frameworks.published(row), activated_at=now)
        known = (await frameworks.awards(tx, {tenant: {*draft.nested, row["qualification"]}}))[tenant]
        # The draft is not kept in the process's own room: it may change.
        room = ReadingRoom(64)
        table = await decisions.chain(tx, deps.vault, tenant, decisions.INSTITUTION)
        keys = counting_too(table, room.keys(draft, known), now)
        window = deps.settings.backfill_window
        found = await backfills.candidates(tx, tenant, row["qualification"], keys, job["cursor"], window)
        holders = [each["id"] for each in found if each["holds"]]
        affected: list[Affected] = []
        if holders:
            affected = await _affected(tx, deps, draft, room, holders)
        cursor = found[-1]["id"] if found else job["cursor"]
        await impacts.advance(
            tx,
            job,
            affected,
            cursor=cursor,
            looked_at=len(found),
            audited=len(holders),
            finished_at=now if len(found) < window else None,
        )
        await tx.commit()
    return max(len(found), 1)


async def _affected(
    tx: Transaction, deps: Deps, draft: Published, room: ReadingRoom, holders: Sequence[str]
) -> list[Affected]:
    tenant, qualification = draft.tenant, draft.framework.qualification
    now = await deps.clock(tx)
    subjects = await subjects_of(tx, deps, await facts.learners(tx, holders), now)
    lives = await frameworks.touched(tx, {}, {tenant: {qualification}}, now)
    versions = [*(await frameworks.read_with(tx, deps.frameworks, lives)).values(), draft]
    known = (await frameworks.awards(tx, {tenant: {name for each in versions for name in each.nested}}))[tenant]
    awards = await audits.awards(tx, [who for each in subjects for who in (each.learner, *each.same)])

    def one(subject: Subject) -> Affected | None:
        counting = relevant(subject, draft, versions, room, known, now)
        decided = subject.bearing(draft, room.keys(draft, known))
        alone = audit(
            draft.framework,
            counting,
            [ruling.decision() for ruling in decided if ruling.stands(now)],
            instants(draft, counting, subject.linked_at, now, decided).as_of,
            enrolled=subject.enrolled.get(qualification),
            awards=draft.awards(known),
            steps=deps.settings.audit_steps,
        )
        held = held_by(subject, qualification, awards)
        stands, meets = any(award.stands for award in held), alone.status == "complete"
        verdict = judge(
            subject,
            versions,
            room=room,
            known=known,
            latest={},
            awards=awards,
            now=now,
            steps=deps.settings.audit_steps,
        )
        awarded = bool({each.award.id for each in verdict.awards} - {award.id for award in held})
        outcome = _OUTCOMES.get((stands, meets))
        return Affected(subject.learner, outcome, awarded) if outcome is not None else None

    found = await asyncio.to_thread(lambda: [one(subject) for subject in subjects])
    return [each for each in found if each is not None]


_OUTCOMES: Mapping[tuple[bool, bool], Outcome] = {
    (False, True): "gain",
    (True, False): "lose",
    (True, True): "stand",
}
