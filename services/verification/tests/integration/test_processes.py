"""The service as it is run: `migrate`, `api` and `worker` as processes of their own, on the embedded bus."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from cairn.common.bus.postgres import PostgresBus
from cairn.common.bus.postgres_schema import provide
from cairn.common.events import Event, decode
from cairn.common.events.models import InstitutionAccredited
from cairn.provision.processes import free_port

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)


@asynccontextmanager
async def process(command: str, environment: dict[str, str]) -> AsyncGenerator[asyncio.subprocess.Process]:
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cairn.verification", command),
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield run
    finally:
        if run.returncode is None:
            run.terminate()
            try:
                await asyncio.wait_for(run.communicate(), 15)
            except TimeoutError:
                run.kill()


async def until_ready(url: str, run: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(200):
            assert run.returncode is None, (await run.communicate())[1].decode()
            try:
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError("it did not become ready")


@pytest.fixture
async def installation(fresh_service_database, fresh_bus_database, settings, web):
    """An empty database and an empty bus, and the environment that names them."""
    database, bus = fresh_service_database("verification"), fresh_bus_database()
    await provide(bus.owner_url, bus.roles)
    environment = {
        "CAIRN_ENVIRONMENT": "onebox",
        "CAIRN_HOST": "127.0.0.1",
        "CAIRN_PORT": str(free_port()),
        "CAIRN_HEALTH_PORT": str(free_port()),
        "CAIRN_DATABASE_URL": database.url,
        "CAIRN_DATABASE_OWNER_URL": database.owner_url,
        "CAIRN_BUS": "postgres",
        "CAIRN_BUS_URL": bus.urls["verification"],
        "CAIRN_KEK": settings.kek.get_secret_value(),
        "CAIRN_AUTH_JWKS": settings.auth_jwks,
        "CAIRN_PUBLIC_SCOPES": '["verifications:create"]',
        "CAIRN_FETCH_ORIGINS": f'{{"https://cairn.localhost": "http://127.0.0.1:{web.port}"}}',
    }
    return environment, bus


async def test_from_accreditation_on_the_bus_to_a_verdict_on_the_bus(installation, issuer_on_the_web) -> None:
    environment, bus = installation
    async with process("migrate", environment) as migrating:
        _, errors = await asyncio.wait_for(migrating.communicate(), 60)
        assert migrating.returncode == 0, errors.decode()
    api = f"http://127.0.0.1:{environment['CAIRN_PORT']}"
    north = issuer_on_the_web("north", 1)
    issuance = await PostgresBus.connect(bus.urls["issuance"])
    pathways = await PostgresBus.connect(bus.urls["pathways"])
    async with process("api", environment) as serving, process("worker", environment) as working:
        await until_ready(api, serving)
        await until_ready(f"http://127.0.0.1:{environment['CAIRN_HEALTH_PORT']}", working)
        fact = InstitutionAccredited(institution="north", issuer=north.did, name="North", at=AT)
        event = Event(
            type="institution.accredited.v1",
            source="/issuance",
            subject="north",
            tenant="north",
            key="north",
            data=fact.to_json(),
            time=AT,
        )
        await issuance.publish("catalog", [event])
        async with httpx.AsyncClient(base_url=api) as client:
            started = time.monotonic()
            trust = ""
            while trust != "passed":
                assert time.monotonic() - started < 20
                await asyncio.sleep(0.1)
                answer = (await client.post("/v1/verifications", json={"credential": north.credential(index=1)})).json()
                trust = answer["checks"]["trust"]["outcome"]
        assert answer["verified"]
        heard: set[tuple[str, str]] = set()
        reading = await pathways.subscribe(["recognition"], "pathways")
        while (answer["digest"], "verified") not in heard:
            assert time.monotonic() - started < 30
            records = await reading.fetch(100, 1)
            events = [decode(record.body) for record in records]
            heard |= {(event.data["digest"], event.data["verdict"]) for event in events}
            assert {event.tenant for event in events} <= {"platform"}
        await reading.close()
        for run in (serving, working):
            run.terminate()
        # uvicorn ends what is in flight and then lets the signal have its way, as the shells' convention is.
        assert await asyncio.wait_for(serving.wait(), 15) in {0, -signal.SIGTERM}
        assert await asyncio.wait_for(working.wait(), 15) == 0
    await issuance.close()
    await pathways.close()


@pytest.mark.parametrize("command", ["api", "worker"])
async def test_s21_it_does_not_start_as_the_owner_of_its_tables(installation, command: str) -> None:
    environment, _ = installation
    async with process("migrate", environment) as migrating:
        await asyncio.wait_for(migrating.communicate(), 60)
    as_owner = environment | {"CAIRN_DATABASE_URL": environment["CAIRN_DATABASE_OWNER_URL"]}
    async with process(command, as_owner) as run:
        _, errors = await asyncio.wait_for(run.communicate(), 30)
    assert run.returncode == 78
    assert b"owns" in errors


async def test_s10_it_does_not_start_in_production_with_a_map_of_origins(installation) -> None:
    environment, _ = installation
    async with process("api", environment | {"CAIRN_ENVIRONMENT": "production"}) as run:
        _, errors = await asyncio.wait_for(run.communicate(), 30)
    assert run.returncode == 78
    assert b"CAIRN_FETCH_ORIGINS" in errors
    assert environment["CAIRN_KEK"].encode() not in errors
