"""The life of a framework after its draft: asked for and approved, published, superseded, retired.

What would award many needs a report of its impact first, and the approval of a second person. A published one never
changes; what may change is who still comes under it (superseded) and whether it still awards (retired).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import Transaction
from cairn.common.events import Event
from cairn.common.events.models import FrameworkActivated
from cairn.common.instants import format_instant
from cairn.common.problem import DomainError
from cairn.pathways.deps import Deps
from cairn.pathways.reading_room import ReadingRoom
from cairn.pathways.store import audits, backfills, due, facts, frameworks, impacts
from cairn.pathways.use_cases import impact
from cairn.pathways.use_cases.frameworks import Found, find, not_found, refuse_findings


async def publish(deps: Deps, principal: Principal, id_: UUID) -> Found:
    """From now on it awards, or, where that would award more than the site's threshold, is proposed for approval.
    Learners who were there before are looked at by the backfill. Again: changes nothing.

    Raises DomainError `not-found`, `framework-refused` with every finding of lint, `impact-needed`, and `conflict`
    where the draft was changed meanwhile.
    """
    most = deps.settings.approval_threshold
    async with deps.database.transaction(principal.tenant) as tx:
        row = await frameworks.framework(tx, str(id_))
        if row is None:
            raise not_found()
        if row["state"] == "draft":
            # Before anything is locked: where there are many learners it takes a moment.
            await refuse_findings(tx, row)
            count = await _new_awards(deps, tx, row, most)
            if count > most:
                if not await frameworks.propose(tx, str(id_), principal.id, row["digest"]):
                    raise _changed()
                found = await find(tx, str(id_))
                await tx.commit()
                assert found is not None
                return found
    return await _activate(deps, principal, id_, digest=row["digest"])


async def approve(deps: Deps, principal: Principal, id_: UUID) -> Found:
    """Publish what somebody else proposed.

    Raises DomainError `not-found`, `framework-refused`, `approval-refused` where nothing is proposed, or by oneself,
    and `impact-needed` where the report has become stale.
    """
    async with deps.database.transaction(principal.tenant) as tx:
        row = await frameworks.framework(tx, str(id_))
    if row is None:
        raise not_found()
    if row["state"] == "draft":
        if row["proposed_by"] is None:
            raise DomainError(
                "Nobody has asked for it to be published.",
                code="approval-refused",
                fix="Publish it first. A draft that was changed since has to be proposed again.",
            )
        if row["proposed_by"] == principal.id:
            raise DomainError(
                "Whoever asked for it cannot approve it.",
                code="approval-refused",
                fix="Somebody else has to, with an access token of their own.",
            )
        async with deps.database.transaction(principal.tenant) as tx:
            # What was proposed a while ago rests on a report of then.
            await _new_awards(deps, tx, row, deps.settings.approval_threshold)
    return await _activate(deps, principal, id_, digest=row["digest"])


async def supersede(deps: Deps, principal: Principal, id_: UUID, by: UUID, at: datetime | None) -> Found:
    """From `at` on (now, or when the other comes into force, if later) nobody new comes under it, but under `by`.
    Who is under it already stays.

    Raises DomainError `not-found`, `framework-unknown` where `by` is no other published version of the qualification,
    and `conflict` where it is closed already, or `at` is past.
    """
    async with deps.database.transaction(principal.tenant) as tx:
        await facts.exclude(tx)
        row, other = await _active(tx, id_), await frameworks.framework(tx, str(by))
        if (
            other is None
            or other["state"] != "active"
            or other["id"] == row["id"]
            or other["qualification"] != row["qualification"]
        ):
            raise DomainError(
                "That is no other published version of this qualification.",
                code="framework-unknown",
                field="/by",
                fix="Name one that GET /v1/frameworks lists.",
            )
        now = await deps.clock(tx)
        instant = at or max(now, other["effective_from"] or now)
        if (row["superseded_by"], row["closed_at"]) != (other["id"], instant):
            if row["closed_at"] is not None and row["closed_at"] <= now:
                raise DomainError(f"It was closed on {format_instant(row['closed_at'])}.", code="conflict")
            if instant < now:
                raise DomainError(
                    "Learners may have come under it since then.",
                    code="conflict",
                    field="/at",
                    fix="Leave it out to close it now.",
                )
            await frameworks.close(tx, str(id_), instant, str(by))
            # Whose enrolment is yet to come may come under the other one by this.
            await due.enrolled(tx, principal.tenant, row["qualification"], now)
        found = await find(tx, str(id_))
        await tx.commit()
    assert found is not None
    return found


async def retire(deps: Deps, principal: Principal, id_: UUID) -> Found:
    """From now on it awards nobody. What it has awarded stands, and still falls with what it rests on.

    Raises DomainError `not-found`. Again: changes nothing.
    """
    async with deps.database.transaction(principal.tenant) as tx:
        await facts.exclude(tx)
        row = await _active(tx, id_)
        if row["retired_at"] is None:
            now = await deps.clock(tx)
            await frameworks.retire(tx, str(id_), now)
            # Of those whom it has not awarded there is nothing to say by it any more.
            await backfills.start(tx, principal.tenant, str(id_), now)
        found = await find(tx, str(id_))
        await tx.commit()
    assert found is not None
    return found


async def pause(deps: Deps, principal: Principal, id_: UUID, *, paused: bool) -> Found:
    """Halt its backfill, or let it go on. Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        await _active(tx, id_)
        await backfills.pause(tx, str(id_), await deps.clock(tx) if paused else None)
        found = await find(tx, str(id_))
        await tx.commit()
    assert found is not None
    return found


