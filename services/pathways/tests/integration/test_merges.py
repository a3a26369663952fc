"""A learner who is the same person elsewhere: by consent, for as long as it lasts, and never otherwise."""

import asyncio
from datetime import UTC, datetime

import pytest

from cairn.common.consumer import Poison
from cairn.common.events.models import QualificationCompleted, fact_of
from cairn.pathways.store import facts

from .conftest import Service
from .world import AWAY, HOME, Log, credential, framework

ADA, ADA_AWAY, BO = "lrn_ada", "lrn_zz_ada_away", "lrn_bo"
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)
SEEN = "SELECT learner_id FROM holdings ORDER BY 1"


@pytest.fixture
async def split(campus: Service, log: Log) -> Service:
    """Ada has one course at home and one away; the framework takes both."""
    await campus.publish(framework("ml", f"{AWAY}/stats"))
    await campus.hear(*log.issued(ADA, "ml"), *log.issued(ADA_AWAY, "stats", tenant=AWAY))
    return campus


async def test_s34_consent_is_what_opens_the_rows(split: Service, log: Log) -> None:
    statuses = "SELECT holding_id FROM holding_status ORDER BY 1"
    assert [row["learner_id"] for row in await split.sql(SEEN, HOME)] == [ADA]
    assert len(await split.sql(statuses, HOME)) == 1
    await split.hear(*log.merged(ADA, ADA_AWAY, JUNE))
    assert [row["learner_id"] for row in await split.sql(SEEN, HOME)] == [ADA, ADA_AWAY]
    assert len(await split.sql(statuses, HOME)) == 2
    # One way only: what Ada has at home is not open to the other university, nor anything to a third one.
    assert [row["learner_id"] for row in await split.sql(SEEN, AWAY)] == [ADA_AWAY]
    assert await split.sql(SEEN, "third") == []
    await split.hear(*log.unmerged(ADA, ADA_AWAY, JULY))
    assert [row["learner_id"] for row in await split.sql(SEEN, HOME)] == [ADA]
    assert len(await split.sql(statuses, HOME)) == 1


async def test_s34_consent_opens_one_learner_and_for_reading_only(split: Service, log: Log) -> None:
    await split.hear(*log.issued("lrn_other_away", "stats", tenant=AWAY), *log.merged(ADA, ADA_AWAY, JUNE))
    assert [row["learner_id"] for row in await split.sql(SEEN, HOME)] == [ADA, ADA_AWAY]
    assert (
        await split.sql(f"UPDATE holdings SET award_id = 'x' WHERE learner_id = '{ADA_AWAY}' RETURNING id", HOME) == []
    )
    assert await split.sql(f"DELETE FROM holdings WHERE learner_id = '{ADA_AWAY}' RETURNING id", HOME) == []


async def test_without_consent_a_course_elsewhere_does_not_count(split: Service) -> None:
    (audit,) = await split.audits(ADA)
    assert audit["status"] == "incomplete"
    assert await split.awards(ADA) == []
    assert (await split.get(f"/v1/learners/{ADA_AWAY}/holdings")).status_code == 404


async def test_a_merge_completes_and_its_end_lapses(split: Service, log: Log) -> None:
    await split.hear(*log.merged(ADA, ADA_AWAY, JUNE))
    fact = fact_of((await split.said("qualification.completed.v1"))[0])
    assert isinstance(fact, QualificationCompleted)
    assert fact.learner == ADA
    assert set(fact.components) == {credential(ADA, "ml"), credential(ADA_AWAY, "stats")}
    held = (await split.get(f"/v1/learners/{ADA}/holdings")).json()
    assert (held["merged"], len(held["holdings"])) == ([ADA_AWAY], 2)
    await split.hear(*log.unmerged(ADA, ADA_AWAY, JULY))
    assert [award["state"] for award in await split.awards(ADA)] == ["revoked"]
    assert (await split.get(f"/v1/learners/{ADA}/holdings")).json()["merged"] == []
    (audit,) = await split.audits(ADA)
    assert audit["status"] == "incomplete"


