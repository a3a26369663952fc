"""Real processes, as `make run` starts them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from cairn.onebox.box import Box
from cairn.onebox.home import Home
from cairn.provision.postgres import running_in

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
    return running_in(box.folder / "postgres").run(statement, database=database)


@pytest.fixture(scope="session")
def learners() -> int:
    """How many the stories of the tests are about: few, and every ending."""
    return 24
