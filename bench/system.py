"""How fast the whole system is, on the embedded log and on Apache Kafka, beside what one core needs to sign as much.

`python -m bench.system [learners]` starts everything as `make run` does, on loopback, twice. It measures completions
per second, from the first post of the LMS to the last signed qualification, and the time from a learner's last
completion to their award. The floor, in the same run, is one process that does nothing but compose and sign.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from cairn.credentials import Ed25519Signer, sign
from cairn.issuance.domain.compose import Issuer, Subject, credential_for_completion
from cairn.issuance.domain.model import Achievement, Institution, Profile
from cairn.onebox.box import Box
from cairn.onebox.home import Home
from cairn.onebox.story import cast
from cairn.onebox.story.api import Access, Api, each, until
from cairn.onebox.story.cast import HOME, Person
from cairn.onebox.story.reckoning import credentials
from cairn.provision.kafka import KafkaBroker

_BATCH: Final = 100
_SINGLES: Final = 40
_PATIENCE: Final = 600.0
_USERS: Final = ("issuance", "pathways", "verification", "admin")


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one transport. Rates are per second, times in milliseconds."""

    completions: int
    qualifications: int
    accepted_rate: float
    signed_rate: float
    completed_rate: float
    award_p50: float
    award_p99: float


async def measure(access: Access, learners: int, progress: Progress, name: str) -> Figures:
    """Drive a running system through its gateway."""
    people = [Person(n, f"Learner {n}", "graduate") for n in range(1, learners + _SINGLES + 1)]
    crowd, singles = people[:learners], people[learners:]
    async with Api(access) as api:
        await _prepare(api, people)
        lines = [cast.completion(person, code, HOME) for code in (*cast.COURSES, cast.EXAM) for person in crowd]
        task = progress.add_task(f"{name}: qualifications", total=learners)
        started = time.perf_counter()
        receipts = [await _post(api, lines[at : at + _BATCH]) for at in range(0, len(lines), _BATCH)]
        accepted = time.perf_counter() - started
        await _signed(api, receipts)
        signed = time.perf_counter() - started
        completed = await _awarded(api, learners, partial(_advance, progress, task))
        total = time.perf_counter() - started
        waits = await _last_completions(api, singles, progress, name)
    return Figures(
        completions=len(lines),
        qualifications=completed,
        accepted_rate=len(lines) / accepted,
        signed_rate=len(lines) / signed,
        completed_rate=len(lines) / total,
        award_p50=statistics.median(waits),
        award_p99=statistics.quantiles(waits, n=100)[98],
    )


def _advance(progress: Progress, task: TaskID, count: int) -> None:
    progress.update(task, completed=count)


async def _prepare(api: Api, people: list[Person]) -> None:
    await api.call("POST", "/issuance/v1/institutions", by="operator", body=cast.INSTITUTIONS[0])
    await api.call("POST", "/issuance/v1/institutions", by="operator", body=cast.INSTITUTIONS[1])
    published = [
        (await api.call("POST", "/issuance/v1/achievements", by=tenant, body=achievement)).body["id"]
        for tenant in cast.TENANTS
        for achievement in cast.achievements(tenant)
    ]
    framework = cast.framework(published[0].rsplit("/achievements/", 1)[0])
    draft = await api.call("POST", "/pathways/v1/frameworks", by=HOME, body=framework)

    async def publish() -> str | None:
        path = f"/pathways/v1/frameworks/{draft.body['id']}/publish"
        answer = await api.call("POST", path, by=HOME, accept=[400, 409])
        return None if answer.status < 400 else answer.code

    await until("the catalogue reaches pathways, and the framework is published", publish)

    async def register(person: Person) -> None:
        body = {"name": person.name, "identifiers": [{"kind": "lms-user", "value": person.user}]}
        await api.call("POST", "/issuance/v1/learners", by=HOME, body=body)

    await each(people, register, lambda: None)


async def _post(api: Api, lines: list[dict[str, Any]]) -> str:
    answer = await api.call("POST", "/issuance/v1/completions", by=HOME, lines=lines)
    assert not answer.body["rejected"], answer.body["rejected"][:1]
    return answer.body["id"]


async def _signed(api: Api, receipts: list[str]) -> None:
    for receipt in receipts:

        async def probe(receipt: str = receipt) -> str | None:
            status = (await api.get(f"/issuance/v1/receipts/{receipt}", by=HOME))["status"]
            return None if status == "done" else status

        await until("every credential is signed", probe, seconds=_PATIENCE)


