"""Programme completion as two peers do it, on the same server and the same data: `python -m bench.stacking.peers`.

Both are reproduced from what their code does (openedx/credentials at b6dcad5, `apps/badges`; mitodl/mitxonline at
b3c9730, `courses/api.py` and `courses/signals.py`), as the SQL that their querysets come to, sent by a bare driver.
That flatters them: their own cost of an ORM is left out, and so is all that they do beside it.

- MITx Online: a course certificate finds the live programmes that name its course. For each it looks for a verified
  enrolment and an existing certificate, then for the courses with certificates and with grades, the root of the tree,
  the children of each inner node, and, for each course in the tree, evaluates both lists of courses again.
- Open edX Credentials: an event finds every requirement of every active template that listens to its type, whatever the
  course. For each it asks for the learner's progress and how many of its groups are fulfilled, then whether the
  requirement is fulfilled, then for its rules; the rules alone know the course.

A programme is five courses; an event is a learner's fifth course, which completes it. Neither can say optimal, lost,
restored, or why; all that is compared is the queries and the time until "complete" is known and written down.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from bench.stacking.population import PROGRAMMES, Service, Stopwatch, course, issued, programme, service
from cairn.pathways.use_cases import intake

_CONNECT: Final[Callable[[str], Awaitable[Any]]] = getattr(asyncpg, "connect")  # noqa: B009 - it has no types
_LEARNERS: Final = 100_000
_COURSES: Final = 5

_MITX: Final = """
    CREATE TABLE mx_course (id int PRIMARY KEY);
    CREATE TABLE mx_run (id int PRIMARY KEY, course_id int NOT NULL REFERENCES mx_course);
    CREATE TABLE mx_enrolment (user_id int, run_id int, mode text, active bool, PRIMARY KEY (user_id, run_id));
    CREATE TABLE mx_certificate (user_id int, run_id int, revoked bool, PRIMARY KEY (user_id, run_id));
    CREATE TABLE mx_grade (user_id int, run_id int, passed bool, PRIMARY KEY (user_id, run_id));
    CREATE TABLE mx_program (id int PRIMARY KEY, live bool);
    CREATE TABLE mx_node (id int PRIMARY KEY, program_id int, parent_id int, kind text, course_id int);
    CREATE TABLE mx_program_enrolment (user_id int, program_id int, mode text, PRIMARY KEY (user_id, program_id));
    CREATE TABLE mx_program_certificate (user_id int, program_id int, PRIMARY KEY (user_id, program_id));
    CREATE INDEX ON mx_node (course_id); CREATE INDEX ON mx_node (parent_id); CREATE INDEX ON mx_node (program_id);
    CREATE INDEX ON mx_run (course_id);
    INSERT INTO mx_course SELECT n FROM generate_series(0, {programmes} * 5 - 1) n;
    INSERT INTO mx_run SELECT n, n FROM generate_series(0, {programmes} * 5 - 1) n;
    INSERT INTO mx_program SELECT n, true FROM generate_series(0, {programmes} - 1) n;
    INSERT INTO mx_node SELECT n * 10, n, NULL, 'root', NULL FROM generate_series(0, {programmes} - 1) n;
    INSERT INTO mx_node SELECT n * 10 + 1, n, n * 10, 'all', NULL FROM generate_series(0, {programmes} - 1) n;
    INSERT INTO mx_node SELECT n * 10 + 2 + k, n, n * 10 + 1, 'course', n * 5 + k
      FROM generate_series(0, {programmes} - 1) n, generate_series(0, 4) k;
    INSERT INTO mx_enrolment SELECT u, u % {programmes} * 5 + k, 'verified', true
      FROM generate_series(1, {learners}) u, generate_series(0, 4) k;
    INSERT INTO mx_certificate SELECT u, u % {programmes} * 5 + k, false
      FROM generate_series(1, {learners}) u, generate_series(0, 3) k;
    INSERT INTO mx_program_enrolment SELECT u, u % {programmes}, 'verified' FROM generate_series(1, {learners}) u;
    ANALYZE
