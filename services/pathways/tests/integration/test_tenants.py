"""S21, S22, S23: nobody sees what is another tenant's."""

import re
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cairn.common import dead_letters
from cairn.common.bus import Record
from cairn.common.db import Database, refuse_unsafe_role
from cairn.pathways.http.shared import PUBLIC

from .conftest import Service
from .world import AWAY, HOME, MARCH, Log, framework

PLATFORM = ("outbox", "inbox", "dead_letters", "saved_answers")
OWN = ("learners", "aliases", "holdings", "holding_status", "achievements", "frameworks", "framework_index")
ROWS = {
    "enrolments": "INSERT INTO enrolments VALUES (:t, :l, :q, now(), 'me')",
    "backfill_queue": "INSERT INTO backfill_queue SELECT :t, id, :l FROM frameworks WHERE qualification = :q",
    "impacts": """
        INSERT INTO impacts (tenant_id, framework_id, digest, asked_by, asked_at, learners, finished_at)
        SELECT :t, id, 'x', 'me', now(), 1, now() FROM frameworks WHERE qualification = :q AND length(:l) > 0
    """,
    "impact_learners": """
        INSERT INTO impact_learners SELECT :t, id, :l, 'gain', true FROM frameworks WHERE qualification = :q
    """,
}
TABLES = (*PLATFORM, *OWN, "backfills", "audits", "awards", "learner_keys", "decisions", "due", *ROWS)
_MOVE = {"kind": "move", "qualification": f"https://{AWAY}.example/q", "version": "2026", "reason": "a test"}
_MOVE["validUntil"] = "9999-01-01"  # so that something is due
BODIES: dict[str, Any] = {
    "/v1/frameworks/{framework}/supersede": {"by": str(uuid4())},
    "/v1/learners/{learner}/decisions": _MOVE,
    "/v1/learners/{learner}/decisions/{decision}/revoke": {"reason": "a test"},
    "/v1/learners/{learner}/enrolments": {"qualification": f"https://{AWAY}.example/q"},
    "/v1/equivalences/{decision}/revoke": {"reason": "a test"},
    "/v1/reviews/{award}": {"action": "suspend", "reason": "a test"},
}
CATALOGUE = """
    SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,
           pg_has_role(current_user, c.relowner, 'MEMBER') AS owned,
           (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*') AS policies,
           (SELECT count(*) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull) AS tenant
      FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
       AND c.relname <> 'alembic_version' ORDER BY 1
"""


@pytest.fixture
async def full(campus: Service, log: Log) -> Service:
    """Both universities have something in every table."""
    for tenant in (HOME, AWAY):
        await campus.hear(*log.published("award", tenant))
        rules = framework(f"{tenant}/stats", qualification=f"https://{tenant}.example/q", onLoss="review")
        await campus.publish({**rules, "award": {"achievement": f"{_base(tenant)}/award"}}, tenant)
        await campus.hear(*log.issued(f"lrn_{tenant}", "stats", tenant))
        await campus.hear(*log.merged(f"lrn_{tenant}_2", f"lrn_{tenant}_3", MARCH, tenant=tenant, source=tenant))
        async with campus.worker.database.transaction(tenant) as tx:
            record = Record("credentials", 0, len(tenant), f"lrn_{tenant}", b"{}")
            vault = campus.worker.vault
            await dead_letters.store(
                tx, vault, tenant, "pathways", record, code="malformed", detail="a test", event_type="x.v1"
            )
            for row in ROWS.values():
                await tx.execute(text(row), {"t": tenant, "l": f"lrn_{tenant}", "q": f"https://{tenant}.example/q"})
            await tx.commit()
        move = {**_MOVE, "qualification": f"https://{tenant}.example/q"}
        answer = await campus.post(f"/v1/learners/lrn_{tenant}/decisions", move, tenant)
        assert answer.status_code == 201, answer.text
        line = {"achievement": f"{_base(tenant)}/stats", "countsAs": f"{_base(tenant)}/award", "reason": "a test"}
        assert (await campus.post("/v1/equivalences", line, tenant)).status_code == 201
    return campus


def _base(tenant: str) -> str:
    return f"https://cairn.localhost/issuance/achievements/{tenant}"


async def test_s21_every_table_has_forced_row_level_security(service: Service) -> None:
    found = await service.sql(CATALOGUE)
    assert {row["name"] for row in found} == set(TABLES)
    assert {(row["forced"], row["owned"], row["policies"], row["tenant"]) for row in found} == {(True, False, 1, 1)}
    await refuse_unsafe_role(service.deps.database)


async def test_s21_a_tenant_reads_and_writes_its_own_rows_only(full: Service) -> None:
    for table in TABLES:
        if table == "achievements":
            continue  # public; see below
        for tenant in (HOME, AWAY):
            rows = await full.sql(f"SELECT tenant_id FROM {table}", tenant)
            # Nothing here saves answers: no route of this service takes an idempotency key.
            assert {row["tenant_id"] for row in rows} == (set() if table == "saved_answers" else {tenant}), table
        assert await full.sql(f"SELECT tenant_id FROM {table}", "third") == []
        async with full.worker.database.transaction("third") as tx:
            if table != "decisions":  # which nobody but the owner of the tables can delete
                assert (await tx.execute(text(f"DELETE FROM {table}"))).rowcount == 0


