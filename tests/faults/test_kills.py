"""R1, R2: each process is killed at each point of its code, under load; nothing is lost, and nothing done twice."""

from __future__ import annotations

import functools
import importlib
import inspect
from typing import Any

import pytest

from .invariant import check
from .kills import in_peace, kill_at
from .points import POINTS, together
from .system import System

SIZE = 50
"""Learners of a cohort: some 500 events on the bus."""


async def test_r1_r2_a_process_killed_at_any_point_resumes_and_never_signs_or_awards_twice(system: System) -> None:
    points = [point for point in POINTS if point.short]
    assert len(points) == 20
    peace = await in_peace(system, SIZE)
    for number, some in enumerate(together(points)):
        await kill_at(system, some, f"kill-{number}", SIZE, peace)
    await check(system)


@pytest.mark.unit
def test_every_point_is_where_its_function_is() -> None:
    for point in POINTS:
        for module, name in point.at:
            assert callable(found(module, name)), point
        if point.within:
            module, _, function = point.within.partition(":")
            (called,) = {name.rpartition(".")[2] for _, name in point.at}
            assert f"{called}(" in inspect.getsource(found(module, function)), point


def found(module: str, name: str) -> Any:
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))
