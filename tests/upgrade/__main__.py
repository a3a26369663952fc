"""Proof that a version and the one before go together: `make upgrade`, or `python -m tests.upgrade [revision [bus]]`.

The older `revision` (by default the last one before the latest migration) is taken out of git's history and started by
its own `make run`, on the `bus` postgres, kafka, or both. Then, while completions are posted and cohorts of learners
play their plot, its databases are migrated, its parts are replaced one by one, and everything goes back and forth
again. No request may fail, no event may become a dead letter, every cohort must end as one that nobody disturbed, and
after each act everything is read back (`tests/faults/invariant.py`).
"""

from __future__ import annotations

import asyncio
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from cairn.onebox.home import SERVICES
from cairn.onebox.story.api import Api
from cairn.onebox.story.cast import HOME
from cairn.provision.kafka import KafkaBroker
from tests.faults.invariant import check
from tests.faults.kills import Peace, in_peace
from tests.faults.system import Other
from tests.faults.traffic import Traffic, ready_traffic
from tests.faults.world import Cohort, found

from .builds import NEWER, Build, Mixed, NoSuchRevision, before_the_latest_migration, older

_SIZE: Final = 10
"""Learners of a cohort: one of each part."""
_POSTS, _READS = 5, 10
"""A second."""
_PAUSE: Final = 1.0
"""Seconds for which versions stay mixed before the next part is replaced."""
_BESIDE: Final = ("issuance-api", "issuance-worker", "verification-worker", "pathways-worker")
"""The parts that have another of the other version beside them: those that take work from each other."""
_PASSES: Final = ("proof", "issuer", "trust", "status", "validity", "schema")
"""Checks of a credential. Whether what a qualification cites can be fetched is left open here."""
_COLUMNS: Final = ("", " ".join(SERVICES), "seconds", "requests", "failed", "median", "slowest", "cohorts")

Act = Callable[[], Awaitable[object]]


class Acts:
    """What is done to one running system, an act after the other, and a line of the table for each."""

    def __init__(self, system: Mixed, peace: Peace, traffic: Traffic, table: Table, console: Console) -> None:
        self._system, self._peace, self._traffic = system, peace, traffic
        self._table, self._console = table, console
        self._cohorts = 0
        self.failed: Counter[int] = Counter()
        """Requests, by the status that they should not have had."""

    async def act(self, what: str, do: Act) -> None:
        """Under load, and until every cohort that began meanwhile has ended. Raises AssertionError."""
        self._console.log(what)
        going, started = True, time.monotonic()
        before = set(self._traffic.sent)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._post(lambda: going))
            reading = tasks.create_task(self._traffic.read(_READS, lambda: going))
            playing = tasks.create_task(self._play(lambda: going))
            await do()
            going = False
        answers, cohorts = reading.result(), playing.result()
        seconds = time.monotonic() - started
        posts = [sent for id_, sent in self._traffic.sent.items() if id_ not in before]
        wrong = [sent for sent in posts if sent.status != 202] + [sent for sent in answers if sent.status != 200]
        self.failed += Counter(sent.status for sent in wrong)
        waits = sorted(sent.seconds for sent in [*posts, *answers])
        self._table.add_row(
            *(what, await self._system.schema(), f"{seconds:.0f}", str(len(waits)), str(len(wrong))),
            *(f"{statistics.median(waits) * 1000:.0f} ms", f"{waits[-1]:.1f} s", str(cohorts)),
        )
        await self._traffic.insist()
        await self._traffic.signed()
        await check(self._system)
        for service in SERVICES:
            letters = await self._system.rows(service, "SELECT consumer, topic, event_type, code FROM dead_letters")
            assert not letters, f"{what}: {service} has put aside {letters[:5]}"

    async def one_by_one(self, parts: Sequence[str], build: Build) -> None:
        for part in parts:
            await self._system.become(part, build)
            await asyncio.sleep(_PAUSE)

    async def side_by_side(self, build: Build) -> None:
        """Beside some parts one more of that build, for as long as a cohort takes; posts go to that API, too."""
        async with AsyncExitStack() as others:
            beside: dict[str, Other] = {}
            for part in _BESIDE:
                beside[part] = others.enter_context(self._system.beside(part, build))
                await beside[part].ready()
            there = await ready_traffic(self._system, rate=_POSTS, address=beside["issuance-api"].address)
            await there.run(5)
            self.failed += Counter(sent.status for sent in there.sent.values() if sent.status != 202)
            await self._one("beside")

    async def _post(self, going: Callable[[], bool]) -> None:
        while going():
            await self._traffic.run(1)

    async def _play(self, going: Callable[[], bool]) -> int:
        """One cohort after the other, beside one of those whose credentials expire; how many."""
        number = 1
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._one("expiring", expiring=True))
            while number == 1 or going():
                number += 1
                await self._one("whole")
        return number

    async def _one(self, kind: str, *, expiring: bool = False) -> None:
        self._cohorts += 1
        cohort = Cohort(self._system, f"{kind}-{self._system.box.port}-{self._cohorts}", _SIZE, expiring=expiring)
        await cohort.play()
        if not expiring:
            await errands(cohort)
        await cohort.settled(self._peace.expiring if expiring else self._peace.whole)


