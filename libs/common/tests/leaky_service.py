"""Run by `test_secrets.py`: a service to which secret things are told before everything goes wrong."""

import asyncio
import contextlib
import logging
import sys

import httpx
from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy import text

from cairn.common.app import create_app
from cairn.common.auth import new_signing_key, public_jwks
from cairn.common.db import Database
from cairn.common.settings import Settings
from cairn.common.sql import Sql
from cairn.common.telemetry import set_up
from cairn.common.worker import Job, job_part

INSERT = text("INSERT INTO notes (tenant_id, id, body) VALUES (:tenant, :id, :body)")
# Put together here, because a traceback shows the lines of the program.
SECRET = "can" + "ary"
router = APIRouter()


class Learner(BaseModel):
    name: str
    age: int


@router.post("/learners")
async def learners(learner: Learner) -> None:
    raise ZeroDivisionError


@router.post("/store/{how}")
async def store(how: str, learner: Learner, request: Request) -> None:
    await fail_to_store(request.app.state.database, how, learner.name)


async def fail_to_store(database: Database, how: str, name: str) -> None:
    async with database.transaction("north") as tx:
        row = {"tenant": "north", "id": SECRET, "body": name}
        if how == "twice":
            await tx.execute(INSERT, [row, row])
        elif how == "null":
            await tx.execute(INSERT, row | {"id": None})
        elif how == "type":
            await tx.execute(INSERT, row | {"body": {SECRET: name}})
        elif how == "foreign":
            await tx.execute(INSERT, row | {"tenant": SECRET})
        elif how == "driver":
            await tx.fetch(Sql("INSERT INTO notes (tenant_id, id, body) VALUES (:tenant, NULL, :id)"), **row)
        elif how == "argument":
            await tx.fetch(Sql("SELECT cast(:body AS integer)"), **row)
        else:
            await tx.execute(text("SELECT cast(:body AS integer)"), {"body": name})


async def main(url: str, log_format: str) -> None:
    key = new_signing_key()
    settings = Settings(
        service="leaky",
        environment="test",
        database_url=f"postgresql://somebody:{SECRET}@" + url.split("@")[1],
        kek="MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        auth_jwks=public_jwks(key),
        log_format=log_format,
        log_level="debug",
    )
    set_up(settings, "api")
    database = Database(url)
    app = create_app(settings, database, title="Leaky", description="", routers=[router], problems={})
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {SECRET}.token.{SECRET}", "Idempotency-Key": SECRET}
    learner = {"name": SECRET, "age": 36}
    async with httpx.AsyncClient(transport=transport, base_url="http://leaky", headers=headers) as client:
        for path, body in (
            ("/learners", learner),
            ("/learners", {"name": [SECRET], "age": SECRET}),
            ("/store/twice", learner),
            ("/store/null", learner),
            ("/store/type", learner),
            ("/store/foreign", learner),
            ("/store/cast", learner),
            ("/store/driver", learner),
            ("/store/argument", learner),
        ):
            answer = await client.post(path, json=body)
            sys.stdout.write(f"done: {path} {answer.status_code} {answer.text}\n")

    stopping = asyncio.Event()

    async def step() -> int:
        stopping.set()
        await fail_to_store(database, "twice", SECRET)
        return 0

    await job_part("leaky", Job("fails", step))(stopping)
    with contextlib.suppress(Exception):
        await fail_to_store(database, "twice", SECRET)
    try:
        await fail_to_store(database, "null", SECRET)
    except Exception:
        logging.getLogger("library").exception("from a library")
    await database.close()
    refused = settings.database_url.get_secret_value()
    for wrong in (refused, refused.replace("@", ":x@"), f"postgresql://u:{SECRET}@h:{SECRET}/d", SECRET):
        try:
            await Database(wrong).ping()
        except (RuntimeError, ValueError):
            logging.getLogger("library").exception("no database")
            sys.stdout.write("done: no database\n")


asyncio.run(main(*sys.argv[1:]))
