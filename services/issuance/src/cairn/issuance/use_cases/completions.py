"""Intake: what an LMS says becomes durable before it is answered, each line by itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import Transaction
from cairn.common.events import Event, stable_id
from cairn.common.idempotency import Answer, Idempotency
from cairn.common.problem import DomainError, Fault
from cairn.issuance.deps import Deps
from cairn.issuance.domain import names, rules
from cairn.issuance.domain.model import Completion, LearnerRef, facts
from cairn.issuance.store import catalog, completions, people
from cairn.issuance.use_cases import learners


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a post: a completion, or what is wrong with it. Lines count from 1."""

    number: int
    completion: Completion | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line was not accepted."""

    line: int
    code: str
    faults: tuple[Fault, ...]

    def to_json(self) -> dict[str, Any]:
        return {"line": self.line, "code": self.code, "errors": [fault.to_json() for fault in self.faults]}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a post."""

    receipt: UUID
    lines: int
    accepted: list[tuple[int, UUID]]
    refused: list[Refusal]


@asynccontextmanager
async def admitted(deps: Deps, principal: Principal) -> AsyncGenerator[None]:
    """A turn to post, before anything is read. Raises DomainError `overloaded` and `backlog-full`."""
    async with deps.share.of(principal.tenant):
        await deps.backlog.look(deps.database, principal.tenant)
        yield


async def record(
    deps: Deps, principal: Principal, lines: Sequence[Line], idempotency: Idempotency, *, single: bool
) -> Outcome | Answer:
    """Record what is sound; refuse the rest, line by line. An `Answer` was given to this very request before.

    With `single`, a refusal is raised as a DomainError, and nothing is stored.
    """
    tenant, now = principal.tenant, deps.now()
    async with deps.database.transaction(tenant) as tx:
        if (answer := await idempotency.saved(tx)) is not None:
            return answer
        deps.backlog.let_in(tenant, len(lines))
        sound, refused = await _resolve(deps, tx, tenant, lines, now)
        rows = list({row["id"]: row for row in sound}.values())
        added = await completions.add(tx, tenant, rows)
        stored = await completions.facts_of(tx, [row["id"] for row in rows if row["id"] not in added])
        accepted: list[tuple[int, UUID]] = []
        first = {row["id"]: row["facts"] for row in rows} | stored
        for row in sound:
            if first[row["id"]] == row["facts"]:
                accepted.append((row["line"], row["id"]))
            else:
                fault = Fault("/id", "This id was posted with other facts.", "Use a new id, or retract the first.")
                refused.append(Refusal(row["line"], "completion-changed", (fault,)))
        refused.sort(key=lambda refusal: refusal.line)
        if single and refused:
            raise DomainError(refused[0].faults[0].detail, code=refused[0].code, faults=refused[0].faults)
        outcome = Outcome(uuid4(), len(lines), accepted, refused)
        await completions.add_receipt(
            tx,
            tenant,
            outcome.receipt,
            principal.id,
            outcome.lines,
            [refusal.to_json() for refusal in refused],
            accepted,
        )
        await tx.publish(*(recorded(tenant, row, now) for row in rows if row["id"] in added))
        await idempotency.save(tx, answer_of(outcome))
        await tx.commit()
    return outcome


def answer_of(outcome: Outcome) -> Answer:
    """The 202 that says what was taken."""
    body = {
        "id": str(outcome.receipt),
        "lines": outcome.lines,
        "accepted": len(outcome.accepted),
        "rejected": [refusal.to_json() for refusal in outcome.refused],
    }
    return Answer(202, orjson.dumps(body), {"Location": f"/v1/receipts/{outcome.receipt}"})


