"""The embedded server: whom it lets in, and what it survives."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest

from cairn.provision.postgres import Cluster, EmbeddedPostgres, PostgresError, destroy
from cairn.provision.processes import command_line

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path: Path):
    yield tmp_path / "postgres"
    destroy(tmp_path / "postgres")


async def test_nobody_enters_without_a_password(postgres_server: Cluster):
    service = postgres_server.fresh("issuance")
    wrong = service.url.replace(f"{service.role}:", f"{service.role}:x", 1)
    for url in (wrong, service.url.split("//")[0] + "//" + service.role + "@" + service.url.split("@")[1]):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            await asyncpg.connect(url, password="" if url is wrong else "x")


async def test_s21_run_time_role_owns_nothing_and_bypasses_nothing(postgres_server: Cluster):
    service = postgres_server.fresh("pathways")
    connection = await asyncpg.connect(service.url)
    try:
        role = await connection.fetchrow(
            "SELECT rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole OR rolreplication AS mighty,"
            f" pg_has_role('{service.role}_owner', 'MEMBER') AS owner FROM pg_roles WHERE rolname = current_user"
        )
        assert tuple(role) == (False, False)
        for statement in ("CREATE TABLE t ()", "CREATE SCHEMA s", "CREATE TEMP TABLE t ()"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
    owner = await asyncpg.connect(service.owner_url)
    await owner.execute("CREATE TABLE t ()")
    await owner.close()


async def test_a_service_cannot_enter_the_database_of_another(postgres_server: Cluster):
    mine, other = postgres_server.fresh("issuance"), postgres_server.fresh("verification")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(mine.url.replace(mine.name, other.name))


async def test_every_service_enters_the_bus_as_itself(postgres_server: Cluster):
    bus = postgres_server.fresh_bus(["issuance", "pathways"])
    for service, url in bus.urls.items():
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT current_user::text") == bus.roles[service]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE forged ()")
        await connection.close()


async def test_a_copy_has_tables_rows_and_grants(postgres_server: Cluster):
    original = postgres_server.fresh("issuance")
    owner = await asyncpg.connect(original.owner_url)
    await owner.execute(f'CREATE TABLE t AS SELECT 7 AS n; GRANT SELECT ON t TO "{original.role}"')
    await owner.close()
    copy = postgres_server.copy(original)
    connection = await asyncpg.connect(copy.url)
    assert copy.name != original.name
    assert await connection.fetchval("SELECT n FROM t") == 7
    await connection.close()


async def test_on_a_server_of_others_everything_is_given_back(postgres_server: Cluster):
    guest = Cluster.external(
        postgres_server.admin_url.replace("postgresql:", "postgresql+asyncpg:"), psql=postgres_server.psql
    )
    service = guest.service("issuance")
    await (await asyncpg.connect(service.url)).close()
    assert service.name.startswith(guest.prefix)
    guest.drop_all()
    left = f"SELECT (SELECT count(*) FROM pg_roles WHERE rolname LIKE '{guest.prefix}%')"
    assert (
        postgres_server.run(f"{left} + (SELECT count(*) FROM pg_database WHERE datname LIKE '{guest.prefix}%')") == "0"
    )


def test_names_are_never_spliced_into_sql(postgres_server: Cluster):
    with pytest.raises(ValueError, match="plain PostgreSQL name"):
        postgres_server.service('x"; DROP DATABASE postgres; --')


def test_data_passwords_and_port_survive_a_restart(home: Path):
    with EmbeddedPostgres(home, fast=True) as server:
        before = server.cluster.service("issuance")
        server.cluster.run("CREATE TABLE t AS SELECT 7 AS n", database="issuance")
    with EmbeddedPostgres(home, fast=True) as server:
        assert server.cluster.run("SELECT n FROM t", database="issuance") == "7"
        assert server.cluster.service("issuance") == before
    assert (home.resolve() / "passwords.json").stat().st_mode & 0o077 == 0


def test_r5_comes_back_after_sigkill_on_the_same_port(home: Path):
    with EmbeddedPostgres(home) as server:
        port = server.port
        server.cluster.run("CREATE TABLE t AS SELECT 7 AS n")
        server.kill()
        assert not server.running
        server.start()
        assert (server.port, server.cluster.run("SELECT n FROM t")) == (port, "7")


def test_root_keeps_the_data_where_the_servers_user_can_go(tmp_path: Path):
    open_to_all = Path(tempfile.mkdtemp(prefix="cairn-test-"))
    open_to_all.chmod(0o755)
    try:
        for home in (open_to_all / "postgres", tmp_path / "postgres"):
            with EmbeddedPostgres(home, fast=True) as server:
                assert server.cluster.run("SELECT 1") == "1"
            moved = os.geteuid() == 0 and home.parent == tmp_path  # pytest's folder is closed to others
            assert home.is_symlink() == moved
            assert (home.resolve() / "belongs-to").exists() == moved
            place = home.resolve()
            destroy(home)
            assert not home.is_symlink()
            assert not place.exists()
    finally:
        shutil.rmtree(open_to_all)


def test_a_link_copied_with_a_checkout_is_not_followed(tmp_path: Path):
    (tmp_path / "copy").mkdir()
    with EmbeddedPostgres(tmp_path / "postgres", fast=True) as server:
        (tmp_path / "copy" / "postgres").symlink_to(Path("/var/lib/cairn/postgres-of-another"))
        with EmbeddedPostgres(tmp_path / "copy" / "postgres", fast=True) as other:
            assert other.pid != server.pid
            assert (tmp_path / "copy" / "postgres").resolve() != Path("/var/lib/cairn/postgres-of-another")
    destroy(tmp_path / "postgres")
    destroy(tmp_path / "copy" / "postgres")


def test_only_one_process_uses_the_data(home: Path):
    with EmbeddedPostgres(home, fast=True), pytest.raises(PostgresError, match=f"in use by the process {os.getpid()}"):
        EmbeddedPostgres(home, fast=True).start()


def test_a_port_that_is_taken_is_replaced(home: Path, postgres_server: Cluster):
    taken = int(postgres_server.admin_url.rpartition(":")[2].partition("/")[0])
    with EmbeddedPostgres(home, port=taken, fast=True) as server:
        assert server.port != taken
        assert server.cluster.run("SELECT 1") == "1"


_ABANDON = """
import sys, time, pathlib
from cairn.provision.postgres import EmbeddedPostgres
server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), fast=True).start()
if sys.argv[2] == "guard": server._child._guard.kill()
print(server.pid, flush=True)
time.sleep(60)
"""


def _abandoned(home: Path, spare: str) -> int:
    """The pid of a server whose parent was killed, and its guard before that where `spare` is "guard"."""
    parent = subprocess.Popen([sys.executable, "-c", _ABANDON, home, spare], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    return pid


def test_r1_the_server_ends_when_its_parent_is_killed(home: Path):
    pid = _abandoned(home, "nothing")
    deadline = time.monotonic() + 10
    while "postgres" in command_line(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "postgres" not in command_line(pid)


def test_r1_a_server_that_was_left_behind_is_replaced(home: Path):
    pid = _abandoned(home, "guard")
    assert "postgres" in command_line(pid)
    with EmbeddedPostgres(home, fast=True) as server:
        assert server.pid != pid
        assert "postgres" not in command_line(pid)
        assert server.cluster.run("SELECT 1") == "1"


def test_r1_a_stale_note_that_names_a_stranger_harms_nobody(home: Path):
    with EmbeddedPostgres(home, fast=True) as server:
        server.kill()
        note = home.resolve() / "data" / "postmaster.pid"
        lines = note.read_text().splitlines()
        stranger = subprocess.Popen(["sleep", "60"])
        note.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        server.start()
        assert stranger.poll() is None
        assert server.cluster.run("SELECT 1") == "1"
        stranger.send_signal(signal.SIGKILL)
        stranger.wait()


def test_a_half_made_cluster_is_made_again(home: Path):
    with EmbeddedPostgres(home, fast=True):
        pass
    (home.resolve() / "data").rename(home.resolve() / "data.new")
    with EmbeddedPostgres(home, fast=True) as server:
        assert server.cluster.run("SELECT 1") == "1"


def test_data_of_another_version_are_refused_with_the_way_out(home: Path):
    with EmbeddedPostgres(home, fast=True):
        pass
    (home.resolve() / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(PostgresError, match=r"PostgreSQL 12.*make clean"):
        EmbeddedPostgres(home, fast=True).start()
