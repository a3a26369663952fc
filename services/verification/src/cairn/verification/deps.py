"""What the use cases are given: one place that wires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cairn.common.db import Database
from cairn.common.fetch import Fetcher
from cairn.common.instants import utc_now
from cairn.verification.resolvers import DidDocuments
from cairn.verification.settings import VerificationSettings


@dataclass(frozen=True, slots=True)
class Deps:
    settings: VerificationSettings
    database: Database
    fetcher: Fetcher
    documents: DidDocuments
    now: Callable[[], datetime] = utc_now

    @classmethod
    def wire(
        cls, settings: VerificationSettings, *, worker: bool = False, now: Callable[[], datetime] = utc_now
    ) -> Deps:
        """The real parts. A worker may act for every tenant, an API for one."""
        url = settings.database_url.get_secret_value()
        fetcher = Fetcher(
            origins=settings.fetch_origins,
            offline=settings.offline(),
            deadline=settings.fetch_seconds,
            max_bytes=settings.fetch_max_bytes,
            verify=str(settings.fetch_ca_file) if settings.fetch_ca_file else None,
        )
        return cls(
            settings,
            Database(url, pool=settings.database_pool, worker=worker),
            fetcher,
            DidDocuments(fetcher, settings.did_cache_seconds),
            now,
        )

    async def close(self) -> None:
        await self.fetcher.close()
        await self.database.close()
