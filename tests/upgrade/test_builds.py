"""R11: what `make upgrade` stands on. The rest of it needs the history, and is run by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .builds import INSIDE, NoSuchRevision, older

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("words", "noted"),
    [(("cairn.issuance", "worker"), True), (("cairn.onebox.gateway",), True), (("json.tool", "--help"), False)],
)
def test_r11_a_part_that_is_noted_is_started_as_the_other_build(
    tmp_path: Path, words: tuple[str, ...], *, noted: bool
) -> None:
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\necho "the other: $*"\n')
    other.chmod(0o755)
    builds = tmp_path / "builds.json"
    builds.write_text(json.dumps({"issuance-worker": str(other), "onebox.gateway": str(other)}))
    env = {**os.environ, "PYTHONPATH": str(INSIDE), "UPGRADE_BUILDS": str(builds)}
    done = subprocess.run([sys.executable, "-m", *words], env=env, capture_output=True, text=True, check=True)
    assert (done.stdout == f"the other: -m {' '.join(words)}\n") is noted


def test_r11_what_is_not_in_the_history_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(NoSuchRevision, match="a clone without --depth has, and a tarball has not"):
        older("no-such-revision", tmp_path)
    assert list(tmp_path.iterdir()) == []
