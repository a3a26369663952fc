"""`python -m cairn.onebox status`: one table of a running system, out of what its processes measure of themselves.

Of the onebox in this folder; of `ADDRESS`, a gateway elsewhere, as far as it lets one look; or of `namespace/NAME`, a
namespace of the Kubernetes that `kubectl` reaches.
"""

from __future__ import annotations

import asyncio
import json
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cairn.onebox.home import SERVICES, Home
from cairn.provision.kubectl import kubectl

INTERVAL: Final = 2.0
"""Seconds between two looks: what happens in a second is the difference."""

Read = Callable[[], Awaitable[str | None]]
"""A process's metrics as Prometheus would read them; None where it does not answer."""

Sample = tuple[str, Mapping[str, str], float]


class NothingToSee(RuntimeError):
    """There is no system where one was looked for. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one process measured at one moment."""

    samples: Sequence[Sample]

    @classmethod
    def of(cls, text: str) -> Look:
        families = text_string_to_metric_families(text)
        return cls([(each.name, each.labels, each.value) for family in families for each in family.samples])

    def all(self, name: str, **labels: str) -> list[float]:
        return [v for n, has, v in self.samples if n == name and labels.items() <= has.items()]

    def total(self, name: str, **labels: str) -> float:
        return sum(self.all(name, **labels))

    def buckets(self, name: str) -> dict[float, float]:
        """Of a histogram, all labels together: how many took up to so many seconds."""
        found: dict[float, float] = {}
        for n, has, value in self.samples:
            if n == f"{name}_bucket":
                edge = float(has["le"])
                found[edge] = found.get(edge, 0) + value
        return found


def quantile(before: Mapping[float, float], after: Mapping[float, float], share: float) -> float | None:
    """The upper edge of the bucket in which the quantile of what came between two looks lies; None where none came."""
    counts = {edge: value - before.get(edge, 0) for edge, value in sorted(after.items())}
    total = counts.get(math.inf, 0)
    if total <= 0:
        return None
    return next(edge for edge, count in counts.items() if count >= share * total)


