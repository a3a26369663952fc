"""`python -m tests.fuzz.guided TARGET INPUTS SEED FOLDER`: one target, led by the branches that its inputs reach.

atheris (libFuzzer) ends the process that it runs in, so each target has its own. Most of the inputs are mutated by our
own hand, which knows JSON and tokens, the others by its. What reaches something new is
kept in FOLDER, for the next run.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["cairn.credentials"]):
    from tests.fuzz.inputs import changed, seeds
    from tests.fuzz.run import attempt


def main(name: str, inputs: str, seed: str, folder: str) -> None:
    corpus = seeds()

    def mutate(data: bytes, size: int, number: int) -> bytes:
        random = Random(number)
        return (changed(random, data, corpus) if random.random() < 0.75 else atheris.Mutate(data, size))[:size]

    with tempfile.TemporaryDirectory() as given:
        for place, data in enumerate(corpus):
            Path(given, str(place)).write_bytes(data)
        options = [f"-runs={inputs}", f"-seed={seed}", "-max_len=40000", "-len_control=0", "-rss_limit_mb=1024"]
        options += ["-timeout=60", f"-artifact_prefix={folder}/broken-", "-verbosity=0", "-print_final_stats=1"]
        atheris.Setup(["fuzz", *options, folder, given], lambda data: attempt(name, data), custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