async def receipt(deps: Deps, principal: Principal, receipt_id: UUID) -> tuple[RowMapping, Sequence[RowMapping]]:
    """The receipt and its accepted lines. Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        row = await completions.receipt(tx, receipt_id)
        if row is None:
            raise DomainError("There is no such receipt here.", code="not-found")
        return row, await completions.receipt_lines(tx, receipt_id)


async def _resolve(
    deps: Deps, tx: Transaction, tenant: str, lines: Sequence[Line], now: datetime
) -> tuple[list[dict[str, Any]], list[Refusal]]:
    """Split lines into rows to store and refusals, with one query for all achievements and one for all learners."""
    posted = [(line.number, line.completion) for line in lines if line.completion is not None]
    refused = [Refusal(line.number, "malformed", line.faults) for line in lines if line.completion is None]
    named = await catalog.achievements_named(tx, sorted({completion.achievement for _, completion in posted}))
    achievements = {row["id"]: row for row in named} | {row["code"]: row for row in named}
    identifiers = [completion.learner.identifier for _, completion in posted if completion.learner.identifier]
    digests = {
        (identifier.kind, identifier.canonical): learners.identifier_digest(deps.vault, tenant, identifier)
        for identifier in identifiers
    }
    ids = sorted({completion.learner.id for _, completion in posted if completion.learner.id is not None})
    found = await people.learners_named(tx, ids, list(digests.values()))
    by_digest = {row["digest"]: row for row in found if row["digest"] is not None}
    by_id = {row["id"]: row for row in found if row["digest"] is None}
    sound: list[dict[str, Any]] = []
    for number, completion in posted:
        ref = completion.learner
        if ref.identifier is not None:
            learner = by_digest.get(digests[ref.identifier.kind, ref.identifier.canonical])
        else:
            learner = by_id.get(ref.id)
        achievement = achievements.get(completion.achievement)
        refusal = _refusal(number, completion, learner, achievement, now)
        if refusal is not None:
            refused.append(refusal)
            continue
        assert learner is not None
        assert achievement is not None
        said = facts(completion, learner["id"], achievement["id"])
        id_ = names.completion_id(tenant, completion.id, learner["id"], achievement["id"], said["completedAt"])
        sound.append({"line": number, "id": id_, "facts": said})
    return sound, refused


def _refusal(
    number: int,
    completion: Completion,
    learner: Mapping[str, Any] | None,
    achievement: Mapping[str, Any] | None,
    now: datetime,
) -> Refusal | None:
    if faults := rules.impossible(completion, now):
        return Refusal(number, "completion-impossible", tuple(faults))
    if achievement is None:
        fault = Fault(
            "/achievement",
            f"No achievement {completion.achievement!r} is published.",
            "Publish it first, or correct it.",
        )
        return Refusal(number, "achievement-unknown", (fault,))
    if achievement["retired_at"] is not None and completion.completed_at >= achievement["retired_at"]:
        fault = Fault("/achievement", "The achievement was retired before this completion.", "Use its successor.")
        return Refusal(number, "achievement-retired", (fault,))
    if learner is None:
        return Refusal(number, "learner-unknown", (_unknown_learner(completion.learner),))
    if learner["erased"]:
        return Refusal(number, "learner-erased", (Fault("/learner", "The learner was erased.", "Leave the line out."),))
    return None


def _unknown_learner(ref: LearnerRef) -> Fault:
    field = "/learner/id" if ref.id is not None else "/learner/identifier"
    return Fault(field, "No such learner is registered.", "Register the learner first: POST /v1/learners.")


def recorded(tenant: str, row: Mapping[str, Any], now: datetime) -> Event:
    said, completion = row["facts"], str(row["id"])
    # Facts are stored as they are said, so no `CompletionRecorded` is made only to be written out again.
    fact = {key: said[key] for key in ("learner", "achievement", "completedAt", "source")}
    return Event(
        type="completion.recorded.v1",
        source="/issuance",
        subject=completion,
        tenant=tenant,
        key=said["learner"],
        data={**fact, "completion": completion},
        time=now,
        id=str(stable_id("completion.recorded.v1", completion)),
    )
