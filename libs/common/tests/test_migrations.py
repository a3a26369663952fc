"""A migration is a deployment: one process at a time, and no wait for a lock without end."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from cairn.common.db import Database, refuse_unsafe_role
from cairn.common.migrations import migrate, suffices

PROBE = Path(__file__).parent / "probe"
WAITER = Path(__file__).parents[3] / "deploy/image/migrated.py"
MIGRATE = "import sys; from cairn.common.migrations import migrate; migrate('probe', sys.argv[1], role=sys.argv[2])"


async def test_two_processes_that_migrate_at_once_both_succeed(fresh_service_database) -> None:
    made = fresh_service_database("probe")
    path = os.pathsep.join(filter(None, [str(PROBE), os.environ.get("PYTHONPATH")]))
    runs = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", MIGRATE, made.owner_url, made.role),
            env=os.environ | {"PYTHONPATH": path},
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for run in runs:
        _, errors = await asyncio.wait_for(run.communicate(), 60)
        assert run.returncode == 0, errors.decode()
    database = Database(made.url)
    await refuse_unsafe_role(database)
    async with database.transaction("north") as tx:
        for table in ("outbox", "inbox", "dead_letters", "saved_answers", "notes"):
            assert await tx.rows(text(f"SELECT * FROM {table}")) == []
    await database.close()


async def test_migrating_again_changes_nothing(probe_database) -> None:
    await asyncio.to_thread(migrate, "probe", probe_database.owner_url, role=probe_database.role)


async def test_the_run_time_role_cannot_change_the_schema(database) -> None:
    for statement in (
        "DROP TABLE notes",
        "ALTER TABLE notes DISABLE ROW LEVEL SECURITY",
        "DROP POLICY notes_tenant ON notes",
        "CREATE TABLE mine (id text)",
        "TRUNCATE notes",
        "UPDATE outbox SET payload = ''",
    ):
        async with database.transaction("north") as tx:
            with pytest.raises(Exception, match=r"must be owner|permission denied"):
                await tx.execute(text(statement))


async def test_a_migration_gives_up_on_a_lock_that_is_held(fresh_service_database) -> None:
    made = fresh_service_database("probe")
    await asyncio.to_thread(migrate, "probe", made.owner_url, role=made.role)
    holder = Database(made.owner_url, worker=True)
    async with holder.engine.connect() as connection:
        await connection.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        started = time.monotonic()
        with pytest.raises(Exception, match="lock timeout"):
            await asyncio.to_thread(migrate, "probe", made.owner_url, role=made.role)
        assert 4 < time.monotonic() - started < 15
    await holder.close()


async def test_an_older_version_leaves_a_newer_database_as_it_is(fresh_service_database) -> None:
    made = fresh_service_database("probe")
    await asyncio.to_thread(migrate, "probe", made.owner_url, role=made.role)
    owner = Database(made.owner_url)
    async with owner.connection() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await connection.commit()
    await asyncio.to_thread(migrate, "probe", made.owner_url, role=made.role)
    async with owner.connection() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == "9999"
    await owner.close()
    assert [suffices("probe", revision) for revision in (None, "0001", "9999")] == [False, True, True]
    assert not suffices("issuance", "0001"), "issuance has had later ones since"


async def test_who_waits_for_the_migration_goes_on_when_it_has_run(fresh_service_database) -> None:
    made = fresh_service_database("issuance")
    waiting = await asyncio.create_subprocess_exec(
        *(sys.executable, WAITER),
        env=os.environ | {"CAIRN_DATABASE_URL": made.url, "CAIRN_SERVICE": "issuance"},
        stderr=subprocess.PIPE,
    )
    assert waiting.stderr
    said = await asyncio.wait_for(waiting.stderr.readline(), 30)
    assert said.startswith(b"waiting: ")
    await asyncio.to_thread(migrate, "issuance", made.owner_url, role=made.role)
    await asyncio.wait_for(waiting.communicate(), 30)
    assert waiting.returncode == 0
