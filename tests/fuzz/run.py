"""A bounded run over one target."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Final

from tests.fuzz.inputs import mutated, seeds
from tests.fuzz.targets import TARGETS

MAX_SECONDS: Final = 5.0
"""Of the processor, for one input of at most 40 kB; the slowest take a tenth of a second."""


class PromiseBroken(AssertionError):
    """Names the input, so that it can be kept among the seeds."""


def attempt(name: str, data: bytes) -> None:
    """One input. Raises PromiseBroken."""
    target: Callable[[bytes], None] = TARGETS[name]
    started = time.thread_time()
    try:
        target(data)
    except Exception as broken:
        raise PromiseBroken(f"{name} raised {broken!r} for {data!r}") from broken
    took = time.thread_time() - started
    if took > MAX_SECONDS:
        raise PromiseBroken(f"{name} took {took:.1f} s for {data!r}")


def run(name: str, inputs: int, seed: int) -> None:
    """Every seed as it is, then so many mutated ones, the same for the same `seed`. Raises PromiseBroken."""
    corpus = seeds()
    for data in corpus:
        attempt(name, data)
    random = Random(f"{seed} {name}")
    for _ in range(inputs):
        attempt(name, mutated(random, corpus))
