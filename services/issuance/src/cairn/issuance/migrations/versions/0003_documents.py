"""Credentials that a caller wrote: of no learner, each sealed under a key of its own, some without a status."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for column in ("learner_id", "achievement_id", "holding", "list_id", "list_index"):
        op.alter_column("credentials", column, nullable=True)
    # The id that is written in the document. Callers choose it, so it may repeat, within a tenant and across tenants.
    op.add_column("credentials", sa.Column("document_id", sa.Text))
    op.add_column("credentials", sa.Column("key", BYTEA))
    op.execute("""
        ALTER TABLE credentials ADD CONSTRAINT credentials_of_somebody
          CHECK ((learner_id IS NULL) = (key IS NOT NULL)
                 AND (learner_id IS NULL OR achievement_id IS NOT NULL AND holding IS NOT NULL AND list_id IS NOT NULL)
                 AND (list_id IS NULL) = (list_index IS NULL)) NOT VALID
    """)
    op.create_index(
        "credentials_documents",
        "credentials",
        ["tenant_id", "document_id"],
        postgresql_where=sa.text("document_id IS NOT NULL"),
    )
