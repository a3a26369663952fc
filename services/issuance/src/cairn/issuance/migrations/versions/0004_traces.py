"""The trace that a completion came in, and that its credential belongs to: the work between is done by jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for table in ("completions", "credentials"):
        op.add_column(table, sa.Column("traceparent", sa.Text))