async def test_after_the_merge_what_happens_elsewhere_counts_at_once(campus: Service, log: Log) -> None:
    await campus.publish(framework("ml", f"{AWAY}/stats"))
    await campus.hear(*log.issued(ADA, "ml"), *log.merged(ADA, ADA_AWAY, JUNE))
    await campus.hear(*log.issued(ADA_AWAY, "stats", tenant=AWAY))
    assert [award["state"] for award in await campus.awards(ADA)] == ["active"]
    await campus.hear(*log.status("revoked", ADA_AWAY, "stats", JULY, tenant=AWAY))
    assert [award["state"] for award in await campus.awards(ADA)] == ["revoked"]


async def test_the_end_of_a_merge_may_come_before_the_merge(split: Service, log: Log) -> None:
    merged = log.merged(ADA, ADA_AWAY, JUNE)
    await split.hear(*log.unmerged(ADA, ADA_AWAY, JULY))
    await split.hear(*merged)
    assert [row["learner_id"] for row in await split.sql(SEEN, HOME)] == [ADA]
    assert await split.awards(ADA) == []


async def test_two_accounts_of_one_university_become_one(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(BO, "ml"))
    await campus.hear(*log.merged(ADA, BO, JUNE, source=HOME))
    assert [award["state"] for award in await campus.awards(ADA)] == ["active"]
    assert await campus.awards(BO) == []
    audited = await campus.sql("SELECT DISTINCT learner_id FROM audits")
    assert [row["learner_id"] for row in audited] == [ADA]
    await campus.hear(*log.unmerged(ADA, BO, JULY, source=HOME))
    assert [award["state"] for award in await campus.awards(ADA)] == ["revoked"]
    assert len(await campus.sql("SELECT DISTINCT learner_id FROM audits")) == 2


async def test_a_qualification_is_not_awarded_again_because_two_accounts_become_one(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(BO, "stats"), *log.issued(BO, "ml"), *log.issued(ADA, "stats"))
    await campus.hear(*log.merged(ADA, BO, JUNE, source=HOME))
    assert await campus.awards(ADA) == []
    assert [award["state"] for award in await campus.awards(BO)] == ["active"]
    # It is judged with what the survivor has, though: one lost component is made up for by the other account's.
    await campus.hear(*log.status("revoked", BO, "stats", JULY))
    assert [award["state"] for award in await campus.awards(BO)] == ["active"]
    await campus.hear(*log.status("revoked", BO, "ml", JULY))
    assert [award["state"] for award in await campus.awards(BO)] == ["revoked"]


async def test_s34_a_merge_with_a_learner_of_another_tenant_than_it_says_is_refused(split: Service, log: Log) -> None:
    hostile, _ = log.merged(ADA, ADA_AWAY, JUNE, source="third")
    with pytest.raises(Poison, match="another tenant"):
        await split.hear(hostile)
    (injected, _) = log.merged(ADA, ADA_AWAY, JUNE, source="harbour,*")
    with pytest.raises(Poison, match="names no tenant"):
        await split.hear(injected)
    assert [row["learner_id"] for row in await split.sql(SEEN, HOME)] == [ADA]


@pytest.mark.parametrize("merge_first", [True, False])
async def test_a_merge_and_a_credential_at_the_same_moment_miss_nothing(
    campus: Service, log: Log, merge_first: bool
) -> None:
    """Two workers: whichever comes second waits for the learner whom both are about, and sees what the first wrote."""
    await campus.publish(framework("ml", f"{AWAY}/stats"))
    await campus.hear(*log.issued(ADA, "ml"))
    merge, issue = log.merged(ADA, ADA_AWAY, JUNE), log.issued(ADA_AWAY, "stats", tenant=AWAY)
    first, second = (merge, issue) if merge_first else (issue, merge)
    reached, go_on = asyncio.Event(), asyncio.Event()
    lock = facts.lock_known

    async def slowly(*arguments):
        locked = await lock(*arguments)
        if not reached.is_set():
            reached.set()
            await go_on.wait()
        return locked

    facts.lock_known = slowly
    try:
        one = asyncio.create_task(campus.hear(*first))
        await reached.wait()
        two = asyncio.create_task(campus.hear(*second))
        done, _ = await asyncio.wait({two}, timeout=0.3)
        assert not done, "the second did not wait for the first"
        go_on.set()
        await asyncio.gather(one, two)
    finally:
        facts.lock_known = lock
    assert [award["state"] for award in await campus.awards(ADA)] == ["active"]
