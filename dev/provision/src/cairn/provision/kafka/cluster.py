"""Three brokers that hold the same messages, so that any one of them may fail."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cairn.provision.kafka.broker import KafkaBroker, Quorum, access, new_passwords

_NODES: Final = 3


class KafkaCluster:
    """As a context manager it runs for as long as the block. Each broker can be killed, paused and started alone."""

    def __init__(self, home: Path) -> None:
        self.passwords: Mapping[str, str] = new_passwords()
        quorum = Quorum.of(_NODES)
        self.brokers: Mapping[int, KafkaBroker] = {
            node: KafkaBroker(home / str(node), node=node, quorum=quorum, passwords=self.passwords)
            for node in quorum.controllers
        }
        """By the number that Kafka knows them by."""

    @property
    def secured_servers(self) -> str:
        """The addresses with SASL."""
        return ",".join(broker.secured_servers for broker in self.brokers.values())

    @property
    def access(self) -> dict[str, str]:
        """What a onebox is told to use it."""
        return access(self.secured_servers, self.passwords, copies=len(self.brokers))

    def start(self) -> Self:
        """All at once: none of them answers alone. Raises KafkaError."""
        with ThreadPoolExecutor(_NODES) as threads:
            list(threads.map(KafkaBroker.start, self.brokers.values()))
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for broker in self.brokers.values():
            broker.kill()
