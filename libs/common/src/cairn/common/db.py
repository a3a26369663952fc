"""PostgreSQL: one pool a process, explicit commits, and row-level security whose scope ends with the transaction.

A use case opens a transaction for the tenants it acts for and commits it by name:

    async with database.transaction("north") as tx:
        await tx.execute(...)
        await tx.publish(event)
        await tx.commit()

Leaving the block without `commit` rolls back, so an early return or an exception never half-applies anything.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from weakref import WeakSet

import asyncpg
import orjson
import structlog
from sqlalchemy import CursorResult, Executable, RowMapping, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from cairn.common import outbox
from cairn.common.events import Event
from cairn.common.sql import Sql

log = structlog.get_logger(__name__)

PLATFORM: Final = "platform"
"""The tenant of operators, and of what belongs to no institution."""

EVERY_TENANT: Final = "*"
"""The scope of jobs that carry work of all tenants alike: the relay, the signer, housekeeping. No request has it."""

_SILENT_SECONDS: Final = 100.0
"""A worker gives up a transaction in which it has waited for so long since it last asked: the server would have ended
the statement (30 s) and then the idle transaction (60 s), so it is not the server that keeps silent."""

_SET_SCOPE: Final = text("SELECT set_config('cairn.tenants', :tenants, true), now() AS now")
_SET_SCOPE_AND_SHARE: Final = text("""
    SELECT set_config('cairn.tenants', :tenants, true), now() AS now, pg_advisory_xact_lock_shared(:key)
