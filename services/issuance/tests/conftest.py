"""The issuance service on a real database: its app, its jobs, and principals with tokens."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from cairn.common.auth import SCOPES, mint, new_signing_key, public_jwks
from cairn.common.db import EVERY_TENANT
from cairn.common.events import Event, decode
from cairn.issuance.app import issuance_app
from cairn.issuance.deps import Deps
from cairn.issuance.settings import IssuanceSettings
from cairn.issuance.use_cases import issue
from cairn.provision.described import described
from cairn.provision.postgres import ServiceDatabase
from cairn.provision.pytest_plugin import empty

KEK = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
TENANTS = ("north", "harbour")

STATISTICS = {
    "code": "stats",
    "name": "Statistics",
    "description": "Describe data and infer from it.",
    "criteria": {"narrative": "Pass the proctored exam."},
    "credits": {"value": "5", "unit": "ECTS"},
    "level": {"EQF": 7},
    "tag": ["data"],
    "area": ["statistics"],
    "learningOutcomes": ["Choose and apply a test."],
    "workload": {"hours": "125"},
    "assessment": {"type": "exam", "supervised": True, "identityVerified": True},
    "participation": "online",
    "qualityAssurance": {"type": "accreditation", "body": "NVAO"},
}


@dataclass
class Service:
    """The service as a caller and as its own worker see it."""

    http: httpx.AsyncClient
    deps: Deps
    worker: Deps
    token: Callable[..., str]

    def auth(self, tenant: str, *scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(tenant, *scopes)}"}

    async def post(self, path: str, body: Any = None, tenant: str = "north", **options: Any) -> httpx.Response:
        return await self.http.post(path, json=body, headers=self.auth(tenant) | options.pop("headers", {}), **options)

    async def get(self, path: str, tenant: str = "north", **options: Any) -> httpx.Response:
        return await self.http.get(path, headers=self.auth(tenant) | options.pop("headers", {}), **options)

    async def learner(self, user: str, tenant: str = "north", **profile: str) -> str:
        body = {"name": "Ada Lovelace", **profile, "identifiers": [{"kind": "lms-user", "value": user}]}
        answer = await self.post("/v1/learners", body, tenant)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()["id"]

    async def complete(self, user: str, code: str = "stats", tenant: str = "north", **more: Any) -> httpx.Response:
        body = {
            "learner": {"identifier": {"kind": "lms-user", "value": user}},
            "achievement": code,
            "completedAt": "2026-03-01T00:00:00Z",
            **more,
        }
        return await self.post("/v1/completions", body, tenant)

    async def issued(self, user: str, code: str = "stats", tenant: str = "north", **more: Any) -> str:
        """The id of the credential for a new completion, signed."""
        answer = await self.complete(user, code, tenant, **more)
        assert answer.status_code == 202, answer.text
        await self.work()
        receipt = (await self.get(f"/v1/receipts/{answer.json()['id']}", tenant)).json()
        assert receipt["status"] == "done", receipt
        return receipt["outcomes"][0]["credential"]

    async def work(self) -> None:
        """Let the jobs run until there is nothing left to do."""
        while await issue.draft(self.worker) + await issue.sign(self.worker):
            pass

    async def said(self, type_: str | None = None) -> list[Event]:
        """What lies in the outbox."""
        async with self.worker.database.transaction(EVERY_TENANT) as tx:
            rows = await tx.rows(text("SELECT payload FROM outbox ORDER BY seq"))
        events = [decode(row["payload"]) for row in rows]
        return [event for event in events if type_ in {None, event.type}]

    async def sql(self, statement: str, **parameters: Any) -> list[Any]:
        async with self.worker.database.transaction(EVERY_TENANT) as tx:
            return [dict(row) for row in await tx.rows(text(statement), parameters)]


@pytest.fixture(scope="session")
def migrated(migrated_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return migrated_database("issuance")


@pytest.fixture(scope="session")
def signing_key() -> Any:
    return new_signing_key()


@pytest.fixture(scope="session")
def settings(migrated: ServiceDatabase, signing_key: Any) -> IssuanceSettings:
    return IssuanceSettings(
        environment="test",
        database_url=migrated.url,
        kek=KEK,
        auth_jwks=public_jwks(signing_key),
        database_pool=8,
        public_url="https://cairn.localhost/issuance",
    )


@pytest.fixture
async def service(settings: IssuanceSettings, migrated: ServiceDatabase, signing_key: Any) -> AsyncGenerator[Service]:
    """The service with two institutions, each of which offers Statistics."""
    await empty(migrated)
    deps, worker = (replace(Deps.wire(settings, worker=role), now=lambda: NOW) for role in (False, True))

    def token(tenant: str, *scopes: str) -> str:
        everything = [scope for scope in SCOPES if scope != "platform:admin" or tenant == "platform"]
        return mint(signing_key, "tester", tenant, list(scopes) or everything)

    transport = httpx.ASGITransport(described(issuance_app(settings, deps)))
    async with httpx.AsyncClient(transport=transport, base_url="http://issuance") as http:
        made = Service(http, deps, worker, token)
        for tenant in TENANTS:
            body = {"id": tenant, "name": tenant.title(), "url": f"https://{tenant}.example"}
            answer = await made.post("/v1/institutions", body, "platform")
            assert answer.status_code == 201, answer.text
            answer = await made.post("/v1/achievements", STATISTICS, tenant)
            assert answer.status_code == 201, answer.text
        yield made
    await deps.close()
    await worker.close()
