"""More workers than a onebox has: processes with the environment of the one that it started, but for their port."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cairn.onebox.box import Box
from cairn.provision.processes import free_port

_OF: Final = ("issuance", "pathways")


class Crew:
    """Added to a box; as a context manager they end with the block."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._ports: dict[str, list[int]] = {service: [] for service in _OF}
        self._processes: list[subprocess.Popen[bytes]] = []

    def add(self) -> None:
        """One more worker of issuance and of pathways."""
        for service in _OF:
            port = free_port()
            env = {**_environment(self._box.pids()[f"{service}-worker"]), "CAIRN_HEALTH_PORT": str(port)}
            command = [sys.executable, "-m", f"cairn.{service}", "worker"]
            self._processes.append(
                subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            self._ports[service].append(port)

    def addresses(self) -> list[str]:
        """Where the workers of issuance tell what they have done, the box's own first."""
        return [self._box.parts()["issuance-worker"], *map(_address, self._ports["issuance"])]

    def ready(self) -> list[str]:
        """Where those that were added say how they are."""
        return [_address(port) for ports in self._ports.values() for port in ports]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _environment(pid: int) -> Mapping[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return {**os.environ, **dict(pair.split("=", 1) for pair in pairs if "=" in pair)}
