"""The log on PostgreSQL: its tables, and who may write and read which topic, enforced by PostgreSQL itself (S33).

`python -m cairn.common.bus setup` makes them, as the role that owns the database `bus`; doing it again changes nothing
but brings the grants up to date. The services' own roles own nothing here.

Offsets have no gap and become visible in their order. `append` takes them from the row of the partition, whose lock it
keeps until it commits: the next offset of a partition is given out only after the one before it is committed or rolled
back with its transaction. A reader who has seen offset n has therefore seen all before it, so "everything from my
position on" misses nothing; a sequence shared by concurrent transactions would not have that (R3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cairn.common.bus.postgres_session import driver, plain
from cairn.common.events.topics import Topic, topics

CHANNEL: Final = "cairn_bus"
"""Where `append` says the topic's name, and a member that left its group says `@` and the group's name."""

# The functions run as the owner, so that a writer needs no right on the tables; who calls is the role that logged in.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS topics (
    name text PRIMARY KEY,
    writer name NOT NULL,
    partitions integer NOT NULL,
    retention interval
);
CREATE TABLE IF NOT EXISTS readers (
    topic text REFERENCES topics ON DELETE CASCADE,
    reader name,
    PRIMARY KEY (topic, reader)
);
CREATE TABLE IF NOT EXISTS partitions (
    topic text REFERENCES topics,
    partition integer,
    next_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS log (
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key text NOT NULL,
    event_id uuid NOT NULL,
    tenant_id text NOT NULL,
    body bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, "offset")
);
CREATE TABLE IF NOT EXISTS positions (
    reader name NOT NULL DEFAULT current_user,
    "group" text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (reader, "group", topic, partition)
) WITH (fillfactor = 50);

ALTER TABLE log ENABLE ROW LEVEL SECURITY;
ALTER TABLE positions ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS reading ON log;
CREATE POLICY reading ON log FOR SELECT
    USING (topic = ANY (ARRAY(SELECT r.topic FROM readers r WHERE r.reader = current_user)));
-- The position belongs to the role, so nobody reads in the group of another, whatever they call it.
DROP POLICY IF EXISTS own ON positions;
CREATE POLICY own ON positions USING (reader = current_user) WITH CHECK (reader = current_user);

CREATE OR REPLACE FUNCTION append(
    wanted text, parts integer[], keys text[], ids uuid[], tenants text[], bodies bytea[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM topics t WHERE t.name = wanted AND t.writer = session_user) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s may not write the topic %s', session_user, wanted);
    END IF;
    -- In the order of their numbers, so that two writers never wait for each other. A statement of its own, because
    -- the next one must see the offsets as they are once the locks are held.
    PERFORM FROM partitions p WHERE p.topic = wanted AND p.partition = ANY (parts)
      ORDER BY p.partition FOR UPDATE;
    WITH given AS (
        SELECT *, row_number() OVER (PARTITION BY g.partition ORDER BY g.n) - 1 AS nth
          FROM unnest(parts, keys, ids, tenants, bodies)
               WITH ORDINALITY AS g (partition, key, id, tenant, body, n)
    ), counted AS (
        SELECT partition, count(*) AS count FROM given GROUP BY partition
    ), moved AS (
        UPDATE partitions p SET next_offset = p.next_offset + c.count
          FROM counted c WHERE p.topic = wanted AND p.partition = c.partition
        RETURNING p.partition, p.next_offset - c.count AS first
    )
    INSERT INTO log (topic, partition, "offset", key, event_id, tenant_id, body)
    SELECT wanted, g.partition, m.first + g.nth, g.key, g.id, g.tenant, g.body
      FROM given g LEFT JOIN moved m USING (partition);
    PERFORM pg_notify('cairn_bus', wanted);
END $$;

CREATE OR REPLACE FUNCTION prune(wanted text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    kept interval;
    gone bigint := 0;
    deleted bigint;
    part integer;
BEGIN
    SELECT t.retention INTO kept FROM topics t WHERE t.name = wanted AND t.writer = session_user;
    IF kept IS NULL THEN
        RETURN 0;
    END IF;
    FOR part IN SELECT p.partition FROM partitions p WHERE p.topic = wanted LOOP
        -- Only the lowest offsets are looked at: where the first of them is young, so are all that follow.
        DELETE FROM log l USING (
            SELECT low."offset" FROM (
                SELECT o."offset", o.at FROM log o WHERE o.topic = wanted AND o.partition = part
                 ORDER BY o."offset" LIMIT 1000
            ) low WHERE low.at < clock_timestamp() - kept
        ) old WHERE l.topic = wanted AND l.partition = part AND l."offset" = old."offset";
        GET DIAGNOSTICS deleted = ROW_COUNT;
        gone := gone + deleted;
    END LOOP;
    RETURN gone;
END $$;

REVOKE ALL ON FUNCTION append, prune FROM PUBLIC;
"""


