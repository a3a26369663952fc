"""What PostgreSQL itself enforces on the log, whoever writes the SQL; and how the log is set up and kept short."""

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from cairn.common.bus import Fenced, Refused, Unreachable
from cairn.common.bus.postgres import PostgresBus
from cairn.common.bus.postgres_schema import Unprovided, provide
from cairn.common.db import UnsafeRole
from cairn.common.events import topics
from cairn.provision.postgres import BusDatabase, Cluster

from .conftest import TOPICS, PostgresTransport, make_event, make_events, numbers, read


@asynccontextmanager
async def sql(url: str) -> AsyncGenerator[Any]:
    connection: Any = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


APPEND = "SELECT append($1, ARRAY[0], ARRAY['lrn_1'], ARRAY[gen_random_uuid()], ARRAY['north'], ARRAY['{}'::bytea])"
ROW = """INSERT INTO log (topic, partition, "offset", key, event_id, tenant_id, body)
         VALUES ('qualifications', 0, 7, 'lrn_1', gen_random_uuid(), 'north', 'forged')"""

FORGERIES = {
    "by the function": "SELECT append('qualifications', ARRAY[0], ARRAY['lrn_1'], ARRAY[gen_random_uuid()],"
    " ARRAY['north'], ARRAY['forged'::bytea])",
    "into the log": ROW,
    "over another event": "UPDATE log SET body = 'forged'",
    "by removing events": "DELETE FROM log",
    "by truncating": "TRUNCATE log",
    "by moving an offset": "UPDATE partitions SET next_offset = 0",
    "by taking the topic over": "UPDATE topics SET writer = current_user",
    "by becoming a reader": "INSERT INTO readers VALUES ('learning', current_user)",
    "by a function of its own": "CREATE FUNCTION append() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "by turning the policy off": "ALTER TABLE log DISABLE ROW LEVEL SECURITY",
    "as its owner": 'SET ROLE "{owner}"',
    "as the writer": 'SET SESSION AUTHORIZATION "{writer}"',
}


@pytest.mark.parametrize("how", FORGERIES)
async def test_s33_postgresql_itself_refuses_a_forged_qualification(embedded: PostgresTransport, how: str):
    await (await embedded.bus("pathways")).publish("qualifications", [make_event("lrn_1", 1)])
    owner = urlsplit(embedded.database.owner_url).username
    forgery = FORGERIES[how].format(owner=owner, writer=embedded.database.roles["pathways"])
    async with sql(embedded.database.urls["verification"]) as stranger:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.execute(forgery)
    member = await embedded.member("issuance.test", ["qualifications"], service="issuance")
    assert numbers(await read(member, 2, seconds=0.5)) == {"lrn_1": [1]}


async def test_s33_a_role_that_may_not_read_a_topic_sees_none_of_it(embedded: PostgresTransport):
    await (await embedded.bus("issuance")).publish("learning", [make_event("lrn_1", 1)])
    await (await embedded.bus("issuance")).publish("credentials", [make_event("lrn_1", 1)])
    seen = {}
    for service in ("issuance", "pathways", "verification"):
        async with sql(embedded.database.urls[service]) as connection:
            seen[service] = {row["topic"] for row in await connection.fetch("SELECT topic FROM log")}
    assert seen == {"issuance": set(), "pathways": {"learning", "credentials"}, "verification": {"credentials"}}


async def test_s33_a_role_has_its_own_positions_whatever_its_group_is_called(embedded: PostgresTransport):
    await (await embedded.bus()).publish("credentials", make_events(["lrn_1"], 3))
    assert len(await read(await embedded.member("shared"), 3)) == 3
    async with sql(embedded.database.urls["verification"]) as stranger:
        assert await stranger.fetch("SELECT * FROM positions") == []
        assert await stranger.execute('UPDATE positions SET "offset" = 0') == "UPDATE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.execute("INSERT INTO positions VALUES ('pathways', 'shared', 'credentials', 0, 0)")
    other = await embedded.member("shared", service="verification")
    assert numbers(await read(other, 3)) == {"lrn_1": [0, 1, 2]}


async def test_s21_an_owner_or_superuser_is_refused(embedded: PostgresTransport, postgres_server: Cluster):
    admin = postgres_server.admin_url.rpartition("/")[0] + "/" + embedded.database.name
    for url in (embedded.database.owner_url, admin):
        with pytest.raises(UnsafeRole):
            await PostgresBus.connect(url)


