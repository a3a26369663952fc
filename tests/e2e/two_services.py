"""Issuance and pathways in one process, over the embedded log, by a clock that the test sets.

The APIs, jobs, relays and consumers are the real ones; only what the processes around them do, waiting, is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from cairn.common.auth import SCOPES, mint, new_signing_key, public_jwks
from cairn.common.bus.postgres import PostgresBus
from cairn.common.consumer import Consumer
from cairn.common.outbox import Relay
from cairn.credentials import decode_list
from cairn.issuance import consumers as hears_awards
from cairn.issuance import jobs as issuance_jobs
from cairn.issuance.app import issuance_app
from cairn.issuance.deps import Deps as IssuanceDeps
from cairn.issuance.domain.names import credential_id
from cairn.issuance.settings import IssuanceSettings
from cairn.issuance.use_cases import issue
from cairn.pathways import consumers as hears_credentials
from cairn.pathways.app import pathways_app
from cairn.pathways.deps import Deps as PathwaysDeps
from cairn.pathways.settings import PathwaysSettings
from cairn.pathways.use_cases import backfill, falling_due
from cairn.provision.postgres import BusDatabase, ServiceDatabase

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
COMPLETED = "2026-03-01T00:00:00Z"
PUBLIC = "https://cairn.localhost/issuance"
_KEK = SecretStr("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")


@dataclass
class Clock:
    now: datetime = START
    ticks: int = 0

    def __call__(self) -> datetime:
        """It never stands still, as no clock does."""
        self.ticks += 1
        return self.now + timedelta(microseconds=self.ticks)

    async def of_the_database(self, _: object) -> datetime:
        return self()


@dataclass
class TwoServices:
    issuance: httpx.AsyncClient
    pathways: httpx.AsyncClient
    clock: Clock
    signing_key: Any
    steps: list[Any] = field(default_factory=list[Any])
    """What the workers do over and over; each says how much it did."""

    def auth(self, tenant: str) -> dict[str, str]:
        scopes = [scope for scope in SCOPES if scope != "platform:admin" or tenant == "platform"]
        return {"Authorization": f"Bearer {mint(self.signing_key, 'tester', tenant, scopes)}"}

    async def settle(self) -> None:
        """Until nobody has anything to do any more."""
        idle = 0
        while idle < 3:
            done = [await step() for step in self.steps]
            idle = 0 if any(done) else idle + 1
            await asyncio.sleep(0.02 if idle else 0)

    async def ask(
        self, service: httpx.AsyncClient, path: str, body: Any = None, tenant: str = "north", method: str = "POST"
    ) -> Any:
        answer = await service.request(method, path, json=body, headers=self.auth(tenant))
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def offer(self, code: str, tenant: str = "north", **more: Any) -> str:
        """An achievement's id."""
        body = {"code": code, "name": code.title(), "description": "…", "criteria": {"narrative": "…"}, **more}
        return (await self.ask(self.issuance, "/v1/achievements", body, tenant))["id"]

    async def learner(self, user: str, tenant: str = "north") -> str:
        body = {"name": "Ada Lovelace", "identifiers": [{"kind": "lms-user", "value": user}]}
        return (await self.ask(self.issuance, "/v1/learners", body, tenant))["id"]

    async def complete(self, user: str, code: str, tenant: str = "north", at: str = COMPLETED) -> str:
        """The id of the credential for it."""
        who = {"identifier": {"kind": "lms-user", "value": user}}
        body = {"learner": who, "achievement": code, "completedAt": at}
        receipt = (await self.ask(self.issuance, "/v1/completions", body, tenant))["id"]
        await self.settle()
        (line,) = (await self.ask(self.issuance, f"/v1/receipts/{receipt}", tenant=tenant, method="GET"))["outcomes"]
        return line["credential"]

    async def change(self, credential: str, action: str, tenant: str = "north") -> None:
        await self.ask(self.issuance, f"/v1/credentials/{credential}/{action}", {"reason": "a test"}, tenant)
        await self.settle()

    async def publish(self, name: str, requirement: list[dict[str, Any]], **more: Any) -> str:
        """A qualification of every part of `requirement`, which awards the achievement `name`; its id."""
        await self.settle()  # pathways has to have heard of what it asks for
        rules = {
            "qualification": f"https://north.example/q/{name}",
            "version": "2026",
            "award": {"achievement": f"{PUBLIC}/achievements/north/{name}"},
            "requirement": {"id": "root", "all": requirement},
            **more,
        }
        framework = (await self.ask(self.pathways, "/v1/frameworks", rules))["id"]
        assert (await self.ask(self.pathways, f"/v1/frameworks/{framework}/publish"))["state"] == "active"
        await self.settle()
        return rules["qualification"]

    async def awards(self, learner: str) -> dict[str, dict[str, Any]]:
        """The latest of each qualification, by the last part of its id."""
        found = await self.ask(self.pathways, f"/v1/learners/{learner}/awards", method="GET")
        return {each["qualification"].rpartition("/")[2]: each for each in found["awards"]}

    async def credential_of(self, award: str) -> dict[str, Any]:
        """The qualification's own credential."""
        return await self.ask(self.issuance, f"/v1/credentials/{credential_id(award)}", method="GET")

    async def published(self, award: str, purpose: str) -> bool:
        """What a verifier reads in the status list about the qualification's credential."""
        document = (await self.credential_of(award))["credential"]
        entries = document["credentialStatus"]
        entries = entries if isinstance(entries, list) else [entries]
        entry = next(entry for entry in entries if entry["statusPurpose"] == purpose)
        answer = await self.issuance.get(entry["statusListCredential"].removeprefix(PUBLIC))
        encoded = orjson.loads(answer.content)["credentialSubject"]["encodedList"]
        return bool(decode_list(encoded)[int(entry["statusListIndex"])])

    async def dead_letters(self) -> list[Any]:
        both = [await self.ask(each, "/v1/dead-letters", method="GET") for each in (self.issuance, self.pathways)]
        return [*both[0], *both[1]]