async def errands(cohort: Cohort) -> None:
    """What cohorts do not do: a credential is verified, a decision made and taken back, a learner erased."""
    async with Api(cohort.system.access) as api:
        learner = cohort.ids[cohort.members[4].user]
        [credential, *_] = await api.get(f"/issuance/v1/credentials?learner={learner}", by=HOME)
        shown = await api.get(f"/issuance/v1/credentials/{quote(credential['id'])}", by=HOME)
        body: dict[str, Any] = {"credential": shown["credential"]}
        answer = await api.call("POST", "/verification/v1/verifications", by=None, body=body)
        outcomes = {name: check["outcome"] for name, check in answer.body["checks"].items()}
        assert outcomes.items() >= dict.fromkeys(_PASSES, "passed").items(), outcomes
        decisions = f"/pathways/v1/learners/{learner}/decisions"
        body = {"kind": "waiver", "qualification": cohort.qualification("full"), "target": "ml", "reason": "An errand."}
        answer = await api.call("POST", decisions, by=HOME, body=body)
        path = f"{decisions}/{answer.body['id']}/revoke"
        await api.call("POST", path, by=HOME, body={"reason": "Another errand."})
        assert (await api.get(decisions, by=HOME))["intact"]
        body = {"name": "A. Passer-by", "identifiers": [{"kind": "lms-user", "value": f"{cohort.name}-passer-by"}]}
        answer = await api.call("POST", "/issuance/v1/learners", by=HOME, body=body)
        await api.call("DELETE", f"/issuance/v1/learners/{answer.body['id']}", by=HOME)


async def upgrade(
    folder: Path, env: dict[str, str] | None, before: Build, table: Table, console: Console
) -> Counter[int]:
    """There and back; the requests that failed. Raises AssertionError where anything else is not as it must be."""
    system = Mixed(folder, env, before)
    try:
        await asyncio.to_thread(system.serving)
        await found(system)
        peace = await in_peace(system, _SIZE)
        acts = Acts(system, peace, await ready_traffic(system, rate=_POSTS), table, console)
        parts = list(system.parts)
        await acts.act("the older version", lambda: asyncio.sleep(_PAUSE))
        await acts.act("it is migrated while it runs", system.migrate)
        await acts.act("part by part to the newer", lambda: acts.one_by_one(parts, NEWER))
        await acts.act("older parts beside newer ones", lambda: acts.side_by_side(before))
        await acts.act("part by part back to the older", lambda: acts.one_by_one(parts, before))
        await acts.act("newer parts beside older ones", lambda: acts.side_by_side(NEWER))
        await acts.act("part by part to the newer again", lambda: acts.one_by_one(parts[::-1], NEWER))
        failed = acts.failed
        for build in (NEWER, before):
            await asyncio.to_thread(system.stop)
            system = Mixed(folder, env, build)
            await asyncio.to_thread(system.serving)
            acts = Acts(system, peace, await ready_traffic(system, rate=_POSTS), table, console)
            await acts.act(f"the {build.name} `make run` in the same folder", lambda: asyncio.sleep(_PAUSE))
            failed += acts.failed
        return failed
    finally:
        await asyncio.to_thread(system.remove)


def on(bus: str, folder: Path, before: Build, console: Console) -> bool:
    """Whether all was well on that bus; what was done is printed, and what was not well."""
    table = Table(*_COLUMNS, title=f"{before.name} → {NEWER.name}, {bus}")
    broker = KafkaBroker(folder / "kafka").start() if bus == "kafka" else None
    problem: Any = None
    try:
        if failed := asyncio.run(upgrade(folder / bus, broker.access if broker else None, before, table, console)):
            problem = f"requests failed, by status: {dict(failed)}"
    except Exception as error:  # noqa: BLE001 - whatever it is, the table says how far it came
        while isinstance(error, ExceptionGroup):
            [error, *_] = error.exceptions
        problem = f"{type(error).__name__}: {error}"
    finally:
        if broker:
            broker.kill()
    console.print(table)
    console.print(f"[red]not well:[/] {problem}" if problem else "All of it was well.", highlight=False)
    return not problem


def main(revision: str = "", bus: str = "") -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C does: the system under test is ended, too, and removed.
        signal.signal(number, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="cairn-upgrade-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        sources = folder / "older"
        sources.mkdir()
        try:
            before = older(revision or before_the_latest_migration(), sources)
        except NoSuchRevision as error:
            sys.stderr.write(f"{error}\n")
            return 2
        console = Console(log_path=False)
        well = [on(each, folder, before, console) for each in ([bus] if bus else ["postgres", "kafka"])]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
