"""Processes are kept running, given up, and ended: with stand-ins for the services."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from cairn.onebox.supervisor import Part, PartFailed, Patience, ProcessKeeper, Supervisor, run_to_end
from cairn.provision.processes import command_line

QUICK = Patience(first_pause=0.01, longest_pause=0.05, stop=1)
SLEEPS = "import time; print('started', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('started', flush=True); time.sleep(60)"
GOES_GENTLY = """
import signal, sys, time
signal.signal(15, lambda *_: sys.exit(0))
print('started', flush=True)
while True: time.sleep(0.05)
"""


class Desk:
    """A supervisor with its notes."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.pids: Mapping[str, int] = {}
        self.folder = folder
        self.supervisor = Supervisor(self.note)

    def note(self, pids: Mapping[str, int]) -> None:
        self.pids = pids

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def keeper(self, name: str, script: str, patience: Patience = QUICK) -> ProcessKeeper:
        part = Part(name, [sys.executable, "-c", script], {"PATH": os.defpath})
        return ProcessKeeper(
            part, self.log(name), say=self.said.append, changed=self.supervisor.changed, patience=patience
        )

    def started(self, name: str) -> int:
        return self.log(name).read_text().count("started") if self.log(name).exists() else 0


async def test_r1_a_killed_process_is_started_again(tmp_path: Path, wait) -> None:
    desk = Desk(tmp_path)
    desk.supervisor.add(desk.keeper("a", SLEEPS), desk.keeper("b", SLEEPS))
    await wait(lambda: desk.started("a") == 1 and desk.started("b") == 1)
    first = dict(desk.pids)
    os.kill(first["a"], signal.SIGKILL)
    await wait(lambda: desk.started("a") == 2)
    assert desk.said == ["a ended; starting it again"]
    assert desk.pids["a"] != first["a"]
    assert desk.pids["b"] == first["b"]
    await desk.supervisor.stop()


async def test_a_process_that_cannot_stay_up_is_given_up_with_the_end_of_its_log(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.supervisor.add(desk.keeper("broken", "print('started'); raise SystemExit('the port is taken')"))
    with pytest.raises(PartFailed, match=r"broken ended 5 times in a row(.|\n)*the port is taken"):
        await asyncio.wait_for(desk.supervisor.failed(), 20)
    assert desk.started("broken") == 5
    await desk.supervisor.stop()


async def test_r1_a_process_that_has_run_is_never_given_up_and_one_is_told_once_that_it_keeps_ending(
    tmp_path: Path, wait
) -> None:
    desk = Desk(tmp_path)
    ran = tmp_path / "ran"
    script = f"""
import os, time
print('started', flush=True)
if not os.path.exists({str(ran)!r}):
    time.sleep(0.5)
    open({str(ran)!r}, 'w')
raise SystemExit('the disk is full')
"""
    patience = Patience(attempts=2, quick=0.4, first_pause=0.01, longest_pause=0.02)
    desk.supervisor.add(desk.keeper("a", script, patience))
    await wait(lambda: desk.started("a") >= 5)
    await desk.supervisor.stop()
    first, told = desk.said
    assert first == "a ended; starting it again"
    assert "a ended 2 times in a row; trying every 0.02 s" in told
    assert "the disk is full" in told


async def test_stopping_asks_first_and_then_insists(tmp_path: Path, wait) -> None:
    desk = Desk(tmp_path)
    desk.supervisor.add(desk.keeper("gentle", GOES_GENTLY), desk.keeper("stubborn", STUBBORN))
    await wait(lambda: desk.started("gentle") and desk.started("stubborn"))
    pids = dict(desk.pids)
    await asyncio.wait_for(desk.supervisor.stop(), 5)
    assert [command_line(pid) for pid in pids.values()] == ["", ""]
    assert desk.said == []


async def test_the_last_group_stops_first(tmp_path: Path, wait) -> None:
    desk = Desk(tmp_path)
    order = tmp_path / "order"
    leaves = (
        f"import signal, sys, time; signal.signal(15, lambda *_: (open({str(order)!r}, 'a').write(NAME), sys.exit(0)))"
    )
    script = leaves + "; print('started', flush=True)\nwhile True: time.sleep(0.02)"
    for name in ("a", "b", "c"):
        desk.supervisor.add(desk.keeper(name, script.replace("NAME", repr(name))))
    await wait(lambda: all(desk.started(name) for name in "abc"))
    await desk.supervisor.stop()
    assert order.read_text() == "cba"


KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_supervisor import GOES_GENTLY, Desk

async def main():
    desk = Desk(Path(sys.argv[1]))
    desk.supervisor.add(desk.keeper('a', GOES_GENTLY))
    while not desk.started('a'):
        await asyncio.sleep(0.02)
    print(desk.pids['a'], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        assert "started" in command_line(child)
        supervisor.kill()
    deadline = time.monotonic() + 10
    while "started" in command_line(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_a_part_that_ends_by_itself_is_judged_by_its_exit_code(tmp_path: Path) -> None:
    log = tmp_path / "log"
    await run_to_end(Part("good", [sys.executable, "-c", "print('done')"], {}), log)
    assert log.read_text() == "done\n"
    with pytest.raises(PartFailed, match=r"bad failed(.|\n)*no such role"):
        await run_to_end(Part("bad", [sys.executable, "-c", "raise SystemExit('no such role')"], {}), log)


def test_s30_a_part_does_not_show_its_environment() -> None:
    assert "secret" not in repr(Part("a", ["run"], {"CAIRN_KEK": "secret"}))
