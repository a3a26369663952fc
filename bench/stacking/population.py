"""A pathways service with as many frameworks and learners as are asked for, on a PostgreSQL of its own.

Rows are made set-based, as the owner of the tables: what is measured is what follows, not how they got there.
Programme `p` asks for five courses, `a/p/0` to `a/p/4`. Learner `n` holds four credentials, of the first courses of
programme `n % 1000`; every other one has a course that nothing asks for in the place of the fourth.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import event, text

from cairn.common.db import EVERY_TENANT, Database
from cairn.common.events import Event, stable_id
from cairn.common.events.models import CredentialIssued, Holding
from cairn.common.migrations import migrate
from cairn.pathways.deps import Deps
from cairn.pathways.settings import PathwaysSettings
from cairn.provision.postgres import EmbeddedPostgres

HOME: Final = "north"
BASE: Final = "https://north.example/"
EARNED: Final = datetime(2026, 3, 1, tzinfo=UTC)
PROGRAMMES: Final = 1_000
_KEK: Final = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass
class Service:
    """The worker's side of the service, the owner of its tables, and how many statements it has sent."""

    deps: Deps
    owner: Database
    url: str
    owner_url: str
    statements: int = 0

    async def frameworks(self, documents: Sequence[dict[str, Any]]) -> None:
        """Published, with their index, as though each had been published by itself; without a backfill."""
        for start in range(0, len(documents), 2_000):
            some = documents[start : start + 2_000]
            ids = [str(stable_id("bench", each["qualification"])) for each in some]
            keys = [(id_, key) for id_, each in zip(ids, some, strict=True) for key in _keys(each)]
            async with self.owner.transaction(EVERY_TENANT) as tx:
                await tx.execute(
                    text("""
                        INSERT INTO frameworks (tenant_id, id, qualification, version, title, achievement, body, digest,
                                                state, written_by, activated_at)
                        SELECT :home, id, body->>'qualification', '1', 'Programme', body->'award'->>'achievement', body,
                               '', 'active', 'bench', now()
                          FROM unnest(cast(:ids AS uuid[]), cast(:bodies AS jsonb[])) AS u (id, body)
                    """),
                    {"home": HOME, "ids": ids, "bodies": [orjson.dumps(each).decode() for each in some]},
                )
                await tx.execute(
                    text("""
                        INSERT INTO framework_index (tenant_id, key, framework_id)
                        SELECT :home, * FROM unnest(cast(:keys AS text[]), cast(:ids AS uuid[]))
                    """),
                    {"home": HOME, "keys": [key for _, key in keys], "ids": [id_ for id_, _ in keys]},
                )
                await tx.commit()
        await self._analyse()

    async def learners(self, first: int, last: int) -> None:
        """Learners `first` to `last`, with four credentials each."""
        for start in range(first, last + 1, 100_000):
            async with self.owner.transaction(EVERY_TENANT) as tx:
                await tx.execute(text("SET LOCAL statement_timeout = 0"))
                for statement in _LEARNERS:
                    await tx.execute(
                        text(statement),
                        {"home": HOME, "base": BASE, "first": start, "last": min(start + 99_999, last), "at": EARNED},
                    )
                await tx.commit()
        await self._analyse()

    async def _analyse(self) -> None:
        async with self.owner.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql("SET statement_timeout = 0")
            await connection.exec_driver_sql("VACUUM ANALYZE")


_LEARNERS: Final = (
    """
    INSERT INTO learners (tenant_id, id)
    SELECT cast(:home AS text), 'lrn_' || lpad(n::text, 8, '0')
      FROM generate_series(cast(:first AS int), cast(:last AS int)) n
    """,
    """
    INSERT INTO holdings (tenant_id, id, learner_id, achievement, body, keys)
    SELECT cast(:home AS text), id, learner, achievement,
           jsonb_build_object('id', id, 'achievement', achievement, 'issuer', 'did:web:north.example', 'source', 'lms',
                              'earned', '2026-03-01T00:00:00Z', 'tag', jsonb_build_array('data'),
                              'credits', jsonb_build_object('value', '5', 'unit', 'ECTS')),
           ARRAY['*', 'achievement:' || achievement, 'issuer:did:web:north.example', 'tag:data', 'source:lms']
      FROM (SELECT 'lrn_' || lpad(n::text, 8, '0') AS learner, 'urn:bench:' || n || ':' || k AS id,
                   cast(:base AS text) || 'a/' || n % 1000 || '/' || CASE WHEN k = 3 AND n % 2 = 1 THEN 9 ELSE k END
                       AS achievement
              FROM generate_series(cast(:first AS int), cast(:last AS int)) n, generate_series(0, 3) k) each
    """,
    """
    INSERT INTO holding_status (tenant_id, holding_id, at, state, event_id)
    SELECT cast(:home AS text), 'urn:bench:' || n || ':' || k, cast(:at AS timestamptz), 'valid', gen_random_uuid()
      FROM generate_series(cast(:first AS int), cast(:last AS int)) n, generate_series(0, 3) k
    """,
)


