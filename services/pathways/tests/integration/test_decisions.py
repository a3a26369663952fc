"""Decisions: made, sealed, in effect at once, over at their end, revoked; and noticed when somebody alters them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cairn.common.db import EVERY_TENANT, Database, Transaction
from cairn.common.events.models import DecisionsSealed, QualificationCompleted, fact_of
from cairn.common.instants import parse_instant
from cairn.pathways.use_cases import auditing, verifying
from cairn.provision.pytest_plugin import Transport

from .conftest import Service
from .world import AWAY, HOME, MARCH, NOW, Log, achievement, credential, framework

ADA = "lrn_ada"
QUALIFICATION = "https://north.example/q/data"
JULY = datetime(2026, 7, 1, tzinfo=UTC)
SOON = NOW + timedelta(days=10)
WAIVER = {"kind": "waiver", "qualification": QUALIFICATION, "target": "ml", "reason": "Ada Lovelace taught it"}


async def decide(service: Service, body: dict[str, Any], learner: str = ADA, **options: Any) -> dict[str, Any]:
    answer = await service.post(f"/v1/learners/{learner}/decisions", body, **options)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def listed(service: Service, learner: str = ADA) -> dict[str, Any]:
    return (await service.get(f"/v1/learners/{learner}/decisions")).json()


async def states(service: Service, learner: str = ADA) -> list[str]:
    return [award["state"] for award in await service.awards(learner)]


@asynccontextmanager
async def _owner(service: Service) -> AsyncGenerator[Transaction]:
    """The owner of the tables, whom no grant stops."""
    database = Database(service.database.owner_url, pool=1, worker=True)
    try:
        async with database.transaction(EVERY_TENANT) as tx:
            yield tx
    finally:
        await database.close()


@pytest.fixture
async def student(campus: Service, log: Log) -> Service:
    """Ada has one of the two courses."""
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"))
    return campus


async def test_a_waiver_is_in_effect_at_once_and_over_when_it_is_revoked(student: Service) -> None:
    made = await decide(student, WAIVER)
    assert (made["kind"], made["says"], made["by"]) == ("waiver", {"target": "ml"}, "tester")
    assert await states(student) == ["active"]
    (audit,) = await student.audits(ADA)
    assert audit["status"] == "complete"
    answer = await student.post(f"/v1/learners/{ADA}/decisions/{made['id']}/revoke", {"reason": "the wrong Ada"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["revokedBy"] == "tester"
    assert await states(student) != ["active"]
    (audit,) = await student.audits(ADA)
    assert audit["status"] == "incomplete"
    again = await student.post(f"/v1/learners/{ADA}/decisions/{made['id']}/revoke", {"reason": "once more"})
    assert again.json()["revokedAt"] == answer.json()["revokedAt"]
    record = await listed(student)
    assert (record["intact"], len(record["decisions"])) == (True, 1)


async def test_a_decision_is_over_at_its_end_and_that_is_audited_then(student: Service) -> None:
    await student.publish(framework("stats", "thesis", qualification="https://north.example/q/other"))
    await decide(student, {**WAIVER, "validUntil": SOON.isoformat()})
    assert [row["at"] for row in await student.sql("SELECT at FROM due")] == [SOON]
    then = student.at(SOON)
    assert await then.fall_due() == 1
    assert await student.sql("SELECT at FROM due") == []
    (row,) = await student.sql("SELECT document FROM audits WHERE document->>'framework' = :q", q=QUALIFICATION)
    assert row["document"]["asOf"] == SOON.isoformat().replace("+00:00", "Z")
    (audit,) = [each for each in await then.audits(ADA) if each["framework"] == QUALIFICATION]
    # STACKING: it was earned while the waiver acted, and an end is not a revocation.
    assert (audit["status"], await states(student)) == ("complete", ["active"])


async def test_a_substitution_lets_another_credential_count(student: Service, log: Log) -> None:
    await student.hear(*log.issued(ADA, "thesis"))
    body = {"kind": "substitution", "qualification": QUALIFICATION, "target": "ml", "reason": "alike"}
    await decide(student, {**body, "holding": credential(ADA, "thesis")})
    (award,) = await student.awards(ADA)
    assert set(award["components"]) == {credential(ADA, "stats"), credential(ADA, "thesis")}
    await student.hear(*log.status("revoked", ADA, "thesis", JULY))
    assert await states(student) == ["revoked"]


async def test_what_was_learnt_before_counts_and_is_no_credential(student: Service) -> None:
    body = {
        "kind": "rpl",
        "qualification": QUALIFICATION,
        "target": "ml",
        "reason": "portfolio",
        "evidence": ["file 7"],
    }
    made = await decide(student, {**body, "credits": {"value": "5", "unit": "ECTS"}})
    assert made["evidence"] == ["file 7"]
    fact = fact_of((await student.said("qualification.completed.v1"))[0])
    assert isinstance(fact, QualificationCompleted)
    # Issuance signs for credentials that it issued; what was recognised is named beside them.
    assert (fact.components, fact.decisions) == ((credential(ADA, "stats"),), (made["id"],))


async def test_an_equivalence_lets_one_learners_course_count_as_another(student: Service, log: Log) -> None:
    await student.hear(*log.issued(ADA, "thesis"))
    body = {
        "kind": "equivalence",
        "achievement": achievement("thesis"),
        "countsAs": achievement("ml"),
        "reason": "same",
    }
    await decide(student, body)
    assert await states(student) == ["active"]
    await student.hear(*log.issued("lrn_bo", "stats"), *log.issued("lrn_bo", "thesis"))
    assert await states(student, "lrn_bo") == []


async def test_a_table_of_equivalences_is_for_everybody_and_reaches_those_who_are_there(
    student: Service, log: Log
) -> None:
    await student.hear(*log.issued(ADA, "thesis"))
    line = {"achievement": achievement("thesis"), "countsAs": achievement("ml"), "reason": "senate, 3 May"}
    answer = await student.post("/v1/equivalences", line)
    assert answer.status_code == 201, answer.text
    assert await states(student) == []
    assert await student.fall_due() == 1
    assert await states(student) == ["active"]
    await student.hear(*log.issued("lrn_bo", "stats"), *log.issued("lrn_bo", "thesis"))
    assert await states(student, "lrn_bo") == ["active"]
    # A framework that comes later finds them too.
    await student.publish(
        framework("ml", qualification="https://north.example/q/ml", award={"achievement": achievement("master")})
    )
    await student.backfill()
    assert len(await states(student)) == 2
    assert [each["says"] for each in (await student.get("/v1/equivalences")).json()["decisions"]] == [
        {"achievement": achievement("thesis"), "countsAs": achievement("ml")}
    ]
    await student.post(f"/v1/equivalences/{answer.json()['id']}/revoke", {"reason": "a slip"})
    assert await student.fall_due() == 2
    assert set(await states(student)) == {"revoked"}
    assert (await student.get("/v1/equivalences", AWAY)).json()["decisions"] == []


async def test_r8_an_equivalence_reaches_a_learner_whose_batch_is_under_way(
    student: Service, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    judging, go_on, judge = asyncio.Event(), asyncio.Event(), auditing._judge_all

    async def slowly(*given: Any) -> Any:
        judging.set()
        await go_on.wait()
        return await judge(*given)

    monkeypatch.setattr(auditing, "_judge_all", slowly)
    # It has read the decisions, and has yet to plan what falls due.
    batch = asyncio.create_task(student.hear(*log.issued(ADA, "thesis")))
    await judging.wait()
    line = {"achievement": achievement("thesis"), "countsAs": achievement("ml"), "reason": "senate, 3 May"}
    posted = asyncio.create_task(student.post("/v1/equivalences", line))
    await asyncio.wait([posted], timeout=1)
    go_on.set()
    await batch
    assert (await posted).status_code == 201
    await student.fall_due()
    assert await states(student) == ["active"]


async def test_a_move_lets_a_newer_version_count_and_takes_nothing_away(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml", version="2026", effective={"to": "2026-09-01"}))
    await campus.publish(framework("stats", "thesis", version="2027", effective={"from": "2026-09-01"}))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "thesis"))
    assert {audit["version"] for audit in await campus.audits(ADA)} == {"2026"}
    await decide(campus, {"kind": "move", "qualification": QUALIFICATION, "version": "2027", "reason": "asked for it"})
    assert [award["version"] for award in await campus.awards(ADA)] == ["2027"]
    assert {audit["version"] for audit in await campus.audits(ADA)} == {"2026", "2027"}


async def test_an_enrolment_pins_and_the_first_one_counts(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml", version="2026", effective={"to": "2026-09-01"}))
    await campus.publish(framework("stats", version="2027", effective={"from": "2026-09-01"}))
    await campus.hear(*log.issued(ADA, "stats"))
    assert await campus.awards(ADA) == []
    path = f"/v1/learners/{ADA}/enrolments"
    answer = await campus.post(path, {"qualification": QUALIFICATION, "at": "2026-10-01"})
    assert answer.status_code == 200, answer.text
    assert [award["version"] for award in await campus.awards(ADA)] == ["2027"]
    again = await campus.post(path, {"qualification": QUALIFICATION, "at": "2026-10-05"})
    assert again.json() == answer.json()


async def test_an_enrolment_may_be_at_either_end_of_the_calendar(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"))
    for at in ("9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"):
        enrolment = {"qualification": QUALIFICATION, "at": at}
        answer = await campus.post(f"/v1/learners/{ADA}/enrolments", enrolment)
        assert (answer.status_code, answer.json()) == (200, enrolment)


@pytest.mark.parametrize("months", [0, 1, 1_000_000])
async def test_whatever_is_at_either_end_of_the_calendar_is_audited(campus: Service, log: Log, months: int) -> None:
    ends = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")
    rules = framework("stats", effective={"from": ends[0]}, graceDays=1_000_000, validity="always")
    rules["requirement"]["all"][0]["from"]["earned"] = {"withinMonths": months}
    rules["limits"] = [{"id": "span", "window": {"months": months}}]
    await campus.publish(rules)
    for learner, at in zip((ADA, "lrn_grace"), map(parse_instant, ends), strict=True):
        await campus.hear(*log.issued(learner, "stats", at=at, validUntil=ends[1]))
        for as_of in ends:
            answer = await campus.get(f"/v1/learners/{learner}/audits?asOf={as_of}")
            assert answer.status_code == 200, answer.text
    waiver = {"kind": "waiver", "qualification": QUALIFICATION, "target": "stats", "reason": "x", "validUntil": ends[1]}
    assert (await campus.post(f"/v1/learners/{ADA}/decisions", waiver)).status_code == 201


async def test_a_leap_second_is_refused_by_its_field_and_with_the_fix(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats"))
    await campus.hear(*log.issued(ADA, "stats"))
    enrolment = {"qualification": QUALIFICATION, "at": "2016-12-31T23:59:60Z"}
    answer = await campus.post(f"/v1/learners/{ADA}/enrolments", enrolment)
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["field"], bool(fault["fix"])) == (422, "/at", True)
    assert "is not a date of the calendar" in fault["detail"]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"target": "nothing"}, 400, "/target"),
        ({"target": "root"}, 400, "/target"),
        ({"qualification": "https://nowhere.example"}, 400, "/qualification"),
        ({"validUntil": "2020-01-01"}, 400, "/validUntil"),
        ({"reason": ""}, 422, "/reason"),
        ({"colour": "blue"}, 422, "/colour"),
        ({"kind": "substitution", "holding": "urn:uuid:none"}, 400, "/holding"),
    ],
)
async def test_a_decision_that_cannot_mean_anything_is_refused_with_the_field(
    student: Service, change: dict[str, Any], status: int, field: str
) -> None:
    answer = await student.post(f"/v1/learners/{ADA}/decisions", {**WAIVER, **change})
    assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await listed(student))["decisions"] == []


async def test_r7_the_same_decision_under_one_key_is_made_once(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.publish(framework("ml", version="2027"))
    await campus.hear(*log.issued(ADA, "stats"))
    body = {"kind": "move", "qualification": QUALIFICATION, "version": "2027", "reason": "x"}
    headers = {**campus.auth(HOME), "Idempotency-Key": "one"}
    path = f"/v1/learners/{ADA}/decisions"
    first = await campus.http.post(path, json=body, headers=headers)
    second = await campus.http.post(path, json=body, headers=headers)
    assert (first.status_code, second.json()) == (201, first.json())
    assert len((await listed(campus))["decisions"]) == 1
    other = await campus.http.post(path, json={**body, "reason": "y"}, headers=headers)
    assert other.json()["code"] == "idempotency-key-reused"


MOVE = {"kind": "move", "qualification": QUALIFICATION, "version": "2026", "reason": "Ada Lovelace asked"}


@pytest.mark.parametrize(
    "altering",
    [
        """UPDATE decisions SET body = '{"version": "2027"}' WHERE ordinal = 2""",
        "UPDATE decisions SET valid_until = NULL WHERE ordinal = 2",
        "UPDATE decisions SET by = 'rector' WHERE ordinal = 1",
        "DELETE FROM decisions WHERE ordinal = 2",
        "UPDATE decisions SET ordinal = 9 - ordinal",
        """INSERT INTO decisions
           SELECT tenant_id, gen_random_uuid(), learner_id, 4, kind, qualification, body, by, at, valid_until, revokes,
                  sealed, seal FROM decisions WHERE ordinal = 3""",
    ],
)
async def test_s28_a_decision_that_is_altered_in_the_database_is_noticed(
    student: Service, log: Log, altering: str
) -> None:
    """As the owner of the tables, whom no grant stops."""
    for _ in range(3):
        await decide(student, {**MOVE, "validUntil": SOON.isoformat()})
    before = await student.sql("SELECT digest FROM audits")
    async with _owner(student) as tx:
        await tx.connection.exec_driver_sql(altering)
        await tx.commit()
    assert not (await listed(student))["intact"]
    for answer in (
        await student.get(f"/v1/learners/{ADA}/audits"),
        await student.post(f"/v1/learners/{ADA}/decisions", MOVE),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "decisions-altered")
    # Nothing is concluded from what may be forged; others are not held up by it.
    await student.hear(*log.issued(ADA, "ml"), *log.issued("lrn_bo", "stats"), *log.issued("lrn_bo", "ml"))
    assert await student.sql("SELECT digest FROM audits WHERE learner_id = 'lrn_ada'") == before
    assert await states(student, "lrn_bo") == ["active"]
    then = student.at(SOON)
    assert await then.fall_due() == 1  # tried, and put off
    assert await then.fall_due() == 0
    # Put right, it goes on, with what came meanwhile.
    async with _owner(student) as tx:
        await tx.connection.exec_driver_sql("DELETE FROM decisions")
        await tx.commit()
    assert await student.at(SOON + timedelta(hours=2)).fall_due() == 1
    assert await states(student) == ["active"]


async def test_s28_a_chain_that_was_edited_cut_off_or_taken_away_is_seen_against_its_head_on_the_bus(
    student: Service, transport: Transport
) -> None:
    for _ in range(3):
        await decide(student, {**MOVE, "validUntil": SOON.isoformat()})
    line = {"achievement": achievement("ml"), "countsAs": achievement("thesis"), "reason": "a test"}
    assert (await student.post("/v1/equivalences", line)).status_code == 201
    await transport.pathways.publish("qualifications", await student.said())
    said = await verifying.heads(transport.pathways)
    assert {place: head.entries for place, head in said.items()} == {("north", ADA): 3, ("north", ""): 1}
    whole = await verifying.verify(student.worker, said)
    assert (whole.chains, whole.entries, whole.amiss) == (2, 4, [])
    seen: dict[str, list[tuple[str, str]]] = {}
    async with _owner(student) as tx:
        await tx.connection.exec_driver_sql("CREATE TEMP TABLE kept AS SELECT * FROM decisions")
        for alteration in (
            "UPDATE decisions SET by = 'somebody' WHERE ordinal = 2",
            "DELETE FROM decisions WHERE ordinal = 2",
            "DELETE FROM decisions WHERE ordinal = 3",
            "DELETE FROM decisions WHERE learner_id = ''",
            "TRUNCATE decisions",
        ):
            await tx.connection.exec_driver_sql(alteration)
            await tx.commit()
            found = await verifying.verify(student.worker, said)
            seen[alteration] = [(learner, why) for _, learner, why in found.amiss]
            await tx.widen([EVERY_TENANT])
            await tx.connection.exec_driver_sql("TRUNCATE decisions")
            await tx.connection.exec_driver_sql("INSERT INTO decisions SELECT * FROM kept")
    inside = "an entry was altered, moved or taken out"
    assert list(seen.values()) == [
        [(ADA, inside)],
        [(ADA, inside)],
        [(ADA, "1 of the newest of 3 entries are gone")],
        [("", "it is gone")],
        [("", "it is gone"), (ADA, "it is gone")],
    ]


async def test_s28_another_entry_in_the_place_of_the_newest_is_seen(student: Service) -> None:
    """Even by whoever can make the service seal it: it was another that was said."""
    await decide(student, MOVE)
    (event,) = await student.said("decisions.sealed.v1")
    said = {("north", ADA): DecisionsSealed.model_validate(event.data)}
    async with _owner(student) as tx:
        await tx.connection.exec_driver_sql("DELETE FROM decisions")
        await tx.commit()
    await decide(student, MOVE)
    (amiss,) = (await verifying.verify(student.worker, said)).amiss
    assert amiss == ("north", ADA, "entry 1 is not the one that was made")


async def test_s28_the_service_itself_cannot_alter_a_decision(student: Service) -> None:
    await decide(student, MOVE)
    for statement in ("UPDATE decisions SET by = 'x'", "DELETE FROM decisions"):
        with pytest.raises(Exception, match="permission denied"):
            await student.sql(statement)


async def test_s29_why_is_sealed_and_unreadable_once_the_learner_is_erased(student: Service, log: Log) -> None:
    await decide(student, MOVE)
    (row,) = await student.sql("SELECT decisions::text AS raw FROM decisions")
    assert "Lovelace" not in row["raw"]
    assert b"Lovelace".hex() not in row["raw"]
    assert (await listed(student))["decisions"][0]["reason"] == "Ada Lovelace asked"
    await student.hear(*log.erased(ADA, NOW))
    record = await listed(student)
    assert (record["intact"], record["decisions"][0]["reason"]) == (True, None)
    assert (await student.post(f"/v1/learners/{ADA}/decisions", MOVE)).status_code == 404


async def test_a_review_is_settled_by_a_registrar_who_says_why(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml", onLoss="review"))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    await campus.hear(*log.status("revoked", ADA, "ml", JULY))
    (award,) = (await campus.get("/v1/reviews")).json()["reviews"]
    answer = await campus.post(f"/v1/reviews/{award['id']}", {"action": "suspend", "reason": "no doubt about it"})
    assert (answer.status_code, answer.json()["state"]) == (200, "suspended")
    assert (await campus.get("/v1/reviews")).json() == {"reviews": []}
    assert [event.data["action"] for event in await campus.said("qualification.lapsed.v1")] == ["review", "suspend"]
    assert [made["says"] for made in (await listed(campus))["decisions"]] == [
        {"award": award["id"], "action": "suspend"}
    ]
    again = await campus.post(f"/v1/reviews/{award['id']}", {"action": "revoke", "reason": "twice"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    # It can still come back by itself.
    await campus.hear(*log.issued(ADA, "ml", at=MARCH, id="urn:uuid:retaken"))
    assert await states(campus) == ["active"]
