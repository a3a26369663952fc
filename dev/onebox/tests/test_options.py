from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"CAIRN_BUS": "rabbit"}, "CAIRN_BUS must be postgres or kafka, not 'rabbit'"),
        ({"CAIRN_DATA": f"{__file__}/data"}, f"The data folder {__file__}/data cannot be used: Not a directory."),
        ({"CAIRN_TSL": "1", "CAIRN_PORT": "0"}, "CAIRN_TSL means nothing here"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_in_a_line(told: dict[str, str], said: str) -> None:
    done = subprocess.run([sys.executable, "-m", "cairn.onebox"], env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "said"), [(None, "is not there"), *((odd, "is no operator's key") for odd in ("{}", "[]", "no JSON"))]
)
def test_a_key_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, content: str | None, said: str) -> None:
    key = tmp_path / "key.json"
    if content is not None:
        key.write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "cairn.onebox", "story", "http://127.0.0.1:1", key],
        env={"CAIRN_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{key} {said}" in done.stderr
    assert done.stderr.count("\n") == 1
