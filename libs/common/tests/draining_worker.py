"""Run by `test_worker.py`: a worker with one job and one part, which say on standard output what they did."""

import asyncio
import sys

from cairn.common.auth import new_signing_key, public_jwks
from cairn.common.db import Database
from cairn.common.settings import Settings
from cairn.common.worker import Job, job_part, run_worker


def say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


async def main(url: str, port: str, how: str) -> None:
    settings = Settings(
        service="probe",
        environment="test",
        database_url=url,
        kek="MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        auth_jwks=public_jwks(new_signing_key()),
        host="127.0.0.1",
        health_port=int(port),
        drain_seconds=1,
    )
    batches = 0

    async def step() -> int:
        nonlocal batches
        batches += 1
        say(f"begin {batches}")
        if how == "dies" and batches == 2:
            raise SystemError("a part that cannot go on")
        await asyncio.sleep(0.3)
        say(f"end {batches}")
        return 1

    async def part(stopping: asyncio.Event) -> None:
        if how == "raises":
            await asyncio.sleep(0.2)
            raise RuntimeError("this part is broken")
        await stopping.wait()
        if how == "hangs":
            await asyncio.sleep(60)
        say("part done")

    await run_worker(
        settings, Database(url, worker=True), [("job", job_part("probe", Job("job", step))), ("part", part)]
    )
    say("clean end")


asyncio.run(main(*sys.argv[1:]))
