"""The long form, by hand: `make faults`, or `python -m tests.faults [events [rounds [bus]]]`.

Every point is killed at `rounds` times (3), while `events` (10,000) are on their way, on the `bus` postgres, kafka, or
both, in systems of their own in each of which every process dies once at most; then come the other faults at their full
length. What has ended well is written to
`.faults/results.json` and not done again, so that a run can be broken off; removing that file begins anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cairn.provision.kafka import KafkaBroker

from .invariant import check
from .kills import Peace, in_peace, kill_at
from .points import POINTS, Point, together
from .system import System
from .world import found

_FOLDER: Final = Path(".faults")
_EVENTS_OF_A_LEARNER: Final = 8.5
_TESTS: Final = (
    "test_bus.py",
    "test_database.py",
    "test_fairness.py",
    "test_network.py",
    "test_requests.py",
    "test_servers.py",
)

Case = Callable[[], Mapping[str, Mapping[str, Any]]]
"""What was found, by fault. Raises AssertionError."""


@contextmanager
def running(bus: str) -> Generator[System]:
    with tempfile.TemporaryDirectory(prefix="cairn-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        broker = KafkaBroker(folder / "kafka").start() if bus == "kafka" else None
        system = System(folder / "system", broker.access if broker else None)
        try:
            system.serving()
            asyncio.run(found(system))
            yield system
        finally:
            system.remove()
            if broker:
                broker.kill()


def peace_of(size: int) -> Peace:
    """How a cohort ends that is left in peace, on either bus: worked out once."""
    kept = _FOLDER / f"peace-{size}.json"
    if not kept.exists():
        with running("postgres") as system:
            peace = asyncio.run(in_peace(system, size))
            asyncio.run(check(system))
        kept.write_text(json.dumps({"whole": peace.whole, "expiring": peace.expiring}))
    return Peace(**json.loads(kept.read_text()))


def kill(bus: str, points: Sequence[Point], nth: int, size: int) -> Mapping[str, Mapping[str, Any]]:
    peace = peace_of(size)
    with running(bus) as system:
        back = asyncio.run(kill_at(system, points, "killed", size, peace, nth))
        found = asyncio.run(check(system))
    return {named(name, bus, nth): {"back": round(seconds, 1), **found} for name, seconds in back.items()}


def test(node: str, nth: int) -> Mapping[str, Mapping[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", f"tests/faults/{node}"],
        env={**os.environ, "FAULTS_LONG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return {of_test(node, nth): {}}


def tests() -> list[str]:
    """Every test of a fault that is not a kill."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", *(f"tests/faults/{name}" for name in _TESTS)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.removeprefix("tests/faults/") for line in found.stdout.splitlines() if "::" in line]


def named(fault: str, bus: str, nth: int) -> str:
    return f"{fault} | {bus} | {nth}"


def of_test(node: str, nth: int) -> str:
    return named(node.partition("::")[2], "", nth)


def cases(size: int, rounds: int, buses: Sequence[str], done: Container[str]) -> Iterator[tuple[str, int, Case]]:
    """What is to be done yet: its name, how many faults it is, and the way to do it."""
    for nth in range(1, rounds + 1):
        for bus in buses:
            left = [point for point in POINTS if named(point.name, bus, nth) not in done]
            for some in together(left):
                yield named(some[0].name, bus, nth), len(some), partial(kill, bus, some, nth, size)
        for node in tests():
            if of_test(node, nth) not in done:
                yield of_test(node, nth), 1, partial(test, node, nth)


def main(events: int = 10_000, rounds: int = 3, bus: str = "") -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C does: the system under test is ended, too, and removed.
        signal.signal(number, lambda *_: sys.exit(1))
    _FOLDER.mkdir(exist_ok=True)
    file = _FOLDER / "results.json"
    results: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    size = max(10, round(events / _EVENTS_OF_A_LEARNER / 10) * 10)
    left = list(cases(size, rounds, [bus] if bus else ["postgres", "kafka"], results))
    console, failed = Console(), 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(results) + sum(of for _, of, _ in left), completed=len(results))
        for name, of, case in left:
            progress.update(task, description=name)
            started = time.monotonic()
            try:
                found = case()
            except Exception as error:  # noqa: BLE001 - whatever it is, the other cases are worth their hours
                failed += 1
                console.print(f"[red]{name}[/]: {type(error).__name__} ", end="")
                console.print(str(error), markup=False)
                continue
            ended = {
                "seconds": round(time.monotonic() - started),
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            results |= {fault: {**of_it, **ended} for fault, of_it in found.items()}
            file.write_text(json.dumps(results, indent=1) + "\n")
            progress.advance(task, of)
    console.print(table(results))
    return 1 if failed else 0


def table(results: Mapping[str, Mapping[str, Any]]) -> Table:
    rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name, result in results.items():
        what, bus, _ = name.split(" | ")
        rows[f"{what} ({bus.strip()})" if bus.strip() else what].append(result)
    shown = Table("fault", "times", "events each", "back within")
    for what, some in rows.items():
        backs, events = [one["back"] for one in some if "back" in one], [one.get("events", 0) for one in some]
        shown.add_row(
            what, str(len(some)), f"{min(events):,}" if min(events) else "", f"{max(backs):.1f} s" if backs else ""
        )
    return shown


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3]), *sys.argv[3:4]))
