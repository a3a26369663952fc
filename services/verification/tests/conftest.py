"""An issuer with a key, a web on loopback that counts what it is asked, and the service on a real database."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cairn.common.auth import mint, new_signing_key, public_jwks
from cairn.common.db import Database
from cairn.common.events import Event
from cairn.common.events.models import InstitutionAccredited
from cairn.credentials import (
    Achievement,
    Bitstring,
    CredentialDraft,
    Criteria,
    Ed25519Signer,
    Profile,
    StatusEntry,
    VerificationMethod,
    build_credential,
    build_did_document,
    build_status_list,
    sign,
    sign_jwt,
)
from cairn.provision.described import described
from cairn.provision.postgres import ServiceDatabase
from cairn.verification.app import verification_app
from cairn.verification.consumers import handle
from cairn.verification.deps import Deps
from cairn.verification.settings import VerificationSettings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SINCE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ORIGIN = "https://cairn.localhost"
LEARNER = "did:example:canary-learner"


class Issuer:
    """A did:web of this installation, `did:web:cairn.localhost:issuance:institutions:<name>`."""

    def __init__(self, name: str = "north", seed: int = 1) -> None:
        self.name = name
        self.did = f"did:web:cairn.localhost:issuance:institutions:{name}"
        self.signer = Ed25519Signer(bytes([seed] * 32), f"{self.did}#key-1")
        self.list_url = f"{ORIGIN}/issuance/status/{name}/1/revocation"

    @property
    def did_path(self) -> str:
        return f"/issuance/institutions/{self.name}/did.json"

    @property
    def list_path(self) -> str:
        return f"/issuance/status/{self.name}/1/revocation"

    def did_document(self) -> dict[str, Any]:
        return build_did_document(self.did, [VerificationMethod(f"{self.did}#key-1", self.did, self.signer.public_key)])

    def unsigned(self, *, index: int | None = None, list_url: str | None = None, **changes: Any) -> dict[str, Any]:
        status = () if index is None else (StatusEntry(list_url=list_url or self.list_url, index=index),)
        values: dict[str, Any] = {
            "id": "urn:uuid:2df2ae9a-ba2b-4c31-9f18-d98cc6a9a57d",
            "issuer": Profile(id=self.did, name="University of the North"),
            "achievement": Achievement(
                id="https://north.example/a/stats",
                name="Statistics",
                description="Reads and argues with data",
                criteria=Criteria(narrative="Pass the exam."),
                achievement_type="MicroCredential",
            ),
            "subject_id": LEARNER,
            "valid_from": SINCE,
            "status": status,
        }
        return build_credential(CredentialDraft(**(values | changes)))

    def credential(self, **changes: Any) -> dict[str, Any]:
        return sign(self.unsigned(**changes), self.signer, created=SINCE)

    def token(self, **changes: Any) -> str:
        return sign_jwt(self.unsigned(**changes), self.signer)

    def status_list(self, *revoked: int, url: str | None = None) -> dict[str, Any]:
        bits = Bitstring()
        for index in revoked:
            bits[index] = True
        unsigned = build_status_list(
            url=url or self.list_url, issuer=self.did, purpose="revocation", bits=bits, valid_from=SINCE
        )
        return sign(unsigned, self.signer, created=SINCE)


@dataclass
class Web:
    """What stands for the internet: a server on loopback."""

    port: int = 0
    hits: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)

    def serve(self, path: str, body: object, *, status: int = 200, delay: float = 0) -> None:
        self.bodies[path] = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.statuses[path], self.delays[path] = status, delay

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            self.hits.append(path)
            await asyncio.sleep(self.delays.get(path, 0))
            body = self.bodies.get(path, b"")
            status = self.statuses.get(path, 404)
            writer.write(
                b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def web() -> AsyncGenerator[Web]:
    made = Web()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture(scope="session")
def operator():
    return new_signing_key()


@pytest.fixture(scope="session")
def service_database(migrated_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return migrated_database("verification")


@pytest.fixture
def settings(service_database: ServiceDatabase, operator, web: Web) -> VerificationSettings:
    return VerificationSettings(
        environment="test",
        database_url=service_database.url,
        kek="MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        auth_jwks=public_jwks(operator),
        fetch_origins={ORIGIN: f"http://127.0.0.1:{web.port}"},
        fetch_seconds=0.5,
        fetch_max_bytes=100_000,
        verification_seconds=2,
    )


@pytest.fixture
async def deps(settings: VerificationSettings) -> AsyncGenerator[Deps]:
    made = Deps.wire(settings, now=lambda: NOW)
    yield made
    await made.close()


@pytest.fixture
async def worker(settings: VerificationSettings) -> AsyncGenerator[Deps]:
    made = Deps.wire(settings, worker=True, now=lambda: NOW)
    yield made
    await made.close()


@pytest.fixture
def token_for(operator) -> Callable[..., dict[str, str]]:
    """`token_for("north", "verifications:read")` is the header of such a caller."""

    def header(tenant: str, *scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {mint(operator, 'tester', tenant, list(scopes))}"}

    return header


@pytest.fixture
async def client(deps: Deps, settings: VerificationSettings, token_for) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller of the tenant `employer` who may do everything here."""
    transport = httpx.ASGITransport(described(verification_app(settings, deps)), raise_app_exceptions=False)
    headers = token_for("employer", "verifications:create", "verifications:read")
    async with httpx.AsyncClient(transport=transport, base_url="http://verification", headers=headers) as made:
        yield made


@pytest.fixture
def accredit(worker: Deps) -> Callable[[Issuer], Awaitable[None]]:
    """Says `institution.accredited` to the consumer."""

    async def say(issuer: Issuer) -> None:
        fact = InstitutionAccredited(institution=issuer.name, issuer=issuer.did, name="University", at=SINCE)
        await handle(
            worker,
            [
                Event(
                    type="institution.accredited.v1",
                    source="/issuance",
                    subject=issuer.name,
                    tenant=issuer.name,
                    key=issuer.name,
                    data=fact.to_json(),
                    time=SINCE,
                )
            ],
        )

    return say


@pytest.fixture
def issuer_on_the_web(web: Web) -> Callable[[str, int], Issuer]:
    """`issuer_on_the_web("north", 1)`: its DID document and an empty status list are served."""

    def make(name: str, seed: int) -> Issuer:
        issuer = Issuer(name, seed)
        web.serve(issuer.did_path, issuer.did_document())
        web.serve(issuer.list_path, issuer.status_list())
        return issuer

    return make


@pytest.fixture
async def north(issuer_on_the_web, accredit) -> Issuer:
    """An institution of this installation that is known."""
    issuer = issuer_on_the_web("north", 1)
    await accredit(issuer)
    return issuer


@pytest.fixture
async def stranger(issuer_on_the_web) -> Issuer:
    """An issuer whom no registry knows."""
    return issuer_on_the_web("stranger", 2)


@pytest.fixture
async def own_database(settings: VerificationSettings) -> AsyncGenerator[Database]:
    made = Database(settings.database_url.get_secret_value(), worker=True)
    yield made
    await made.close()
