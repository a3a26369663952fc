"""Tenants apart, on every table and every route of issuance."""

import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr
from sqlalchemy import text

from cairn.common.auth import SCOPES
from cairn.common.command import documentation
from cairn.common.db import refuse_unsafe_role
from cairn.common.dead_letters_http import dead_letter_router
from cairn.common.settings import DEVELOPMENT_KEK
from cairn.common.vault import Vault
from cairn.issuance.app import ROUTERS, issuance_app
from cairn.issuance.http.shared import PUBLIC
from cairn.issuance.settings import IssuanceSettings

LETTERS = dead_letter_router(Vault(SecretStr(DEVELOPMENT_KEK)), {})
OPEN = {"/livez", "/readyz", "/metrics"}


def routes() -> list[APIRoute]:
    found = [route for router in (*ROUTERS, LETTERS) for route in router.routes if isinstance(route, APIRoute)]
    documented = set(service_paths())
    assert {route.path_format for route in found} == documented, "a route is served that the tests do not see"
    return found


def service_paths() -> list[str]:
    app = issuance_app(documentation(IssuanceSettings))
    return [path for path in app.openapi()["paths"] if path not in OPEN]


async def test_s21_the_role_and_every_table_are_safe(service):
    await refuse_unsafe_role(service.deps.database)
    tables = await service.sql(
        """SELECT relname, relrowsecurity AND relforcerowsecurity AS safe FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"""
    )
    assert len(tables) > 15
    assert [table["relname"] for table in tables if not table["safe"]] == []


async def test_every_route_has_a_principal_and_a_scope(service):
    for route in routes():
        scopes = {getattr(dependency.call, "required_scope", None) for dependency in route.dependant.dependencies} - {
            None
        }
        assert bool(scopes) != (route.path in PUBLIC), route.path
        assert scopes <= set(SCOPES), route.path


async def test_no_token_opens_nothing(service):
    for route in routes():
        if route.path in PUBLIC:
            continue
        for method in route.methods:
            answer = await service.http.request(method, filled(route.path_format, {}), json={})
            assert answer.status_code == 401, (method, route.path, answer.text)


async def test_the_wrong_scope_opens_nothing(service):
    headers = service.auth("north", "audits:evaluate")
    for route in routes():
        if route.path in PUBLIC:
            continue
        for method in route.methods:
            answer = await service.http.request(method, filled(route.path_format, {}), json={}, headers=headers)
            assert answer.status_code == 403, (method, route.path, answer.text)


def filled(path: str, values: dict[str, str]) -> str:
    defaults = {
        "tenant": "north",
        "code": "stats",
        "list_id": "1",
        "purpose": "revocation",
        "learner": "lrn_x",
        "merged": "lrn_y",
        "credential": "urn:uuid:0",
        "key": "key-1",
        "receipt": "00000000-0000-0000-0000-000000000000",
        "letter": "00000000-0000-0000-0000-000000000000",
        "id": "00000000-0000-0000-0000-000000000000",
    }
    return path.format(**{**defaults, **values})


async def test_s23_every_route_answers_404_for_another_tenants_objects(service):
    learner = await service.learner("ada")
    receipt = (await service.complete("ada")).json()["id"]
    await service.work()
    (row,) = await service.sql("SELECT id FROM credentials")
    await service.post(
        "/v1/achievements", {"code": "only-north", "name": "N", "description": "d", "criteria": {"narrative": "n"}}
    )
    ids = {"learner": learner, "receipt": receipt, "credential": row["id"], "code": "only-north", "merged": learner}
    bodies = {
        "identifiers": {"kind": "lms-user", "value": "z"},
        "merges": {"code": "north.x", "consent": "c"},
        "keys": {"algorithm": "EdDSA"},
        "key-1/revoke": {"since": "2026-01-01T00:00:00Z", "reason": "r"},
        "revoke": {"reason": "r"},
        "suspend": {"reason": "r"},
        "reinstate": {"reason": "r"},
        "renew": {"completedAt": "2026-10-01T00:00:00Z", "evidence": [{"narrative": "n"}]},
    }
    tried = 0
    for route in routes():
        if "{" not in route.path or route.path in PUBLIC:
            continue
        for method in route.methods:
            path = filled(route.path_format, ids)
            last = path.split("/")
            body = bodies.get("/".join(last[-2:])) or bodies.get(last[-1])
            answer = await service.http.request(method, path, json=body, headers=service.auth("harbour"))
            assert answer.status_code == 404, (method, path, answer.text)
            tried += 1
    assert tried >= 12
    listed = (await service.get("/v1/credentials", "harbour")).json()
    assert listed == []
    shown = (await service.get(f"/v1/credentials/{row['id']}")).json()
    assert shown["status"] == "valid", "nothing of it had an effect"


async def test_a_request_cannot_act_for_every_tenant(service):
    with pytest.raises(ValueError, match="worker"):
        async with service.deps.database.transaction("*"):
            pass


async def test_rows_of_another_tenant_cannot_be_written(service):
    from sqlalchemy.exc import DBAPIError

    async with service.deps.database.transaction("harbour") as tx:
        with pytest.raises(DBAPIError, match="row-level security"):
            await tx.execute(text("INSERT INTO learners (tenant_id, id) VALUES ('north', 'lrn_forged')"))
