"""Databases and roles on a PostgreSQL server, embedded or given, made by `psql` as its superuser."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class PostgresError(RuntimeError):
    """PostgreSQL could not be started, or refused what it was told. The message says what it said."""


@dataclass(frozen=True, slots=True)
class ServiceDatabase:
    """One database as two roles see it. URLs are `postgresql://role:password@host:port/name`."""

    name: str
    role: str
    """The run-time role: no superuser, owns nothing, has no grants but CONNECT and USAGE until migrations give some."""
    url: str
    owner_url: str
    """The role that owns the database and its schema `public`: for migrations only."""


@dataclass(frozen=True, slots=True)
class BusDatabase:
    """The database of the embedded bus. Each service connects to it as its own run-time role."""

    name: str
    owner_url: str
    urls: Mapping[str, str]
    """By service."""
    roles: Mapping[str, str]
    """By service."""


class Passwords:
    """Random passwords by role, made when first asked for; with a `file`, kept there for its owner's eyes only."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known: dict[str, str] = json.loads(file.read_text()) if file and file.exists() else {}

    def __getitem__(self, role: str) -> str:
        if role not in self._known:
            self._known[role] = secrets.token_urlsafe(24)
            self._save()
        return self._known[role]

    def _save(self) -> None:
        if self._file is None:
            return
        draft = self._file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(json.dumps(self._known))
        draft.rename(self._file)


