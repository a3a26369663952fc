"""What a compromised key signed is signed anew: how far that has come, for each such key."""

import sqlalchemy as sa

from cairn.common.migrations import instant, runtime_role, tenant_table

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    tenant_table(
        "reissues",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("reached", sa.Text, nullable=False, server_default=""),  # the last credential that was looked at
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("examined", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("reissued", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("left_alone", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("principal", sa.Text, nullable=False),
        instant("started_at", default=True),
        instant("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "key_id"),
        role=runtime_role(),
    )
