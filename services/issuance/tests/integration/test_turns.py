"""R15: institutions are served in turn, so that one with ten times the usual work keeps nobody waiting."""

from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import text

from cairn.common.db import EVERY_TENANT, Database
from cairn.issuance.store import completions, credentials
from cairn.issuance.use_cases import issue


async def post(service: Any, tenant: str, many: int) -> None:
    """Completions at `many` minutes of a day."""
    learner = {"identifier": {"kind": "lms-user", "value": f"user-of-{tenant}"}}
    await service.learner(f"user-of-{tenant}", tenant)
    lines = [
        {"learner": learner, "achievement": "stats", "completedAt": f"2026-01-01T{n // 60:02}:{n % 60:02}:00Z"}
        for n in range(many)
    ]
    body = b"\n".join(orjson.dumps(line) for line in lines)
    headers = service.auth(tenant) | {"content-type": "application/x-ndjson"}
    answer = await service.http.post("/v1/completions", content=body, headers=headers)
    assert answer.json()["accepted"] == many


async def test_r15_who_has_little_to_do_is_served_before_who_has_much(service) -> None:
    await post(service, "north", 300)
    await post(service, "harbour", 5)
    async with service.worker.database.transaction(EVERY_TENANT) as tx:
        taken = Counter(row["tenant_id"] for row in await completions.take_pending(tx, 20))
    assert taken == {"north": 15, "harbour": 5}
    deps = replace(service.worker, settings=service.worker.settings.model_copy(update={"draft_batch": 40}))
    assert await issue.draft(deps) == 40
    async with service.worker.database.transaction(EVERY_TENANT) as tx:
        taken = Counter(row["tenant_id"] for row in await credentials.take_intended(tx, 20))
    assert taken == {"north": 15, "harbour": 5}
    await service.work()
    rows = await service.sql("SELECT tenant_id, issued_at FROM credentials WHERE state = 'issued'")
    assert Counter(row["tenant_id"] for row in rows) == {"north": 300, "harbour": 5}


async def test_two_workers_share_what_waits_and_take_nothing_twice(service) -> None:
    await post(service, "north", 30)
    await post(service, "harbour", 30)
    async with (
        service.worker.database.transaction(EVERY_TENANT) as one,
        service.worker.database.transaction(EVERY_TENANT) as other,
    ):
        first = await completions.take_pending(one, 20)
        second = await completions.take_pending(other, 20)
    assert {row["id"] for row in first}.isdisjoint(row["id"] for row in second)
    for rows in (first, second):
        assert Counter(row["tenant_id"] for row in rows) == {"north": 10, "harbour": 10}


async def test_finding_whose_turn_it_is_takes_a_look_at_each_institution_however_much_it_has(service, migrated) -> None:
    await post(service, "north", 1400)
    await post(service, "harbour", 3)
    owner = Database(migrated.owner_url)
    async with owner.connection() as connection:  # what the planner knows does not depend on when it was looked at
        await connection.execute(text("ANALYZE completions"))
        await connection.commit()
    await owner.close()
    async with service.worker.database.transaction(EVERY_TENANT) as tx:
        # So small a table is read whole, and sorted, otherwise.
        for way in ("seqscan", "bitmapscan", "sort"):
            await tx.execute(text(f"SET LOCAL enable_{way} = off"))
        assert len(await completions.take_pending(tx, 10)) == 10
        read = text(
            "SELECT seq_tup_read + idx_tup_fetch AS n FROM pg_stat_xact_user_tables WHERE relname = 'completions'"
        )
        assert (await tx.rows(read))[0]["n"] < 100
