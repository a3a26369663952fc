"""What a credential renews; and the Comprehensive Learner Records of qualifications, from intent to signature."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA

from cairn.common.migrations import instant, runtime_role, tenant_table

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("credentials", sa.Column("renews", sa.Text))
    # Each credential is renewed once at most, whoever asks and however often.
    op.create_index(
        "credentials_renewed_once",
        "credentials",
        ["tenant_id", "renews"],
        unique=True,
        postgresql_where=sa.text("renews IS NOT NULL AND state <> 'abandoned'"),
    )
    tenant_table(
        "learner_records",
        sa.Column("credential_id", sa.Text, sa.ForeignKey("credentials.id"), primary_key=True),
        sa.Column("intent", BYTEA, nullable=False),  # what is to be signed, as in credentials
        sa.Column("body", BYTEA, nullable=False),
        instant("intended_at", default=True),
        instant("signed_at", nullable=True),
        role=runtime_role(),
    )
