"""No tenant takes a whole process: each has so many requests at work at once, and the rest of its own wait (R15)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cairn.common.errors import DomainError


@dataclass(slots=True)
class _Queue:
    door: asyncio.Semaphore
    present: int = 0
    """At work and waiting."""


class FairShare:
    """`at_once` requests of one tenant are at work, and at most `waiting` more wait for them, `seconds` at most.

    Counted in each process: it shares out what the process has, such as its connections to PostgreSQL. What a tenant
    may pile up in all is bounded where all processes see it.
    """

    def __init__(self, at_once: int, *, waiting: int = 200, seconds: float = 10) -> None:
        self._at_once, self._most, self._seconds = at_once, at_once + waiting, seconds
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def of(self, tenant: str) -> AsyncGenerator[None]:
        """Work for this tenant, when it is its turn. Raises DomainError `overloaded`."""
        queue = self._queues.setdefault(tenant, _Queue(asyncio.Semaphore(self._at_once)))
        if queue.present >= self._most:
            raise DomainError(f"{self._most} requests of this institution are in hand already.", code="overloaded")
        queue.present += 1
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await queue.door.acquire()
            except TimeoutError:
                raise DomainError("Other requests of this institution take too long.", code="overloaded") from None
            try:
                yield
            finally:
                queue.door.release()
        finally:
            queue.present -= 1
            if not queue.present:
                del self._queues[tenant]