"""
OPENEDX: Final = """
    CREATE TABLE ox_template (id int PRIMARY KEY, active bool);
    CREATE TABLE ox_requirement (id int PRIMARY KEY, template_id int, event_type text, blend text);
    CREATE TABLE ox_rule (id serial PRIMARY KEY, requirement_id int, path text, operator text, value text);
    CREATE TABLE ox_progress (id serial PRIMARY KEY, username text, template_id int);
    CREATE TABLE ox_fulfillment (id serial PRIMARY KEY, progress_id int, requirement_id int);
    INSERT INTO ox_template SELECT n, true FROM generate_series(0, {programmes} - 1) n;
    INSERT INTO ox_requirement SELECT n * 5 + k, n, 'passed', 'g' || k
      FROM generate_series(0, {programmes} - 1) n, generate_series(0, 4) k;
    INSERT INTO ox_rule (requirement_id, path, operator, value) SELECT id, 'course.course_key', 'eq', id::text
      FROM ox_requirement;
    INSERT INTO ox_progress (username, template_id)
      SELECT 'u' || u, u % {programmes} FROM generate_series(1, {learners}) u;
    INSERT INTO ox_fulfillment (progress_id, requirement_id)
      SELECT p.id, p.template_id * 5 + k FROM ox_progress p, generate_series(0, 3) k;
    CREATE INDEX ON ox_requirement (template_id); CREATE INDEX ON ox_rule (requirement_id);
    CREATE INDEX ON ox_progress (username); CREATE INDEX ON ox_fulfillment (progress_id);
    CREATE INDEX ON ox_fulfillment (requirement_id);
    ANALYZE
"""


@dataclass
class Sql:
    """A connection that counts."""

    connection: Any
    queries: int = 0

    async def rows(self, statement: str, *arguments: Any) -> list[Any]:
        self.queries += 1
        return await self.connection.fetch(statement, *arguments)


async def mitx(sql: Sql, user: int, course_id: int) -> bool:
    """What follows a certificate for a course. True if a programme was completed."""
    await sql.rows("INSERT INTO mx_certificate VALUES ($1, $2, false)", user, course_id)
    programs = await sql.rows(
        "SELECT DISTINCT p.* FROM mx_program p JOIN mx_node n ON n.program_id = p.id WHERE n.course_id = $1 AND p.live",
        course_id,
    )
    done = False
    for program in programs:
        place = (user, program["id"])
        verified = (
            "SELECT 1 FROM mx_program_enrolment WHERE user_id = $1 AND program_id = $2 AND mode = 'verified' LIMIT 1"
        )
        if not await sql.rows(verified, *place):
            continue
        if await sql.rows(
            "SELECT * FROM mx_program_certificate WHERE user_id = $1 AND program_id = $2 LIMIT 1", *place
        ):
            continue
        (root,) = await sql.rows("SELECT * FROM mx_node WHERE program_id = $1 AND parent_id IS NULL", program["id"])
        if await _mitx_has(sql, user, program["id"], root):
            await sql.rows("INSERT INTO mx_program_certificate VALUES ($1, $2)", *place)
            done = True
    return done


async def _mitx_has(sql: Sql, user: int, program: int, node: Any) -> bool:
    if node["kind"] in ("root", "all"):
        children = await sql.rows("SELECT * FROM mx_node WHERE parent_id = $1 ORDER BY id", node["id"])
        for child in children:
            if not await _mitx_has(sql, user, program, child):
                return False
        return True
    # The node's course is fetched, and then both lists, which are evaluated afresh for each node.
    await sql.rows("SELECT * FROM mx_course WHERE id = $1", node["course_id"])
    certified = await sql.rows(_CERTIFIED, user, program)
    graded = await sql.rows(_GRADED, user, program)
    return node["course_id"] in [row["id"] for row in (*certified, *graded)]


_RUNS: Final = """
    SELECT r.id FROM mx_run r JOIN mx_enrolment e ON e.run_id = r.id
     WHERE e.user_id = $1 AND e.active AND r.course_id IN (SELECT course_id FROM mx_node WHERE program_id = $2)
"""
_CERTIFIED: Final = f"""
    SELECT c.* FROM mx_course c JOIN mx_run r ON r.course_id = c.id JOIN mx_certificate k ON k.run_id = r.id
     WHERE r.id IN ({_RUNS}) AND k.user_id = $1 AND NOT k.revoked
"""
_GRADED: Final = f"""
    SELECT c.* FROM mx_course c JOIN mx_run r ON r.course_id = c.id JOIN mx_grade g ON g.run_id = r.id
     WHERE r.id IN ({_RUNS} AND e.mode <> 'verified') AND g.user_id = $1 AND g.passed
