"""Child processes that do not outlive their parent, and other people's that we must not touch."""

from __future__ import annotations

import os
import pwd
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, TypeAlias

Completed: TypeAlias = subprocess.CompletedProcess[str]

# Waits until the pipe on its standard input closes, which happens however the parent ends, then ends the child.
_GUARD: Final = 'read -r _; kill -s "$1" "$2" 2>/dev/null; sleep 10; kill -s KILL "$2" 2>/dev/null'

_PORTS: Final = range(15_000, 32_000)
"""Below those that systems give to outgoing connections, which would take a port before its server listens there."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user that a server runs as when we are root."""

    uid: int
    gid: int

    @staticmethod
    def unprivileged() -> Account | None:
        """None where we are not root. PostgreSQL refuses to run as root, and looks its user up by uid."""
        if os.geteuid() != 0:
            return None
        # Not the account `postgres`: where it exists, it owns somebody's real databases.
        entry = pwd.getpwnam("nobody")
        return Account(entry.pw_uid, entry.pw_gid)

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)


def run_as(account: Account | None, *command: str | Path, env: Mapping[str, str] | None = None) -> Completed:
    """Run a program to its end as `account`, from a folder that everybody can enter."""
    return subprocess.run(
        [str(word) for word in command],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=env,
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


class Child:
    """A server that we started. When this process ends in any way, SIGKILL included, the server is ended too.

    It is in a session of its own, so that Ctrl-C in the terminal reaches us and not it.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        log: IO[bytes],
        env: Mapping[str, str],
        account: Account | None = None,
        last_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(env),
            start_new_session=True,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", last_signal.name.removeprefix("SIG"), str(self.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How it ended: its exit code, or the negative number of the signal that ended it; None while it runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        if self._process.poll() is None:
            return True
        if self._guard.returncode is None:
            self._guard.kill()
            self._guard.communicate()
        return False

    def signal(self, number: signal.Signals) -> None:
        """Nothing happens where the server has ended."""
        if self.running:
            self._process.send_signal(number)

    def pause(self) -> None:
        """It does nothing any more from here on until `resume`: each of its threads has stopped."""
        if self.running:
            self._process.send_signal(signal.SIGSTOP)
            os.waitpid(self.pid, os.WUNTRACED)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def stop(self, *numbers: signal.Signals, each: float = 10) -> None:
        """Send the signals one after the other, `each` seconds apart, then SIGKILL, until the server has ended."""
        for number in (*numbers, signal.SIGKILL):
            self.signal(number)
            deadline = time.monotonic() + each
            while self.running and time.monotonic() < deadline:
                time.sleep(0.01)


class Server(ABC):
    """A server in a child process; as a context manager it runs for as long as the block."""

    _child: Child | None = None

    @abstractmethod
    def start(self) -> Self:
        """Returns when the server answers. Nothing happens where it runs."""

    @abstractmethod
    def stop(self) -> None:
        """End the server in order."""

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        """Raises RuntimeError where it was never started."""
        if self._child is None:
            raise RuntimeError("the server was not started")
        return self._child.pid

    def kill(self) -> None:
        """SIGKILL. `start` brings it back with its data, where it was."""
        if self._child is not None:
            self._child.stop()

    def pause(self) -> None:
        """Its first process keeps its connections and answers nothing until `resume`; children of it go on."""
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        if self._child is not None:
            self._child.resume()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def command_line(pid: int) -> str:
    """What the process was started as; empty where there is no such process, or it is hidden from us."""
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout


def free_port(preferred: int | None = None) -> int:
    """`preferred` if nobody listens on it on 127.0.0.1, else a port that is free now."""
    for port in (preferred, *random.sample(_PORTS, 100)):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port on 127.0.0.1")


def tail(path: Path, lines: int = 15) -> str:
    """The end of a log, for an error message."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
