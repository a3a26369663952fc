"""Python imports this at the start of every process of a system under test, because its folder is on PYTHONPATH.

A process whose points are in `points.json` wraps, as their modules are imported, the functions that the points name. At
a point that `armed.json` names it leaves a note and kills itself by SIGKILL, between two of its own statements. A
point whose function is no longer there keeps its process from starting, so that no point goes stale unseen.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

Point = Mapping[str, Any]


def role() -> str:
    """`issuance-worker` for `python -m cairn.issuance worker`."""
    words = sys.orig_argv
    if "-m" not in words:
        return ""
    module, *rest = words[words.index("-m") + 1 :]
    return "-".join([module.removeprefix("cairn."), *rest])


class Killer:
    def __init__(self, folder: Path) -> None:
        self._armed = folder / "armed.json"
        self._reached: Counter[str] = Counter()

    def reached(self, name: str) -> None:
        try:
            armed = json.loads(self._armed.read_text())
        except FileNotFoundError:
            return
        if name not in armed:
            return
        path = armed[name]["note"]
        self._reached[path] += 1
        if self._reached[path] < armed[name]["nth"]:
            return
        try:
            note = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return  # it has happened, and this is the process that came back
        os.write(note, json.dumps({"pid": os.getpid(), "at": time.time()}).encode())
        os.kill(os.getpid(), signal.SIGKILL)


class Finder(MetaPathFinder):
    """Finds the modules of the points as Python would, and wraps their functions once they have run."""

    def __init__(self, points: Sequence[Point], killer: Killer) -> None:
        self._points, self._killer = points, killer

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        mine = [(point, name) for point in self._points for module, name in point["at"] if module == fullname]
        spec = PathFinder.find_spec(fullname, path, target) if mine else None
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_and_wrap(module: ModuleType) -> None:
            run(module)
            for point, name in mine:
                self._wrap(module, name, point)

        spec.loader.exec_module = run_and_wrap
        return spec

    def _wrap(self, module: ModuleType, name: str, point: Point) -> None:
        *outer, last = name.split(".")
        owner: Any = functools.reduce(getattr, outer, module)
        setattr(owner, last, wrapped(getattr(owner, last), point, self._killer))


def wrapped(function: Callable[..., Any], point: Point, killer: Killer) -> Callable[..., Any]:
    before, within, given = point["when"] == "before", point["within"], point["given"]

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        if before:
            killer.reached(point["name"])
        result = await function(*args, **kwargs)
        if not before:
            killer.reached(point["name"])
        return result

    def called(*args: Any, **kwargs: Any) -> Any:
        if before:
            killer.reached(point["name"])
        result = function(*args, **kwargs)
        if not before:
            killer.reached(point["name"])
        return result

    chosen = awaited if inspect.iscoroutinefunction(function) else called

    @functools.wraps(function)
    def entered(*args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1)
        while caller.f_globals is globals() and caller.f_back is not None:
            caller = caller.f_back  # the function is wrapped for another point, too
        counts = not within or f"{caller.f_globals['__name__']}:{caller.f_code.co_qualname}" == within
        counts = counts and (given is None or bool(args[given]))
        return (chosen if counts else function)(*args, **kwargs)

    return entered


def install(folder: Path) -> None:
    mine = [point for point in json.loads((folder / "points.json").read_text()) if point["process"] == role()]
    if mine:
        sys.meta_path.insert(0, Finder(mine, Killer(folder)))


if "FAULTS_FOLDER" in os.environ:
    install(Path(os.environ["FAULTS_FOLDER"]))
