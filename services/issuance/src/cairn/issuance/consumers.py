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
from cairn.common.telemetry import traceparent, within
from cairn.issuance.deps import GROUP, Deps
from cairn.issuance.use_cases import awards

TOPICS: Final = ("qualifications",)
TYPES: Final = frozenset(
    {
        "framework.activated.v1",
        "qualification.completed.v1",
        "qualification.lapsed.v1",
        "qualification.restored.v1",
    }
)
"""Progress is for others to hear."""


async def handle(deps: Deps, events: Sequence[Event]) -> None:
    """One transaction a tenant: what belongs to one never shares a scope with another's.

    Raises awards.Forged for an event that does not add up; the runner makes a dead letter of it.
    """
    for tenant, group in groupby(sorted(events, key=lambda event: event.tenant), key=lambda event: event.tenant):
        async with deps.database.transaction(tenant) as tx:
            fresh = await inbox.fresh(tx, GROUP, list(group))
            # What was completed is taken together, up to where something else is said: that may be of the same awards.
            for completions, some in groupby(fresh, key=lambda event: event.type == "qualification.completed.v1"):
                await (_complete if completions else _take)(deps, tx, tenant, list(some))
            await tx.commit()


async def _complete(deps: Deps, tx: Transaction, tenant: str, events: Sequence[Event]) -> None:
    told: list[awards.Told] = []
    for event in events:
        fact = fact_of(event)
        assert isinstance(fact, QualificationCompleted)
        with within(event.traceparent):
            told.append(awards.Told(fact, traceparent()))
    await awards.complete(deps, tx, tenant, told)


async def _take(deps: Deps, tx: Transaction, tenant: str, events: Sequence[Event]) -> None:
    for event in events:
        with within(event.traceparent):
            match fact_of(event):
                case FrameworkActivated() as fact:
                    await awards.activate(tx, tenant, fact)
                case QualificationLapsed() as fact:
                    await awards.lapse(deps, tx, fact)
                case QualificationRestored() as fact:
                    await awards.restore(deps, tx, fact)
                case _:
                    pass  # of no interest here
