"""What a verification may ask of the outside, through one guarded fetcher (S9, S10).

The library asks in the safe order: the issuer's DID document; once the proof holds, the trust registry; and of a known
issuer the status list. Here nothing is decided, only fetched, within one deadline for the whole verification.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from cairn.common import fetch
from cairn.common.fetch import Fetcher
from cairn.credentials import Gone, Trust, Unreachable

Known = Callable[[str], Awaitable[bool]]
"""Whether the trust registry knows an issuer."""

_CACHED: Final = 1000
_LARGEST_CACHED: Final = 65_536


class DidDocuments:
    """DID documents by URL. One is fetched once and used for a while, however many verifications ask at once (S8)."""

    def __init__(self, fetcher: Fetcher, seconds: float) -> None:
        self._fetcher = fetcher
        self._seconds = seconds
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._coming: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, url: str) -> bytes:
        """Raises fetch.Unreachable."""
        kept = self._kept.get(url)
        if kept and time.monotonic() - kept[0] < self._seconds:
            return kept[1]
        task = self._coming.get(url)
        if task is None:
            task = self._coming[url] = asyncio.create_task(self._fetch(url))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        # One caller who goes away must not take the others' answer along.
        return await asyncio.shield(task)

    async def _fetch(self, url: str) -> bytes:
        try:
            body = await self._fetcher.get(url)
        finally:
            self._coming.pop(url, None)
        if self._seconds and len(body) <= _LARGEST_CACHED:
            self._kept[url] = (time.monotonic(), body)
            self._kept.move_to_end(url)
            while len(self._kept) > _CACHED:
                self._kept.popitem(last=False)
        return body


class Outside:
    """The `Resolver` of one verification."""

    def __init__(self, fetcher: Fetcher, documents: DidDocuments, known: Known, seconds: float) -> None:
        self._fetcher = fetcher
        self._documents = documents
        self._known = known
        self._until = asyncio.get_running_loop().time() + seconds

    async def did_document(self, did: str, url: str) -> bytes:
        return await self._within(self._documents.get(url))

    async def trust(self, issuer: str) -> Trust:
        return Trust.TRUSTED if await self._known(issuer) else Trust.UNKNOWN

    async def status_list(self, url: str) -> bytes:
        return await self._within(self._fetcher.get(url))

    async def document(self, url: str) -> bytes:
        return await self._within(self._fetcher.get(url))

    async def _within(self, fetching: Awaitable[bytes]) -> bytes:
        try:
            async with asyncio.timeout_at(self._until):
                return await fetching
        except fetch.Unreachable as failure:
            raise (Gone if failure.code == "gone" else Unreachable)(f"{failure} ({failure.code})") from None
        except TimeoutError:
            raise Unreachable("the time for this verification is used up (timeout)") from None
