"""What time alone changes fires by itself, once, by the database's clock, and after any restart."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cairn.common.db import EVERY_TENANT, Transaction
from cairn.common.events.models import QualificationLapsed, fact_of
from cairn.pathways.use_cases import backfill, falling_due

from .conftest import Service
from .world import MARCH, NOW, Log, achievement, framework

ADA = "lrn_ada"
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
SOON = NOW + timedelta(days=10)


def recent(months: int) -> dict:
    """One course, which no longer counts so many months after it was earned."""
    chosen = {"achievement": [achievement("stats")], "earned": {"withinMonths": months}}
    return framework("stats", requirement={"id": "root", "all": [{"id": "a", "count": {"min": 1}, "from": chosen}]})


async def dues(service: Service) -> list[datetime]:
    return [row["at"] for row in await service.sql("SELECT at FROM due ORDER BY at")]


async def test_an_expiry_is_planned_fires_once_and_is_then_done(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats", validUntil=SOON.isoformat()))
    assert await dues(campus) == [SOON]
    assert await campus.fall_due() == 0
    progress = (await campus.sql("SELECT progress FROM audits"))[0]["progress"]
    then = campus.at(SOON)
    assert await then.fall_due() == 1
    assert await then.fall_due() == 0
    assert await dues(campus) == []
    (audit,) = await campus.sql("SELECT progress, document FROM audits")
    assert (float(progress), float(audit["progress"])) == (0.5, 0)
    assert audit["document"]["asOf"] == SOON.isoformat().replace("+00:00", "Z")


async def test_what_fell_due_gives_the_audit_that_is_made_afterwards_from_scratch(campus: Service, log: Log) -> None:
    """R8: whether the expiry came to pass before or after the event was heard makes no difference."""
    await campus.publish(framework("stats", "ml"))
    events = log.issued(ADA, "stats", validUntil=SOON.isoformat())
    await campus.hear(*events)
    then = campus.at(SOON)
    await then.fall_due()
    state = await campus.state()
    async with campus.worker.database.transaction(EVERY_TENANT) as tx:
        for table in ("audits", "due", "inbox", "holding_status", "holdings"):
            await tx.connection.exec_driver_sql(f"DELETE FROM {table}")
        await tx.commit()
    await then.hear(*events)
    assert await campus.state() == state


async def test_a_window_that_closes_takes_progress_away_and_never_an_award(campus: Service, log: Log) -> None:
    await campus.publish(recent(12))
    await campus.hear(*log.issued(ADA, "stats", at=MARCH))
    (closes,) = await dues(campus)
    assert closes == datetime(2027, 3, 1, 0, 0, 0, 1, UTC)
    then = campus.at(closes)
    assert await then.fall_due() == 1
    assert [award["state"] for award in await campus.awards(ADA)] == ["active"]


async def test_a_grace_period_ends_by_itself_in_a_suspension(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml", onLoss="suspend", graceDays=30))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    lost = NOW - timedelta(days=1)
    await campus.hear(*log.status("revoked", ADA, "ml", lost))
    (award,) = await campus.awards(ADA)
    assert award["state"] == "grace"
    assert await campus.said("qualification.lapsed.v1") == []
    end = lost + timedelta(days=30)
    assert await dues(campus) == [end]
    await campus.at(end - timedelta(microseconds=1)).fall_due()
    assert (await campus.awards(ADA))[0]["state"] == "grace"
    then = campus.at(end)
    assert await then.fall_due() == 1
    assert (await campus.awards(ADA))[0]["state"] == "suspended"
    (event,) = await campus.said("qualification.lapsed.v1")
    fact = fact_of(event)
    assert isinstance(fact, QualificationLapsed)
    assert fact.action == "suspend"
    # And a retake within the suspension lifts it.
    await then.hear(*log.issued(ADA, "ml", at=NOW, id="urn:uuid:retaken"))
    assert (await campus.awards(ADA))[0]["state"] == "active"


@pytest.mark.parametrize("days", [30, 1_000_000])
async def test_r9_a_grace_period_beyond_the_calendar_poisons_nobodys_events(
    campus: Service, log: Log, days: int
) -> None:
    await campus.publish(framework("stats", "ml", onLoss="suspend", graceDays=days))
    last = datetime.max.replace(tzinfo=UTC, microsecond=0)
    await campus.hear(*log.issued(ADA, "stats", validUntil=last), *log.issued(ADA, "ml"))
    await campus.hear(*log.status("revoked", ADA, "ml", NOW - timedelta(days=1)))
    assert [award["state"] for award in await campus.awards(ADA)] == ["grace"]


async def test_r1_a_step_that_is_cut_off_is_done_again_and_said_once(
    campus: Service, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await campus.publish(framework("stats", "ml", onLoss="suspend", graceDays=1))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    await campus.hear(*log.status("revoked", ADA, "ml", NOW - timedelta(hours=1)))
    then = campus.at(NOW + timedelta(days=1))

    async def killed(_: Transaction) -> None:
        raise ConnectionError("kill -9")

    with monkeypatch.context() as cut:
        cut.setattr(Transaction, "commit", killed)
        with pytest.raises(ConnectionError):
            await falling_due.step(then.worker)
    assert (await campus.awards(ADA))[0]["state"] == "grace"
    # Two workers that start again at the same moment.
    done = await asyncio.gather(falling_due.step(then.worker), falling_due.step(then.worker))
    assert sorted(done) == [0, 1]
    assert len(await campus.said("qualification.lapsed.v1")) == 1


async def test_r12_a_worker_whose_clock_is_wrong_fires_neither_early_nor_late(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats", validUntil=SOON.isoformat()))
    for minutes in (-10, 10):
        at = campus.at(SOON - timedelta(seconds=1))
        skewed = replace(at.worker, now=lambda minutes=minutes: SOON + timedelta(minutes=minutes))
        assert await falling_due.step(skewed) == 0
    late = replace(campus.at(SOON).worker, now=lambda: SOON - timedelta(minutes=10))
    assert await falling_due.step(late) == 1
    assert await dues(campus) == []


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_r12_backfills_reports_and_decisions_go_by_the_clock_of_the_database(
    campus: Service, log: Log, minutes: int
) -> None:
    """Whatever the machine says on which a worker or an API runs: it is ten minutes slow, or fast."""

    def skewed(at: datetime) -> Service:
        told = campus.at(at)
        wrong = {"now": lambda: at + timedelta(minutes=minutes)}
        return replace(told, worker=replace(told.worker, **wrong), deps=replace(told.deps, **wrong))

    await campus.hear(*log.issued(ADA, "stats"))
    force = SOON.isoformat().replace("+00:00", "Z")
    await campus.publish(framework("stats", effective={"from": force}))
    assert await skewed(SOON - timedelta(seconds=1)).backfill() == 0
    then = skewed(SOON)
    assert await then.backfill() > 0
    assert [award["state"] for award in await campus.awards(ADA)] == ["active"]
    # A batch that made awards puts off the next one, by the same clock.
    slow = then.worker.settings.model_copy(update={"backfill_awards_per_minute": 1})
    await campus.hear(*(event for who in ("lrn_b", "lrn_c", "lrn_d") for event in log.issued(who, "ml")))
    await campus.publish(framework("ml", qualification="https://north.example/q/other"))
    for seconds, made in ((1, 2), (120, 2), (122, 3)):
        each = skewed(NOW + timedelta(seconds=seconds))
        worker = replace(each.worker, settings=slow)
        while await backfill.step(worker):
            pass
        awards = await campus.sql("SELECT id FROM awards WHERE qualification LIKE '%other'")
        assert len(awards) == made, seconds


async def test_r12_the_database_tells_the_time(campus: Service) -> None:
    from cairn.pathways.store import due

    async with campus.worker.database.transaction(EVERY_TENANT) as tx:
        assert abs(await due.now(tx) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_learner_somebody_is_busy_with_is_passed_over_and_stays_due(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    for who in (ADA, "lrn_bo"):
        await campus.hear(*log.issued(who, "stats", validUntil=SOON.isoformat()))
    then = campus.at(SOON)
    async with campus.worker.database.transaction(EVERY_TENANT) as tx:
        await tx.connection.exec_driver_sql(f"SELECT FROM learners WHERE id = '{ADA}' FOR UPDATE")
        assert await falling_due.step(then.worker) == 1
        assert len(await dues(campus)) == 1
    assert await then.fall_due() == 1
