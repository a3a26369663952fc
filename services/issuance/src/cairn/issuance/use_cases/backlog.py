"""Intake takes no more than can be signed: past a bound of what waits, an institution is asked to come again (R15).

What waits is counted in the database, which every process sees: four of them let in no more than one (S32). Who is
counted is the tenant of the access token, so no header makes one institution look like many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cairn.common.db import Database
from cairn.common.problem import DomainError
from cairn.issuance.store import completions

_SECONDS: Final = 0.5
_OF_ROOM, _OF_BOUND = 32, 256
"""How long a count is believed: for so many seconds, and for as many completions let in here as the larger of these
parts. So up to 32 processes that fill the room at once let in no more than it has, but for a post each."""


@dataclass(slots=True)
class _Count:
    until: float
    waiting: int
    believed: int


@dataclass(slots=True)
class Backlog:
    """What waits for its signature, by tenant. A post is let in whole while there are fewer than `bound`."""

    bound: int
    clock: Callable[[], float] = time.monotonic
    _counts: dict[str, _Count] = field(default_factory=dict[str, _Count])

    async def look(self, database: Database, tenant: str) -> None:
        """Count what waits, unless that is known. Raises DomainError `backlog-full`."""
        count = self._counts.get(tenant)
        if count is None or self.clock() >= count.until or count.believed <= count.waiting < self.bound:
            async with database.transaction(tenant) as tx:
                waiting = await completions.waiting(tx, tenant, self.bound)
            believed = waiting + max(1, (self.bound - waiting) // _OF_ROOM, self.bound // _OF_BOUND)
            count = self._counts[tenant] = _Count(self.clock() + _SECONDS, waiting, believed)
        self._refuse_if_full(count)

    def let_in(self, tenant: str, many: int) -> None:
        """So many more wait now: said before they are stored, so that the next post knows. Raises as `look` does."""
        if (count := self._counts.get(tenant)) is not None:
            self._refuse_if_full(count)
            count.waiting += many

    def _refuse_if_full(self, count: _Count) -> None:
        if count.waiting >= self.bound:
            raise DomainError(
                f"{self.bound} completions of this institution wait for their credentials already. Nothing was stored.",
                code="backlog-full",
                fix="Send it again after the seconds in Retry-After.",
            )