async def test_s21_what_is_on_offer_is_read_by_all_and_written_by_its_own(full: Service) -> None:
    assert {row["tenant_id"] for row in await full.sql("SELECT tenant_id FROM achievements", "third")} == {HOME, AWAY}
    async with full.worker.database.transaction("third") as tx:
        assert (await tx.execute(text("UPDATE achievements SET retired_at = now()"))).rowcount == 0
        with pytest.raises(DBAPIError, match="row-level security"):
            await tx.execute(text("INSERT INTO achievements (tenant_id, id) VALUES ('north', 'x')"))


async def test_s22_pool_of_one_two_tenants(full: Service) -> None:
    database = Database(full.database.url, pool=1)
    for _ in range(3):
        for tenant in (HOME, AWAY):
            async with database.transaction(tenant) as tx:
                rows = await tx.rows(text("SELECT tenant_id FROM holdings"))
            assert {row["tenant_id"] for row in rows} == {tenant}
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("SELECT * FROM holdings"))).all() == []
    await database.close()


def routes(service: Service) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of every route that the OpenAPI document knows, but health."""
    transport: Any = service.http._transport
    paths = transport.app.openapi()["paths"]
    return [
        (method.upper(), path, operation)
        for path, operations in paths.items()
        if not path.startswith(("/livez", "/readyz", "/metrics"))
        for method, operation in operations.items()
    ]


async def test_s23_foreign_and_absent_ids_are_answered_alike(full: Service) -> None:
    """Every route with an id in its path, asked by one tenant for the other's, and for what does not exist."""
    letters = (await full.get("/v1/dead-letters", AWAY)).json()
    frameworks = (await full.get("/v1/frameworks", AWAY)).json()["frameworks"]
    (decision,) = (await full.get(f"/v1/learners/lrn_{AWAY}/decisions", AWAY)).json()["decisions"]
    (line,) = (await full.get("/v1/equivalences", AWAY)).json()["decisions"]
    (award,) = (await full.get(f"/v1/learners/lrn_{AWAY}/awards", AWAY)).json()["awards"]
    foreign = {"learner": f"lrn_{AWAY}", "framework": frameworks[0]["id"], "letter": letters[0]["id"]}
    foreign |= {"award": award["id"], "decision": decision["id"]}
    absent = {name: "lrn_nobody" if name == "learner" else str(uuid4()) for name in foreign}
    seen = 0
    for method, path, _ in routes(full):
        names = re.findall(r"{(\w+)}", path)
        if not names or names == ["achievement"]:  # what is on offer is public; whose rules it counts for is not
            continue
        seen += 1
        foreign["decision"] = line["id"] if path.startswith("/v1/equivalences") else decision["id"]
        body = {"json": BODIES[path]} if path in BODIES else {}
        own = await full.http.request(method, path.format(**foreign), headers=full.auth(AWAY), **body)
        assert own.status_code in {200, 201, 202, 409} or (own.status_code, own.json()["code"]) == (
            400,
            "framework-unknown",
        ), f"{method} {path} is not there for its own tenant: {own.text}"
        answers = [
            await full.http.request(method, path.format(**ids), headers=full.auth(HOME), **body)
            for ids in (foreign, absent)
        ]
        assert [answer.status_code for answer in answers] == [404, 404], f"{method} {path}"
        bodies = [{k: v for k, v in answer.json().items() if k not in {"instance", "traceId"}} for answer in answers]
        assert bodies[0] == bodies[1]
    assert seen >= 20
    audits = f"/v1/learners/lrn_{HOME}/audits"
    assert (await full.get(audits, params={"framework": foreign["framework"]})).status_code == 404


async def test_s23_lists_show_only_what_is_the_callers(full: Service) -> None:
    for path, inside in (("/v1/frameworks", "frameworks"), ("/v1/reviews", "reviews"), ("/v1/dead-letters", None)):
        for tenant, other in ((HOME, AWAY), (AWAY, HOME)):
            answer = await full.get(path, tenant)
            rows = answer.json()[inside] if inside else answer.json()
            assert f"lrn_{other}" not in answer.text
            assert f"https://{other}.example" not in answer.text
            assert len(rows) == (0 if inside == "reviews" else 1)


async def test_every_route_asks_for_a_scope(full: Service) -> None:
    for method, path, _ in routes(full):
        if path in PUBLIC or path == "/v1/audits":
            continue
        address = path.format(
            learner=f"lrn_{HOME}", framework=uuid4(), letter=uuid4(), decision=uuid4(), award=uuid4(), achievement="x"
        )
        assert (await full.http.request(method, address, json={})).status_code == 401, f"{method} {path}"
        powerless = full.auth(HOME, "verifications:read")
        assert (await full.http.request(method, address, json={}, headers=powerless)).status_code == 403, path


async def test_s30_no_answer_repeats_a_secret(full: Service) -> None:
    answer = await full.http.get("/v1/reviews", headers={"Authorization": "Bearer canary-7f3a"})
    assert answer.status_code == 401
    assert "canary" not in answer.text