def wired(url: str, **settings: Any) -> Deps:
    """A worker's parts."""
    told = {"environment": "test", "database_url": url, "kek": _KEK, "auth_jwks": '{"keys": []}', **settings}
    return Deps.wire(PathwaysSettings.model_validate(told), worker=True)


@asynccontextmanager
async def service(**settings: Any) -> AsyncGenerator[Service]:
    """A service with nothing in it. Its server keeps to the disk, as a real one does."""
    folder = tempfile.TemporaryDirectory(prefix="cairn-bench-")
    # The folder must let the server's user pass.
    os.chmod(folder.name, 0o711)  # noqa: PTH101
    server = EmbeddedPostgres(Path(folder.name) / "server")
    made: Service | None = None
    try:
        database = server.start().cluster.fresh("pathways")
        with ThreadPoolExecutor(1) as thread:  # Alembic's env starts a loop of its own
            thread.submit(migrate, "pathways", database.owner_url, role=database.role).result()
        owner = Database(database.owner_url, pool=2, worker=True)
        made = Service(wired(database.url, **settings), owner, database.url, database.owner_url)
        event.listen(made.deps.database.engine.sync_engine, "connect", _counter(made))
        yield made
    finally:
        if made is not None:
            await made.deps.database.close()
            await made.owner.close()
        server.destroy()
        folder.cleanup()


def _counter(made: Service) -> Any:
    """Told of each connection, has its driver count what it sends; the beginning and the end of a transaction too."""

    def count(_: object) -> None:
        made.statements += 1

    def listen(connection: Any, _: object) -> None:
        connection.driver_connection.add_query_logger(count)

    return listen


def _keys(document: dict[str, Any]) -> set[str]:
    """What `index_keys` says of frameworks such as these, without reading a hundred thousand of them."""
    leaves: list[dict[str, Any]] = document["requirement"]["all"]
    return {f"achievement:{name}" for leaf in leaves for name in leaf["from"]["achievement"]}


def course(programme: int, number: int) -> str:
    return f"{BASE}a/{programme}/{number}"


def programme(number: int, *, shared: str | None = None) -> dict[str, Any]:
    """Five courses, the first of which is one that other programmes ask for too, if it is `shared`."""
    courses = [shared or course(number, 0), *(course(number, place) for place in range(1, 5))]
    leaves = [
        {"id": str(place), "count": {"min": 1}, "from": {"achievement": [name]}} for place, name in enumerate(courses)
    ]
    return {
        "qualification": f"{BASE}q/{number}",
        "version": "1",
        "award": {"achievement": f"{BASE}award/{number}"},
        "requirement": {"id": "root", "all": leaves},
    }


def issued(learner: int, achievement: str) -> Event:
    """A learner gets one more credential."""
    who = f"lrn_{learner:08}"
    name = f"urn:uuid:{stable_id('bench', who, achievement)}"
    holding = Holding.model_validate(
        {
            "id": name,
            "achievement": achievement,
            "issuer": "did:web:north.example",
            "earned": EARNED,
            "tag": ["data"],
            "status": [{"at": EARNED, "state": "valid"}],
        }
    )
    fact = CredentialIssued(learner=who, holding=holding)
    return Event("credential.issued.v1", "/issuance", name, HOME, who, fact.to_json(), EARNED)


@dataclass
class Stopwatch:
    """Wall and CPU seconds of this process."""

    wall: float = 0.0
    cpu: float = 0.0

    def __enter__(self) -> Stopwatch:
        self.wall, self.cpu = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()
