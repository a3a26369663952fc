"""One run of a onebox, from the first line to Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from joserfc.jwk import OKPKey
from rich.console import Console

from cairn.common.auth import SCOPES, mint
from cairn.common.db import PLATFORM
from cairn.onebox.certificates import tls_of
from cairn.onebox.home import SERVICES, Home, Secrets, write_private
from cairn.onebox.layout import KafkaAccess, Layout, Ports, choose_ports
from cairn.onebox.story import TENANTS, Access, StoryFailed, play
from cairn.onebox.supervisor import PartFailed, Patience, PostgresKeeper, ProcessKeeper, Supervisor, run_to_end
from cairn.provision.postgres import Cluster, EmbeddedPostgres, running_in
from cairn.provision.processes import tail

SERVING: Final = "Ctrl-C stops"
"""The last line that is printed before it serves."""
_READY_SECONDS: Final = 60
_PATIENCE: Final = Patience()


class StartFailed(RuntimeError):
    """The system did not become ready. The message says what to look at."""


class NothingRuns(RuntimeError):
    """No onebox runs from the folder."""


@dataclass(frozen=True, slots=True)
class Options:
    folder: Path
    port: int = 8080
    learners: int = 240
    """How many the story is about; 0 serves only."""
    kafka: KafkaAccess | None = None


async def run(options: Options, console: Console) -> int:
    """Until Ctrl-C. The exit code. Raises AlreadyRunning where the folder is in use."""
    stop = asyncio.create_task(_signal())
    with Home(options.folder) as home:
        supervisor = Supervisor(home.note_processes)
        work = asyncio.create_task(_Run(options, home, supervisor, console).work())
        failed = asyncio.create_task(supervisor.failed())
        try:
            done, _ = await asyncio.wait({stop, work, failed}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except (PartFailed, StartFailed, StoryFailed) as error:
            console.print("\n[bold red]Stopped.[/] ", end="")
            console.print(str(error), markup=False, highlight=False, soft_wrap=True)
            return 1
        finally:
            for task in (work, failed, stop):
                task.cancel()
            await asyncio.gather(work, failed, stop, return_exceptions=True)
            await supervisor.stop()
            home.forget_processes()
        console.print("\nStopped. `make run` continues from here; `make clean` removes the data.", highlight=False)
        return 0


async def _signal() -> None:
    """Waits for Ctrl-C or SIGTERM. A second one is not waited for: it ends this process, and the rest follows."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)


