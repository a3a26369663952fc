"""The first tables of verification."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from cairn.common.migrations import instant, platform_tables, protect, runtime_role, tenant_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    role = runtime_role()
    platform_tables(role)
    # Read model of `institution.accredited`: the trust registry.
    op.create_table(
        "issuers",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("did", sa.Text, primary_key=True, index=True),
        sa.Column("institution", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("accredited_by", JSONB, nullable=False),
        instant("accredited_at"),
    )
    # Who issues is public, and a verifier asks about the issuers of every tenant.
    protect("issuers", role=role, grants="SELECT, INSERT, UPDATE", readable_if="true")
    # Read model of `credentials`: what the issuers of this installation took back. A set, so that order means nothing.
    op.create_table(
        "status_changes",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("credential", sa.Text, nullable=False),
        instant("at"),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "credential", "at", "state"),
    )
    protect("status_changes", role=role, grants="SELECT, INSERT", readable_if="true")
    tenant_table(
        "verifications",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("checks", JSONB, nullable=False),
        sa.Column("issuer", sa.Text),
        sa.Column("credential", sa.Text),
        instant("verified_at"),
        role=role,
        grants="SELECT, INSERT, DELETE",
    )
    op.create_index("verifications_by_age", "verifications", ["verified_at"])
