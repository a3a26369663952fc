"""R7, S37: one key, one answer, for one caller on one route."""

import asyncio
import uuid

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from cairn.common.auth import Principal
from cairn.common.db import Database
from cairn.common.idempotency import Answer, Idempotency, KeyReused
from cairn.common.problem import DomainError
from cairn.common.vault import Vault

VAULT = Vault(SecretStr("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))
LMS = Principal("lms", "north", frozenset())


async def call(
    database: Database,
    key: str | None,
    *,
    principal: Principal = LMS,
    route: str = "POST /v1/completions",
    body: bytes = b"{}",
) -> tuple[Answer, bool]:
    """A use case: the answer, and whether the work was done for it. The work is a row in `notes`."""
    idempotency = Idempotency(VAULT, principal, route, key, body)
    async with database.transaction(principal.tenant) as tx:
        if saved := await idempotency.saved(tx):
            return saved, False
        row = await tx.row(
            text("INSERT INTO notes (tenant_id, id, body) VALUES (:tenant, gen_random_uuid(), :key) RETURNING id"),
            {"tenant": principal.tenant, "key": str(key)},
        )
        assert row is not None
        answer = Answer(202, row["id"].encode(), {"Location": f"/v1/receipts/{row['id']}"})
        await idempotency.save(tx, answer)
        await tx.commit()
        return answer, True


async def works(database: Database, key: str) -> int:
    async with database.transaction("north") as tx:
        return len(await tx.rows(text("SELECT id FROM notes WHERE body = :key"), {"key": key}))


async def test_r7_fifty_in_parallel_do_the_work_once(database) -> None:
    answers = await asyncio.gather(*(call(database, "fifty") for _ in range(50)))
    assert len({answer.body for answer, _ in answers}) == 1
    assert [done for _, done in answers].count(True) == 1
    assert await works(database, "fifty") == 1
    assert all(answer.status == 202 and answer.headers["Location"] for answer, _ in answers)


async def test_r7_a_changed_body_under_the_same_key_is_refused(database) -> None:
    await call(database, "changed")
    with pytest.raises(KeyReused) as caught:
        await call(database, "changed", body=b'{"other": 1}')
    assert caught.value.faults[0].field == "/header/Idempotency-Key"
    assert await works(database, "changed") == 1


async def test_a_request_that_failed_leaves_its_key_free(database) -> None:
    idempotency = Idempotency(VAULT, LMS, "POST /v1/completions", "failed", b"{}")
    async with database.transaction("north") as tx:
        assert await idempotency.saved(tx) is None
        await idempotency.save(tx, Answer(500, b"", {}))  # never committed
    assert (await call(database, "failed"))[1] is True


@pytest.mark.parametrize(
    "other",
    [
        {"principal": Principal("other-lms", "north", frozenset())},
        {"principal": Principal("lms", "south", frozenset())},
        {"route": "POST /v1/learners"},
        # Parts that would run together if they were merely joined.
        {"principal": Principal("lms:POST", "north", frozenset()), "route": "/v1/completions"},
    ],
    ids=["principal", "tenant", "route", "joined"],
)
async def test_s37_a_key_of_another_caller_or_route_is_another_key(database, other) -> None:
    key = f"shared-{uuid.uuid4()}"
    mine, _ = await call(database, key)
    theirs, done = await call(database, key, **other)
    assert done
    assert theirs.body != mine.body
    assert (await call(database, key))[0].body == mine.body


async def test_without_a_key_every_request_is_a_new_one(database) -> None:
    (one, first), (two, second) = await call(database, None), await call(database, None)
    assert first
    assert second
    assert one.body != two.body


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\x00b"])
async def test_a_key_that_cannot_be_one_is_refused(database, key: str) -> None:
    with pytest.raises(DomainError) as caught:
        await call(database, key)
    assert caught.value.faults[0].field == "/header/Idempotency-Key"


async def test_s36_the_saved_answer_is_sealed_and_expires(database) -> None:
    idempotency = Idempotency(VAULT, LMS, "r", "sealed", b"canary-request")
    async with database.transaction("north") as tx:
        await idempotency.saved(tx)
        await idempotency.save(tx, Answer(200, b"canary-answer", {}))
        await tx.commit()
    async with database.transaction("north") as tx:
        row = await tx.row(text("SELECT *, expires_at - now() AS left FROM saved_answers WHERE key = 'sealed'"))
        assert row is not None
        assert "canary" not in str(dict(row))
        assert 23 * 3600 < row["left"].total_seconds() <= 24 * 3600
        await tx.execute(text("UPDATE saved_answers SET expires_at = now() WHERE key = 'sealed'"))
        await tx.commit()
    async with database.transaction("north") as tx:
        assert await Idempotency(VAULT, LMS, "r", "sealed", b"another request").saved(tx) is None


async def test_s36_an_answer_that_was_moved_to_another_key_does_not_open(database) -> None:
    await call(database, "from")
    await call(database, "to")
    async with database.transaction("north") as tx:
        await tx.execute(
            text("UPDATE saved_answers SET body = (SELECT body FROM saved_answers WHERE key = 'from') WHERE key = 'to'")
        )
        await tx.commit()
    with pytest.raises(Exception, match="altered or moved"):
        await call(database, "to")