class _Run:
    def __init__(self, options: Options, home: Home, supervisor: Supervisor, console: Console) -> None:
        self._options, self._home, self._supervisor, self._console = options, home, supervisor, console
        self._started = time.monotonic()

    async def work(self) -> None:
        """Start, play, serve. Never returns."""
        self._home.clear_leftovers()
        secrets = self._home.secrets()
        ports = choose_ports(self._options.port)
        for wanted, used in ports.replaced.items():
            self._say(f"port {wanted} is taken: using {used}")
        layout = await self._database(ports, secrets)
        await self._migrate(layout)
        await self._serve(layout)
        address = f"http://127.0.0.1:{ports.gateway}"
        tokens = tokens_of(secrets.auth_key)
        write_private(self._home.access, _access(layout, tokens))
        self._home.announce(address)
        if self._options.learners:
            access = Access(address, tokens)
            await play(access, self._options.learners, self._console, self._home.story)
        self._farewell(layout)
        await asyncio.Event().wait()

    async def _database(self, ports: Ports, secrets: Secrets) -> Layout:
        server = EmbeddedPostgres(self._home.postgres)
        log = self._home.postgres / "log"
        postgres = PostgresKeeper(server, log, say=self._say, changed=self._supervisor.changed, patience=_PATIENCE)
        self._supervisor.add(postgres)
        await postgres.ready.wait()
        databases, bus = await asyncio.to_thread(_provide, server.cluster)
        self._say(f"PostgreSQL on port {server.port}")
        tls = tls_of(os.environ, self._home.folder / "tls")
        return Layout(ports, secrets, databases, bus, self._options.kafka, tls)

    async def _migrate(self, layout: Layout) -> None:
        """All at once: each has a database of its own."""
        parts = [layout.bus_setup(), *(layout.migration(service) for service in SERVICES)]
        await asyncio.gather(*(run_to_end(part, self._home.log(part.name)) for part in parts))
        self._say("databases up to date")

    async def _serve(self, layout: Layout) -> None:
        apis = [layout.api(service) for service in SERVICES]
        workers = [layout.worker(service) for service in SERVICES]
        # The gateway is the last group, so that it is the first to stop and nobody new comes in.
        for group in ([*apis, *workers], [layout.gateway(self._home.access)]):
            self._supervisor.add(
                *(
                    ProcessKeeper(
                        part,
                        self._home.log(part.name),
                        say=self._say,
                        changed=self._supervisor.changed,
                        patience=_PATIENCE,
                    )
                    for part in group
                )
            )
        await self._ready(layout.ports.gateway)
        self._say(f"{len(apis)} APIs, {len(workers)} workers and the gateway are ready")

    async def _ready(self, port: int) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        states: Mapping[str, str] = {}
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/readyz")
                except httpx.TransportError:
                    states = {"gateway": "is away"}
                else:
                    if answer.status_code == 200:
                        return
                    states = answer.json()["parts"]
                await asyncio.sleep(0.1)
        late = {name: state for name, state in states.items() if state != "ok"}
        logs = "\n".join(f"--- {name} {state}\n{tail(self._home.logs / f'{name}.log')}" for name, state in late.items())
        raise StartFailed(f"not ready after {_READY_SECONDS} s\n{logs}")

    def _say(self, text: str) -> None:
        elapsed = time.monotonic() - self._started
        self._console.print(f"[dim]{elapsed:6.1f} s[/]  {text}", highlight=False)

    def _farewell(self, layout: Layout) -> None:
        address = f"http://127.0.0.1:{layout.ports.gateway}"
        rows = {
            "Start here": f"{address}/",
            **{f"{service.title()} API": f"{address}/{service}/docs" for service in SERVICES},
            "Tokens": str(self._home.access),
            "Logs": str(self._home.logs),
        }
        if layout.tls:
            rows |= {f"{service.title()} by TLS": layout.origin(service) for service in SERVICES}
            rows["CA"] = str(layout.tls.ca)
        self._console.print()
        for name, value in rows.items():
            self._console.print(f"{name:>18}  {value}", highlight=False, soft_wrap=True)
        self._console.print(f"\n[bold]{SERVING}[/]", highlight=False)


def command_beside(folder: Path, kafka: KafkaAccess | None, service: str, *words: str) -> int:
    """A service's own command beside the onebox that runs from `folder`; its exit code. Raises NothingRuns."""
    home = Home(folder)
    if not home.processes():
        raise NothingRuns(f"nothing runs in {folder}: `make run` starts it")
    databases, bus = _provide(running_in(home.postgres))
    part = Layout(choose_ports(8080), home.secrets(), databases, bus, kafka).command(service, *words)
    return subprocess.run(part.arguments, env=dict(part.env), check=False).returncode


def _provide(cluster: Cluster):
    return {service: cluster.service(service) for service in SERVICES}, cluster.bus(SERVICES)


def tokens_of(key: OKPKey) -> dict[str, str]:
    """The operator's, who registers institutions, and one for each institution of the story."""
    own = [scope for scope in SCOPES if scope != "platform:admin"]
    tokens = {"operator": mint(key, "operator", PLATFORM, ["platform:admin", *own])}
    return tokens | {tenant: mint(key, f"{tenant}-lms", tenant, own) for tenant in TENANTS}


def _access(layout: Layout, tokens: Mapping[str, str]) -> dict[str, object]:
    gateway = f"http://127.0.0.1:{layout.ports.gateway}"
    return {
        "gateway": gateway,
        "apis": {service: f"{gateway}/{service}" for service in SERVICES},
        "direct": {service: layout.origin(service) for service in SERVICES},
        **({"ca": str(layout.tls.ca)} if layout.tls else {}),
        "parts": layout.parts(),
        "tokens": dict(tokens),
    }
