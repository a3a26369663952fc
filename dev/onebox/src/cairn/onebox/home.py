"""The data folder: what one onebox keeps between runs, and the hold on it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from joserfc.jwk import OKPKey

from cairn.common.auth import new_signing_key
from cairn.provision.postgres import destroy
from cairn.provision.processes import command_line

_PROCESS: Final = re.compile(r"process (\d+)$")
SERVICES: Final = ("issuance", "verification", "pathways")
"""In the order of their ports."""


class AlreadyRunning(RuntimeError):
    """Another process serves from this folder. The message is one line: where, and how to stop it."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"Cairn already runs from {folder} ({holder}): Ctrl-C there stops it.")
        self.pid = int(found[1]) if (found := _PROCESS.search(holder)) else None


class Unusable(RuntimeError):
    """Nothing can be kept in the folder. The message is one line."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(f"The data folder {folder} cannot be used: {error.strerror}. CAIRN_DATA names another.")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made at the first start, kept for the owner's eyes only."""

    keks: Mapping[str, str]
    """The key-encryption key of each service, base64 of 32 bytes: none of them can open what is another's."""
    auth_key: OKPKey
    """Signs access tokens. It stays with the supervisor: the services are given its public half."""


class Home:
    """`.cairn/`: secrets, PostgreSQL's data, logs and notes. As a context manager it is held for one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.postgres = self.folder / "postgres"
        self.logs = self.folder / "logs"
        self.access = self.folder / "access.json"
        self.story = self.folder / "story.json"
        self._processes = self.folder / "processes.json"
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        """Raises AlreadyRunning, Unusable."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # As root, PostgreSQL runs as another user, who passes through here and finds nothing else to read.
            self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
            lock = (self.folder / "lock").open("a+")
        except OSError as error:
            raise Unusable(self.folder, error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise AlreadyRunning(self.folder, holder) from None
        self._lock = lock
        self.announce("starting")
        self.logs.mkdir(mode=0o700, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def announce(self, state: str) -> None:
        """Say in the lock what a second start will print, such as the address."""
        if self._lock is None:
            raise RuntimeError("the folder is not held")
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(f"{state}, process {os.getpid()}")
        self._lock.flush()

    def secrets(self) -> Secrets:
        """Read, or made when first asked for."""
        kek_file, auth_file = self.folder / "keks.json", self.folder / "auth-key.json"
        keks: dict[str, str] = json.loads(kek_file.read_text()) if kek_file.exists() else {}
        missing = [service for service in SERVICES if service not in keks]
        if missing:
            keks |= {service: base64.b64encode(secrets.token_bytes(32)).decode() for service in missing}
            write_private(kek_file, keks)
        if not auth_file.exists():
            write_private(auth_file, new_signing_key().as_dict(private=True))
        return Secrets(keks, OKPKey.import_key(json.loads(auth_file.read_text())))

    def log(self, name: str) -> Path:
        """The log of a part, empty: that of the run before moves to `<name>.log.1`."""
        log = self.logs / f"{name}.log"
        if log.exists():
            log.rename(log.with_suffix(".log.1"))
        log.touch(mode=0o600)
        return log

    def note_processes(self, pids: Mapping[str, int]) -> None:
        """Who runs, by name: for people, for tests, and for the next start if this one ends badly."""
        write_private(self._processes, dict(pids))

    def processes(self) -> dict[str, int]:
        return json.loads(self._processes.read_text()) if self._processes.exists() else {}

    def forget_processes(self) -> None:
        self._processes.unlink(missing_ok=True)

    def clear_leftovers(self, patience: float = 5) -> None:
        """Wait for what a killed supervisor left behind, then end it. PostgreSQL sees to itself."""
        left = {name: pid for name, pid in self.processes().items() if name != "postgres"}
        deadline = time.monotonic() + patience
        while any(_ours(pid) for pid in left.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left.values():
            if _ours(pid):
                os.kill(pid, signal.SIGKILL)
        self.forget_processes()

    def remove(self, patience: float = 30) -> None:
        """What runs from here is stopped and everything goes, PostgreSQL's data included.

        Raises AlreadyRunning where it has not stopped after so many seconds.
        """
        if not self.folder.exists():
            return
        deadline = time.monotonic() + patience
        asked = False
        while (running := self._running()) is not None:
            if running.pid is not None and not asked:
                os.kill(running.pid, signal.SIGTERM)
                asked = True
            if time.monotonic() > deadline:
                raise running
            time.sleep(0.05)
        with self:
            self.clear_leftovers(patience=0)
            destroy(self.postgres)
            shutil.rmtree(self.folder)

    def _running(self) -> AlreadyRunning | None:
        try:
            with self:
                return None
        except AlreadyRunning as error:
            return error


def _ours(pid: int) -> bool:
    """After a restart of the machine the number may be a stranger's."""
    return "cairn." in command_line(pid)


def write_private(path: Path, value: Any) -> None:
    """JSON that only its owner reads; never seen half-written."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(json.dumps(value, indent=2) + "\n")
    draft.rename(path)
