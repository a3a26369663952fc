from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("name", "value"), [("CAIRN_PORT", "http"), ("CAIRN_PORT", "70000"), ("CAIRN_STORY_LEARNERS", "3")]
)
def test_a_number_that_cannot_be_is_refused_in_one_line(name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cairn.onebox"], env={name: value}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name} must be a number from")
    assert done.stderr.count("\n") == 1
