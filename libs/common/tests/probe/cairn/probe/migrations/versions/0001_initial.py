"""The tables that every service has, and one of its own."""

import sqlalchemy as sa

from cairn.common.migrations import platform_tables, runtime_role, tenant_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    role = runtime_role()
    platform_tables(role)
    tenant_table(
        "notes", sa.Column("id", sa.Text, primary_key=True), sa.Column("body", sa.Text, nullable=False), role=role
    )
