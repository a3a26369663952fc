"""What every transport promises; `tests/bus` holds both to it.

1. `publish` returns once every event is durable, and keeps the order of the events of one key.
2. A group reads each event at least once, those of one key in the order of writing, by one member at a time.
3. What was committed is not read again by that group; what was not is read again after a crash or a rebalance.
4. `commit` of a batch whose partition has moved to another member is refused by raising `Fenced`, never half-done.
   What the member still holds of that batch, it will fetch again.
5. Only the owner of a topic can write to it, and only those listed can read it (S33): others get `Refused`.
6. A bus that does not answer raises `Unreachable`, within a bounded time; the same call works when the bus is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cairn.common.events import Encoded, Event


class Fenced(Exception):
    """The partition of this batch was given to another member of the group; nothing was committed."""


class Unreachable(ConnectionError):
    """The bus does not answer just now. Nothing is lost by trying again later."""


class Refused(PermissionError):
    """The bus itself says that this role may not do that. Trying again will not help."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message as it lies on the bus. `body` is not yet trusted to be an event."""

    topic: str
    partition: int
    offset: int
    key: str
    body: bytes


class Subscription(Protocol):
    """One member of a consumer group. For one task: its calls are made one after another."""

    async def fetch(self, limit: int, wait: float) -> Sequence[Record]:
        """Up to `limit` records that this member has not fetched yet, waiting up to `wait` seconds for the first.

        Raises Unreachable and Refused.
        """
        ...

    async def commit(self, records: Sequence[Record]) -> None:
        """The group is done with these and all before them in their partitions. Raises Fenced and Unreachable."""
        ...

    async def rewind(self, records: Sequence[Record]) -> None:
        """Fetch these (and what follows them in their partitions) again: nothing of them was done."""
        ...

    async def lag(self) -> int:
        """Records in this member's partitions that its group has not committed."""
        ...

    def holds_all(self) -> bool:
        """Whether every partition of its topics is this member's just now."""
        ...

    async def close(self) -> None: ...


class Bus(Protocol):
    """A connection of one service (its role) to the bus."""

    async def publish(self, topic: str, events: Sequence[Event | Encoded]) -> None:
        """Append in order; return when durable. All or a prefix per key is appended when it raises; publish again.

        Raises Unreachable and Refused.
        """
        ...

    async def subscribe(self, topics: Sequence[str], group: str, *, from_start: bool = True) -> Subscription: ...

    async def prune(self) -> int:
        """Delete some of what is older than its topic is kept; how many. Zero where the transport does so itself."""
        ...

    async def close(self) -> None: ...


def batch_ends(records: Sequence[Record]) -> dict[tuple[str, int], int]:
    """For each topic and partition in a batch, the offset after its last record: what a commit of it writes."""
    ends: dict[tuple[str, int], int] = {}
    for record in records:
        place = record.topic, record.partition
        ends[place] = max(ends.get(place, 0), record.offset + 1)
    return ends