@asynccontextmanager
async def running(
    issuance: ServiceDatabase, pathways: ServiceDatabase, bus: BusDatabase
) -> AsyncGenerator[TwoServices]:
    """Both, on empty databases, with the institutions north and harbour."""
    clock, key = Clock(), new_signing_key()
    common: dict[str, Any] = {"environment": "test", "kek": _KEK, "auth_jwks": public_jwks(key), "database_pool": 4}
    told_issuance = IssuanceSettings(database_url=SecretStr(issuance.url), public_url=PUBLIC, **common)
    told_pathways = PathwaysSettings(database_url=SecretStr(pathways.url), backfill_awards_per_minute=10**9, **common)
    of_issuance = [replace(IssuanceDeps.wire(told_issuance, worker=role), now=clock) for role in (False, True)]
    of_pathways = [
        replace(PathwaysDeps.wire(told_pathways, worker=role), now=clock, clock=clock.of_the_database)
        for role in (False, True)
    ]
    buses = {name: await PostgresBus.connect(bus.urls[name]) for name in ("issuance", "pathways")}
    relays = [
        Relay(each.url, buses[name], service=name) for name, each in (("issuance", issuance), ("pathways", pathways))
    ]
    signer, auditor = of_issuance[1], of_pathways[1]
    consumers = [
        Consumer(
            buses["issuance"],
            signer.database,
            signer.vault,
            group="issuance",
            topics=hears_awards.TOPICS,
            handle=partial(hears_awards.handle, signer),
        ),
        Consumer(
            buses["pathways"],
            auditor.database,
            auditor.vault,
            group="pathways",
            topics=hears_credentials.TOPICS,
            handle=partial(hears_credentials.handle, auditor),
        ),
    ]
    transports = [
        httpx.ASGITransport(issuance_app(told_issuance, of_issuance[0])),
        httpx.ASGITransport(pathways_app(told_pathways, of_pathways[0])),
    ]
    try:
        async with (
            httpx.AsyncClient(transport=transports[0], base_url="http://issuance") as first,
            httpx.AsyncClient(transport=transports[1], base_url="http://pathways") as second,
        ):
            made = TwoServices(first, second, clock, key)
            made.steps = [
                partial(issue.draft, signer),
                partial(issue.sign, signer),
                partial(issuance_jobs.settle_waiting, signer),
                *(relay.step for relay in relays),
                *(consumer.step for consumer in consumers),
                partial(backfill.step, auditor),
                partial(falling_due.step, auditor),
            ]
            for tenant in ("north", "harbour"):
                body = {"id": tenant, "name": tenant.title(), "url": f"https://{tenant}.example"}
                await made.ask(first, "/v1/institutions", body, "platform")
            yield made
    finally:
        for each in (*consumers, *relays, *buses.values(), *of_issuance):
            await each.close()
        for each in of_pathways:
            await each.database.close()
