"""Sealed bodies are stored as they are, for what is encrypted does not get smaller, and trying costs a fifth of storing
it; and no statement looks for completions by learner."""

from alembic import op

from cairn.common.migrations import drop_index_concurrently

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    # Of new values only: those that are there stay as they are, so this takes no time.
    for table in ("credentials", "learner_records"):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN body SET STORAGE EXTERNAL")
    drop_index_concurrently("ix_completions_learner_id")
