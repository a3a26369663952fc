"""The table of a running system, from what processes measure."""

import asyncio
import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from cairn.onebox.__main__ import main
from cairn.onebox.status import Look, NothingToSee, quantile, show, summary, table
from cairn.provision.processes import free_port

BEFORE = """
# TYPE cairn_http_requests counter
cairn_http_requests_total{service="issuance",route="/v1/completions",method="POST",status="202"} 100
cairn_http_requests_total{service="issuance",route="/v1/completions",method="POST",status="503"} 2
# TYPE cairn_http_request_seconds histogram
cairn_http_request_seconds_bucket{route="/v1/completions",le="0.1"} 90
cairn_http_request_seconds_bucket{route="/v1/completions",le="1.0"} 102
cairn_http_request_seconds_bucket{route="/v1/completions",le="+Inf"} 102
"""
AFTER = BEFORE.replace(" 100\n", " 140\n").replace(" 2\n", " 6\n").replace(" 90\n", " 92\n").replace(" 102\n", " 146\n")
WORKER = """
# TYPE cairn_consumer_lag gauge
cairn_consumer_lag{consumer="issuance"} 1234
# TYPE cairn_consumer_halted gauge
cairn_consumer_halted{consumer="issuance"} HALTED
# TYPE cairn_outbox_relay_active gauge
cairn_outbox_relay_active{service="issuance"} 1
# TYPE cairn_outbox_waiting gauge
cairn_outbox_waiting{service="issuance"} 17
# TYPE cairn_outbox_oldest_seconds gauge
cairn_outbox_oldest_seconds{service="issuance"} 3
# TYPE cairn_job_items counter
cairn_job_items_total{service="issuance",job="sign"} SIGNED
# TYPE cairn_dead_letters counter
cairn_dead_letters_total{consumer="issuance",code="malformed"} 5
# TYPE cairn_award_seconds histogram
cairn_award_seconds_bucket{le="0.5"} 99
cairn_award_seconds_bucket{le="5.0"} 100
cairn_award_seconds_bucket{le="+Inf"} 100
"""


def _printed(first: dict[str, Look | None], second: dict[str, Look | None]) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table(first, second, 2.0), summary(first, second, 2.0), sep="\n")
    return console.export_text()


def _worker(halted: int, signed: int) -> Look:
    return Look.of(WORKER.replace("HALTED", str(halted)).replace("SIGNED", str(signed)))


def test_an_api_is_shown_by_what_it_answered_between_two_looks():
    text = _printed({"api": Look.of(BEFORE)}, {"api": Look.of(AFTER)})
    row = next(line for line in text.splitlines() if "api" in line)
    assert row.split() == ["api", "ok", "22.0", "2.0", "≤", "1", "s"]


def test_a_worker_is_shown_by_how_far_it_is_behind():
    text = _printed({"worker": _worker(0, 10)}, {"worker": _worker(1, 30)})
    row = next(line for line in text.splitlines() if "worker" in line)
    assert row.split() == ["worker", "halted", "1,234", "10.0", "17", "3", "s", "5"]
    assert "10.0 signatures/s" in text
    assert "99 % of awards within 0.5 s" in text


def test_who_does_not_answer_is_away():
    text = _printed({"api": None, "worker": _worker(0, 0)}, {"api": Look.of(AFTER), "worker": _worker(0, 0)})
    assert "away" in text


def test_where_no_award_was_seen_that_is_said():
    assert "no award seen" in summary({}, {}, 1.0)


def test_everything_fits_a_terminal_of_a_hundred_columns():
    before = Look.of(BEFORE + WORKER.replace("HALTED", "1").replace("SIGNED", "0"))
    many = AFTER.replace(" 140\n", " 40000\n").replace(" 146\n", " 80000\n") + WORKER.replace("SIGNED", "1999999")
    after = Look.of(many.replace("HALTED", "1").replace(" 1234\n", " 99949\n").replace(" 17\n", " 1000000\n"))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table({"verification-worker-x2x4k": before}, {"verification-worker-x2x4k": after}, 2.0))
    text = console.export_text()
    assert "…" not in text
    for shown in ("verification-worker-x2x4k", "halted", "19,952", "99,949", "1.0M", "to send", "oldest"):
        assert shown in text


def test_a_quantile_is_the_edge_of_its_bucket():
    edges = {0.1: 98.0, 1.0: 99.0, math.inf: 100.0}
    assert [quantile({}, edges, share) for share in (0.5, 0.98, 0.99, 1.0)] == [0.1, 0.1, 1.0, math.inf]
    assert quantile(edges, edges, 0.5) is None


def test_where_nothing_runs_a_line_says_what_to_do(tmp_path: Path):
    with pytest.raises(NothingToSee, match="make run"):
        asyncio.run(show(None, tmp_path, Console()))


@pytest.mark.parametrize("address", ["http://127.0.0.1:{}", "http://[", "nowhere"])
def test_where_nothing_answers_that_is_said_and_is_a_failure(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CAIRN_DATA", "/nowhere")
    address = address.format(free_port())
    assert main(["status", address]) == 1
    assert f"nothing answers at {address}" in capsys.readouterr().err


async def test_what_answers_and_is_not_cairn_is_said_to_be_so(tmp_path: Path):
    async def shop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n<p>A shop</p>")
        await writer.drain()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(shop, "127.0.0.1", port):
        with pytest.raises(NothingToSee, match="is not Cairn"):
            await show(f"http://127.0.0.1:{port}", tmp_path, Console())
