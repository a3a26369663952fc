"""What time and people change: decisions, enrolments, instants that fall due, the life of a framework, its impact."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, UUID

from cairn.common.migrations import instant, runtime_role, tenant_table

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    role = runtime_role()
    _people(role)
    _lives(role)
    _impacts(role)


def _people(role: str) -> None:
    # Apart from `learners`, which a replay makes anew: what was sealed must stay readable.
    tenant_table("learner_keys", sa.Column("learner_id", sa.Text, primary_key=True), sa.Column("key", BYTEA), role=role)
    # A chain for each learner (and, under the learner '', for the institution itself): what is decided and what is
    # revoked are entries that are added and never changed. The run-time role could not if it wanted to.
    tenant_table(
        "decisions",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("learner_id", sa.Text, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("qualification", sa.Text),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        instant("at"),
        instant("valid_until", nullable=True),
        sa.Column("revokes", UUID),
        sa.Column("sealed", BYTEA, nullable=False),
        sa.Column("seal", BYTEA, nullable=False),
        sa.UniqueConstraint("tenant_id", "learner_id", "ordinal"),
        role=role,
        grants="SELECT, INSERT",
    )
    tenant_table(
        "enrolments",
        sa.Column("learner_id", sa.Text, primary_key=True),
        sa.Column("qualification", sa.Text, primary_key=True),
        instant("at"),
        sa.Column("by", sa.Text, nullable=False),
        role=role,
    )
    # The next instant at which time alone may change what a learner has of a qualification.
    tenant_table(
        "due",
        sa.Column("learner_id", sa.Text, primary_key=True),
        sa.Column("qualification", sa.Text, primary_key=True),
        instant("at"),
        role=role,
    )
    op.create_index("due_in_order", "due", ["at"])


def _lives(role: str) -> None:
    # No new learner comes under a closed version; a retired one awards nobody any more.
    op.add_column("frameworks", instant("closed_at", nullable=True))
    op.add_column("frameworks", sa.Column("superseded_by", UUID))
    op.add_column("frameworks", instant("retired_at", nullable=True))
    op.add_column("frameworks", sa.Column("proposed_by", sa.Text))
    op.add_column("frameworks", sa.Column("proposed_digest", sa.Text))
    op.add_column("backfills", sa.Column("awarded", sa.Integer, nullable=False, server_default="0"))
    op.add_column("backfills", instant("paused_at", nullable=True))


def _impacts(role: str) -> None:
    tenant_table(
        "impacts",
        sa.Column("framework_id", UUID, sa.ForeignKey("frameworks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        instant("asked_at"),
        sa.Column("learners", sa.Integer, nullable=False),
        sa.Column("cursor", sa.Text, nullable=False, server_default=""),
        sa.Column("looked_at", sa.Integer, nullable=False, server_default="0"),
        sa.Column("audited", sa.Integer, nullable=False, server_default="0"),
        sa.Column("new_awards", sa.Integer, nullable=False, server_default="0"),
        sa.Column("gain", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lose", sa.Integer, nullable=False, server_default="0"),
        sa.Column("stand", sa.Integer, nullable=False, server_default="0"),
        instant("finished_at", nullable=True),
        role=role,
    )
    op.create_index("impacts_open", "impacts", ["asked_at"], postgresql_where=sa.text("finished_at IS NULL"))
    tenant_table(
        "impact_learners",
        sa.Column("framework_id", UUID, sa.ForeignKey("impacts.framework_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("learner_id", sa.Text, primary_key=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("awarded", sa.Boolean, nullable=False),
        role=role,
    )
