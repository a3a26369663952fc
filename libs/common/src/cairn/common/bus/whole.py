"""A log from its first record to what is its end now."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from cairn.common.bus.contract import Bus, Record, Subscription, Unreachable
from cairn.common.events import Event, MalformedEvent, decode, fact_of
from cairn.common.events.models import Fact

F = TypeVar("F", bound=Fact)

_BATCH: Final = 1000
_PATIENCE: Final = 3
"""How often nothing is fetched, each time within a second, before the log is believed to have come to its end."""
_PATIENCE_TO_JOIN: Final = 60
"""How often, while its partitions are not this member's, as when the broker that coordinates the group was lost."""


async def whole(subscription: Subscription) -> AsyncIterator[tuple[Sequence[Record], int]]:
    """Batches of records, and how many are left after each. The group of the subscription is new.

    Raises Unreachable where the whole log is not to be had: a part of it is not taken for the whole.
    """
    empty = apart = 0
    while True:
        records = await subscription.fetch(_BATCH, 1.0)
        if records:
            await subscription.commit(records)
        left = await subscription.lag()
        yield records, left
        # Who has only just joined, or joins anew, may have been given nothing yet, and then nothing seems to be left.
        ours = subscription.holds_all()
        empty, apart = (empty + 1 if ours and not records else 0), (0 if ours else apart + 1)
        if apart >= _PATIENCE_TO_JOIN:
            raise Unreachable("the group is not given all partitions of the log")
        if not left and empty >= _PATIENCE:
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