async def awards(deps: Deps, principal: Principal, id_: UUID, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """What it has awarded, in the order of ids. Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        row = await _active(tx, id_)
        return await audits.awards_by(tx, row["qualification"], row["version"], after and str(after), limit)


async def _active(tx: Transaction, id_: UUID) -> RowMapping:
    row = await frameworks.framework(tx, str(id_), lock=True)
    if row is None or row["state"] != "active":
        raise not_found()
    return row


async def _new_awards(deps: Deps, tx: Transaction, row: RowMapping, most: int) -> int:
    """How many it would award at once: as its report says or, where so few hold anything it can take that it cannot
    be more than `most`, how many those are."""
    report = await impacts.report(tx, str(row["id"]))
    done = report is not None and report["finished_at"] is not None
    why = await impact.stale(deps, tx, row, report) if report is not None and done else None
    if report is not None and done and why is None:
        return report["new_awards"]
    count = await impact.candidates(deps, tx, row, most)
    if count > most:
        raise DomainError(
            why or f"More than {most} learners hold something that it can take.",
            code="impact-needed",
            fix=f"POST /v1/frameworks/{row['id']}/impact, and publish it when the report is done.",
        )
    return count


async def _activate(deps: Deps, principal: Principal, id_: UUID, *, digest: str) -> Found:
    tenant = principal.tenant
    async with deps.database.transaction(tenant) as tx:
        now = await deps.clock(tx)
        # From here to the commit no batch is under way. A batch before us is seen by the backfill, one after us sees
        # the framework; and two frameworks that are published at once cannot nest each other.
        await facts.exclude(tx)
        row = await frameworks.framework(tx, str(id_), lock=True)
        if row is None:
            raise not_found()
        if row["state"] == "draft":
            if row["digest"] != digest:
                raise _changed()
            await refuse_findings(tx, row)
            await _start(tx, tenant, row, principal, now)
            await tx.publish(_activated(row, tenant, now))
        found = await find(tx, str(id_))
        await tx.commit()
    assert found is not None
    return found


async def _start(tx: Transaction, tenant: str, row: RowMapping, principal: Principal, now: datetime) -> None:
    id_, qualification = str(row["id"]), row["qualification"]
    before = (await frameworks.awards(tx, {tenant: [qualification]}))[tenant].get(qualification, ())
    await frameworks.activate(tx, id_, principal.id, now)
    affected = {id_}
    if row["achievement"] not in before:
        # Those that nest the qualification can now be filled by another award.
        affected |= await frameworks.nesting_in(tx, tenant, qualification)
    # Not the process's own room: if this is rolled back, the draft may yet change.
    room = ReadingRoom(len(affected))
    read = await frameworks.read(tx, room, affected)
    known = await frameworks.awards(tx, {tenant: {name for each in read.values() for name in each.nested}})
    for each in read.values():
        await frameworks.set_keys(tx, tenant, each.id, room.keys(each, known[tenant]))
        start = each.framework.effective_from
        await backfills.start(tx, tenant, each.id, now if start is None else max(now, start))


def _changed() -> DomainError:
    return DomainError("The draft was changed meanwhile.", code="conflict", fix="Look at it, and try again.")


def _activated(row: RowMapping, tenant: str, now: datetime) -> Event:
    id_ = str(row["id"])
    fact = FrameworkActivated(
        framework=id_,
        qualification=row["qualification"],
        version=row["version"],
        title=row["title"],
        achievement=row["achievement"],
        digest=row["digest"],
        at=now,
    )
    return Event(
        type="framework.activated.v1",
        source="/pathways",
        subject=id_,
        tenant=tenant,
        key=id_,
        data=fact.to_json(),
        time=now,
    )
