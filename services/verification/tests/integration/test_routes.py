"""Over every route, as OpenAPI lists them: who may call it, and that nothing of another tenant is behind it."""

from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from cairn.common.auth import SCOPES
from cairn.common.bus import Record
from cairn.common.db import refuse_unsafe_role
from cairn.common.dead_letters import store as bury
from cairn.common.vault import Vault
from cairn.provision.described import described
from cairn.verification.app import verification_app

HEALTH = {"/livez", "/readyz", "/metrics"}
EVERYTHING = sorted(SCOPES)


def operations(document: dict) -> list[tuple[str, str]]:
    return [(method, path) for path, methods in document["paths"].items() for method in methods if path not in HEALTH]


@pytest.fixture
async def anybody(settings, deps):
    """A caller without a token, of a service with no public scopes."""
    transport = httpx.ASGITransport(described(verification_app(settings, deps)), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://verification") as made:
        yield made


async def test_every_route_asks_who_calls(anybody, token_for) -> None:
    document = (await anybody.get("/openapi.json")).json()
    asked = operations(document)
    assert len(asked) >= 7
    for method, path in asked:
        url = path.replace("{did}", "did:web:x.example")
        for name in ("verification", "letter"):
            url = url.replace(f"{{{name}}}", str(uuid4()))
        answer = await anybody.request(method, url)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)
        answer = await anybody.request(method, url, headers=token_for("north", "achievements:read"))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)


async def test_in_a_onebox_anybody_may_verify_and_nothing_else(settings, deps, north) -> None:
    opened = settings.model_copy(update={"public_scopes": frozenset({"verifications:create"})})
    transport = httpx.ASGITransport(verification_app(opened, deps), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://verification") as client:
        answer = await client.post("/v1/verifications", json={"credential": north.credential()})
        assert answer.status_code == 200
        assert answer.json()["verified"]
        assert (await client.get(f"/v1/verifications/{answer.json()['id']}")).status_code == 401
        assert (await client.get("/v1/dead-letters")).status_code == 401


async def made_by_north(client, north, worker, settings, token_for) -> dict[str, str]:
    """One object of the tenant `north` behind each path parameter."""
    headers = token_for("north", *EVERYTHING)
    answer = await client.post("/v1/verifications", json={"credential": north.credential()}, headers=headers)
    async with worker.database.transaction("north") as tx:
        record = Record("catalog", 0, uuid4().int % 2**62, "north", b"canary-body")
        await bury(
            *(tx, Vault(settings.kek), "north", "verification", record),
            code="malformed",
            detail="It is not an event.",
            event_type="",
        )
        await tx.commit()
    (letter, *_) = (await client.get("/v1/dead-letters", headers=headers)).json()
    assert letter["position"] == record.offset
    return {"verification": answer.json()["id"], "letter": letter["id"]}


async def test_s23_another_tenants_object_is_not_found(client, north, worker, settings, token_for) -> None:
    ids = await made_by_north(client, north, worker, settings, token_for)
    document = (await client.get("/openapi.json")).json()
    with_ids = [(m, path) for m, path in operations(document) if "{" in path and "{did}" not in path]
    assert {part for _, path in with_ids for part in ids if f"{{{part}}}" in path} == set(ids)
    for method, path in with_ids:
        url = path.format(**ids)
        for tenant in ("south", "platform"):
            answer = await client.request(method, url, headers=token_for(tenant, *EVERYTHING))
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), (method, path, tenant)
            assert "canary" not in answer.text
        unknown = path.format(**dict.fromkeys(ids, str(uuid4())))
        same = await client.request(method, unknown, headers=token_for("north", *EVERYTHING))
        assert same.status_code == 404
        # Absent and foreign are not told apart.
        assert same.json()["detail"] == answer.json()["detail"]
    owner = token_for("north", *EVERYTHING)
    assert (await client.get(f"/v1/verifications/{ids['verification']}", headers=owner)).status_code == 200
    assert (await client.get(f"/v1/dead-letters/{ids['letter']}", headers=owner)).json()["body"] == "canary-body"


async def test_s23_lists_hold_the_callers_own_only(client, north, worker, settings, token_for) -> None:
    ids = await made_by_north(client, north, worker, settings, token_for)
    for tenant, sees in (("north", True), ("south", False), ("platform", False)):
        listed = (await client.get("/v1/dead-letters", headers=token_for(tenant, *EVERYTHING))).json()
        assert (ids["letter"] in {letter["id"] for letter in listed}) == sees


async def test_an_id_that_is_none_is_malformed(client) -> None:
    answer = await client.get("/v1/verifications/7")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "/path/verification")


async def test_s21_every_table_is_protected(own_database, service_database, postgres_server) -> None:
    await refuse_unsafe_role(own_database)
    async with own_database.engine.connect() as connection:
        names = (
            (
                await connection.execute(
                    text(
                        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
                    )
                )
            )
            .scalars()
            .all()
        )
        assert set(names) >= {"issuers", "verifications", "outbox", "inbox", "dead_letters", "saved_answers"}
        for name in names:
            if name != "issuers":  # public data
                assert (await connection.execute(text(f"SELECT 1 FROM {name}"))).all() == []