class Cluster:
    """A PostgreSQL server on which we may make roles and databases.

    Every name begins with `prefix`, so that a server that others use too can be given back as it was: `drop_all`.
    """

    def __init__(self, admin_url: str, *, psql: Path, passwords: Passwords | None = None, prefix: str = "") -> None:
        self.admin_url = _plain(admin_url)
        self.prefix = prefix
        self.psql = psql
        self._passwords = passwords or Passwords()
        self._databases: set[str] = set()
        self._roles: set[str] = set()
        self._count = 0

    @classmethod
    def external(cls, admin_url: str, *, psql: Path) -> Self:
        """A server that is not ours, as its superuser. Call `drop_all` in the end."""
        return cls(admin_url, psql=psql, prefix=f"cairn_{secrets.token_hex(4)}_")

    def service(self, service: str, *, database: str | None = None) -> ServiceDatabase:
        """The database of `service` with its roles `<service>_owner` and `<service>`; made where missing.

        `database` is its name, by default that of the service. Asking again changes nothing.
        """
        name = self._name(database or service)
        owner, role = self._name(f"{service}_owner"), self._name(service)
        self._provide(name, owner, role)
        return ServiceDatabase(name, role, self.url(role, name), self.url(owner, name))

    def fresh(self, service: str) -> ServiceDatabase:
        """A new, empty database of `service` under a name of its own. The roles are the same each time."""
        self._count += 1
        return self.service(service, database=f"{service}_{os.getpid()}_{self._count}")

    def bus(self, services: Sequence[str], *, database: str = "bus") -> BusDatabase:
        """The database of the embedded bus, of `bus_owner`, to which the run-time roles of `services` may connect."""
        name, owner = self._name(database), self._name("bus_owner")
        roles = {service: self._name(service) for service in services}
        for role in roles.values():
            self._provide(name, owner, role)
        urls = {service: self.url(role, name) for service, role in roles.items()}
        return BusDatabase(name, self.url(owner, name), urls, roles)

    def fresh_bus(self, services: Sequence[str]) -> BusDatabase:
        """A new, empty bus database under a name of its own."""
        self._count += 1
        return self.bus(services, database=f"bus_{os.getpid()}_{self._count}")

    def copy(self, original: ServiceDatabase) -> ServiceDatabase:
        """A new database with what `original` holds, grants included: cheaper than migrating again.

        Nobody may be connected to `original` meanwhile.
        """
        self._count += 1
        name = self._name(f"copy_{os.getpid()}_{self._count}")
        owner = unquote(urlsplit(original.owner_url).username or "")
        self.run(f'CREATE DATABASE "{name}" OWNER "{owner}" TEMPLATE "{original.name}"')
        self._provide(name, owner, original.role)
        return ServiceDatabase(name, original.role, self.url(original.role, name), self.url(owner, name))

    def restored(self, original: ServiceDatabase) -> ServiceDatabase:
        """A new database with what a backup of `original` holds, made and read as an operator would."""
        self._count += 1
        name = self._name(f"restored_{os.getpid()}_{self._count}")
        owner = unquote(urlsplit(original.owner_url).username or "")
        self._provide(name, owner, original.role)
        dump = self._program("pg_dump", "--format=custom", "-d", self._admin_without_password(original.name))
        self._program("pg_restore", "--clean", "--if-exists", "-d", self._admin_without_password(name), stdin=dump)
        return ServiceDatabase(name, original.role, self.url(original.role, name), self.url(owner, name))

    def drop(self, database: str) -> None:
        """Drop one of our databases, whoever is connected to it."""
        self.run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        self._databases.discard(database)

    def drop_all(self) -> None:
        """Drop every database and role that was made through this object."""
        for database in sorted(self._databases):
            self.drop(database)
        for role in sorted(self._roles):
            self.run(f'DROP ROLE IF EXISTS "{role}"')
        self._roles.clear()

    def url(self, role: str, database: str) -> str:
        """The server's address for one of our roles."""
        return self._address(f"{quote(role)}:{quote(self._passwords[role], safe='')}", database)

    def run(self, sql: str, *, database: str | None = None, env: Mapping[str, str] | None = None) -> str:
        """What the superuser's `sql` (psql's meta-commands included) answers, unaligned. Raises PostgresError."""
        name = database or urlsplit(self.admin_url).path.removeprefix("/") or "postgres"
        words = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self._admin_without_password(name)]
        return self._program("psql", *words, stdin=sql.encode(), env=env).decode().strip()

    def _program(self, name: str, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """What one of PostgreSQL's programs prints. Raises PostgresError."""
        parts = urlsplit(self.admin_url)
        # The password goes by the environment: everybody can read a command line.
        secret = {"PGPASSWORD": unquote(parts.password)} if parts.password else {}
        done = subprocess.run(
            [self.psql.with_name(name), *words],
            input=stdin,
            capture_output=True,
            check=False,
            env={"PATH": os.defpath, "LANG": "C", "PGCONNECT_TIMEOUT": "10", **secret, **(env or {})},
        )
        if done.returncode != 0:
            raise PostgresError(f"{name}: {done.stderr.decode().strip()}")
        return done.stdout

    def _provide(self, database: str, owner: str, role: str) -> None:
        script = (files("cairn.provision.postgres") / "database.sql").read_text("utf-8")
        names = {"DATABASE_NAME": database, "OWNER_ROLE": owner, "RUNTIME_ROLE": role}
        words = {"OWNER_PASSWORD": self._passwords[owner], "RUNTIME_PASSWORD": self._passwords[role]}
        self._databases.add(database)
        self._roles |= {owner, role}
        self.run(script, env=names | words)

    def _name(self, name: str) -> str:
        full = self.prefix + name
        if not _NAME.fullmatch(full):
            raise ValueError(f"{full!r} is not a plain PostgreSQL name")
        return full

    def _address(self, user: str, database: str) -> str:
        parts = urlsplit(self.admin_url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(("postgresql", f"{user}@{host}", f"/{database}", parts.query, ""))

    def _admin_without_password(self, database: str) -> str:
        return self._address(quote(unquote(urlsplit(self.admin_url).username or "postgres")), database)


def _plain(url: str) -> str:
    """The URL as libpq reads it: without SQLAlchemy's `+driver`, nor asyncpg's spelling of sslmode."""
    parts = urlsplit(url)
    query = urlencode([("sslmode" if key == "ssl" else key, value) for key, value in parse_qsl(parts.query)])
    return urlunsplit(("postgresql", parts.netloc, parts.path, query, ""))
