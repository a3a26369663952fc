"""A short run from the kept seeds, other inputs every day; `make fuzz` runs longer."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from random import Random

import pytest

from tests.fuzz.inputs import mutated, seeds
from tests.fuzz.run import attempt, run
from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.unit
INPUTS = 150
TODAY = datetime.now(UTC).date().toordinal()


@pytest.mark.parametrize("name", TARGETS)
def test_no_reader_raises_or_hangs_for_what_strangers_hand_in(name: str) -> None:
    run(name, INPUTS, seed=1)
    run(name, INPUTS, seed=TODAY)


def test_what_is_remembered_of_strangers_input_is_bounded() -> None:
    """The memo tables of the walk, of keys and of instants, after inputs that each ask for another entry."""
    random, corpus = Random(TODAY), seeds()
    inputs = [mutated(random, corpus) for _ in range(400)]
    for data in inputs:
        attempt("verify_anything", data)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for data in inputs:
            attempt("verify_anything", data)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 16 * 2**20