async def _awarded(api: Api, wanted: int, done: Callable[[int], None]) -> int:
    count = 0

    async def probe() -> str | None:
        nonlocal count
        found = await credentials(api)
        count = sum(any(entry["award"] for entry in own) for own in found.values())
        done(count)
        return None if count >= wanted else f"{count} of {wanted}"

    await until("every qualification is signed", probe, seconds=_PATIENCE)
    return count


async def _last_completions(api: Api, people: list[Person], progress: Progress, name: str) -> list[float]:
    """Milliseconds from a learner's last completion, posted alone, to the award that pathways shows."""
    for code in cast.COURSES:
        await _signed(api, [await _post(api, [cast.completion(person, code, HOME) for person in people])])
    waits: list[float] = []
    for person in progress.track(people, description=f"{name}: last completion to award"):
        learner = (await api.get(f"/issuance/v1/learners?kind=lms-user&value={person.user}", by=HOME))["id"]

        async def probe(learner: str = learner) -> str | None:
            found = await api.get(f"/pathways/v1/learners/{learner}/awards", by=HOME)
            return None if found["awards"] else "no award"

        started = time.perf_counter()
        await api.call("POST", "/issuance/v1/completions", by=HOME, body=cast.completion(person, cast.EXAM, HOME))
        await until("the last completion leads to the award", probe)
        waits.append((time.perf_counter() - started) * 1000)
    return waits


def floor(count: int) -> float:
    """Credentials per second that one core composes and signs, doing nothing else."""
    issuer = Issuer("did:web:cairn.localhost", Institution.model_validate(cast.INSTITUTIONS[0]))
    signer = Ed25519Signer(bytes(32), "did:web:cairn.localhost#key-1")
    achievement = Achievement.model_validate(cast.achievements(HOME)[0])
    id_, now = "https://cairn.localhost/issuance/achievements/north-coast/sc0x", datetime.now(UTC)
    facts = {"completedAt": "2026-01-01T00:00:00Z", "grade": {"score": "0.8"}}
    place = {"revocation": ("https://cairn.localhost/issuance/status/north-coast/1/revocation", 7)}
    started = time.perf_counter()
    for number in range(count):
        subject = Subject(f"urn:uuid:00000000-0000-5000-8000-{number:012}", Profile(name="Learner"), place)
        document, _ = credential_for_completion(issuer, id_, achievement, subject, facts, now)
        sign(document, signer, created=now)
    return count / (time.perf_counter() - started)


def _run(folder: Path, learners: int, env: Mapping[str, str], progress: Progress, name: str) -> Figures:
    box = Box(folder, env=env)
    try:
        return asyncio.run(measure(box.serving().access, learners, progress, name))
    finally:
        box.stop()
        Home(folder).remove()


def main() -> None:
    learners = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    console = Console()
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as name, Progress(console=console) as progress:
        folder = Path(name)
        folder.chmod(0o755)
        one_core = floor(300)
        figures["PostgreSQL log"] = _run(folder / "log", learners, {}, progress, "PostgreSQL log")
        broker = KafkaBroker(folder / "broker")
        try:
            broker.start()
            passwords = {user: broker.settings(user).kafka_password.get_secret_value() for user in _USERS}
            env = {
                "CAIRN_BUS": "kafka",
                "CAIRN_KAFKA_BOOTSTRAP_SERVERS": broker.secured_servers,
                "CAIRN_KAFKA_PASSWORDS": json.dumps(passwords),
            }
            figures["Apache Kafka"] = _run(folder / "kafka", learners, env, progress, "Apache Kafka")
        finally:
            broker.destroy()
    console.print(_table(figures, one_core))


def _table(figures: Mapping[str, Figures], one_core: float) -> Table:
    count = next(iter(figures.values()))
    title = f"{count.completions:,} completions in posts of {_BATCH}, {count.qualifications:,} qualifications"
    table = Table(title=title)
    table.add_column("")
    for name in figures:
        table.add_column(name, justify="right")
    rows = {
        "completions accepted /s": [f"{f.accepted_rate:,.0f}" for f in figures.values()],
        "completions to signed credential /s": [f"{f.signed_rate:,.0f}" for f in figures.values()],
        "completions to signed qualification /s": [f"{f.completed_rate:,.0f}" for f in figures.values()],
        "… of what one core signs alone": [f"{f.completed_rate / one_core:.2f} x" for f in figures.values()],
        "last completion to award, p50": [f"{f.award_p50:,.0f} ms" for f in figures.values()],
        "last completion to award, p99": [f"{f.award_p99:,.0f} ms" for f in figures.values()],
    }
    for label, cells in rows.items():
        table.add_row(label, *cells)
    table.caption = f"One core composes and signs {one_core:,.0f} credentials a second."
    return table


if __name__ == "__main__":
    main()
