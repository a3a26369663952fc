"""Migrations: Alembic in a service's own package, run by the command `migrate` as the role that owns the tables.

A migration is a deployment. It waits at most five seconds for a lock, so that it fails and is tried again rather than
queue every request behind it; and only one process migrates at a time, by an advisory lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
import structlog
from alembic import context, op
from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, pool, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP, UUID
from sqlalchemy.ext.asyncio import create_async_engine

from cairn.common.db import async_url

log = structlog.get_logger(__name__)

_LOCK: Final = 0x6361_6972_6E  # "cairn"
_SETTING: Final = "current_setting('cairn.tenants', true)"


def migrate(service: str, owner_url: str, *, role: str, revision: str = "head") -> None:
    """Bring the service's database to `revision` and grant the run-time `role` what it needs.

    A database that a newer version has migrated stays as it is: what was added disturbs nobody, so an older version can
    be rolled out again. Blocks; safe to run from several processes at once. Not to be called inside a running event
    loop.
    """
    config = _config(service)
    config.attributes["url"] = owner_url
    config.attributes["role"] = role
    upgrade(config, revision)


def suffices(service: str, revision: str | None) -> bool:
    """Whether a database at `revision` has all that this version of the service needs: its own head, or a later one.

    A revision that this version does not know is a later one, for migrations only ever go forward. None is a database
    whose first migration has not committed yet.
    """
    if revision is None:
        return False
    script = ScriptDirectory.from_config(_config(service))
    return revision == script.get_current_head() or revision not in _known(script)


def _config(service: str) -> Config:
    config = Config()
    config.set_main_option("script_location", f"cairn.{service}:migrations")
    return config


def _known(script: ScriptDirectory) -> set[str]:
    return {each.revision for each in script.walk_revisions()}


def run_env() -> None:
    """The whole of a service's `migrations/env.py`."""
    asyncio.run(_run_env(context.config.attributes["url"]))


async def _run_env(url: str) -> None:
    engine = create_async_engine(async_url(url), poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            # Asked for rather than waited for: an index that is made concurrently waits for every statement that runs.
            while not (await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK})).scalar():
                await connection.commit()
                await asyncio.sleep(0.2)
            await connection.execute(text("SET lock_timeout = '5s'"))
            await connection.commit()
            await connection.run_sync(_run_migrations)
            # So that what waits for the migration can see that it was.
            await connection.execute(text(f'GRANT SELECT ON alembic_version TO "{runtime_role()}"'))
            await connection.commit()
    finally:
        await engine.dispose()


def _run_migrations(connection: Connection) -> None:
    at = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    if at is not None and at not in _known(context.script):
        log.warning("the database is newer than this version, and stays as it is", revision=at)
        return
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def instant(name: str, *, nullable: bool = False, default: bool = False) -> Column[Any]:
    """A column that holds an instant; with `default`, the database's own time."""
    return sa.Column(
        name, TIMESTAMP(timezone=True), nullable=nullable, server_default=text("now()") if default else None
    )


def tenant_table(name: str, *columns: Any, role: str, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """A table with `tenant_id`, row-level security forced on it, and only `grants` for the run-time role."""
    op.create_table(name, sa.Column("tenant_id", sa.Text, nullable=False), *columns)
    protect(name, role=role, grants=grants)


def protect(name: str, *, role: str, grants: str, readable_if: str | None = None) -> None:
    """Row-level security by `cairn.tenants`, with `grants` for the run-time role.

    `readable_if` is a further condition under which a row may be read, for instance by another tenant with consent.
    """
    # The scalar subqueries are computed once a statement, not once a row.
    within = f"tenant_id = ANY ((SELECT string_to_array({_SETTING}, ','))::text[]) OR (SELECT {_SETTING} = '*')"
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {name}_tenant ON {name} USING ({within}) WITH CHECK ({within})")
    if readable_if:
        op.execute(f"CREATE POLICY {name}_readable ON {name} FOR SELECT USING ({readable_if})")
    op.execute(f'GRANT {grants} ON {name} TO "{role}"')


def index_concurrently(name: str, table: str, columns: Sequence[str], *, where: str) -> None:
    """An index that is made while others write. One that an earlier try left unfinished is made anew."""
    drop_index_concurrently(name)
    with op.get_context().autocommit_block():
        op.create_index(name, table, list(columns), postgresql_where=sa.text(where), postgresql_concurrently=True)


def drop_index_concurrently(name: str) -> None:
    """Take away an index that no statement needs any longer, while others read and write."""
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def runtime_role() -> str:
    """The run-time role that a migration grants to: it has the service's name unless the deployment says otherwise."""
    return context.config.attributes["role"]


def platform_tables(role: str) -> None:
    """What every service has besides its own tables: outbox, inbox, dead letters, saved answers."""
    tenant_table(
        "outbox",
        # The names are those which Debezium's outbox event router reads, so that it can take the relay's place.
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("id", UUID, nullable=False),
        sa.Column("aggregatetype", sa.Text, nullable=False),
        sa.Column("aggregateid", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("payload", BYTEA, nullable=False),
        sa.Column("tracingspancontext", sa.Text),
        instant("at", default=True),
        role=role,
        grants="SELECT, INSERT, DELETE",
    )
    op.execute("ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0)")
    tenant_table(
        "inbox",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("event_id", UUID, primary_key=True),
        instant("at", default=True),
        role=role,
        grants="SELECT, INSERT, DELETE",
    )
    tenant_table(
        "dead_letters",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("event_type", sa.Text),
        sa.Column("subject_key", sa.Text),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("body", BYTEA, nullable=False),
        instant("at", default=True),
        instant("expires_at"),
        instant("replayed_at", nullable=True),
        sa.UniqueConstraint("consumer", "topic", "partition", "position"),
        role=role,
    )
    tenant_table(
        "saved_answers",
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("request_digest", BYTEA, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("body", BYTEA, nullable=False),
        instant("expires_at"),
        sa.PrimaryKeyConstraint("tenant_id", "principal", "route", "key"),
        role=role,
    )
