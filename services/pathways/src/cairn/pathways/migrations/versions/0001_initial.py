"""The first tables of pathways."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from cairn.common.migrations import instant, platform_tables, protect, runtime_role, tenant_table

revision = "0001"
down_revision = None

_SCOPE = "ANY ((SELECT string_to_array(current_setting('cairn.tenants', true), ','))::text[])"
_GRANTS = "SELECT, INSERT, UPDATE, DELETE"


def upgrade() -> None:
    role = runtime_role()
    platform_tables(role)
    _learners(role)
    _facts(role)
    _catalog(role)
    _frameworks(role)
    _outcomes(role)


def _learners(role: str) -> None:
    """A learner's row is what every change of theirs locks first."""
    tenant_table(
        "learners",
        sa.Column("id", sa.Text, primary_key=True),
        instant("seen_at", default=True),
        instant("erased_at", nullable=True),
        role=role,
    )
    op.create_index("learners_in_order", "learners", ["tenant_id", "id"])
    op.create_table(
        "aliases",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("learner_id", sa.Text, primary_key=True),
        sa.Column("alias_id", sa.Text, primary_key=True, index=True),
        sa.Column("source_tenant_id", sa.Text, nullable=False),
        sa.Column("consent", sa.Text, nullable=False),
        # The last of each that was heard of: which one is later says whether the merge stands, in whatever order the
        # events came.
        instant("merged_at", nullable=True),
        instant("unmerged_at", nullable=True),
        sa.Column(
            "active",
            sa.Boolean,
            sa.Computed("merged_at IS NOT NULL AND (unmerged_at IS NULL OR unmerged_at < merged_at)", persisted=True),
            nullable=False,
        ),
    )
    # Both sides of a merge may know of it; only the survivor's tenant writes it.
    protect("aliases", role=role, grants=_GRANTS, readable_if=f"source_tenant_id = {_SCOPE}")


def _facts(role: str) -> None:
    op.create_table(
        "holdings",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, primary_key=True),
        # Whose it was when it came. A merge is looked up in `aliases` and never written here, so that it can be undone.
        sa.Column("learner_id", sa.Text, nullable=False, index=True),
        sa.Column("achievement", sa.Text, nullable=False),
        sa.Column("award_id", sa.Text),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("keys", ARRAY(sa.Text), nullable=False),
    )
    # A recorded consent is what opens a row to another tenant: nothing that a query says can.
    consented = f"""EXISTS (
        SELECT FROM aliases a
         WHERE a.alias_id = holdings.learner_id AND a.source_tenant_id = holdings.tenant_id
           AND a.active AND a.tenant_id = {_SCOPE})"""
    protect("holdings", role=role, grants=_GRANTS, readable_if=consented)
    # A set, for which order and repetition mean nothing. A revocation may come before the credential: no foreign key.
    op.create_table(
        "holding_status",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("holding_id", sa.Text, nullable=False),
        instant("at"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("event_id", UUID, nullable=False),
        sa.PrimaryKeyConstraint("holding_id", "tenant_id", "at", "state"),
    )
    # Readable where its holding is: the subquery sees only what the policies of `holdings` let through.
    follows = """EXISTS (
        SELECT FROM holdings h WHERE h.id = holding_status.holding_id AND h.tenant_id = holding_status.tenant_id)"""
    protect("holding_status", role=role, grants=_GRANTS, readable_if=follows)


def _catalog(role: str) -> None:
    """What is on offer is public: a framework may name achievements of other institutions."""
    op.create_table(
        "achievements",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("body", JSONB),  # null where the retirement came first
        instant("retired_at", nullable=True),
    )
    protect("achievements", role=role, grants=_GRANTS, readable_if="true")


def _frameworks(role: str) -> None:
    tenant_table(
        "frameworks",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("qualification", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("achievement", sa.Text),
        instant("effective_from", nullable=True),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="draft"),
        sa.Column("written_by", sa.Text, nullable=False),
        instant("written_at", default=True),
        sa.Column("published_by", sa.Text),
        instant("activated_at", nullable=True),
        sa.UniqueConstraint("tenant_id", "qualification", "version"),
        role=role,
    )
    # Published frameworks only: which of them a credential can touch.
    tenant_table(
        "framework_index",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("framework_id", UUID, sa.ForeignKey("frameworks.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.PrimaryKeyConstraint("tenant_id", "key", "framework_id"),
        role=role,
    )
    tenant_table(
        "backfills",
        sa.Column("framework_id", UUID, sa.ForeignKey("frameworks.id", ondelete="CASCADE"), primary_key=True),
        instant("not_before"),
        sa.Column("cursor", sa.Text, nullable=False, server_default=""),
        sa.Column("looked_at", sa.Integer, nullable=False, server_default="0"),
        sa.Column("audited", sa.Integer, nullable=False, server_default="0"),
        instant("finished_at", nullable=True),
        role=role,
    )
    op.create_index("backfills_open", "backfills", ["not_before"], postgresql_where=sa.text("finished_at IS NULL"))


def _outcomes(role: str) -> None:
    tenant_table(
        "audits",
        sa.Column("learner_id", sa.Text, nullable=False),
        sa.Column("framework_id", UUID, sa.ForeignKey("frameworks.id"), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("progress", sa.Numeric, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("learner_id", "framework_id"),
        role=role,
    )
    tenant_table(
        "awards",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("learner_id", sa.Text, nullable=False),
        sa.Column("qualification", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("achievement", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        instant("earned_at"),
        sa.Column("components", JSONB, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        instant("due", nullable=True),
        sa.Column("replaces", UUID),
        sa.Column("reason", sa.Text, nullable=False),
        instant("changed_at"),
        sa.UniqueConstraint("learner_id", "qualification", "ordinal"),
        role=role,
    )
    op.create_index(
        "awards_to_review", "awards", ["tenant_id", "changed_at"], postgresql_where=sa.text("state = 'review'")
    )
