"""Work inside issuance: drafting, signing and signing anew, and awards that wait for their framework."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter

import structlog
from sqlalchemy import RowMapping

from cairn.common import dead_letters
from cairn.common.bus import Record
from cairn.common.db import EVERY_TENANT, Transaction
from cairn.common.events import Event, encode, stable_id
from cairn.common.events.models import QualificationCompleted
from cairn.common.worker import Job, paced
from cairn.issuance.deps import GROUP, Deps
from cairn.issuance.store import awards as store
from cairn.issuance.use_cases import awards, issue, reissues

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Calls:
    """Set when there may be work: completions to draft, intents to sign."""

    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    intended: asyncio.Event = field(default_factory=asyncio.Event)


def jobs(deps: Deps, calls: Calls) -> list[Job]:
    """Every job of the worker. Drafting and signing take turns: at the same time each would only slow the other down,
    and take less in a batch; so what was drafted together is signed together."""
    turn, most = asyncio.Lock(), deps.settings.draft_batch
    sign = paced(partial(issue.sign, deps), deps.settings.sign_batch)

    def intending(step: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
        return partial(_then, calls.intended, step)

    draft, reissue = (paced(partial(step, deps), most) for step in (issue.draft, reissues.reissue))
    return [
        Job("draft", intending(partial(_in_turn, turn, draft)), idle_seconds=0.1, called=calls.recorded),
        Job("sign", partial(_in_turn, turn, sign), idle_seconds=0.1, called=calls.intended),
        Job("reissue", intending(reissue), idle_seconds=1),
        Job("waiting-awards", intending(partial(settle_waiting, deps)), idle_seconds=1),
    ]


async def _in_turn(turn: asyncio.Lock, step: Callable[[], Awaitable[int]]) -> int:
    async with turn:
        return await step()


async def _then(call: asyncio.Event, step: Callable[[], Awaitable[int]]) -> int:
    done = await step()
    if done:
        call.set()
    return done


async def settle_waiting(deps: Deps) -> int:
    """Examine awards whose framework may have arrived; what waited too long, or does not add up, is a dead letter."""
    settled, patience = 0, deps.settings.award_patience_seconds
    async with deps.database.transaction(EVERY_TENANT) as tx:
        rows = await store.take_waiting(tx, patience, 50)
        # In the order of tenants, because each tenant's status list is locked.
        for tenant, group in groupby(sorted(rows, key=itemgetter("tenant_id")), key=itemgetter("tenant_id")):
            await tx.widen({tenant})
            mine = {row["id"]: (row, QualificationCompleted.model_validate(row["body"])) for row in group}
            found = await awards.examine(deps, tx, tenant, [awards.Told(fact) for _, fact in mine.values()])
            for award, done in found.items():
                row, fact = mine[award]
                verdict = done
                if not done and row["late"]:
                    verdict = awards.Forged(f"the framework {fact.qualification} {fact.version} was never activated")
                if isinstance(verdict, awards.Forged):
                    await _refuse(deps, tx, row, fact, verdict)
                settled += bool(verdict)
        await tx.commit()
    return settled


async def _refuse(
    deps: Deps, tx: Transaction, row: RowMapping, fact: QualificationCompleted, refusal: awards.Forged
) -> None:
    """What the consumer would have done, had it known then."""
    log.warning("award refused", award=row["id"], reason=refusal.detail)
    await store.settle(tx, {row["id"]: ("refused", refusal.detail)})
    event = Event(
        type="qualification.completed.v1",
        source="/pathways",
        subject=fact.award,
        tenant=row["tenant_id"],
        key=fact.learner,
        data=row["body"],
        time=fact.at,
        # Another id than the first time, which the inbox has taken: a replay must reach the handler.
        id=str(stable_id("refused", fact.award)),
    )
    # It lay on the bus once, but where is not known any more: its own id stands for the place.
    place = stable_id(fact.award).int % 2**62
    record = Record("qualifications", 0, place, fact.learner, encode(event))
    await dead_letters.store(
        tx,
        deps.vault,
        row["tenant_id"],
        GROUP,
        record,
        code=refusal.code,
        detail=refusal.detail,
        event_type=event.type,
    )
