"""Keys of several algorithms, retired and revoked with their dates."""

import sqlalchemy as sa
from alembic import op

from cairn.common.migrations import instant

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Those that exist are Ed25519's, and code that does not know the column makes no others.
    op.add_column("issuer_keys", sa.Column("algorithm", sa.Text, nullable=False, server_default="EdDSA"))
    op.add_column("issuer_keys", instant("revoked_at", nullable=True))
    op.add_column("issuer_keys", sa.Column("revoked_reason", sa.Text))
    op.create_index(
        "issuer_keys_current",
        "issuer_keys",
        ["tenant_id", "algorithm"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL AND revoked_at IS NULL"),
    )