""")
_NOTHING: Final = text("SELECT 1 AS one")


class Unavailable(RuntimeError):
    """PostgreSQL gave no connection: it is down, starting, silent, or every connection was busy for too long."""


class UnsafeRole(RuntimeError):
    """The process was given a database role for which row-level security is void, or a table without it."""


@dataclass(slots=True)
class Patience:
    """What is left of the seconds for which one request waits for PostgreSQL, in all its transactions together.

    With the rest of the request that is less than the 5 s after which each is answered (R14).
    """

    left: float = 4.0


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


def begin_request() -> None:
    """What follows in this task and in those it starts is one request, with a `Patience` of its own."""
    _patience.set(Patience())


def async_url(url: str) -> URL:
    """The URL with the asyncpg driver, whatever driver or none it named. Raises ValueError, without the URL (S30)."""
    try:
        return make_url(url).set(drivername="postgresql+asyncpg")
    except (ValueError, ArgumentError):
        raise ValueError("the address of the database is not like postgresql://user:password@host/name") from None


class Transaction:
    """One database transaction, limited to the rows of its tenants."""

    def __init__(self, connection: AsyncConnection, now: datetime, deadline: asyncio.Timeout | None) -> None:
        self.connection = connection
        self._deadline = deadline
        """A worker's, which each statement puts off."""
        self.now = now
        """When it began, by the database's clock."""
        self._committed = False

    def _ask(self) -> None:
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + _SILENT_SECONDS)

    async def unhurried(self) -> None:
        """Let each statement take any time from here on. Only what an operator runs by hand does."""
        await self.execute(text("SET LOCAL statement_timeout = 0"))
        if self._deadline is not None:
            self._deadline.reschedule(None)
            self._deadline = None

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        self._ask()
        return await self.connection.execute(statement, parameters)

    async def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        """Every row, by column name."""
        self._ask()
        return (await self.connection.execute(statement, parameters)).mappings().all()

    async def row(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> RowMapping | None:
        """The first row, or None."""
        self._ask()
        return (await self.connection.execute(statement, parameters)).mappings().first()

    async def fetch(self, statement: Sql, **parameters: Any) -> list[Mapping[str, Any]]:
        """Every row, straight from the driver. Raises DBAPIError, as the others do."""
        self._ask()
        connection: Any = self.connection.sync_connection
        driver = connection.connection.driver_connection
        try:
            return await driver.fetch(statement.text, *[parameters[name] for name in statement.names])
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            gone = driver.is_closed()
            raise DBAPIError(statement.text, None, error, connection_invalidated=gone) from error

    async def widen(self, tenants: Iterable[str]) -> None:
        """Replace the scope for the rest of this transaction. Only workers do, for tenants linked by consent."""
        self._ask()
        await self.connection.execute(_SET_SCOPE, {"tenants": _scope(tenants)})

    async def publish(self, *events: Event) -> None:
        """Stage events: they leave if, and only if, this transaction commits."""
        if events:
            await self.fetch(outbox.STAGE, **outbox.staged(events))

    async def commit(self) -> None:
        self._ask()
        await self.connection.commit()
        self._committed = True


class Database:
    """A pool of connections of one role to one database.

    Only a worker's `Database` may open transactions for EVERY_TENANT; one that serves requests raises ValueError.

    One that serves requests gives up what is not done within the request's `Patience`, with TimeoutError. From then on
    it refuses at once, with Unavailable, until PostgreSQL answers again. A worker's transactions may be long: there the
    network must answer, by TCP keepalive, and each statement within a minute and a half or so; else it gives up alike.
    """

    def __init__(self, url: str, *, pool: int = 10, worker: bool = False) -> None:
        self._worker = worker
        self._url = async_url(url)
        self._records: WeakSet[Any] = WeakSet()
        self._listening: asyncio.Task[None] | None = None
        # Overflow is nil: under a storm of clients, requests wait for a connection rather than open more (R6).
        self.engine: AsyncEngine = create_async_engine(
            self._url,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=10 if worker else 3,
            json_serializer=_to_json,
            json_deserializer=orjson.loads,
            hide_parameters=True,  # an error's text goes to the log, and parameters are personal data or secrets (S30)
            connect_args={
                "timeout": 5,
                "connection_class": _Connection,
                "server_settings": {
                    "application_name": "cairn",
                    # What a client gave up must not keep its locks for long: a silent network does not tell the server.
                    "statement_timeout": "30s" if worker else "5s",
                    # A request that waits for another's lock is refused by itself; else its patience would end, and
                    # every connection of the pool be given up for a PostgreSQL that is well.
                    "lock_timeout": "0" if worker else "3500ms",
                    "idle_in_transaction_session_timeout": "60s" if worker else "5s",
                    # A client that went away must not leave its query running.
                    "client_connection_check_interval": "500ms",
                },
            },
        )
        event.listen(self.engine.sync_engine, "connect", self._connected)

    @asynccontextmanager
    async def transaction(
        self, tenants: str | Iterable[str], *, share: int | None = None
    ) -> AsyncGenerator[Transaction]:
        """A transaction that sees and writes only rows of `tenants`. The setting dies with it (S22).

        `share` names an advisory lock that it shares until its end, taken before anything is read.

        Raises Unavailable where there is no connection to be had, and TimeoutError where one has waited enough.
        """
        scope = _scope([tenants] if isinstance(tenants, str) else tenants)
        if scope == EVERY_TENANT and not self._worker:
            raise ValueError("only a worker acts for every tenant")
        first = _SET_SCOPE if share is None else _SET_SCOPE_AND_SHARE
        async with self._begun(first, {"tenants": scope, "key": share}) as (connection, row, deadline):
            yield Transaction(connection, row["now"], deadline if self._worker else None)

    @staticmethod
    def role_of(url: str) -> str:
        """The role that the URL logs in as."""
        role = make_url(url).username
        if not role:
            raise ValueError("the database's URL names no role")
        return role

    async def ping(self) -> None:
        """Raises where the database does not answer."""
        async with self.connection():
            pass

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[AsyncConnection]:
        """A connection without a scope, which sees no tenant's rows: for checks of the database itself.

        Raises as `transaction` does.
        """
        async with self._begun(_NOTHING, {}) as (connection, *_):
            yield connection

    @asynccontextmanager
    async def _begun(
        self, first: Executable, parameters: Mapping[str, Any]
    ) -> AsyncGenerator[tuple[AsyncConnection, RowMapping, asyncio.Timeout]]:
        """A connection on which a transaction began with the statement `first`, its one row, and the deadline."""
        if self._listening is not None:
            raise Unavailable("PostgreSQL does not answer")
        patience = _patience.get() or Patience()
        if patience.left <= 0 and not self._worker:
            raise Unavailable("the request has waited for PostgreSQL for as long as it may")
        started = time.monotonic()
        deadline = asyncio.timeout(_SILENT_SECONDS if self._worker else patience.left)
        try:
            async with deadline, self._live(first, parameters) as (connection, row):
                yield connection, row, deadline
        except TimeoutError:
            if deadline.expired():
                self._give_up()
            raise
        finally:
            patience.left -= time.monotonic() - started

    @asynccontextmanager
    async def _live(
        self, first: Executable, parameters: Mapping[str, Any]
    ) -> AsyncGenerator[tuple[AsyncConnection, RowMapping]]:
        connection = await self._start()
        try:
            try:
                begun = await connection.execute(first, parameters)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # It lay in the pool while the server was restarted. So did all others, and the next one is new.
                await connection.close()
                connection = await self._start()
                begun = await connection.execute(first, parameters)
            yield connection, begun.mappings().one()
        except asyncio.CancelledError:
            # Whoever gave up does not wait for the answer to a rollback either.
            if not connection.closed:
                await connection.invalidate()
            raise
        finally:
            await connection.close()

    async def _start(self) -> AsyncConnection:
        try:
            return await self.engine.connect().start()
        except (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable(f"PostgreSQL gave no connection ({type(error).__name__})") from error

    def _give_up(self) -> None:
        """Use none of the connections again that there are, and nothing new until PostgreSQL answers."""
        for record in self._records:
            record.invalidate(soft=True)
        if self._listening is None:
            log.warning("postgresql does not answer")
            self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        driver: Any = asyncpg
        url = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            while True:
                try:
                    connection = await driver.connect(url, timeout=2)
                except TimeoutError:
                    continue
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    return  # a refusal is an answer, too
                connection.terminate()
                return
        finally:
            self._listening = None

    def _connected(self, connection: Any, record: Any) -> None:
        self._records.add(record)
        _notice_silence(connection.driver_connection)
        _keep_the_ends_of_the_calendar(connection)

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        await self.engine.dispose()


class _Connection(asyncpg.Connection):
    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - it is asyncpg's
        """At once where a timeout is named: SQLAlchemy throws it away, and perhaps nobody is there."""
        if timeout is None:
            await super().close()
        else:
            self.terminate()


_SILENCE: Final = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
"""Seconds and times, but for the last, which is in milliseconds. Each where the system knows it."""


def _notice_silence(driver: Any) -> None:
    """A peer that acknowledges nothing for some ten seconds is gone (R14), however long it may take to answer.

    Without this a network that forgot the connection is noticed after a quarter of an hour, or never.
    """
    # asyncpg has no way to say this, nor to get at the socket.
    open_socket = driver._transport.get_extra_info("socket")
    if open_socket.family == socket.AF_UNIX:
        return
    open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SILENCE.items():
        if hasattr(socket, name):
            open_socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _keep_the_ends_of_the_calendar(connection: Any) -> None:
    """asyncpg writes the first and the last instant of the calendar as infinities, and reads those without a zone."""

    def tell(driver: Any) -> Any:
        return driver.set_type_codec(
            "timestamptz", schema="pg_catalog", format="tuple", encoder=_microseconds, decoder=_instant
        )

    connection.run_async(tell)


_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _microseconds(instant: datetime) -> tuple[int]:
    return ((instant - _EPOCH) // timedelta(microseconds=1),)


def _instant(wire: tuple[int]) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=wire[0])
    except OverflowError:
        return _LAST if wire[0] > 0 else _FIRST


def _scope(tenants: Iterable[str]) -> str:
    names = sorted(set(tenants))
    if not names or any("," in name or not name for name in names):
        raise ValueError("a transaction needs at least one tenant, and no tenant's name has a comma")
    return ",".join(names)


async def refuse_unsafe_role(database: Database) -> None:
    """Start-up check (S21): row-level security is void for owners and superusers, and on tables that lack it.

    Raises UnsafeRole, which names the role or the table, and Unavailable where there is no connection.
    """
    async with database.connection() as connection:
        role = (await connection.execute(_ROLE)).mappings().one()
        tables = (await connection.execute(_UNPROTECTED)).mappings().all()
    if role["above"]:
        raise UnsafeRole(f"the role {role['name']} is, or may become, {role['above']}, who bypasses row-level security")
    for table in tables:
        if table["owned"]:
            raise UnsafeRole(f"the role {role['name']} owns, or is a member of the owner of, {table['name']}")
        raise UnsafeRole(f"the table {table['name']} lacks tenant_id, forced row-level security or a policy")


# A superuser, or a role that ignores row-level security: this one itself, or one that it may turn into.
_ROLE: Final = text("""
    SELECT current_user AS name,
           (SELECT min(rolname) FROM pg_roles
             WHERE (rolsuper OR rolbypassrls) AND pg_has_role(current_user, oid, 'MEMBER')) AS above
""")
# Every table of the service's schema but Alembic's own, where something is amiss. A view reads as its owner does.
_UNPROTECTED: Final = text("""
    SELECT c.relname AS name, pg_has_role(current_user, c.relowner, 'MEMBER') AS owned
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relname <> 'alembic_version'
       AND (c.relkind IN ('r', 'p', 'm', 'f')
            OR c.relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false))
       AND (pg_has_role(current_user, c.relowner, 'MEMBER')
            OR NOT (c.relrowsecurity AND c.relforcerowsecurity)
            OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
            OR NOT EXISTS (SELECT FROM pg_attribute a
                            WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull))
""")
