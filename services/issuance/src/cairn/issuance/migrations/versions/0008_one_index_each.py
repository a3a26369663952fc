"""Work that waits is found by institution only (0006): an index by age alone led the planner past that."""

from cairn.common.migrations import drop_index_concurrently

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    drop_index_concurrently("completions_pending")
    drop_index_concurrently("credentials_intended")
