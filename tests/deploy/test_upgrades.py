"""A migration is a deployment: code of before runs on what it leaves. It takes nothing away and asks nothing new.

Every migration that was ever written is run, one after another, and the catalogue before is held against that after.
That the code of today runs on what a later version adds is in `test_upgrades.py` of each service.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from cairn.common.migrations import migrate
from cairn.provision.postgres import Cluster, ServiceDatabase

COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           a.atthasdef OR a.attidentity <> ''
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
       AND c.relname <> 'alembic_version'
"""
RIGHTS = """
    SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = '{role}'
"""
Catalogue = dict[tuple[str, str], tuple[str, bool, bool]]
"""By table and column: the type, whether it may not be null, whether it has a default."""


def revisions(service: str) -> list[str]:
    config = Config()
    config.set_main_option("script_location", f"cairn.{service}:migrations")
    return [each.revision for each in reversed(list(ScriptDirectory.from_config(config).walk_revisions()))]


def catalogue(cluster: Cluster, database: ServiceDatabase) -> tuple[Catalogue, set[str]]:
    columns: Catalogue = {}
    for line in cluster.run(COLUMNS, database=database.name).splitlines():
        table, column, kind, needed, given = line.split("|")
        columns[table, column] = kind, needed == "t", given == "t"
    return columns, set(cluster.run(RIGHTS.format(role=database.role), database=database.name).splitlines())


def faults(before: Catalogue, after: Catalogue) -> list[str]:
    """What would stop the code of before: a column that is gone or otherwise, or that it does not fill in."""
    found = [f"{table}.{column} is gone" for table, column in before.keys() - after.keys()]
    for (table, column), (kind, needed, given) in after.items():
        was = before.get((table, column))
        if was is None:
            if needed and not given and any(name == table for name, _ in before):
                found.append(f"{table}.{column} is needed, and code of before does not know it")
        elif was[0] != kind:
            found.append(f"{table}.{column} was {was[0]} and is {kind}")
        elif needed and not was[1]:
            found.append(f"{table}.{column} could be null")
        elif was[2] and not given:
            found.append(f"{table}.{column} had a default")
    return found


@pytest.mark.parametrize("service", ["issuance", "pathways", "verification"])
def test_no_migration_takes_anything_from_the_code_of_before(
    service: str, postgres_server: Cluster, fresh_service_database: Callable[[str], ServiceDatabase]
) -> None:
    database = fresh_service_database(service)
    before: Catalogue = {}
    rights: set[str] = set()
    for revision in revisions(service):
        migrate(service, database.owner_url, role=database.role, revision=revision)
        after, granted = catalogue(postgres_server, database)
        assert faults(before, after) == [], revision
        assert rights <= granted, revision
        before, rights = after, granted
    assert len(before) > 20


def test_what_would_stop_older_code_is_noticed() -> None:
    before: Catalogue = {("t", "a"): ("text", True, False), ("t", "b"): ("text", False, True)}
    assert faults(before, before | {("t", "c"): ("text", False, False), ("t", "d"): ("text", True, True)}) == []
    assert faults(before, before | {("new", "x"): ("text", True, False)}) == []
    assert faults(before, {("t", "a"): ("text", True, False)}) == ["t.b is gone"]
    for change, says in (
        ({("t", "c"): ("text", True, False)}, "t.c is needed"),
        ({("t", "a"): ("bytea", True, False)}, "t.a was text"),
        ({("t", "b"): ("text", True, True)}, "t.b could be null"),
        ({("t", "b"): ("text", False, False)}, "t.b had a default"),
    ):
        [found] = faults(before, before | change)
        assert found.startswith(says)
