"""What each part of a running system has cost: seconds of the processor, as Linux counts them in /proc."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_BACKEND: Final = re.compile(r"postgres: \S+ (\S+) 127\.0\.0\.1")
LOAD: Final = "load (this process)"


def spent(pids: Mapping[str, int], others: Mapping[str, int]) -> dict[str, float]:
    """Processor seconds so far, by part. `pids` are those of a onebox by name; PostgreSQL's are told apart by database.

    Who has ended is not counted any more: what is wanted is a difference over a time in which nobody does.
    """
    found = {name: _seconds(pid) for name, pid in (*pids.items(), *others.items()) if name != "postgres"}
    found[LOAD] = time.process_time()
    for entry in Path("/proc").iterdir():
        # A back-end may end while it is looked at.
        with contextlib.suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit() and _parent(int(entry.name)) == pids["postgres"]:
                title = (entry / "cmdline").read_bytes().decode(errors="replace")
                backend = _BACKEND.match(title)
                name = f"PostgreSQL, {backend[1]}" if backend else "PostgreSQL, its own processes"
                found[name] = found.get(name, 0.0) + _seconds(int(entry.name))
    return found


def per_item(before: Mapping[str, float], after: Mapping[str, float], items: int) -> dict[str, float]:
    """Microseconds of the processor for each of `items`, the dearest part first."""
    costs = {name: (after[name] - before.get(name, 0.0)) / items * 1e6 for name in after}
    return dict(sorted(costs.items(), key=lambda cost: -cost[1]))


def _fields(pid: int) -> list[str]:
    # The second field is the command in parentheses, which may hold anything.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid: int) -> int:
    return int(_fields(pid)[1])


def _seconds(pid: int) -> float:
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS
