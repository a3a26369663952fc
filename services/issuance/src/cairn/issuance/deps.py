"""What the use cases are given: one place that wires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cairn.common.db import Database
from cairn.common.fairness import FairShare
from cairn.common.fetch import Fetcher
from cairn.common.instants import utc_now
from cairn.common.vault import Vault
from cairn.issuance.domain.patterns import Patterns
from cairn.issuance.settings import IssuanceSettings
from cairn.issuance.signing import KeyHolder, LocalKeyHolder
from cairn.issuance.use_cases.backlog import Backlog

GROUP: Final = "issuance"
"""The consumer group, by which the inbox and dead letters are kept too."""


@dataclass(frozen=True, slots=True)
class Deps:
    settings: IssuanceSettings
    database: Database
    vault: Vault
    keys: KeyHolder
    fetcher: Fetcher
    """For the pictures of achievements, whose addresses institutions choose."""
    share: FairShare
    """Of intake: no institution takes every connection to PostgreSQL."""
    backlog: Backlog
    now: Callable[[], datetime] = utc_now
    patterns: Patterns = field(default_factory=Patterns)
    """What the credentials of the last achievements have in common: they are not composed one by one."""

    @classmethod
    def wire(cls, settings: IssuanceSettings, *, worker: bool = False) -> Deps:
        """The real parts. A worker may act for every tenant, an API for one."""
        vault = Vault(settings.kek)
        url = settings.database_url.get_secret_value()
        database = Database(url, pool=settings.database_pool, worker=worker)
        share = FairShare(max(1, settings.database_pool // 2))
        return cls(settings, database, vault, LocalKeyHolder(vault), Fetcher(), share, Backlog(settings.intake_backlog))

    async def close(self) -> None:
        await self.fetcher.close()
        await self.database.close()
