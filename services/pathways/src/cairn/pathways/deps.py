"""What the use cases are given: one place that wires."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from cairn.common.db import Database, Transaction
from cairn.common.instants import utc_now
from cairn.common.vault import Vault
from cairn.pathways.reading_room import ReadingRoom
from cairn.pathways.settings import PathwaysSettings
from cairn.pathways.store import due


@dataclass(frozen=True, slots=True)
class Deps:
    settings: PathwaysSettings
    database: Database
    vault: Vault
    frameworks: ReadingRoom
    now: Callable[[], datetime] = utc_now
    clock: Callable[[Transaction], Awaitable[datetime]] = due.now
    """The database's, by which what depends on time passing is decided: those of machines differ."""

    @classmethod
    def wire(cls, settings: PathwaysSettings, *, worker: bool = False) -> Deps:
        """The real parts. A worker may act for every tenant, an API for one."""
        url = settings.database_url.get_secret_value()
        database = Database(url, pool=settings.database_pool, worker=worker)
        return cls(settings, database, Vault(settings.kek), ReadingRoom(settings.frameworks_cached))
