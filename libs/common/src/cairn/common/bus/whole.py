"""A log from its first record to what is its end now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from cairn.common.bus.contract import Record, Subscription

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
