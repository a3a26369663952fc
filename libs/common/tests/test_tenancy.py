"""S21, S22: row-level security that no role, no table and no connection pool voids."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cairn.common.db import EVERY_TENANT, Database, UnsafeRole, refuse_unsafe_role
from cairn.common.migrations import migrate

INSERT = text("INSERT INTO notes (tenant_id, id, body) VALUES (:tenant, :id, 'x')")
SEEN = text("SELECT tenant_id FROM notes")


async def write(database: Database, tenant: str, identifier: str) -> None:
    async with database.transaction(tenant) as tx:
        await tx.execute(INSERT, {"tenant": tenant, "id": identifier})
        await tx.commit()


async def tenants_seen(database: Database, *scope: str) -> set[str]:
    async with database.transaction(scope) as tx:
        return {row["tenant_id"] for row in await tx.rows(SEEN)}


async def test_s22_pool_of_one_two_tenants(probe_database) -> None:
    database = Database(probe_database.url, pool=1)
    await write(database, "north", "s22-north")
    await write(database, "south", "s22-south")
    for _ in range(3):
        assert await tenants_seen(database, "north") == {"north"}
        assert await tenants_seen(database, "south") == {"south"}
        assert await tenants_seen(database, "north", "south") == {"north", "south"}
        assert await tenants_seen(database, "elsewhere") == set()
    # The one connection of the pool, as the next caller finds it.
    async with database.engine.connect() as connection:
        assert (await connection.execute(SEEN)).all() == []
    await database.close()


@pytest.mark.parametrize("end", ["commit", "roll back", "raise", "cancel"])
async def test_s22_the_scope_ends_with_the_transaction_however_it_ends(probe_database, end: str) -> None:
    database = Database(probe_database.url, pool=1)

    async def use() -> None:
        async with database.transaction("north") as tx:
            await tx.rows(SEEN)
            if end == "commit":
                await tx.commit()
                assert await tx.rows(SEEN) == []  # a second transaction on the same handle has no scope
            if end == "raise":
                await tx.execute(text("SELECT 1 / 0"))
            if end == "cancel":
                await tx.execute(text("SELECT pg_sleep(10)"))

    await write(database, "north", f"s22-{end}")
    if end == "raise":
        with pytest.raises(DBAPIError):
            await use()
    elif end == "cancel":
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(use(), 0.2)
    else:
        await use()
    async with database.engine.connect() as connection:
        assert (await connection.execute(SEEN)).all() == []
    await database.close()


async def test_a_row_of_another_tenant_is_neither_written_nor_changed_nor_deleted(database) -> None:
    await write(database, "north", "kept")
    async with database.transaction("south") as tx:
        for statement in ("UPDATE notes SET body = 'y' WHERE id = 'kept'", "DELETE FROM notes WHERE id = 'kept'"):
            assert (await tx.execute(text(statement))).rowcount == 0
        with pytest.raises(DBAPIError, match="row-level security"):
            await tx.execute(INSERT, {"tenant": "north", "id": "smuggled"})
    async with database.transaction("south") as tx:
        await tx.execute(INSERT, {"tenant": "south", "id": "moved"})
        with pytest.raises(DBAPIError, match="row-level security"):
            await tx.execute(text("UPDATE notes SET tenant_id = 'north' WHERE id = 'moved'"))


async def test_only_a_worker_acts_for_every_tenant(probe_database) -> None:
    worker, api = Database(probe_database.url, worker=True), Database(probe_database.url)
    await write(worker, "north", "all-north")
    await write(worker, "south", "all-south")
    assert {"north", "south"} <= await tenants_seen(worker, EVERY_TENANT)
    with pytest.raises(ValueError, match="only a worker"):
        await tenants_seen(api, EVERY_TENANT)
    await worker.close()
    await api.close()


@pytest.mark.parametrize("scope", [[], [""], ["north,south"], ["north", ""]])
async def test_a_transaction_needs_plain_tenants(database, scope: list[str]) -> None:
    with pytest.raises(ValueError, match="tenant"):
        await tenants_seen(database, *scope)


async def test_widening_replaces_the_scope_for_the_rest_of_the_transaction(database) -> None:
    await write(database, "east", "widen-east")
    await write(database, "west", "widen-west")
    async with database.transaction("east") as tx:
        assert {row["tenant_id"] for row in await tx.rows(SEEN)} == {"east"}
        await tx.widen(["east", "west"])
        assert {row["tenant_id"] for row in await tx.rows(SEEN)} == {"east", "west"}
    assert await tenants_seen(database, "east") == {"east"}


async def test_leaving_without_commit_rolls_back(database) -> None:
    async with database.transaction("north") as tx:
        await tx.execute(INSERT, {"tenant": "north", "id": "uncommitted"})
    async with database.transaction("north") as tx:
        assert await tx.row(text("SELECT 1 FROM notes WHERE id = 'uncommitted'")) is None


async def test_s21_the_run_time_role_is_accepted(database) -> None:
    await refuse_unsafe_role(database)


async def test_s21_a_superuser_is_refused(postgres_server) -> None:
    database = Database(postgres_server.admin_url)
    with pytest.raises(UnsafeRole, match="bypasses"):
        await refuse_unsafe_role(database)
    await database.close()


async def test_s21_the_owner_of_the_tables_is_refused(probe_database) -> None:
    database = Database(probe_database.owner_url)
    with pytest.raises(UnsafeRole, match="owns"):
        await refuse_unsafe_role(database)
    await database.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("ALTER TABLE notes DISABLE ROW LEVEL SECURITY", "notes lacks"),
        ("ALTER TABLE notes NO FORCE ROW LEVEL SECURITY", "notes lacks"),
        ("DROP POLICY notes_tenant ON notes", "notes lacks"),
        ("ALTER TABLE notes ALTER tenant_id DROP NOT NULL", "notes lacks"),
        ("CREATE TABLE loose (id text)", "loose lacks"),
        ("CREATE TABLE parts (tenant_id text NOT NULL) PARTITION BY LIST (tenant_id)", "parts lacks"),
        ('GRANT "{owner}" TO "{role}"', "owns, or is a member"),
        ('ALTER ROLE "{role}" BYPASSRLS', "bypasses"),
        ('ALTER ROLE "{owner}" BYPASSRLS; GRANT "{owner}" TO "{role}"', "may become"),
        ("CREATE VIEW everything AS SELECT * FROM notes", "everything lacks"),
        ("CREATE MATERIALIZED VIEW everything AS SELECT * FROM notes", "everything lacks"),
    ],
)
async def test_s21_start_up_refuses_what_voids_row_level_security(postgres_server, spoil: str, says: str) -> None:
    # A server's role is shared by its databases, so what a case does to it is taken back.
    made = postgres_server.fresh("s21")
    await migrated(made)
    owner = made.owner_url.split("//")[1].split(":")[0]
    names = {"owner": owner, "role": made.role}
    database = Database(made.url)
    await refuse_unsafe_role(database)
    try:
        await run(postgres_server, spoil.format(**names), made.name)
        with pytest.raises(UnsafeRole, match=says):
            await refuse_unsafe_role(database)
    finally:
        await run(postgres_server, 'REVOKE "{owner}" FROM "{role}"'.format(**names), made.name)
        await run(
            postgres_server,
            'ALTER ROLE "{role}" NOBYPASSRLS; ALTER ROLE "{owner}" NOBYPASSRLS'.format(**names),
            made.name,
        )
        await database.close()


async def migrated(made) -> None:
    await asyncio.to_thread(migrate, "probe", made.owner_url, role=made.role)


async def run(cluster, sql: str, database: str) -> None:
    await asyncio.to_thread(cluster.run, sql, database=database)
