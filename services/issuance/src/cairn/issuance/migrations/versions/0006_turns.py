"""Indexes by which each institution's waiting work is found, so that they are served in turn."""

from cairn.common.migrations import index_concurrently

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    index_concurrently("completions_in_turn", "completions", ["tenant_id", "recorded_at"], where="state = 'pending'")
    index_concurrently(
        "credentials_in_turn",
        "credentials",
        ["tenant_id", "intended_at"],
        where="state = 'intended' AND learner_id IS NOT NULL",
    )
