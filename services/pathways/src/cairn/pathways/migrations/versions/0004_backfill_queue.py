"""Backfills find whom they can touch first, and workers take them from a queue."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

from cairn.common.migrations import instant, runtime_role, tenant_table

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    tenant_table(
        "backfill_queue",
        sa.Column("framework_id", UUID, sa.ForeignKey("backfills.framework_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("learner_id", sa.Text, primary_key=True),
        role=runtime_role(),
    )
    op.add_column("backfills", instant("selected_at", nullable=True))
