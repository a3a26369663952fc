"""Real processes, as `make run` starts them."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from cairn.onebox.box import Box
from cairn.onebox.home import Home
from cairn.provision.postgres import Cluster
from cairn.provision.postgres.places import binaries

Boxes = Callable[..., Box]


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Generator[Boxes]:
    """Start boxes, each in a folder of its own unless told which; all are stopped and removed in the end."""
    started: list[Box] = []

    def start(folder: Path | None = None, **options: Any) -> Box:
        box = Box(folder or tmp_path_factory.mktemp("box") / "data", **options)
        started.append(box)
        return box

    yield start
    for box in started:
        if box.process.poll() is None:
            box.stop()
    for folder in {box.folder for box in started}:
        Home(folder).remove()


def sql(box: Box, database: str, statement: str) -> str:
    """What PostgreSQL's superuser does to one of the box's databases."""
    home = box.folder / "postgres"
    password, port = json.loads((home / "passwords.json").read_text())["postgres"], (home / "port").read_text().strip()
    cluster = Cluster(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres", psql=binaries(None) / "psql")
    return cluster.run(statement, database=database)


@pytest.fixture(scope="session")
def learners() -> int:
    """How many the stories of the tests are about: few, and every ending."""
    return 24