"""


async def openedx(sql: Sql, user: int, course_id: int) -> bool:
    """What follows a passing grade in a course. True if a template was completed."""
    name = f"u{user}"
    requirements = await sql.rows(
        "SELECT r.* FROM ox_requirement r JOIN ox_template t ON t.id = r.template_id"
        " WHERE r.event_type = 'passed' AND t.active"
    )
    done = False
    for requirement in requirements:
        await sql.rows("SELECT * FROM ox_template WHERE id = $1", requirement["template_id"])
        if await _openedx_ratio(sql, name, requirement["template_id"]) == 1:
            continue
        fulfilled = (
            "SELECT 1 FROM ox_fulfillment f JOIN ox_progress p ON p.id = f.progress_id"
            " WHERE f.requirement_id = $1 AND p.username = $2 AND p.template_id = $3 LIMIT 1"
        )
        if await sql.rows(fulfilled, requirement["id"], name, requirement["template_id"]):
            continue
        await sql.rows("SELECT 1 FROM ox_rule WHERE requirement_id = $1 LIMIT 1", requirement["id"])
        rules = await sql.rows("SELECT * FROM ox_rule WHERE requirement_id = $1", requirement["id"])
        if all(rule["value"] == str(course_id) for rule in rules):
            found = await sql.rows(_PROGRESS, name, requirement["template_id"])
            add = "INSERT INTO ox_fulfillment (progress_id, requirement_id) VALUES ($1, $2)"
            await sql.rows(add, found[0]["id"], requirement["id"])
            done = await _openedx_ratio(sql, name, requirement["template_id"]) == 1
    return done


_PROGRESS: Final = "SELECT * FROM ox_progress WHERE username = $1 AND template_id = $2 ORDER BY id LIMIT 1"


async def _openedx_ratio(sql: Sql, name: str, template: int) -> float:
    """The share of the template's groups that are fulfilled; each group by queries of its own."""
    progress = await sql.rows(_PROGRESS, name, template)
    if not progress:
        return 0
    groups = await sql.rows("SELECT DISTINCT blend FROM ox_requirement WHERE template_id = $1", template)
    count = 0
    for group in groups:
        (own,) = await sql.rows(_PROGRESS, name, template)
        found = await sql.rows(
            "SELECT count(*) AS n FROM ox_requirement r JOIN ox_fulfillment f ON f.requirement_id = r.id"
            " WHERE r.template_id = $1 AND r.blend = $2 AND f.progress_id = $3",
            template,
            group["blend"],
            own["id"],
        )
        count += found[0]["n"] > 0
    return round(count / len(groups), 2)


Peer = Callable[[Sql, int, int], Awaitable[bool]]


async def peer(made: Service, of: Peer, schema: str, programmes: int, events: int) -> tuple[float, float]:
    """`events` learners complete their programme: queries and milliseconds for each."""
    connection = await _CONNECT(made.owner_url)
    try:
        await connection.execute(schema.format(programmes=programmes, learners=_LEARNERS))
        sql = Sql(connection)
        people = random.Random(programmes).sample(range(1, _LEARNERS + 1), events)
        with Stopwatch() as watch:
            for user in people:
                async with connection.transaction():
                    assert await of(sql, user, user % programmes * _COURSES + 4)
        tables: list[Any] = await connection.fetch("SELECT tablename FROM pg_tables WHERE tablename ~ '^(mx|ox)_'")
        await connection.execute(f"DROP TABLE {', '.join(row['tablename'] for row in tables)} CASCADE")
        return sql.queries / events, watch.wall * 1e3 / events
    finally:
        await connection.close()


async def cairn(made: Service, programmes: int, events: int, batch: int) -> None:
    """The same, through the use case of the consumer; of a process that has read each programme once, as it is kept."""
    people = [user * 2 for user in random.Random(batch).sample(range(1, _LEARNERS // 2 + 1), events + 4 * PROGRAMMES)]
    told = [issued(user, course(user % PROGRAMMES, 4)) for user in people]
    for start in range(events, len(told), 100):
        await intake.take(made.deps, told[start : start + 100])
    before = made.statements
    with Stopwatch() as watch:
        for start in range(0, events, batch):
            await intake.take(made.deps, told[start : start + batch])
    _show(f"Cairn, batches of {batch}", programmes, (made.statements - before) / events, watch.wall * 1e3 / events)


def _show(name: str, programmes: int, queries: float, milliseconds: float) -> None:
    print(f"| {name} | {programmes:,} | {queries:,.2f} | {milliseconds:,.2f} |", flush=True)


async def run() -> None:
    print("| | programmes | queries an event | ms an event |\n|---|---:|---:|---:|")
    async with service() as made:
        for programmes in (10, 100, 1_000):
            found = await peer(made, openedx, OPENEDX, programmes, 200 // programmes + 3)
            _show("Open edX Credentials", programmes, *found)
        for programmes in (10, 1_000):
            _show("MITx Online", programmes, *await peer(made, mitx, _MITX, programmes, 300))
        await made.frameworks([programme(number) for number in range(PROGRAMMES)])
        await made.learners(1, _LEARNERS)
        for batch in (1, 100):
            await cairn(made, PROGRAMMES, 300, batch)


def main() -> int:
    asyncio.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
