from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cairn.onebox.home import SERVICES, AlreadyRunning, Home
from cairn.onebox.layout import choose_ports
from cairn.provision.processes import free_port


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    with Home(tmp_path / "data") as home:
        first, again = home.secrets(), home.secrets()
    assert first.keks == again.keks
    assert first.auth_key.as_dict(private=True) == again.auth_key.as_dict(private=True)
    assert len({first.keks[service] for service in SERVICES}) == len(SERVICES)
    files = [path for path in (tmp_path / "data").iterdir() if path.suffix == ".json"]
    assert files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_second_run_says_in_one_line_where_the_first_is(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        home.announce("http://127.0.0.1:8080")
        with pytest.raises(AlreadyRunning) as caught, Home(tmp_path):
            pytest.fail("two hold one folder")
        assert "http://127.0.0.1:8080" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.pid == os.getpid()
    with Home(tmp_path):
        pass


def test_logs_of_the_run_before_are_kept_once(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        for word in ("first", "second", "third"):
            home.log("gateway").write_text(word)
    assert (tmp_path / "logs" / "gateway.log").read_text() == "third"
    assert (tmp_path / "logs" / "gateway.log.1").read_text() == "second"


def test_what_a_killed_run_left_behind_is_ended_and_strangers_are_not(tmp_path: Path) -> None:
    ours = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60) # cairn.pathways"])
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with Home(tmp_path) as home:
            home.note_processes({"pathways-api": ours.pid, "issuance-api": stranger.pid})
            home.clear_leftovers(patience=0.1)
            assert home.processes() == {}
        assert ours.wait(5) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        ours.kill()
        stranger.kill()
        ours.wait()
        stranger.wait()


def test_cleaning_stops_what_runs(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from cairn.onebox.home import Home\n"
        "with Home(Path(sys.argv[1])) as home: print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "data")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        Home(tmp_path / "data").remove()
        assert holder.wait(5) == -signal.SIGTERM
    assert not (tmp_path / "data").exists()


def test_ports_that_are_taken_are_replaced_and_told() -> None:
    wanted = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", wanted))
        taken.listen()
        ports = choose_ports(wanted)
    used = [ports.gateway, *ports.apis.values(), *ports.workers.values()]
    assert wanted not in used
    assert ports.replaced[wanted] == ports.gateway
    assert len(set(used)) == 7


def test_ports_that_are_free_are_taken_in_order() -> None:
    for _ in range(20):  # a neighbour may be in use by somebody else
        wanted = free_port()
        ports = choose_ports(wanted)
        if not ports.replaced:
            break
    assert [ports.gateway, *ports.apis.values()] == [wanted, wanted + 1, wanted + 2, wanted + 3]


def test_a_note_is_never_half_written(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        home.note_processes({"a": 1})
        assert json.loads((tmp_path / "processes.json").read_text()) == {"a": 1}
