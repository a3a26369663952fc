"""The command line of a service: `python -m cairn.<service> api | worker | migrate | openapi`."""

from __future__ import annotations

import asyncio
import difflib
import gc
import json
import os
import re
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import structlog
import uvloop
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import SettingsError

from cairn.common.auth import new_signing_key, public_jwks
from cairn.common.db import Database, Unavailable, UnsafeRole, refuse_unsafe_role
from cairn.common.migrations import migrate
from cairn.common.settings import DEVELOPMENT_KEK, Settings
from cairn.common.telemetry import set_up
from cairn.common.worker import serve

log = structlog.get_logger(__name__)

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
        service = settings_type.model_fields["service"].default
        words = " | ".join(["api", "worker", "migrate", "openapi", *own])
        sys.stderr.write(f"usage: python -m cairn.{service} {words}\n")
        return 2
    try:
        settings = settings_type()  # pyright: ignore[reportCallIssue] - its fields come from the environment
        set_up(settings, command)
        for name, meant in misspelt(settings_type, os.environ).items():
            log.warning("this is no setting, and means nothing", name=name, known=meant)
        if command == "migrate":
            return _migrate(settings)
        served = app(settings) if command == "api" else None
        _refuse_certificate(settings)
        uvloop.run(_refuse_unsafe(settings))
    except (ValidationError, UnsafeRole, Unavailable, ValueError) as error:
        sys.stderr.write(f"cairn does not start: {_words(error)}\n")
        return 78  # EX_CONFIG of sysexits.h
    # What was imported lives as long as the process. Looking through it for garbage was a sixth of a worker's CPU.
    gc.collect()
    gc.freeze()
    if served is not None:
        serve(settings, served)
        return 0
    if command == "worker":
        uvloop.run(_run(worker(settings)))
        return 0
    return uvloop.run(_run(own[command](settings)))


def _words(error: Exception) -> str:
    """By the names that an operator knows, and without the values, which may be secrets (S30)."""
    if isinstance(error, SettingsError) and (field := re.search(r'field "(\w+)"', str(error))):
        return f"CAIRN_{field[1].upper()} is not JSON"
    if not isinstance(error, ValidationError):
        return str(error)
    return "\n  ".join(
        f"CAIRN_{str(each['loc'][0]).upper()}: {'it is not set' if each['type'] == 'missing' else each['msg']}"
        if each["loc"]
        else each["msg"].removeprefix("Value error, ")
        for each in error.errors(include_input=False, include_url=False)
    )


def misspelt(settings_type: type[Settings], environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that are no setting, but look like one: with the one that may have been meant.

    Others stay unsaid: of variables that several processes share, some are for another.
    """
    known = {f"CAIRN_{field}".upper() for field in settings_type.model_fields}
    strange = [name for name in environ if name.upper().startswith("CAIRN_") and name.upper() not in known]
    near = {name: difflib.get_close_matches(name.upper(), known, 1, 0.9) for name in sorted(strange)}
    return {name: found[0] for name, found in near.items() if found}


def _refuse_certificate(settings: Settings) -> None:
    if settings.tls_certificate is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key)
        except OSError as error:
            raise ValueError(f"CAIRN_TLS_CERTIFICATE and CAIRN_TLS_KEY cannot be used: {error}") from None


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
            except (Unavailable, TimeoutError) as error:
                if attempt == 59:
                    raise Unavailable(str(error) or "PostgreSQL does not answer") from error
                if attempt == 0:
                    log.warning("waiting for PostgreSQL", error=str(error))
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
