"""R5, R14: a request waits for PostgreSQL only so long, a worker for as long as the network is there."""

import socket
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cairn.common import db
from cairn.common.db import Database, Patience, Unavailable, begin_request

SLEEP = text("SELECT pg_sleep(:seconds)")


@pytest.fixture
async def worker(probe_database):
    opened = Database(probe_database.url, pool=1, worker=True)
    yield opened
    await opened.close()


async def sleep(database: Database, seconds: float) -> None:
    async with database.transaction("north") as tx:
        await tx.execute(SLEEP, {"seconds": seconds})


async def test_r14_a_request_has_one_patience_for_all_its_transactions(database) -> None:
    db._patience.set(Patience(0.5))
    await sleep(database, 0.3)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await sleep(database, 30)
    assert time.monotonic() - started < 1
    with pytest.raises(Unavailable):
        await sleep(database, 0)
    # PostgreSQL answers, so another request is served again at once.
    begin_request()
    while database._listening is not None:
        await database._listening
    await sleep(database, 0)


async def test_r14_a_worker_waits_for_a_long_statement(worker) -> None:
    db._patience.set(Patience(0.1))
    await sleep(worker, 0.5)


async def test_r14_the_server_soon_ends_what_a_request_gave_up_and_not_what_a_worker_does(database, worker) -> None:
    """A silent network does not tell the server, and the locks of the request would stand in the way of the next."""
    settings = text("SELECT name, setting::int AS ms FROM pg_settings WHERE name = ANY (:names)")
    names = ["statement_timeout", "idle_in_transaction_session_timeout"]
    found: list[set[int]] = []
    for one in (database, worker):
        async with one.transaction("north") as tx:
            found.append({row["ms"] for row in await tx.rows(settings, {"names": names})})
    assert found == [{5_000}, {30_000, 60_000}]


async def test_r15_who_waits_for_anothers_lock_is_refused_alone(database, worker) -> None:
    """Else whoever lets requests queue for a lock of their own would end everybody's connections."""
    lock = text("SELECT pg_advisory_xact_lock(4711)")

    async def take() -> None:
        async with database.transaction("north") as tx:
            await tx.execute(lock)

    async with worker.transaction("north") as tx:
        await tx.execute(lock)
        db._patience.set(Patience(60))
        with pytest.raises(DBAPIError) as caught:
            await take()
        assert caught.value.orig.sqlstate == "55P03"
        assert database._listening is None


async def test_r14_a_peer_that_acknowledges_nothing_is_noticed_within_seconds(worker) -> None:
    async with worker.connection() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        opened = driver._transport.get_extra_info("socket")
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle, interval, count = (
            opened.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        )
        assert idle + interval * count < 15
        assert 0 < opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) < 15_000


async def test_r5_connections_that_the_server_ended_are_replaced_unseen(database, postgres_server) -> None:
    async with database.connection(), database.connection():
        pass
    assert database.engine.pool.checkedin() == 2
    postgres_server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = "
        f"'{database.engine.url.username}' AND state = 'idle'"
    )
    await sleep(database, 0)
    await sleep(database, 0)
