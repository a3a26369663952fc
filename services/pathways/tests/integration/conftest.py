"""The pathways service on a real database: its app, its worker, and principals with tokens."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from cairn.common.auth import SCOPES, mint, new_signing_key, public_jwks
from cairn.common.db import EVERY_TENANT
from cairn.common.events import Event, decode, fact_of
from cairn.pathways import consumers
from cairn.pathways.app import pathways_app
from cairn.pathways.deps import Deps
from cairn.pathways.settings import PathwaysSettings
from cairn.pathways.store.state import state_hash
from cairn.pathways.use_cases import backfill, falling_due
from cairn.provision.described import described
from cairn.provision.postgres import ServiceDatabase
from cairn.provision.pytest_plugin import empty

from .world import HOME, NOW, Log, catalogue

KEK = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass
class Service:
    """The service as a caller and as its own worker see it."""

    http: httpx.AsyncClient
    deps: Deps
    worker: Deps
    token: Callable[..., str]
    database: ServiceDatabase

    def auth(self, tenant: str, *scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(tenant, *scopes)}"}

    async def post(self, path: str, body: Any = None, tenant: str = HOME, **options: Any) -> httpx.Response:
        return await self.http.post(path, json=body, headers=self.auth(tenant), **options)

    async def get(self, path: str, tenant: str = HOME, **options: Any) -> httpx.Response:
        return await self.http.get(path, headers=self.auth(tenant), **options)

    async def hear(self, *events: Event) -> None:
        """As the consumer does, in one batch."""
        await consumers.handle(self.worker, list(events))

    async def backfill(self) -> int:
        """Let the job run until there is nothing left to do; the number of its steps."""
        steps = 0
        while await backfill.step(self.worker):
            steps += 1
        return steps

    async def fall_due(self) -> int:
        """Let the scheduler run until nothing is due; how many learners it audited."""
        audited = 0
        while done := await falling_due.step(self.worker):
            audited += done
        return audited

    async def publish(self, document: dict[str, Any], tenant: str = HOME) -> str:
        """A framework, drafted and published; its id."""
        answer = await self.post("/v1/frameworks", document, tenant)
        assert answer.status_code in {200, 201}, answer.text
        answer = await self.post(f"/v1/frameworks/{answer.json()['id']}/publish", tenant=tenant)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def audits(self, learner: str, tenant: str = HOME) -> list[dict[str, Any]]:
        answer = await self.get(f"/v1/learners/{learner}/audits", tenant)
        assert answer.status_code == 200, answer.text
        return answer.json()["audits"]

    async def awards(self, learner: str, tenant: str = HOME) -> list[dict[str, Any]]:
        answer = await self.get(f"/v1/learners/{learner}/awards", tenant)
        assert answer.status_code == 200, answer.text
        return answer.json()["awards"]

    async def said(self, type_: str | None = None) -> list[Event]:
        """What lies in the outbox, well-formed."""
        events = [decode(row["payload"]) for row in await self.sql("SELECT payload FROM outbox ORDER BY seq")]
        for each in events:
            fact_of(each)
        return [each for each in events if type_ in {None, each.type}]

    async def state(self) -> str:
        async with self.worker.database.transaction(EVERY_TENANT) as tx:
            return await state_hash(tx)

    async def sql(self, statement: str, tenants: str = EVERY_TENANT, **parameters: Any) -> list[dict[str, Any]]:
        async with self.worker.database.transaction(tenants) as tx:
            return [dict(row) for row in await tx.rows(text(statement), parameters)]

    async def start_again(self) -> None:
        """Forget everything."""
        await empty(self.database)

    def at(self, now: datetime) -> "Service":
        """The same service at another time."""
        told: dict[str, Any] = {"now": lambda: now, "clock": _database_time(lambda: now)}
        return replace(self, deps=replace(self.deps, **told), worker=replace(self.worker, **told))


@pytest.fixture(scope="session")
def migrated(migrated_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return migrated_database("pathways")


@pytest.fixture(scope="session")
def signing_key() -> Any:
    return new_signing_key()


@pytest.fixture(scope="session")
def settings(migrated: ServiceDatabase, signing_key: Any) -> PathwaysSettings:
    return PathwaysSettings(
        environment="test",
        database_url=migrated.url,
        kek=KEK,
        auth_jwks=public_jwks(signing_key),
        database_pool=8,
        public_scopes=frozenset({"audits:evaluate"}),
        backfill_window=2,
        backfill_awards_per_minute=10**9,
    )


@pytest.fixture
async def service(settings: PathwaysSettings, migrated: ServiceDatabase, signing_key: Any) -> AsyncGenerator[Service]:
    """The service, without anything in it."""
    await empty(migrated)
    made = _wire(settings, signing_key, migrated)
    yield made
    await _close(made)


def _wire(settings: PathwaysSettings, signing_key: Any, database: ServiceDatabase) -> Service:
    clock = _clock()
    told: dict[str, Any] = {"now": clock, "clock": _database_time(clock)}
    deps, worker = (replace(Deps.wire(settings, worker=role), **told) for role in (False, True))

    def token(tenant: str, *scopes: str) -> str:
        everything = [scope for scope in SCOPES if scope != "platform:admin" or tenant == "platform"]
        return mint(signing_key, "tester", tenant, list(scopes) or everything)

    transport = httpx.ASGITransport(described(pathways_app(settings, deps)))
    http = httpx.AsyncClient(transport=transport, base_url="http://pathways")
    return Service(http, deps, worker, token, database)


def _clock() -> Callable[[], datetime]:
    """It never stands still, as no clock does."""
    ticks = iter(range(1, 10**9))
    return lambda: NOW + timedelta(microseconds=next(ticks))


def _database_time(now: Callable[[], datetime]) -> Callable[[Any], Any]:
    """Stands for the database's clock, which a test cannot set."""

    async def clock(_: Any) -> datetime:
        return now()

    return clock


async def _close(service: Service) -> None:
    await service.http.aclose()
    await service.deps.database.close()
    await service.worker.database.close()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def campus(service: Service) -> Service:
    """The service, knowing what both universities offer."""
    await service.hear(*catalogue())
    return service
