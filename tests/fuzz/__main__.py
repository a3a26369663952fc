"""`python -m tests.fuzz [inputs] [seed]`: so many mutated inputs over all targets; the seed is today by default.

Guided by coverage where atheris is there, and what led somewhere new stays in `.fuzz/`. An input that breaks a promise
ends the run; it is then in `.fuzz/`, too, and belongs into `tests/fuzz/seeds/` with the repair.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.run import run
from tests.fuzz.targets import TARGETS

FOUND = Path(".fuzz")


def main() -> None:
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else datetime.now(UTC).date().toordinal()
    led = find_spec("atheris") is not None
    how = "led by coverage" if led else "not led by coverage, for want of atheris"
    sys.stdout.write(f"{inputs:,} inputs over {len(TARGETS)} targets, seed {seed}, {how}\n")
    for name in TARGETS:
        started = time.monotonic()
        if led:
            _guided(name, inputs // len(TARGETS), seed)
        else:
            run(name, inputs // len(TARGETS), seed)
        sys.stdout.write(f"{name:40} {time.monotonic() - started:8.1f} s\n")
        sys.stdout.flush()


def _guided(name: str, inputs: int, seed: int) -> None:
    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    log = FOUND / f"{name}.log"
    words = ["-m", "tests.fuzz.guided", name, str(inputs), str(seed), str(folder)]
    with log.open("wb") as out:
        done = subprocess.run([sys.executable, *words], stdout=out, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{name} broke a promise: {log} tells how\n{log.read_text(errors='replace')[-3_000:]}")


if __name__ == "__main__":
    main()
