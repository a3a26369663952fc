"""The command line of a service: `python -m cairn.<service> api | worker | migrate | openapi`."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import uvloop
from fastapi import FastAPI
from pydantic import ValidationError

from cairn.common.auth import new_signing_key, public_jwks
from cairn.common.db import Database, Unavailable, UnsafeRole, refuse_unsafe_role
from cairn.common.migrations import migrate
from cairn.common.settings import DEVELOPMENT_KEK, Settings
from cairn.common.telemetry import set_up
from cairn.common.worker import serve

T = TypeVar("T")
S = TypeVar("S", bound=Settings)


def main(
    settings_type: type[S],
    *,
    app: Callable[[S], FastAPI],
    worker: Callable[[S], Awaitable[None]],
    more: Mapping[str, Callable[[S], Awaitable[int]]] | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Do what the first argument says; the exit code. `more` are a service's own commands."""
    command = next(iter(sys.argv[1:] if arguments is None else arguments), "")
    own = more or {}
    if command == "openapi":
        json.dump(documented_by(settings_type, app), sys.stdout, indent=1, sort_keys=True)
        sys.stdout.write("\n")
        return 0
    if command not in {"api", "worker", "migrate", *own}:
        sys.stderr.write(f"usage: python -m … {' | '.join(['api', 'worker', 'migrate', 'openapi', *own])}\n")
        return 2
    try:
        settings = settings_type()  # pyright: ignore[reportCallIssue] - its fields come from the environment
        set_up(settings, command)
        if command == "migrate":
            return _migrate(settings)
        uvloop.run(_refuse_unsafe(settings))
    except (ValidationError, UnsafeRole, Unavailable, ValueError) as error:
        sys.stderr.write(f"cairn does not start: {error}\n")
        return 78  # EX_CONFIG of sysexits.h
    # What was imported lives as long as the process. Looking through it for garbage was a sixth of a worker's CPU.
    gc.collect()
    gc.freeze()
    if command == "api":
        serve(settings, app(settings))
        return 0
    if command == "worker":
        uvloop.run(_run(worker(settings)))
        return 0
    return uvloop.run(_run(own[command](settings)))


async def _run(work: Awaitable[T]) -> T:
    return await work


def _migrate(settings: Settings) -> int:
    if settings.database_owner_url is None:
        raise ValueError("CAIRN_DATABASE_OWNER_URL is not set: only the owner of the tables may migrate them")
    role = Database.role_of(settings.database_url.get_secret_value())
    migrate(settings.service, settings.database_owner_url.get_secret_value(), role=role)
    return 0


async def _refuse_unsafe(settings: Settings) -> None:
    """Wait for PostgreSQL for a while: it often starts together with us. Then check the role (S21)."""
    database = Database(settings.database_url.get_secret_value(), pool=1)
    try:
        for attempt in range(60):
            try:
                await refuse_unsafe_role(database)
            except Unavailable:
                if attempt == 59:
                    raise
                await asyncio.sleep(0.5)
            else:
                return
    finally:
        await database.close()


def documented_by(settings_type: type[S], app: Callable[[S], FastAPI]) -> dict[str, Any]:
    """The OpenAPI document of a service, as JSON has it."""
    return json.loads(json.dumps(app(documentation(settings_type)).openapi()))


def documentation(settings_type: type[S]) -> S:
    """Settings with which the routes can be described; nothing is connected."""
    return settings_type(
        environment="test",
        database_url="postgresql://nobody@127.0.0.1/none",  # pyright: ignore[reportArgumentType]
        kek=DEVELOPMENT_KEK,  # pyright: ignore[reportArgumentType]
        auth_jwks=public_jwks(new_signing_key()),
    )
