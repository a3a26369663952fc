"""What issuance hears: `qualifications`, which only pathways can say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from cairn.common import inbox
from cairn.common.db import Transaction
from cairn.common.events import Event, fact_of
from cairn.common.events.models import (
    FrameworkActivated,
    QualificationCompleted,
    QualificationLapsed,
    QualificationRestored,
)
from cairn.common.telemetry import within
from cairn.issuance.deps import GROUP, Deps
from cairn.issuance.use_cases import awards

TOPICS: Final = ("qualifications",)


async def handle(deps: Deps, events: Sequence[Event]) -> None:
    """One transaction a tenant: what belongs to one never shares a scope with another's.

    Raises awards.Forged for an event that does not add up; the runner makes a dead letter of it.
    """
    for tenant, group in groupby(sorted(events, key=lambda event: event.tenant), key=lambda event: event.tenant):
        async with deps.database.transaction(tenant) as tx:
            for event in await inbox.fresh(tx, GROUP, list(group)):
                with within(event.traceparent):
                    await _take(deps, tx, event)
            await tx.commit()


async def _take(deps: Deps, tx: Transaction, event: Event) -> None:
    match fact_of(event):
        case FrameworkActivated() as fact:
            await awards.activate(tx, event.tenant, fact)
        case QualificationCompleted() as fact:
            await awards.complete(deps, tx, event.tenant, fact)
        case QualificationLapsed() as fact:
            await awards.lapse(deps, tx, fact)
        case QualificationRestored() as fact:
            await awards.restore(deps, tx, fact)
        case _:
            pass  # progress is for others to hear
