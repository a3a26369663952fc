"""R6, R14: clients that go away in storms, and a network to PostgreSQL that is silent, slow, or breaks off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from urllib.parse import urlsplit

import httpx

from cairn.onebox.story.cast import HOME

from .invariant import check
from .proxy import Mood, proxy_to
from .system import System
from .traffic import Sent, ready_traffic
from .world import Cohort


async def test_r6_a_storm_of_clients_that_go_away_opens_no_more_connections(system: System) -> None:
    cohort = Cohort(system, "storm", 100)
    await cohort.prepare()
    bodies = [json.dumps(cohort.completion(member.user, "stats")).encode() for member in cohort.members]
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            [row] = await system.rows("postgres", _CONNECTIONS)
            most = max(most, row["n"])
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    for address in (system.access.address, system.parts["issuance-api"]):
        path = "/issuance/v1/completions" if address == system.access.address else "/v1/completions"
        for _ in range(3):
            await asyncio.gather(*(_post_and_leave(system, address, path, body) for body in bodies))
    async with httpx.AsyncClient(base_url=system.parts["issuance-api"], trust_env=False, timeout=10) as client:
        assert (await client.get("/readyz")).status_code == 200
    watching.cancel()
    # What was read before its client left is still being done.
    before, now = -1, 0
    while before < now:
        await asyncio.sleep(3)
        [row] = await system.rows("issuance", "SELECT count(*) AS n FROM completions")
        before, now = now, row["n"]
    # The API's pool, the worker's, and its relay's own.
    assert 0 < most <= 10 + 10 + 1
    await check(system)
    [row] = await system.rows(
        "postgres", f"{_CONNECTIONS} AND state <> 'idle' AND state_change < now() - interval '3 s'"
    )
    assert row["n"] == 0


async def _post_and_leave(system: System, address: str, path: str, body: bytes) -> None:
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {where.netloc}",
        f"Authorization: Bearer {system.access.tokens[HOME]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await reader.read()


async def test_r14_a_network_to_postgresql_that_fails_is_an_answer_within_five_seconds(system: System) -> None:
    url = urlsplit(system.environment("issuance-api")["CAIRN_DATABASE_URL"])
    assert url.port is not None
    async with proxy_to(url.port) as network:
        by_proxy = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{network.port}")).geturl()
        with system.another("issuance-api", CAIRN_DATABASE_URL=by_proxy) as api:
            await api.ready()
            traffic = await ready_traffic(system, rate=20, address=api.address)
            await traffic.run(1)
            assert set(traffic.statuses) == {202}

            async def post(seconds: float) -> list[Sent]:
                before = set(traffic.sent)
                await traffic.run(seconds)
                return [sent for id_, sent in traffic.sent.items() if id_ not in before]

            moods: tuple[Mood, ...] = ("silent", "slow")
            for mood in moods:
                network.mood = mood
                first, then = await post(1), await post(0.5)
                for sent in (*first, *then):
                    assert sent.status == 503
                    assert sent.retry_after
                assert max(sent.seconds for sent in first) < 5
                # Known to be silent, PostgreSQL is not waited for any more.
                assert max(sent.seconds for sent in then) < 1
                network.mood, good_again = "good", time.monotonic()
                while (await post(0.05))[0].status != 202:
                    assert time.monotonic() - good_again < 5
            posting = asyncio.create_task(post(1))
            await asyncio.sleep(0.5)
            network.drop()
            for sent in await posting:
                assert sent.seconds < 5
                assert sent.status == 202 or (sent.status == 503 and sent.retry_after)
            await traffic.insist()
            await traffic.signed()
    await check(system)


_CONNECTIONS = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = 'issuance' AND usename = 'issuance'"
