"""By which an award whose credential was never heard of is found."""

from cairn.common.migrations import index_concurrently

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    index_concurrently("holdings_of_awards", "holdings", ["award_id"], where="award_id IS NOT NULL")
