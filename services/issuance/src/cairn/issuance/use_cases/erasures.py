"""A backup remembers whom it should not: after it was restored, those are erased again whom the log says were (S29)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cairn.common import dead_letters
from cairn.common.bus import Bus
from cairn.common.bus.whole import recall
from cairn.common.db import EVERY_TENANT
from cairn.common.events import Event
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

    def take(_: Event, fact: LearnerErased) -> None:
        gone[fact.learner] = fact.at

    await recall(bus, _TOPIC, "issuance-erasures", "learner.erased.v1", LearnerErased, take)
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
