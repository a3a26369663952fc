"""What runs in a onebox: which processes, on which ports, and what each of them is told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cairn.common.auth import public_jwks
from cairn.common.settings import HARMLESS_SCOPES
from cairn.onebox.certificates import Tls
from cairn.onebox.home import SERVICES, Secrets
from cairn.onebox.supervisor import Part
from cairn.provision.postgres import BusDatabase, ServiceDatabase
from cairn.provision.processes import free_port

PUBLIC_ORIGIN: Final = "https://cairn.localhost"
"""Issuer DIDs are made of it, so that they outlive a change of ports. Inside, it stands for the gateway."""

_PASSED_ON: Final = (
    *("CAIRN_LOG_LEVEL", "CAIRN_OTLP_ENDPOINT", "CAIRN_FETCH_CA_FILE", "CAIRN_RESOURCES", "CAIRN_INTAKE_BACKLOG"),
)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DRAIN_SECONDS: Final = 5
_OPEN: Final = (
    *sorted(HARMLESS_SCOPES),
    "credentials:issue",
    "credentials:read",
    "credentials:write",
)
"""What needs no token here: conformance suites bring none. Without one, the only credentials are those of suites."""


@dataclass(frozen=True, slots=True)
class Ports:
    gateway: int
    apis: Mapping[str, int]
    workers: Mapping[str, int]
    """Where workers answer health checks."""
    replaced: Mapping[int, int]
    """Ports that were wanted but taken, and those used in their place."""


def choose_ports(wanted: int) -> Ports:
    """`wanted` for the gateway, the next three for the APIs, free ones for the workers and wherever one is taken."""
    used: set[int] = set()
    replaced: dict[int, int] = {}

    def take(preferred: int | None) -> int:
        port = free_port(preferred)
        while port in used:
            port = free_port()
        used.add(port)
        if preferred is not None and port != preferred:
            replaced[preferred] = port
        return port

    gateway = take(wanted)
    apis = {service: take(wanted + place) for place, service in enumerate(SERVICES, 1)}
    return Ports(gateway, apis, {service: take(None) for service in SERVICES}, replaced)


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """A cluster of one's own instead of the embedded log.

    `passwords` are those of the users `issuance`, `pathways`, `verification` and `admin`; none where it asks for none.
    """

    servers: str
    prefix: str
    passwords: Mapping[str, str]
    replication: str = "1"
    """How many copies a topic has, if it is made by us."""

    def env(self, user: str) -> dict[str, str]:
        env = {
            "CAIRN_BUS": "kafka",
            "CAIRN_KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "CAIRN_KAFKA_TOPIC_PREFIX": self.prefix,
            "CAIRN_KAFKA_REPLICATION": self.replication,
        }
        if user in self.passwords:
            env |= {
                "CAIRN_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
                "CAIRN_KAFKA_USERNAME": user,
                "CAIRN_KAFKA_PASSWORD": self.passwords[user],
            }
        return env


def kafka_of(environ: Mapping[str, str]) -> KafkaAccess | None:
    """From `CAIRN_BUS=kafka`, the other `CAIRN_KAFKA_…` of the services, and `CAIRN_KAFKA_PASSWORDS`, JSON by user."""
    if environ.get("CAIRN_BUS", "postgres") != "kafka":
        return None
    return KafkaAccess(
        environ.get("CAIRN_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
        environ.get("CAIRN_KAFKA_TOPIC_PREFIX", ""),
        json.loads(environ.get("CAIRN_KAFKA_PASSWORDS", "{}")),
        environ.get("CAIRN_KAFKA_REPLICATION", "1"),
    )


@dataclass(frozen=True, slots=True)
class Layout:
    ports: Ports
    secrets: Secrets
    databases: Mapping[str, ServiceDatabase]
    bus: BusDatabase
    kafka: KafkaAccess | None = None
    tls: Tls | None = None
    """Then the APIs answer by https, and the issuance API is reached by everybody where it listens."""

    def migration(self, service: str) -> Part:
        """The only process that is given the role which owns the tables. It ends by itself."""
        owner = {"CAIRN_DATABASE_OWNER_URL": self.databases[service].owner_url}
        return Part(f"{service}-migrate", _module(f"cairn.{service}", "migrate"), self._service(service) | owner)

    def bus_setup(self) -> Part:
        """Makes the tables of the embedded log, or Kafka's topics. It ends by itself."""
        embedded = {
            "CAIRN_BUS": "postgres",
            "CAIRN_BUS_OWNER_URL": self.bus.owner_url,
            "CAIRN_BUS_ROLES": json.dumps(dict(self.bus.roles)),
        }
        told = self.kafka.env("admin") if self.kafka else embedded
        return Part("bus-setup", _module("cairn.common.bus", "setup"), _base() | told)

    def api(self, service: str) -> Part:
        tls = (
            {"CAIRN_TLS_CERTIFICATE": str(self.tls.certificate), "CAIRN_TLS_KEY": str(self.tls.key)} if self.tls else {}
        )
        return Part(f"{service}-api", _module(f"cairn.{service}", "api"), self._service(service) | tls)

    def worker(self, service: str) -> Part:
        return self.command(service, "worker")

    def command(self, service: str, *words: str) -> Part:
        """A service's own command, told what its worker is told. It ends by itself."""
        return Part(f"{service}-{words[0]}", _module(f"cairn.{service}", *words), self._service(service))

    def origin(self, service: str) -> str:
        """Where an API listens."""
        port = self.ports.apis[service]
        return f"https://localhost:{port}" if self.tls else _loopback(port)

    def parts(self) -> dict[str, str]:
        """Where each API and worker says how it is."""
        return {f"{service}-api": self.origin(service) for service in self.ports.apis} | self._workers()

    def _workers(self) -> dict[str, str]:
        return {f"{service}-worker": _loopback(port) for service, port in self.ports.workers.items()}

    @property
    def public_url(self) -> str:
        own = self.origin("issuance") if self.tls else f"{PUBLIC_ORIGIN}/issuance"
        return os.environ.get("CAIRN_PUBLIC_URL", own)

    def gateway(self, access: Path) -> Part:
        told = {
            "port": self.ports.gateway,
            "routes": {f"/{service}": self.origin(service) for service in self.ports.apis},
            "workers": self._workers(),
            "access": str(access),
            "ca": str(self.tls.ca) if self.tls else None,
        }
        return Part("gateway", _module("cairn.onebox.gateway"), _base() | {"CAIRN_GATEWAY": json.dumps(told)})

    def _service(self, service: str) -> dict[str, str]:
        origins = {PUBLIC_ORIGIN: _loopback(self.ports.gateway)}
        public = urlsplit(self.public_url)
        if public.hostname in _LOOPBACK:
            origins[f"https://{public.netloc}"] = f"https://{public.netloc}"
        bus = {"CAIRN_BUS": "postgres", "CAIRN_BUS_URL": self.bus.urls[service]}
        return {
            **_base(),
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            **(self.kafka.env(service) if self.kafka else bus),
            "CAIRN_ENVIRONMENT": "onebox",
            "CAIRN_DATABASE_URL": self.databases[service].url,
            "CAIRN_KEK": self.secrets.keks[service],
            "CAIRN_AUTH_JWKS": public_jwks(self.secrets.auth_key),
            "CAIRN_PUBLIC_URL": self.public_url,
            "CAIRN_PUBLIC_SCOPES": json.dumps(_OPEN),
            "CAIRN_FETCH_ORIGINS": json.dumps(origins),
            **({"CAIRN_FETCH_CA_FILE": str(self.tls.ca)} if self.tls else {}),
            "CAIRN_HOST": "127.0.0.1",
            "CAIRN_PORT": str(self.ports.apis[service]),
            "CAIRN_HEALTH_PORT": str(self.ports.workers[service]),
            "CAIRN_DRAIN_SECONDS": str(_DRAIN_SECONDS),
            "CAIRN_LOG_FORMAT": "text",
        }


def _base() -> dict[str, str]:
    """The person's environment without what they told us: each process learns only what it needs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}


def _module(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", name, *words]


def _loopback(port: int) -> str:
    return f"http://127.0.0.1:{port}"