async def test_a_wrong_password_is_refused_at_once(embedded: PostgresTransport):
    url = embedded.database.urls["pathways"]
    word = url.split("@")[0].rpartition(":")[2]
    with pytest.raises(Refused):
        await PostgresBus.connect(url.replace(word, "wrong"))


async def test_r3_offsets_appear_in_their_order(embedded: PostgresTransport):
    """A second writer waits for the first one's commit, so no reader can pass an offset that is still to come."""
    url = embedded.database.urls["issuance"]
    member = await embedded.member()
    async with sql(url) as slow, sql(url) as fast:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(APPEND, "credentials")
        waits = asyncio.create_task(fast.execute(APPEND, "credentials"))
        assert await read(member, 1, seconds=0.7) == []
        assert not waits.done()
        await transaction.commit()
        await waits
    records = await read(member, 2)
    assert [(record.partition, record.offset) for record in records] == [(0, 0), (0, 1)]


async def test_r10_what_was_fetched_before_a_reconnection_is_not_committed_after_it(embedded: PostgresTransport):
    await (await embedded.bus()).publish("credentials", make_events(["lrn_1"], 5))
    member = await embedded.member()
    records = await read(member, 5, commit=False)
    await embedded.evict(member)
    with pytest.raises(Unreachable):
        await member.fetch(1, 0)
    assert len(await member.fetch(1, 0)) == 1
    with pytest.raises(Fenced):
        await member.commit(records)


async def test_a_rolled_back_append_leaves_no_gap(embedded: PostgresTransport):
    async with sql(embedded.database.urls["issuance"]) as connection:
        for number in range(4):
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(APPEND, "credentials")
            await (transaction.rollback() if number % 2 else transaction.commit())
    assert [record.offset for record in await read(await embedded.member(), 2)] == [0, 1]


async def test_what_is_older_than_its_topic_is_kept_is_pruned_by_its_owner(
    postgres_server: Cluster, fresh_bus_database: Callable[[], BusDatabase]
):
    database = fresh_bus_database()
    rows = [dataclasses.replace(row, retention=timedelta(days=90)) if row.name == "learning" else row for row in TOPICS]
    await provide(database.owner_url, database.roles, rows)
    transport = PostgresTransport(database, postgres_server)
    owner = await transport.bus("issuance")
    for topic in ("learning", "credentials"):
        await owner.publish(topic, make_events(["lrn_1"], 6))
    postgres_server.run("""UPDATE log SET at = at - interval '91 days' WHERE "offset" < 4""", database=database.name)
    assert await (await transport.bus("pathways")).prune() == 0
    assert [await owner.prune(), await owner.prune()] == [4, 0]
    await owner.publish("learning", make_events(["lrn_1"], 1, start=6))
    assert numbers(await read(await transport.member("pathways.a", ["learning"]), 3)) == {"lrn_1": [4, 5, 6]}
    assert len(await read(await transport.member("pathways.b", ["credentials"]), 6)) == 6  # kept without end
    await transport.close()


async def test_setup_is_a_command_that_can_be_repeated(fresh_bus_database: Callable[[], BusDatabase]):
    database = fresh_bus_database()
    told = {
        "CAIRN_BUS": "postgres",
        "CAIRN_BUS_OWNER_URL": database.owner_url,
        "CAIRN_BUS_ROLES": json.dumps(dict(database.roles)),
    }
    for _ in range(2):
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cairn.common.bus", "setup"),
            env={"PATH": os.defpath} | told,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await done.communicate()
        assert (done.returncode, err) == (0, b"")
        assert len(out.splitlines()) == len(topics())
    bus = await PostgresBus.connect(database.urls["issuance"])
    await bus.publish("credentials", [make_event("lrn_1", 1)])
    await bus.close()


async def test_partitions_are_not_changed_in_passing(embedded: PostgresTransport):
    more = [dataclasses.replace(TOPICS[0], partitions=8)]
    with pytest.raises(Unprovided, match="has 4 partitions"):
        await provide(embedded.database.owner_url, embedded.database.roles, more)


async def test_members_that_come_and_go_end_with_fair_shares(embedded: PostgresTransport):
    members = [await embedded.member(topics=["credentials", "learning"]) for _ in range(4)]

    async def shares() -> list[int]:
        for _ in range(8):
            # One whose session was ended says so once, and joins again by itself.
            await asyncio.gather(*(member.fetch(1, 0.3) for member in members), return_exceptions=True)
        return sorted(len(member._held) for member in members)

    assert await shares() == [1, 1, 2, 2]
    await members.pop().close()
    assert await shares() == [2, 2, 2]
    await embedded.evict(members[0])
    assert await shares() == [2, 2, 2]
