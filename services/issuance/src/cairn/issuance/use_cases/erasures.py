"""A backup remembers whom it should not: after it was restored, those are erased again whom the log says were (S29)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cairn.common import dead_letters
from cairn.common.bus import Bus
from cairn.common.bus.whole import whole
from cairn.common.db import EVERY_TENANT
from cairn.common.events import MalformedEvent, decode, fact_of
from cairn.common.events.models import LearnerErased
from cairn.issuance.deps import Deps
from cairn.issuance.store import people

_TOPIC: Final = "credentials"


@dataclass(frozen=True, slots=True)
class Again:
    said: int
    erased: int
    """Those of them who had come back."""


async def again(deps: Deps, bus: Bus) -> Again:
    """Nothing is announced: it was. Safe to repeat. Raises whatever the bus or the database raises."""
    gone: dict[str, datetime] = {}
    # A group of its own, whose name begins with the service's as the broker's rules ask for.
    subscription = await bus.subscribe([_TOPIC], f"issuance-erasures-{secrets.token_hex(4)}")
    try:
        async for records, _ in whole(subscription):
            for record in records:
                try:
                    event = decode(record.body)
                    fact = fact_of(event) if event.type == "learner.erased.v1" else None
                except MalformedEvent:
                    continue
                if isinstance(fact, LearnerErased):
                    gone[fact.learner] = fact.at
    finally:
        await subscription.close()
    erased = 0
    async with deps.database.transaction(EVERY_TENANT) as tx:
        for learner in sorted(gone):
            row = await people.learner(tx, learner, lock=True)
            if row is not None and row["erased_at"] is None:
                await people.erase(tx, learner, gone[learner])
                await dead_letters.erase(tx, learner)
                erased += 1
        await tx.commit()
    deps.vault.forget()
    return Again(len(gone), erased)
