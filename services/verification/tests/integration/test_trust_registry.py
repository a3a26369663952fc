"""The consumer of `catalog`: who is accredited is known, however often and in whatever order it is said."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from cairn.common.events import Event, MalformedEvent, topics
from cairn.common.events.models import AchievementRetired, InstitutionAccredited
from cairn.verification.consumers import GROUP, TOPICS, handle

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)


def accredited(tenant: str, *, name: str = "University", days: int = 0, did: str | None = None) -> Event:
    at = AT + timedelta(days=days)
    issuer = did or f"did:web:cairn.localhost:issuance:institutions:{tenant}"
    fact = InstitutionAccredited(
        institution=tenant, issuer=issuer, name=name, accredited_by=("did:web:agency.example",), at=at
    )
    return Event(
        type="institution.accredited.v1",
        source="/issuance",
        subject=tenant,
        tenant=tenant,
        key=tenant,
        data=fact.to_json(),
        time=at,
    )


async def issuers(database) -> list[tuple]:
    async with database.transaction("nobody") as tx:  # the registry is public, whatever the scope
        rows = await tx.rows(text("SELECT tenant_id, did, name, accredited_at FROM issuers ORDER BY did"))
    return [tuple(row.values()) for row in rows if "registry" in row["tenant_id"]]


def test_it_reads_what_the_topic_table_lets_it_read() -> None:
    assert GROUP == "verification"
    assert all(GROUP in topics()[name].readers for name in TOPICS)


async def test_who_is_accredited_is_known_to_every_tenant(worker, own_database) -> None:
    await handle(worker, [accredited("registry-a"), accredited("registry-b")])
    assert [row[0] for row in await issuers(own_database)] == ["registry-a", "registry-b"]


async def test_r8_order_and_repetition_change_nothing(worker, own_database) -> None:
    events = [accredited("registry-a", name=f"Name {days}", days=days) for days in (10, 20, 30)]
    states = []
    for order in itertools.permutations([*events, events[0]]):
        async with own_database.transaction("*") as tx:
            await tx.execute(text("DELETE FROM inbox"))
            await tx.execute(text("UPDATE issuers SET name = 'Before', accredited_at = '2000-01-01'"))
            await tx.commit()
        for event in order:
            await handle(worker, [event])
        await handle(worker, list(order))
        states.append(await issuers(own_database))
    assert all(state == states[0] for state in states)
    assert ("registry-a", events[-1].data["issuer"], "Name 30", AT + timedelta(days=30)) in states[0]


async def test_r11_fields_of_a_newer_writer_are_tolerated(worker, own_database) -> None:
    event = accredited("registry-c")
    newer = Event(**{name: getattr(event, name) for name in event.__slots__} | {"data": {**event.data, "new": [1]}})
    await handle(worker, [newer])
    assert "registry-c" in {row[0] for row in await issuers(own_database)}


async def test_other_events_of_the_topic_pass_by(worker, own_database) -> None:
    fact = AchievementRetired(achievement="https://north.example/a/1", at=AT)
    event = Event(
        type="achievement.retired.v1",
        source="/issuance",
        subject=fact.achievement,
        tenant="north",
        key=fact.achievement,
        data=fact.to_json(),
        time=AT,
    )
    before = await issuers(own_database)
    await handle(worker, [event])
    assert await issuers(own_database) == before


async def test_a_malformed_event_takes_its_batch_back_with_it(worker, own_database) -> None:
    bad = accredited("registry-bad")
    bad = Event(**{name: getattr(bad, name) for name in bad.__slots__} | {"data": {"institution": "registry-bad"}})
    with pytest.raises(MalformedEvent, match=r"data\.issuer"):
        await handle(worker, [accredited("registry-good", days=1), bad])
    assert "registry-good" not in {row[0] for row in await issuers(own_database)}
    await handle(worker, [accredited("registry-good", days=1)])
    assert "registry-good" in {row[0] for row in await issuers(own_database)}


async def test_a_tenant_cannot_write_the_registry_of_another(own_database) -> None:
    async with own_database.transaction("mallory") as tx:
        changed = await tx.execute(text("UPDATE issuers SET name = 'Mallory'"))
        assert changed.rowcount == 0
        with pytest.raises(Exception, match="row-level security"):
            await tx.execute(
                text("INSERT INTO issuers VALUES ('north', 'did:web:evil', 'north', 'x', '[]', now())"),
            )


async def test_from_being_heard_on_the_issuer_is_trusted(client, issuer_on_the_web, accredit) -> None:
    newcomer = issuer_on_the_web("newcomer", 3)
    answer = await client.post("/v1/verifications", json={"credential": newcomer.credential(index=1)})
    assert answer.json()["checks"]["trust"]["outcome"] == "undetermined"
    await accredit(newcomer)
    answer = await client.post("/v1/verifications", json={"credential": newcomer.credential(index=1)})
    assert answer.json()["checks"]["trust"]["outcome"] == "passed"
    assert answer.json()["verified"]
