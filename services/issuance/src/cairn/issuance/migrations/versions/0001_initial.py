"""The first tables of issuance."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, UUID

from cairn.common.migrations import instant, platform_tables, protect, runtime_role, tenant_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    role = runtime_role()
    platform_tables(role)
    _who(role)
    _what(role)
    _issued(role)
    _asked(role)


def _who(role: str) -> None:
    op.create_table(
        "institutions",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("did", sa.Text, nullable=False, unique=True),
        sa.Column("body", JSONB, nullable=False),
        instant("registered_at", default=True),
    )
    # Who issues is public: DID documents and status lists are served to everybody.
    protect("institutions", role=role, grants="SELECT, INSERT, UPDATE", readable_if="true")
    op.create_table(
        "issuer_keys",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("public_multibase", sa.Text, nullable=False),
        sa.Column("wrapping_key", BYTEA, nullable=False),
        sa.Column("sealed", BYTEA, nullable=False),
        instant("created_at", default=True),
        instant("retired_at", nullable=True),
    )
    protect("issuer_keys", role=role, grants="SELECT, INSERT, UPDATE")
    tenant_table(
        "learners",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key", BYTEA),  # null once the learner is erased: then nothing sealed under it opens again
        sa.Column("profile", BYTEA),
        instant("registered_at", default=True),
        instant("erased_at", nullable=True),
        role=role,
    )
    tenant_table(
        "identifiers",
        sa.Column("digest", BYTEA, nullable=False),
        sa.Column("learner_id", sa.Text, sa.ForeignKey("learners.id"), nullable=False, index=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sealed", BYTEA, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest"),
        role=role,
    )
    tenant_table(
        "link_codes",
        sa.Column("digest", BYTEA, primary_key=True),
        sa.Column("learner_id", sa.Text, sa.ForeignKey("learners.id"), nullable=False),
        instant("expires_at"),
        instant("used_at", nullable=True),
        role=role,
    )
    tenant_table(
        "merges",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("learner_id", sa.Text, nullable=False, index=True),
        sa.Column("merged_tenant", sa.Text, nullable=False),
        sa.Column("merged_id", sa.Text, nullable=False, index=True),
        sa.Column("consent", BYTEA, nullable=False),
        sa.Column("recorded_by", sa.Text, nullable=False),
        instant("merged_at"),
        instant("unmerged_at", nullable=True),
        role=role,
    )
    op.create_index(
        "merges_once", "merges", ["merged_id"], unique=True, postgresql_where=sa.text("unmerged_at IS NULL")
    )


def _what(role: str) -> None:
    tenant_table(
        "achievements",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("body", JSONB, nullable=False),
        instant("published_at", default=True),
        instant("retired_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "code"),
        role=role,
    )
    # Read model of `framework.activated`: for what award issuance may sign a qualification (S33).
    tenant_table(
        "frameworks",
        sa.Column("qualification", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("achievement_id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        instant("activated_at"),
        sa.PrimaryKeyConstraint("tenant_id", "qualification", "version"),
        role=role,
    )


def _asked(role: str) -> None:
    tenant_table(
        "receipts",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("lines", sa.Integer, nullable=False),
        sa.Column("rejected", JSONB, nullable=False),
        instant("received_at", default=True),
        role=role,
    )
    tenant_table(
        "receipt_lines",
        sa.Column("receipt_id", UUID, sa.ForeignKey("receipts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("completion_id", UUID, nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", "line"),
        role=role,
    )
    tenant_table(
        "completions",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("learner_id", sa.Text, nullable=False, index=True),
        sa.Column("achievement_id", sa.Text, nullable=False),
        sa.Column("facts", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="pending"),
        sa.Column("reason", sa.Text),
        instant("recorded_at", default=True),
        role=role,
    )
    op.create_index(
        "completions_pending", "completions", ["recorded_at"], postgresql_where=sa.text("state = 'pending'")
    )
    # An award that pathways announced, from the announcement to the credential.
    tenant_table(
        "awards",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("learner_id", sa.Text, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        instant("announced_at", default=True),
        role=role,
    )
    op.create_index("awards_waiting", "awards", ["announced_at"], postgresql_where=sa.text("state = 'waiting'"))


def _issued(role: str) -> None:
    tenant_table(
        "status_lists",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False, server_default="0"),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        role=role,
    )
    tenant_table(
        "status_list_credentials",
        sa.Column("list_id", sa.Integer, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", BYTEA, nullable=False),
        instant("valid_until"),
        sa.PrimaryKeyConstraint("tenant_id", "list_id", "purpose"),
        role=role,
    )
    tenant_table(
        "credentials",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("learner_id", sa.Text, nullable=False, index=True),
        sa.Column("achievement_id", sa.Text, nullable=False),
        sa.Column("completion_id", UUID, unique=True),
        sa.Column("award_id", sa.Text, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("list_id", sa.Integer, nullable=False),
        sa.Column("list_index", sa.Integer, nullable=False),
        sa.Column("holding", JSONB, nullable=False),
        sa.Column("intent", BYTEA, nullable=False),  # SHA-256 of the document that is to be signed
        sa.Column("body", BYTEA, nullable=False),
        instant("intended_at", default=True),
        instant("issued_at", nullable=True),
        sa.UniqueConstraint("tenant_id", "list_id", "list_index"),
        role=role,
    )
    op.create_index(
        "credentials_intended", "credentials", ["intended_at"], postgresql_where=sa.text("state = 'intended'")
    )
    op.create_index(
        "credentials_flagged",
        "credentials",
        ["tenant_id", "list_id"],
        postgresql_where=sa.text("status <> 'valid'"),
    )
    tenant_table(
        "status_changes",
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("credential_id", sa.Text, sa.ForeignKey("credentials.id"), nullable=False, index=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        instant("at"),
        role=role,
        grants="SELECT, INSERT",
    )
