"""A onebox as another process: for tests and benchmarks, which start, disturb and stop it as a person would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from cairn.onebox.home import Home
from cairn.onebox.run import SERVING
from cairn.onebox.story import Access
from cairn.provision.processes import free_port


class Box:
    """Started when made. `learners` 0 serves only; `env` is added to this process's environment; `python` is that of
    an environment in which another version is installed."""

    def __init__(
        self,
        folder: Path,
        *,
        learners: int = 0,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        python: Path | str = sys.executable,
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        """The one it was told; see `access` for the one it has."""
        descriptor, output = tempfile.mkstemp(prefix=f"{folder.name}-", suffix=".out", dir=folder.parent)
        self._output = Path(output)
        told = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
        told |= {
            "CAIRN_DATA": str(folder),
            "CAIRN_PORT": str(self.port),
            **({"CAIRN_STORY_LEARNERS": str(learners)} if learners else {"STORY": "0"}),
            **(env or {}),
        }
        with os.fdopen(descriptor, "wb") as out:
            command = [str(python), "-m", "cairn.onebox"]
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=told)

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def serving(self, seconds: float = 100) -> Self:
        """Wait until it serves and, if it plays it, the story has ended well. Raises AssertionError otherwise."""
        deadline = time.monotonic() + seconds
        while SERVING not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, f"not there after {seconds} s:\n{self.said}"
            time.sleep(0.05)
        return self

    @property
    def access(self) -> Access:
        told = json.loads((self.folder / "access.json").read_text())
        return Access(told["gateway"], told["tokens"])

    def parts(self) -> dict[str, str]:
        """Where each API and worker says how it is, and what it has done."""
        return json.loads((self.folder / "access.json").read_text())["parts"]

    def pids(self) -> dict[str, int]:
        """Its processes by name."""
        return Home(self.folder).processes()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Its exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)
