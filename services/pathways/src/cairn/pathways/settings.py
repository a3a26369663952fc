"""Settings of the pathways service."""

from __future__ import annotations

from pydantic import Field

from cairn.common.settings import Settings


class PathwaysSettings(Settings):
    service: str = "pathways"
    backfill_window: int = Field(default=500, ge=1, le=10_000)
    """Learners whom one step of a backfill audits, and a step of an impact report looks at."""
    backfill_awards_per_minute: int = Field(default=6_000, ge=1)
    """Awards that backfills make at most, on average, so that who reviews them can still stop one."""
    impact_hours: int = Field(default=24, ge=1)
    """How long a report of a draft's impact is believed: learners earn and lose meanwhile."""
    due_batch: int = Field(default=200, ge=1, le=5_000)
    """Learners for whom one step of the scheduler does what fell due."""
    approval_threshold: int = Field(default=100, ge=0)
    """Awards that publishing a framework may make at once without a second person's approval."""
    audit_steps: int = Field(default=200_000, ge=1_000)
    """Bound on the effort of one audit, in steps of the engine. Past it the answer is `undetermined`."""
    frameworks_cached: int = Field(default=4_096, ge=1)
    """Published frameworks that a process keeps read in memory."""
