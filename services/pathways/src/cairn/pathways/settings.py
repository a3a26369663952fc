"""Settings of the pathways service."""

from __future__ import annotations

from pydantic import Field

from cairn.common.settings import Settings


class PathwaysSettings(Settings):
    service: str = "pathways"
    backfill_window: int = Field(default=500, ge=1, le=10_000)
    """Learners that one step of a backfill looks at."""
    audit_steps: int = Field(default=200_000, ge=1_000)
    """Bound on the effort of one audit, in steps of the engine. Past it the answer is `undetermined`."""
    frameworks_cached: int = Field(default=4_096, ge=1)
    """Published frameworks that a process keeps read in memory."""