def table(first: Mapping[str, Look | None], second: Mapping[str, Look | None], seconds: float) -> Table:
    """A row for each process that was looked at twice, and one for each that did not answer."""
    shown = Table(
        title=f"Cairn, over {seconds:.1f} s",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    for head in ("part", "state"):
        shown.add_column(head, no_wrap=True)
    for head in ("req/s", "5xx/s", "p99", "events/s", "behind", "jobs/s", "to send", "oldest", "dead"):
        shown.add_column(head, justify="right", no_wrap=True)
    for name, now in second.items():
        before = first.get(name)
        if now is None or before is None:
            shown.add_row(name, "[red]away[/]")
        else:
            shown.add_row(name, *_row(before, now, seconds))
    return shown


def _row(before: Look, now: Look, seconds: float) -> Iterable[str]:
    def rate(name: str, **labels: str) -> str:
        if not now.all(name):
            return ""
        return _short((now.total(name, **labels) - before.total(name, **labels)) / seconds)

    def gauge(name: str, unit: str = "") -> str:
        found = now.all(name)
        return f"{_short(max(found), 0)}{unit}" if found else ""

    http = "cairn_http_requests_total"
    faults = sum(
        value * sign
        for sign, look in ((1, now), (-1, before))
        for name, labels, value in look.samples
        if name == http and labels["status"].startswith("5")
    )
    slow = quantile(before.buckets("cairn_http_request_seconds"), now.buckets("cairn_http_request_seconds"), 0.99)
    relays = now.total("cairn_outbox_relay_active") > 0
    buried = now.all("cairn_dead_letters_total")
    yield "[yellow]halted[/]" if now.total("cairn_consumer_halted") else "ok"
    yield rate(http)
    yield _short(faults / seconds) if now.all(http) else ""
    yield "" if slow is None else (f"≤ {slow:g} s" if slow >= 1 else f"≤ {slow * 1000:g} ms")
    yield rate("cairn_events_taken_total")
    yield gauge("cairn_consumer_lag")
    yield rate("cairn_job_items_total")
    yield gauge("cairn_outbox_waiting") if relays else ""
    yield gauge("cairn_outbox_oldest_seconds", " s") if relays else ""
    yield _short(sum(buried), 0) if buried else ""


def _short(number: float, digits: int = 1) -> str:
    """At most six characters, so that a row fits a terminal of a hundred."""
    if number >= 99_950:
        return f"{number / 1e6:,.1f}M" if number >= 999_500 else f"{number / 1e3:,.0f}k"
    return f"{number:,.{digits if number < 1000 else 0}f}"


def summary(first: Mapping[str, Look | None], second: Mapping[str, Look | None], seconds: float) -> str:
    """What the system as a whole has done between the looks."""

    def per_second(name: str, **labels: str) -> str:
        pairs = [(first.get(part), now) for part, now in second.items()]
        done = sum(now.total(name, **labels) - before.total(name, **labels) for before, now in pairs if before and now)
        return f"{done / seconds:,.1f}"

    awards = [look.buckets("cairn_award_seconds") for look in second.values() if look]
    ever: dict[float, float] = {}
    for each in awards:
        ever = {edge: ever.get(edge, 0) + count for edge, count in each.items()} or ever
    late = quantile({}, ever, 0.99)
    return (
        f"{per_second('cairn_job_items_total', service='issuance', job='sign')} signatures/s, "
        f"{per_second('cairn_audits_total')} audits/s, {per_second('cairn_verifications_total')} verifications/s; "
        + ("no award seen" if late is None else f"99 % of awards within {late:g} s of their last component")
        + " since the start"
    )


async def show(where: str | None, folder: Path, console: Console) -> None:
    """Look twice and print. Raises NothingToSee, also where none of the parts answers."""
    said = told(folder) if where is None else {}
    verify = ssl.create_default_context(cafile=said["ca"]) if "ca" in said else True
    async with httpx.AsyncClient(trust_env=False, timeout=5, verify=verify) as client:
        parts = await _parts(where, said, client)
        looked: list[dict[str, Look | None]] = []
        times: list[float] = []
        for pause in (INTERVAL, 0.0):
            times.append(time.monotonic())
            texts = await asyncio.gather(*(read() for read in parts.values()))
            try:
                looked.append({name: Look.of(text) if text else None for name, text in zip(parts, texts, strict=True)})
            except ValueError:
                raise NothingToSee(f"what answers at {where} is not Cairn: OF=http://… names its gateway") from None
            if not any(looked[-1].values()):
                raise NothingToSee(f"nothing answers at {where or said['gateway']}: does it run, and is that where?")
            await asyncio.sleep(pause)
    first, second = looked
    seconds = times[1] - times[0]
    console.print(table(first, second, seconds), summary(first, second, seconds), sep="\n")


def told(folder: Path) -> dict[str, Any]:
    """What the onebox says of itself. Raises NothingToSee."""
    access = Home(folder).access
    if not access.exists():
        raise NothingToSee(f"nothing runs in {folder}: `make run` starts it")
    return json.loads(access.read_text())


async def _parts(where: str | None, said: Mapping[str, Any], client: httpx.AsyncClient) -> dict[str, Read]:
    if where is None:
        return {name: _over_http(client, f"{origin}/metrics") for name, origin in said["parts"].items()}
    if where.startswith("namespace/"):
        return await _pods(where.removeprefix("namespace/"))
    address = where.rstrip("/")
    return {f"{service}-api": _over_gateway(client, f"{address}/{service}") for service in SERVICES}


def _over_http(client: httpx.AsyncClient, url: str) -> Read:
    async def read() -> str | None:
        try:
            answer = await client.get(url)
        except (httpx.TransportError, httpx.InvalidURL):
            return None
        return answer.text if answer.status_code == 200 else None

    return read


def _over_gateway(client: httpx.AsyncClient, url: str) -> Read:
    """What a gateway keeps to itself stays empty; whether the API is ready it does say."""
    metrics, ready = _over_http(client, f"{url}/metrics"), _over_http(client, f"{url}/readyz")

    async def read() -> str | None:
        return await metrics() or ("# ready\n" if await ready() else None)

    return read


async def _pods(namespace: str) -> dict[str, Read]:
    said = await _kubectl("get", "pods", "-n", namespace, "-l", "app.kubernetes.io/part-of=cairn", "-o", "json")
    if said is None:
        raise NothingToSee(f"kubectl does not find the namespace {namespace}: is it told of the right cluster?")
    found: dict[str, Read] = {}
    for pod in json.loads(said)["items"]:
        port = {"api": 8000, "worker": 9000}.get(pod["metadata"]["labels"].get("app.kubernetes.io/component"))
        if port and pod["status"]["phase"] == "Running":
            name: str = pod["metadata"]["name"]
            part, _, own = name.rsplit("-", 2)
            found[f"{part}-{own}"] = _over_kubectl(f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics")
    if not found:
        raise NothingToSee(f"no pod of Cairn runs in the namespace {namespace}")
    return found


def _over_kubectl(path: str) -> Read:
    async def read() -> str | None:
        return await _kubectl("get", "--raw", path)

    return read


async def _kubectl(*words: str) -> str | None:
    pipe: Any = asyncio.subprocess.PIPE
    run = await asyncio.create_subprocess_exec(await asyncio.to_thread(kubectl), *words, stdout=pipe, stderr=pipe)
    said, _ = await run.communicate()
    return said.decode() if run.returncode == 0 else None
