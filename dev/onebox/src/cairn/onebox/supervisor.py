"""Keeps processes running: one that ends is started again, and all are ended in order.

A part is one operating-system process. None outlives the supervisor, however that ends (see `provision.processes`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Final, Protocol

from cairn.provision.postgres import EmbeddedPostgres, PostgresError
from cairn.provision.processes import Child, tail

_TICK: Final = 0.05

Say = Callable[[str], None]
"""Tells the person at the terminal one line."""


class PartFailed(RuntimeError):
    """A part never came to run. The message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Part:
    """What to run. Secrets are in `env`, never in `arguments`, which everybody on the machine can read."""

    name: str
    arguments: Sequence[str]
    env: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Patience:
    """All in seconds, but `attempts`."""

    attempts: int = 5
    """So many ends in a row, each within `quick` of its start, and a part that never ran for longer is given up: it
    cannot start. One that did is tried again without end, for what stops it may pass."""
    quick: float = 10
    first_pause: float = 0.1
    longest_pause: float = 3
    stop: float = 8
    """From SIGTERM to SIGKILL."""


class _Ends:
    """The ends of one part in a row, and how long to wait after each."""

    def __init__(self, name: str, log: Path, say: Say, patience: Patience) -> None:
        self._name, self._log, self._say, self._patience = name, log, say, patience
        self._in_a_row = 0
        self._has_run = False

    def after(self, seconds: float) -> float:
        """It ended after that time; how long to wait before it is started again. Raises PartFailed."""
        stayed = seconds >= self._patience.quick
        self._has_run = self._has_run or stayed
        self._in_a_row = 1 if stayed else self._in_a_row + 1
        told = f"{self._name} ended {self._in_a_row} times in a row"
        if self._in_a_row >= self._patience.attempts and not self._has_run:
            raise PartFailed(f"{told}; the end of {self._log}:\n{tail(self._log)}")
        pause = min(self._patience.first_pause * 4 ** (self._in_a_row - 1), self._patience.longest_pause)
        if self._in_a_row < self._patience.attempts:
            self._say(f"{self._name} ended; starting it again")
        elif self._in_a_row == self._patience.attempts:
            self._say(f"{told}; trying every {pause:g} s; the end of {self._log}:\n{tail(self._log)}")
        return pause


class Keeper(Protocol):
    """One part that is being kept running."""

    name: str

    @property
    def pid(self) -> int | None: ...

    async def keep(self) -> None:
        """Returns after `stop`. Raises PartFailed."""
        ...

    async def stop(self) -> None: ...


class ProcessKeeper:
    """Runs `part`; its output is appended to `log`. `changed` is called whenever it has a new process."""

    def __init__(self, part: Part, log: Path, *, say: Say, changed: Callable[[], None], patience: Patience) -> None:
        self.name = part.name
        self._part, self._log, self._changed, self._patience = part, log, changed, patience
        self._ends = _Ends(part.name, log, say, patience)
        self._child: Child | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.running else None

    async def keep(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            with self._log.open("ab") as log:
                child = self._child = Child(self._part.arguments, log=log, env=self._part.env)
            self._changed()
            await _while(lambda child=child: child.running)
            if self._stopping.is_set():
                return
            await _pause(self._stopping, self._ends.after(time.monotonic() - started))

    async def stop(self) -> None:
        self._stopping.set()
        child = self._child
        for number in (SIGTERM, SIGKILL):
            deadline = time.monotonic() + self._patience.stop
            if child is not None:
                child.signal(number)
            await _while(lambda until=deadline: self.pid is not None and time.monotonic() < until)


class PostgresKeeper:
    """Runs PostgreSQL. It comes back on the port that the services were told."""

    name = "postgres"

    def __init__(
        self, server: EmbeddedPostgres, log: Path, *, say: Say, changed: Callable[[], None], patience: Patience
    ) -> None:
        self.ready = asyncio.Event()
        """Set once the server has answered for the first time."""
        self._server, self._changed = server, changed
        self._ends = _Ends(self.name, log, say, patience)
        self._stopping = asyncio.Event()
        self._moving = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server.running else None

    async def keep(self) -> None:
        port = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                await self._start()
            except PostgresError as error:
                if not self.ready.is_set():
                    raise PartFailed(str(error)) from None
            else:
                if port not in {0, self._server.port}:
                    raise PartFailed(f"PostgreSQL's port {port} was taken while it was away")
                port = self._server.port
                self._changed()
                self.ready.set()
                await _while(lambda: self._server.running and not self._stopping.is_set())
            if self._stopping.is_set():
                return
            await _pause(self._stopping, self._ends.after(time.monotonic() - started))

    async def stop(self) -> None:
        self._stopping.set()
        async with self._moving:
            await asyncio.to_thread(self._server.stop)

    async def _start(self) -> None:
        async with self._moving:
            await asyncio.to_thread(self._server.start)


class Supervisor:
    """Keeps every part added to it, until `stop`. Parts are stopped in the reverse order of their groups."""

    def __init__(self, note: Callable[[Mapping[str, int]], None]) -> None:
        self._note = note
        self._groups: list[list[Keeper]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, *keepers: Keeper) -> None:
        """Start a group of parts."""
        self._groups.append(list(keepers))
        for keeper in keepers:
            task = asyncio.create_task(keeper.keep(), name=keeper.name)
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    def changed(self) -> None:
        """A part has a new process."""
        keepers = [keeper for group in self._groups for keeper in group]
        self._note({keeper.name: keeper.pid for keeper in keepers if keeper.pid is not None})

    async def failed(self) -> None:
        """Waits for ever, unless a part cannot be kept running: then raises what it raised."""
        await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """SIGTERM, time to finish, SIGKILL: group by group, the last one first."""
        for group in reversed(self._groups):
            await asyncio.gather(*(keeper.stop() for keeper in group))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._failed.done():
            self._failed.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)


async def run_to_end(part: Part, log: Path) -> None:
    """Run a part that ends by itself. Raises PartFailed, with the end of its log, unless it ends well."""
    with log.open("ab") as output:
        child = Child(part.arguments, log=output, env=part.env)
    try:
        await _while(lambda: child.running)
    finally:
        child.signal(SIGKILL)
    if child.status != 0:
        raise PartFailed(f"{part.name} failed; the end of {log}:\n{tail(log)}")


async def _while(condition: Callable[[], bool]) -> None:
    # Polling works for processes of every kind and on every system, and costs next to nothing.
    while condition():  # noqa: ASYNC110 - nothing sets an event when a process ends
        await asyncio.sleep(_TICK)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
