"""Rebuild everything that was heard, from the first event on, without a word to anybody.

It is one transaction: batches wait for it, requests see what was there before, and if it is cut off nothing happened.
Awards are not rebuilt: they were announced, and what was announced is history. Where the rebuilt audits would change
one, that is counted, and nothing more. A database that was restored from a backup knows less than was announced: there
they are made and said, which repeats what was said, since an award's id follows from its facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cairn.common.bus import Bus, Record, Subscription
from cairn.common.bus.whole import alone, whole
from cairn.common.consumer import Poison
from cairn.common.db import EVERY_TENANT, Transaction
from cairn.common.events import MODELS, MalformedEvent, check_key, decode
from cairn.pathways.deps import Deps
from cairn.pathways.store import facts
from cairn.pathways.store.state import state_hash
from cairn.pathways.use_cases import intake, telling
from cairn.pathways.use_cases.auditing import Touch, reaudit

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Replayed:
    before: str
    after: str
    """State hashes."""
    events: int
    skipped: int
    """Events that could not be taken: dead letters, when they first came."""
    awards: int
    """Awards that differ from what the rebuilt audits say."""


class LogIsEmpty(RuntimeError):
    """The log says nothing although something was heard of before: a wrong address, surely, and no reason to forget."""


async def replay(
    deps: Deps, bus: Bus, topics: Sequence[str], progress: Progress, *, announce: bool = False
) -> Replayed:
    """`announce` is for a database that was restored: awards change, and it is said.

    Raises LogIsEmpty, and whatever the bus or the database raises; then nothing has changed.
    """
    async with (
        alone(bus, topics, "pathways-replay") as subscription,
        deps.database.transaction(EVERY_TENANT) as tx,
    ):
        # As long as it takes: a log has no bound.
        await tx.unhurried()
        await facts.exclude(tx)
        before = await state_hash(tx)
        knew = bool(await facts.page_of_learners(tx, "", 1))
        await facts.clear(tx)
        events, skipped = await _hear(tx, subscription, progress)
        if knew and not events:
            raise LogIsEmpty
        awards = await _audit_all(tx, deps, progress, announce=announce)
        after = await state_hash(tx)
        await tx.commit()
    return Replayed(before, after, events, skipped, awards)


async def _hear(tx: Transaction, subscription: Subscription, progress: Progress) -> tuple[int, int]:
    """Store the facts of the whole log; how many events there were, and how many of them could not be taken."""
    seen = skipped = 0
    async for records, left in whole(subscription):
        skipped += await _store(tx, records)
        seen += len(records)
        progress("events", seen, seen + left)
    return seen, skipped


async def _store(tx: Transaction, records: Iterable[Record]) -> int:
    told: list[telling.Told] = []
    skipped = 0
    for record in records:
        try:
            event = decode(record.body)
            if event.type in MODELS:
                check_key(event, record.key)
                told.append(telling.tell(event))
        except (MalformedEvent, Poison):
            skipped += 1
    known = await facts.lock_known(tx, intake.named(told))
    tenants, right = {who: each.tenant for who, each in known.items()}, list[telling.Told]()
    for each in told:
        # One by one, as when they first came: what is refused makes nobody known.
        if all(tenants.get(who, tenant) == tenant for who, tenant in each.learners.items()):
            tenants |= each.learners
            right.append(each)
    await facts.add_learners(tx, tenants)
    await intake.store(tx, right)
    return skipped + len(told) - len(right)


async def _audit_all(tx: Transaction, deps: Deps, progress: Progress, *, announce: bool) -> int:
    after, done, awards, of = "", 0, 0, await facts.count_learners(tx)
    while window := await facts.page_of_learners(tx, after, deps.settings.backfill_window):
        learners = {learner.id: learner for learner in window}
        touches = {who: Touch(everything=True) for who in learners}
        awards += (await reaudit(tx, deps, learners, touches, announce=announce)).awards
        after, done = window[-1].id, done + len(window)
        progress("learners", done, of)
    return awards
