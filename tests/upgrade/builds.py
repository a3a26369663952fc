"""An older version with an environment of its own, and a system whose parts can be of either version."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cairn.onebox.home import SERVICES, Home
from cairn.onebox.layout import Layout, choose_ports, kafka_of
from cairn.onebox.supervisor import run_to_end
from cairn.provision.postgres import running_in
from cairn.provision.processes import command_line
from tests.faults.system import Other, System

_ROOT: Final = Path(__file__).parents[2]
INSIDE: Final = Path(__file__).parent / "inside"


class NoSuchRevision(Exception):
    """It is not in the history that is here. The message is one line."""


@dataclass(frozen=True, slots=True)
class Build:
    name: str
    python: Path


NEWER: Final = Build("newer", Path(sys.executable))
"""What is in this folder now."""


def before_the_latest_migration() -> str:
    """The last revision that did not have it. Raises NoSuchRevision."""
    added = _git("log", "-1", "--diff-filter=A", "--format=%H", "--", "services/*/migrations/versions/*.py")
    return f"{added}^"


def older(revision: str, folder: Path) -> Build:
    """Its sources out of git's history, and what its own lock names, by its own installer, in the empty `folder`.

    Raises NoSuchRevision, and CalledProcessError where it cannot be installed.
    """
    commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    archive = subprocess.run(["git", "archive", commit], cwd=_ROOT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    subprocess.run(["dev/install.sh", "run"], cwd=folder, check=True)
    return Build(f"older ({commit[:7]})", folder / ".venv/bin/python")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise NoSuchRevision(
            f"git {' '.join(words)} found nothing: older versions come out of the history, which a clone without"
            f" --depth has, and a tarball has not. {done.stderr.strip()}"
        )
    return done.stdout.strip()


class Mixed(System):
    """`make run` of the build `first`, whose parts become of another build one by one.

    The gateway is of the newer build from the beginning: it stands for a site's own, which no upgrade touches.
    """

    def __init__(self, folder: Path, env: Mapping[str, str] | None, first: Build) -> None:
        self._builds = folder.with_name(f"{folder.name}-builds.json")
        self._noted = {"onebox.gateway": str(NEWER.python)}
        self._note()
        told = {"PYTHONPATH": str(INSIDE), "UPGRADE_BUILDS": str(self._builds)}
        super().__init__(folder, env, python=first.python, told=told)

    async def become(self, part: str, build: Build) -> float:
        """The part ends as in a deployment, and is started again as that build; seconds until it was ready.

        Raises AssertionError where it is not, or is of another build.
        """
        self._noted[part] = str(build.python)
        self._note()
        seconds = await self.kill(part, signal.SIGTERM)
        self._is(self.box.pids()[part], build)
        return seconds

    @contextmanager
    def beside(self, part: str, build: Build) -> Generator[Other]:
        """One more process of that part, of a build of its own."""
        with self.another(part, UPGRADE_PYTHON=str(build.python)) as other:
            yield other
            self._is(other.child.pid, build)

    async def migrate(self) -> None:
        """As the newer `make run` does when it starts: roles and databases, the bus, and each service's migrations."""
        home = Home(self.box.folder)
        cluster = await asyncio.to_thread(running_in, home.postgres)
        databases = {service: await asyncio.to_thread(cluster.service, service) for service in SERVICES}
        bus = await asyncio.to_thread(cluster.bus, SERVICES)
        kafka = kafka_of(self.env)
        layout = Layout(choose_ports(self.box.port), home.secrets(), databases, bus, kafka)
        parts = [layout.bus_setup(), *(layout.migration(service) for service in SERVICES)]
        await asyncio.gather(*(run_to_end(part, self.faults / f"{part.name}.log") for part in parts))

    async def schema(self) -> str:
        """The revisions of the databases, in the order of `SERVICES`."""
        rows = [await self.rows(service, "SELECT version_num FROM alembic_version") for service in SERVICES]
        return " ".join(row["version_num"] for [row] in rows)

    def _note(self) -> None:
        draft = self._builds.with_suffix(".new")
        draft.write_text(json.dumps(self._noted))
        draft.rename(self._builds)

    @staticmethod
    def _is(pid: int, build: Build) -> None:
        assert command_line(pid).startswith(f"{build.python} "), f"not of the {build.name} build: {command_line(pid)}"
