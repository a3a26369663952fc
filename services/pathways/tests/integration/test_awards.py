"""A stack becomes a qualification, loses it, and gets it back."""

from datetime import UTC, datetime

import pytest

from cairn.common.consumer import Poison
from cairn.common.events.models import QualificationCompleted, QualificationLapsed, QualificationProgressed, fact_of

from .conftest import Service
from .world import AWAY, HOME, MARCH, Log, achievement, credential, framework

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)
ADA = "lrn_ada"
QUALIFICATION = "https://north.example/q/data"


async def types(service: Service) -> list[str]:
    return [event.type for event in await service.said() if event.type != "framework.activated.v1"]


async def test_a_stack_completes_a_qualification_which_is_said_once(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    first, last = log.issued(ADA, "stats"), log.issued(ADA, "ml", at=JUNE)
    await campus.hear(*first)
    await campus.hear(*last)
    await campus.hear(*first, *last)  # the bus delivers at least once
    assert await types(campus) == ["qualification.progressed.v1", "qualification.completed.v1"]
    progressed, completed = (await campus.said())[-2:]
    half = fact_of(progressed)
    assert isinstance(half, QualificationProgressed)
    assert (half.status, str(half.progress)) == ("incomplete", "0.5")
    fact = fact_of(completed)
    assert isinstance(fact, QualificationCompleted)
    assert (completed.tenant, completed.key, fact.learner) == (HOME, ADA, ADA)
    assert fact.achievement == achievement("certificate")
    assert set(fact.components) == {credential(ADA, "stats"), credential(ADA, "ml")}
    assert fact.earned_at == JUNE  # when it became true, not when it was heard of
    (award,) = await campus.awards(ADA)
    assert (award["id"], award["state"], award["digest"]) == (fact.award, "active", fact.digest)


async def test_a_batch_of_everything_says_the_same_as_one_event_after_the_other(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"), *log.issued("lrn_bo", "stats"))
    assert sorted(await types(campus)) == ["qualification.completed.v1", "qualification.progressed.v1"]


async def test_who_lacks_one_course_is_told_so(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"))
    (audit,) = await campus.audits(ADA)
    assert audit["status"] == "incomplete"
    assert [node["id"] for node in audit["nodes"] if not node["met"]] == ["root", "ml"]
    assert "validUntil" not in audit, "only an award that lives with its parts has one"
    assert audit["sentence"] == "Certificate in Data: not complete. You still need: Machine Learning."
    assert await campus.awards(ADA) == []


@pytest.mark.parametrize(
    ("policy", "change", "action", "state"),
    [
        ("revoke", "revoked", "revoke", "revoked"),
        ("revoke", "suspended", "suspend", "suspended"),
        ("suspend", "revoked", "suspend", "suspended"),
        ("review", "revoked", "review", "review"),
    ],
)
async def test_a_lost_component_lapses_the_award_as_the_policy_says(
    campus: Service, log: Log, policy: str, change: str, action: str, state: str
) -> None:
    await campus.publish(framework("stats", "ml", onLoss=policy))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    await campus.hear(*log.status(change, ADA, "ml", JULY))
    assert await types(campus) == [
        "qualification.completed.v1",
        "qualification.progressed.v1",
        "qualification.lapsed.v1",
    ]
    fact = fact_of((await campus.said())[-1])
    assert isinstance(fact, QualificationLapsed)
    (award,) = await campus.awards(ADA)
    assert (fact.award, fact.action, award["state"]) == (award["id"], action, state)
    reviews = (await campus.get("/v1/reviews")).json()["reviews"]
    assert [review["id"] for review in reviews] == ([award["id"]] if state == "review" else [])


async def test_reinstatement_restores_a_suspended_award(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    await campus.hear(*log.status("suspended", ADA, "ml", JUNE))
    await campus.hear(*log.status("reinstated", ADA, "ml", JULY))
    assert (await types(campus))[-1] == "qualification.restored.v1"
    (award,) = await campus.awards(ADA)
    assert (award["state"], award["ordinal"]) == ("active", 1)


async def test_leaving_review_is_said_too(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml", onLoss="review"))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    await campus.hear(*log.status("suspended", ADA, "ml", JUNE))
    await campus.hear(*log.status("reinstated", ADA, "ml", JULY))
    assert (await types(campus))[-1] == "qualification.restored.v1"
    assert (await campus.get("/v1/reviews")).json() == {"reviews": []}


async def test_after_a_revocation_it_is_awarded_anew_and_linked_to_the_old(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    await campus.hear(*log.status("revoked", ADA, "ml", JUNE))
    await campus.hear(*log.issued(ADA, "ml", at=JULY, id="urn:uuid:retaken"))
    old, new = await campus.awards(ADA)
    assert (old["state"], new["state"], new["ordinal"], new["replaces"]) == ("revoked", "active", 2, old["id"])


async def test_another_credential_takes_the_place_of_a_lost_one_without_a_word(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    await campus.hear(*log.issued(ADA, "ml", at=JUNE, id="urn:uuid:retaken"))
    await campus.hear(*log.status("revoked", ADA, "ml", JULY))
    assert await types(campus) == ["qualification.completed.v1"]
    (award,) = await campus.awards(ADA)
    assert "urn:uuid:retaken" in award["components"]
    assert award["state"] == "active"


async def test_a_revocation_may_come_before_the_credential(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    issued = log.issued(ADA, "stats") + log.issued(ADA, "ml")
    await campus.hear(*log.status("revoked", ADA, "ml", JUNE))
    await campus.hear(*issued)
    (audit,) = await campus.audits(ADA)
    assert audit["status"] == "incomplete"
    assert [(entry["holding"], entry["reason"]) for entry in audit["unused"]] == [(credential(ADA, "ml"), "revoked")]
    assert await campus.awards(ADA) == []


async def test_nobody_can_change_the_status_of_another_tenants_credential(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats"))
    await campus.hear(*log.issued(ADA, "stats"))
    mallory = log.status("revoked", "lrn_mallory", credential(ADA, "stats"), JUNE, tenant=AWAY)
    await campus.hear(*mallory)
    (award,) = await campus.awards(ADA)
    assert award["state"] == "active"


async def test_nobody_can_speak_about_another_tenants_learner(campus: Service, log: Log) -> None:
    await campus.hear(*log.issued(ADA, "stats"))
    (forged,) = log.issued(ADA, "ml", tenant=AWAY)
    with pytest.raises(Poison) as refused:
        await campus.hear(forged)
    assert refused.value.event == forged
    answer = await campus.get(f"/v1/learners/{ADA}/holdings")
    assert [holding["id"] for holding in answer.json()["holdings"]] == [credential(ADA, "stats")]


async def test_nor_in_the_batch_in_which_the_learner_is_first_heard_of(campus: Service, log: Log) -> None:
    good, forged = log.issued(ADA, "stats") + log.issued(ADA, "ml", tenant=AWAY)
    with pytest.raises(Poison) as refused:
        await campus.hear(good, forged)
    assert refused.value.event == forged


async def test_a_holding_that_makes_no_sense_is_a_dead_letter(campus: Service, log: Log) -> None:
    (event,) = log.issued(ADA, "stats", grade={"score": "7"})
    with pytest.raises(Poison, match="bad-grade at /grade/score"):
        await campus.hear(event)


async def test_a_qualification_stacks_further(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats"))
    master = framework("thesis", qualification="https://north.example/q/master", title="Master")
    master["award"] = {"achievement": achievement("master")}
    master["requirement"]["all"].append({"id": "certificate", "qualification": QUALIFICATION})
    await campus.publish(master)
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "thesis"))
    (award,) = await campus.awards(ADA)
    await campus.hear(
        *log.issued(ADA, "certificate", at=JUNE, award=award["id"], components=[credential(ADA, "stats")])
    )
    certificate, degree = sorted(await campus.awards(ADA), key=lambda award: award["qualification"])
    assert (certificate["qualification"], certificate["state"]) == (QUALIFICATION, "active")
    assert degree["state"] == "active"
    assert credential(ADA, "certificate") in degree["components"]
    # And the loss of a course travels the same way: issuance revokes the certificate, which un-stacks the degree.
    await campus.hear(*log.status("revoked", ADA, "stats", JULY))
    await campus.hear(*log.status("revoked", ADA, "certificate", JULY))
    assert {award["state"] for award in await campus.awards(ADA)} == {"revoked"}


async def test_an_award_does_not_hold_itself_up(campus: Service, log: Log) -> None:
    """The certificate carries the tag for which it is awarded, and would be a single credential in place of two."""
    rules = framework(requirement={"id": "root", "credits": {"min": "10"}, "from": {"tag": ["data"]}})
    await campus.publish(rules)
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    (award,) = await campus.awards(ADA)
    credits_ = {"value": "10", "unit": "ECTS"}
    await campus.hear(*log.issued(ADA, "certificate", at=JUNE, award=award["id"], credits=credits_))
    (award,) = await campus.awards(ADA)
    assert set(award["components"]) == {credential(ADA, "stats"), credential(ADA, "ml")}
    await campus.hear(*log.status("revoked", ADA, "ml", JULY))
    assert [award["state"] for award in await campus.awards(ADA)] == ["revoked"]
    (audit,) = await campus.audits(ADA)
    assert audit["status"] == "incomplete"


async def test_the_best_version_of_a_qualification_decides(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml", version="2025"))
    await campus.publish(framework("stats", "thesis", version="2026"))
    await campus.hear(*log.issued(ADA, "stats"), *log.issued(ADA, "ml"))
    (award,) = await campus.awards(ADA)
    assert (award["version"], award["state"]) == ("2025", "active")
    assert {audit["version"]: audit["status"] for audit in await campus.audits(ADA)} == {
        "2025": "complete",
        "2026": "incomplete",
    }


async def test_progress_is_said_only_when_there_is_some(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"))
    await campus.hear(*log.issued(ADA, "stats", id="urn:uuid:again", at=JUNE))  # a retake changes nothing
    await campus.hear(*log.issued(ADA, "thesis"))  # nor does what the framework does not ask for
    assert await types(campus) == ["qualification.progressed.v1"]


async def test_an_erased_learner_is_audited_no_more(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"))
    await campus.hear(*log.erased(ADA, JUNE), *log.issued(ADA, "ml"))
    assert (await campus.get(f"/v1/learners/{ADA}/audits")).status_code == 404
    assert await types(campus) == ["qualification.progressed.v1"]
    assert await campus.sql("SELECT * FROM audits") == []


async def test_as_of_is_any_instant(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats"))
    await campus.hear(*log.issued(ADA, "stats", at=MARCH), *log.status("revoked", ADA, "stats", JULY))
    for as_of, status in (("2026-06-30T00:00:00Z", "complete"), ("2026-07-01T00:00:00Z", "incomplete")):
        answer = await campus.get(f"/v1/learners/{ADA}/audits", params={"asOf": as_of})
        assert [(audit["status"], audit["asOf"]) for audit in answer.json()["audits"]] == [(status, as_of)]
    answer = await campus.get(f"/v1/learners/{ADA}/audits", params={"asOf": "yesterday"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "/query/asOf")