class Unprovided(RuntimeError):
    """The log is there in another shape than `topics.yaml` says."""


async def provide(
    owner_url: str, roles: Mapping[str, str] | None = None, table: Iterable[Topic] | None = None
) -> list[str]:
    """Make what is missing, by default for `topics.yaml`. Returns what a human wants to read, a line each.

    `roles` maps a service to its PostgreSQL role, by default of the same name; the roles must exist. Raises Unprovided.
    """
    rows = list(topics().values() if table is None else table)
    role_of = {name: (roles or {}).get(name, name) for row in rows for name in (row.owner, *row.readers)}
    connection = await driver.connect(plain(owner_url))
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('cairn.bus.provide', 0))")
            await connection.execute("SET LOCAL lock_timeout = '5s'; SET LOCAL client_min_messages = warning")
            await connection.execute(_SCHEMA)
            for row in rows:
                await _provide_topic(connection, row, role_of)
            for role in sorted(set(role_of.values())):
                quoted = '"' + role.replace('"', '""') + '"'
                await connection.execute(f"GRANT SELECT ON topics, readers, partitions, log TO {quoted}")
                await connection.execute(f"GRANT SELECT, INSERT, UPDATE ON positions TO {quoted}")
                await connection.execute(f"GRANT EXECUTE ON FUNCTION append, prune TO {quoted}")
    finally:
        await connection.close()
    return [
        f"topic {row.name}: {role_of[row.owner]} writes, {', '.join(role_of[name] for name in row.readers)} read"
        for row in rows
    ]


async def _provide_topic(connection: Any, row: Topic, role_of: Mapping[str, str]) -> None:
    has = await connection.fetchval("SELECT partitions FROM topics WHERE name = $1", row.name)
    if has is not None and has != row.partitions:
        # More partitions would part the events of one key: that is a migration, not a setting.
        raise Unprovided(f"topic {row.name} has {has} partitions, and topics.yaml says {row.partitions}")
    await connection.execute(
        """INSERT INTO topics (name, writer, partitions, retention) VALUES ($1, $2, $3, $4)
           ON CONFLICT (name) DO UPDATE SET writer = excluded.writer, retention = excluded.retention""",
        row.name,
        role_of[row.owner],
        row.partitions,
        row.retention,
    )
    await connection.execute(
        "INSERT INTO partitions (topic, partition) SELECT $1, generate_series(0, $2 - 1) ON CONFLICT DO NOTHING",
        row.name,
        row.partitions,
    )
    readers = [role_of[name] for name in row.readers]
    await connection.execute(
        "DELETE FROM readers WHERE topic = $1 AND NOT reader = ANY ($2::name[])", row.name, readers
    )
    await connection.execute(
        "INSERT INTO readers (topic, reader) SELECT $1, unnest($2::name[]) ON CONFLICT DO NOTHING", row.name, readers
    )
