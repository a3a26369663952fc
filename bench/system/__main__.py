"""How fast the whole system is, on the embedded log and on Apache Kafka, beside what others do of it.

`python -m bench.system [learners]` starts everything as `make run` does, on loopback, twice, and posts completions
through the gateway as an LMS would. Learners complete five courses and an exam, and earn a qualification.

- A burst of as many as `learners` complete: how fast it is taken, signed, and audited to the last qualification, and
  what each part has cost.
- Single posts.
- Half of that load, going on: how long it is from a learner's last completion to the award.
- On Kafka, the same burst with two and four workers of issuance and of pathways.

Then the peers: a Node service that signs one credential a request, as the DCC's does, and the queries of Open edX
Credentials.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.system.crew import Crew
from bench.system.load import BATCH, Burst, Site, Steady
from bench.system.peers import floor, open_edx, signing_service
from cairn.onebox.box import Box
from cairn.onebox.home import Home
from cairn.onebox.story.api import Api
from cairn.provision.kafka import KafkaBroker

_SINGLES: Final = 400
_PROBES: Final = 100
_SECONDS: Final = 20.0
_CREWS: Final = (2, 4)
_USERS: Final = ("issuance", "pathways", "verification", "admin")
_SMALL: Final = 25.0
"""Parts that cost less for each completion, in microseconds, are put together."""


@dataclass(slots=True)
class Figures:
    """Of one transport. `crews` are bursts by how many workers there are of each kind."""

    burst: Burst
    singles: float
    steady: Steady
    crews: dict[int, Burst] = field(default_factory=dict[int, Burst])


async def measure(
    box: Box, learners: int, said: Callable[[str], None], others: Mapping[str, int], crews: Sequence[int]
) -> Figures:
    with Crew(box) as crew:
        async with Api(box.access) as api, httpx.AsyncClient(trust_env=False, timeout=60) as client:
            site = Site(box, api, client, crew, said)
            site.others |= others
            await site.prepare()
            await site.burst(20)  # so that nothing is measured for the first time
            burst = await site.burst(learners)
            figures = Figures(
                burst, await site.singles(_SINGLES), await site.steady(burst.audited / 2, _SECONDS, _PROBES)
            )
            for wanted in crews:
                await site.grow(wanted)
                figures.crews[wanted] = await site.burst(learners // 2)
            await site.check()
    return figures


def _run(
    folder: Path,
    learners: int,
    env: Mapping[str, str],
    said: Callable[[str], None],
    others: Mapping[str, int],
    crews: Sequence[int] = (),
) -> Figures:
    said("starting")
    box = Box(folder, env=env)
    try:
        return asyncio.run(measure(box.serving(), learners, said, others, crews))
    finally:
        box.stop()
        Home(folder).remove()


def main() -> None:
    learners = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    console = Console()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as name, Progress(*columns, console=console) as progress:
        folder = Path(name)
        folder.chmod(0o755)
        task = progress.add_task("", total=None)

        def saying(where: str) -> Callable[[str], None]:
            return lambda text: progress.update(task, description=f"{where}: {text}")

        figures = {"PostgreSQL log": _run(folder / "log", learners, {}, saying("PostgreSQL log"), {})}
        console.print(_rates(figures), _budget(figures))
        broker = KafkaBroker(folder / "broker")
        try:
            broker.start()
            passwords = {user: broker.settings(user).kafka_password.get_secret_value() for user in _USERS}
            env = {
                "CAIRN_BUS": "kafka",
                "CAIRN_KAFKA_BOOTSTRAP_SERVERS": broker.secured_servers,
                "CAIRN_KAFKA_PASSWORDS": json.dumps(passwords),
            }
            others = {"Kafka broker": broker.pid}
            figures["Apache Kafka"] = _run(folder / "kafka", learners, env, saying("Apache Kafka"), others, _CREWS)
            console.print(_rates(figures), _budget(figures), _workers(figures))
        finally:
            broker.destroy()
        saying("peers")("one core, composing and signing")
        peers = [("Cairn's library, one core that composes and signs", floor(400))]
        saying("peers")("a signing service in Node")
        peers.append(("@digitalbazaar/vc, signing one a request over HTTP", asyncio.run(signing_service(200))))
        for programmes in (10, 100):
            saying("peers")(f"Open edX Credentials' queries, {programmes} programmes")
            rate = asyncio.run(open_edx(programmes, 200 // programmes + 3))
            peers.append((f"Open edX Credentials' queries, {programmes} programmes on offer", rate))
    console.print(_peers(peers))


def _rates(figures: Mapping[str, Figures]) -> Table:
    burst = next(iter(figures.values())).burst
    table = Table("", *figures, title=f"{burst.completions:,} completions in posts of {BATCH}")
    rows: dict[str, Callable[[Figures], str]] = {
        "completions accepted /s": lambda f: f"{f.burst.accepted:,.0f}",
        "completions accepted /s, posted one by one": lambda f: f"{f.singles:,.0f}",
        "completions to signed credential /s": lambda f: f"{f.burst.signed:,.0f}",
        "completions to audited stack and signed qualification /s": lambda f: f"{f.burst.audited:,.0f}",
        "load for the next two, completions /s": lambda f: f"{f.steady.rate:,.0f}",
        "last completion to award, p50": lambda f: f"{f.steady.p50:,.0f} ms",
        "last completion to award, p99": lambda f: f"{f.steady.p99:,.0f} ms",
    }
    for label, cell in rows.items():
        table.add_row(label, *(cell(each) for each in figures.values()))
    return table


def _workers(figures: Mapping[str, Figures]) -> Table:
    table = Table(
        "workers of issuance and of pathways", "to signed /s", "to audited /s", title="More workers, by Kafka"
    )
    kafka = figures["Apache Kafka"]
    for count, burst in {1: kafka.burst, **kafka.crews}.items():
        table.add_row(str(count), f"{burst.signed:,.0f}", f"{burst.audited:,.0f}")
    return table


def _budget(figures: Mapping[str, Figures]) -> Table:
    table = Table("processor, µs a completion", *figures, title="What a completion costs, with its share of awards")
    costs = [each.burst.costs for each in figures.values()]
    names = sorted(
        {name for each in costs for name in each}, key=lambda name: -max(each.get(name, 0) for each in costs)
    )
    large = [name for name in names if max(each.get(name, 0) for each in costs) >= _SMALL]
    for name in large:
        table.add_row(name, *(f"{each.get(name, 0):,.0f}" for each in costs))
    table.add_row("the rest", *(f"{sum(v for name, v in each.items() if name not in large):,.0f}" for each in costs))
    table.add_row("all", *(f"{sum(each.values()):,.0f}" for each in costs))
    return table


def _peers(peers: Sequence[tuple[str, float]]) -> Table:
    table = Table("a part of it, by itself", "/s", title="Others, on the same machine")
    for name, rate in peers:
        table.add_row(name, f"{rate:,.1f}")
    return table


if __name__ == "__main__":
    main()
