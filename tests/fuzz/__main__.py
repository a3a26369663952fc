"""`python -m tests.fuzz [inputs] [seed]`: so many mutated inputs over all targets; the seed is today by default."""

from __future__ import annotations

import resource
import sys
import time
from datetime import UTC, datetime

from tests.fuzz.run import run
from tests.fuzz.targets import TARGETS


def main() -> None:
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else datetime.now(UTC).date().toordinal()
    sys.stdout.write(f"{inputs:,} inputs over {len(TARGETS)} targets, seed {seed}\n")
    for name in TARGETS:
        started = time.monotonic()
        run(name, inputs // len(TARGETS), seed)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        sys.stdout.write(f"{name:32} {time.monotonic() - started:8.1f} s   {memory:5} MiB at most so far\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
