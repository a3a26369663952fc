"""What verification hears from issuance: who is accredited, what was taken back, and who was erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cairn.common import dead_letters, inbox
from cairn.common.db import PLATFORM
from cairn.common.events import Event, fact_of
from cairn.common.events.models import CredentialStatusChanged, InstitutionAccredited, LearnerErased
from cairn.verification import store
from cairn.verification.deps import Deps

GROUP: Final = "verification"
TOPICS: Final = ("catalog", "credentials")

_STATES: Final = {
    "credential.suspended.v1": "suspended",
    "credential.reinstated.v1": "valid",
    "credential.revoked.v1": "revoked",
}
TYPES: Final = frozenset({"institution.accredited.v1", "learner.erased.v1", *_STATES})


async def handle(deps: Deps, events: Sequence[Event]) -> None:
    """One transaction for the batch. Raises MalformedEvent; the runner makes a dead letter of that event."""
    async with deps.database.transaction({PLATFORM, *(event.tenant for event in events)}) as tx:
        for event in await inbox.fresh(tx, GROUP, events):
            match fact_of(event):
                case InstitutionAccredited() as fact:
                    await store.accredit(tx, event.tenant, fact)
                case CredentialStatusChanged() as fact if event.type in _STATES:
                    await store.note_status(tx, event.tenant, fact, _STATES[event.type])
                case LearnerErased() as fact:
                    await dead_letters.erase(tx, fact.learner)
                case _:
                    pass  # the rest is for others to hear
        await tx.commit()
