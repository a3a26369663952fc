"""`/v1/dead-letters`: what could not be taken is listed, looked into by its owner, and replayed once it can be."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from cairn.common import dead_letters
from cairn.common.bus import Record
from cairn.common.events import encode
from cairn.common.vault import Vault

from .test_trust_registry import accredited


@pytest.fixture
def bury(worker, settings):
    """Puts a record among the dead letters of `tenant`; its id."""

    async def make(tenant: str, body: bytes, *, code: str = "failed") -> str:
        record = Record("catalog", 0, uuid4().int % 2**62, tenant, body)
        async with worker.database.transaction(tenant) as tx:
            await dead_letters.store(
                *(tx, Vault(settings.kek), tenant, "verification", record),
                code=code,
                detail="It could not be taken.",
                event_type="institution.accredited.v1",
            )
            row = await tx.row(text("SELECT id FROM dead_letters WHERE position = :at"), {"at": record.offset})
            await tx.commit()
        assert row is not None
        return str(row["id"])

    return make


@pytest.fixture
def as_north(token_for):
    return {"headers": token_for("dead-north", "dead-letters:read", "dead-letters:write")}


async def test_one_is_listed_without_its_body_and_opened_with_it(client, bury, as_north) -> None:
    letter = await bury("dead-north", encode(accredited("dead-north")))
    (listed,) = [row for row in (await client.get("/v1/dead-letters", **as_north)).json() if row["id"] == letter]
    assert listed["consumer"] == "verification"
    assert listed["topic"] == "catalog"
    assert listed["eventType"] == "institution.accredited.v1"
    assert listed["replayedAt"] is None
    assert "body" not in listed
    opened = (await client.get(f"/v1/dead-letters/{letter}", **as_north)).json()
    assert opened["body"].encode() == encode(accredited("dead-north"))
    assert {name: opened[name] for name in listed} == listed


async def test_the_list_has_pages(client, bury, as_north) -> None:
    for _ in range(3):
        await bury("dead-north", b"x")
    every = (await client.get("/v1/dead-letters", **as_north)).json()
    first = (await client.get("/v1/dead-letters?limit=2", **as_north)).json()
    rest = (await client.get("/v1/dead-letters", params={"before": first[-1]["at"]}, **as_north)).json()
    assert [row["id"] for row in [*first, *rest]] == [row["id"] for row in every]
    assert (await client.get("/v1/dead-letters?consumer=another", **as_north)).json() == []
    assert (await client.get("/v1/dead-letters?limit=0", **as_north)).status_code == 422


async def test_replayed_it_is_taken_as_though_nothing_had_been(client, bury, as_north, own_database) -> None:
    letter = await bury("dead-north", encode(accredited("dead-north")))
    for _ in range(2):  # again changes nothing
        answer = await client.post(f"/v1/dead-letters/{letter}/replay", **as_north)
        assert answer.status_code == 200, answer.text
        assert answer.json()["replayedAt"] is not None
    settled = (await client.get("/v1/dead-letters", **as_north)).json()
    assert letter in {row["id"] for row in settled}
    left = (await client.get("/v1/dead-letters?unsettled=true", **as_north)).json()
    assert letter not in {row["id"] for row in left}
    async with own_database.transaction("anybody") as tx:
        rows = await tx.rows(text("SELECT * FROM issuers WHERE tenant_id = 'dead-north'"))
    assert len(rows) == 1


@pytest.mark.parametrize(
    "body", [b"garbage", b"{}", b"\xff", encode(accredited("dead-north")).replace(b'"issuer"', b'"isuer"')]
)
async def test_what_is_still_malformed_stays_a_dead_letter(client, bury, as_north, body: bytes) -> None:
    letter = await bury("dead-north", body, code="malformed")
    answer = await client.post(f"/v1/dead-letters/{letter}/replay", **as_north)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    opened = (await client.get(f"/v1/dead-letters/{letter}", **as_north)).json()
    assert opened["replayedAt"] is None


async def test_to_read_is_not_to_replay(client, bury, token_for) -> None:
    letter = await bury("dead-north", encode(accredited("dead-north")))
    reader = {"headers": token_for("dead-north", "dead-letters:read")}
    assert (await client.post(f"/v1/dead-letters/{letter}/replay", **reader)).status_code == 403


async def test_s36_one_that_was_moved_or_has_expired_does_not_open(client, bury, as_north, own_database) -> None:
    one, other = [await bury("dead-north", body) for body in (b"one", b"other")]
    async with own_database.transaction("dead-north") as tx:
        await tx.execute(
            text("UPDATE dead_letters SET body = (SELECT body FROM dead_letters WHERE id = :one) WHERE id = :other"),
            {"one": one, "other": other},
        )
        await tx.execute(text("UPDATE dead_letters SET expires_at = now() WHERE id = :one"), {"one": one})
        await tx.commit()
    for letter in (one, other):
        assert (await client.get(f"/v1/dead-letters/{letter}", **as_north)).status_code == 404
