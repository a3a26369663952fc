"""A system under test: all processes as `make run` starts them, and ways to disturb them and to look at everything."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
import httpx

from cairn.common.events import Event, decode
from cairn.onebox.box import Box
from cairn.onebox.home import Home
from cairn.provision.postgres.server import SUPERUSER
from cairn.provision.processes import Child, free_port

from .log import kafka_events
from .points import POINTS, Point

INSIDE: Final = Path(__file__).parent / "inside"
BACK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Other:
    """A process beside those of the system."""

    child: Child
    address: str

    async def ready(self) -> None:
        deadline = time.monotonic() + BACK_SECONDS
        while not await answers(self.address):
            assert self.child.running
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def answers(address: str) -> bool:
    """Whether what runs there says that it is ready."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=3) as client:
            return (await client.get(f"{address}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


class System:
    """`env` as Kafka's access needs it; nothing for the log on PostgreSQL. `python` and what the processes are `told`
    are of another version, which has other points than this one."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str] | None = None,
        *,
        python: Path | str = sys.executable,
        told: Mapping[str, str] | None = None,
    ) -> None:
        self.faults = folder.with_name(f"{folder.name}-faults")
        self.faults.mkdir(exist_ok=True)
        (self.faults / "points.json").write_text(json.dumps([point.to_json() for point in POINTS]))
        inside = {"PYTHONPATH": str(INSIDE), "FAULTS_FOLDER": str(self.faults)} if told is None else told
        self.env = dict(env or {})
        self.box = Box(folder, env={**self.env, **inside}, python=python)
        self._armed: dict[str, dict[str, Any]] = {}

    def serving(self) -> System:
        self.box.serving()
        return self

    @property
    def access(self) -> Any:
        return self.box.access

    @property
    def parts(self) -> dict[str, str]:
        """Where each API and worker says how it is."""
        return json.loads((self.box.folder / "access.json").read_text())["parts"]

    async def rows(self, database: str, query: str, *arguments: Any) -> list[Any]:
        """As the superuser, who sees every tenant's."""
        connection: Any = await asyncpg.connect(self.url(database), timeout=20)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    def url(self, database: str, role: str = SUPERUSER) -> str:
        home = self.box.folder / "postgres"
        password = json.loads((home / "passwords.json").read_text())[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{(home / 'port').read_text().strip()}/{database}"

    def environment(self, part: str) -> dict[str, str]:
        """What a running process was told: another like it can be started."""
        told = Path(f"/proc/{self.box.pids()[part]}/environ").read_bytes().split(b"\0")
        return dict(line.decode().split("=", 1) for line in told if line)

    @contextmanager
    def another(self, part: str, **changes: str) -> Generator[Other]:
        """One more process like a running one, with ports of its own and some `changes` to what it is told."""
        port = free_port()
        env = self.environment(part) | {"CAIRN_PORT": str(port), "CAIRN_HEALTH_PORT": str(port)} | changes
        service, command = part.split("-")
        with (self.faults / f"{part}-{port}.log").open("wb") as log:
            child = Child([sys.executable, "-m", f"cairn.{service}", command], log=log, env=env)
        try:
            yield Other(child, f"http://127.0.0.1:{port}")
        finally:
            child.stop(signal.SIGTERM)

    async def events(self) -> list[tuple[str, Event]]:
        """Everything on the bus, as (topic, event), each partition in its order, repetitions included."""
        if self.env:
            return await kafka_events(self.env)
        rows = await self.rows("bus", 'SELECT topic, body FROM log ORDER BY topic, partition, "offset"')
        return [(row["topic"], decode(row["body"])) for row in rows]

    def arm(self, point: Point, nth: int = 1) -> None:
        """The `nth` time from now on that the point is reached, its process dies, once."""
        self._armed[point.name] = {"nth": nth, "note": str(self.faults / f"{uuid4()}.json")}
        self._tell()

    async def struck(self, point: Point, seconds: float = 300) -> float:
        """Wait until the armed point was reached and its process is back; seconds that it was away.

        Raises AssertionError where it is not.
        """
        note = self._armed[point.name]["note"]
        deadline = time.monotonic() + seconds
        while not (told := _read(note)):
            assert time.monotonic() < deadline, f"{point.process} never came to: {point.name}"
            await asyncio.sleep(0.02)
        died = json.loads(told)
        await self.ready(point.process, not_=died["pid"])
        del self._armed[point.name]
        self._tell()
        return time.time() - died["at"]

    def _tell(self) -> None:
        draft = self.faults / "armed.new"
        draft.write_text(json.dumps(self._armed))
        draft.rename(self.faults / "armed.json")

    async def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> float:
        """Send the signal, and wait until the part is ready again; seconds."""
        pid, at = self.box.pids()[part], time.time()
        os.kill(pid, number)
        await self.ready(part, not_=pid)
        return time.time() - at

    async def ready(self, part: str, not_: int = 0) -> None:
        """Wait until the part is ready, as another process than `not_`."""
        deadline = time.monotonic() + BACK_SECONDS
        while self.box.pids().get(part) in {None, not_} or not await self._ready(part):
            assert time.monotonic() < deadline, f"{part} is not back after {BACK_SECONDS:g} s"
            await asyncio.sleep(0.05)

    async def _ready(self, part: str) -> bool:
        return part not in self.parts or await answers(self.parts[part])

    def stop(self) -> int:
        return self.box.stop()

    def remove(self) -> None:
        if self.box.process.poll() is None:
            self.box.stop()
        Home(self.box.folder).remove()


def _read(note: str) -> str:
    return Path(note).read_text() if Path(note).exists() else ""
