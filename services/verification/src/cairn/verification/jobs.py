"""Work inside the service."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from cairn.common.db import EVERY_TENANT
from cairn.verification import store
from cairn.verification.deps import Deps

_BATCH: Final = 1000


async def forget(deps: Deps) -> int:
    """Delete records of verifications whose time is over; how many there were."""
    async with deps.database.transaction(EVERY_TENANT) as tx:
        gone = await store.forget_verifications(tx, timedelta(days=deps.settings.kept_days), _BATCH)
        await tx.commit()
    return gone
