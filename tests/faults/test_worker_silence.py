"""R14: a worker gives up a server that acknowledges what it is sent and never answers, which TCP does not notice."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import make_url, text

from cairn.common import db
from cairn.common.db import Database, Unavailable
from cairn.common.sql import Sql
from cairn.provision.postgres import Cluster

from .proxy import Proxy, proxy_to

SLEEP = text("SELECT pg_sleep(:seconds)")


async def silenced(worker: Database, network: Proxy, *, driver: bool) -> None:
    async with asyncio.timeout(10), worker.transaction("north") as tx:
        network.mood = "silent"
        if driver:
            await tx.fetch(Sql("SELECT 1 AS one"))
        else:
            await tx.execute(SLEEP, {"seconds": 0})


@pytest.mark.parametrize("driver", [True, False])
async def test_r14_a_worker_gives_up_who_never_answers(
    postgres_server: Cluster, monkeypatch: pytest.MonkeyPatch, *, driver: bool
) -> None:
    monkeypatch.setattr(db, "_SILENT_SECONDS", 1.0)
    url = make_url(postgres_server.fresh("probe").url)
    async with proxy_to(url.port or 5432) as network:
        worker = Database(url.set(port=network.port).render_as_string(hide_password=False), pool=1, worker=True)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            await silenced(worker, network, driver=driver)
        assert time.monotonic() - started < 4
        with pytest.raises(Unavailable):
            await silenced(worker, network, driver=driver)
        network.mood = "good"
        while worker._listening is not None:
            await worker._listening
        async with worker.transaction("north") as tx:
            for _ in range(5):  # each in time, and in all longer than one may be silent
                await tx.execute(SLEEP, {"seconds": 0.3})
            await tx.unhurried()
            await tx.execute(SLEEP, {"seconds": 1.3})
        await worker.close()
