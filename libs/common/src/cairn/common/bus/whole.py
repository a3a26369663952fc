"""A log from its first record to what is its end now."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from cairn.common.bus.contract import Bus, Record, Subscription
from cairn.common.events import Event, MalformedEvent, decode, fact_of
from cairn.common.events.models import Fact

F = TypeVar("F", bound=Fact)

_BATCH: Final = 1000
_PATIENCE: Final = 3
_PATIENCE_TO_JOIN: Final = 15
"""How often nothing is fetched, each time within a second, before the log is believed to have come to its end."""


async def whole(subscription: Subscription) -> AsyncIterator[tuple[Sequence[Record], int]]:
    """Batches of records, and how many are left after each. The group of the subscription is new."""
    seen = empty = 0
    while True:
        records = await subscription.fetch(_BATCH, 1.0)
        if records:
            empty = 0
            await subscription.commit(records)
            seen += len(records)
        left = await subscription.lag()
        yield records, left
        # A member that has only just joined may have been given nothing yet: the end must be seen more than once.
        empty += not records
        if not left and empty >= (_PATIENCE if seen else _PATIENCE_TO_JOIN):
            return


@asynccontextmanager
async def alone(bus: Bus, topics: Sequence[str], group: str) -> AsyncGenerator[Subscription]:
    """A group of its own. `group` begins with the service's name, as the broker's rules ask for."""
    subscription = await bus.subscribe(topics, f"{group}-{secrets.token_hex(4)}")
    try:
        yield subscription
    finally:
        await subscription.close()


async def recall(bus: Bus, topic: str, group: str, kind: str, model: type[F], take: Callable[[Event, F], None]) -> None:
    """Hand over each fact of one kind that the log of a topic has. What cannot be read was a dead letter already."""
    async with alone(bus, [topic], group) as subscription:
        async for records, _ in whole(subscription):
            for record in records:
                try:
                    event = decode(record.body)
                    fact = fact_of(event) if event.type == kind else None
                except MalformedEvent:
                    continue
                if isinstance(fact, model):
                    take(event, fact)
