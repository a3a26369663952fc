"""Awards whose credential never came: listed for their institution, and repaired by one call."""

from cairn.common.events import fact_of
from cairn.common.events.models import QualificationCompleted

from .conftest import Service
from .world import AWAY, HOME, NOW, Log, credential, framework


async def stuck(service: Service, tenant: str = HOME) -> list[str]:
    answer = await service.get("/v1/stuck-awards?seconds=0", tenant)
    assert answer.status_code == 200, answer.text
    return [award["id"] for award in answer.json()["awards"]]


async def test_an_award_without_its_credential_is_listed_and_said_again(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats"))
    await campus.hear(*log.issued("lrn_ada", "stats"))
    [award] = await campus.awards("lrn_ada")
    [first] = await campus.said("qualification.completed.v1")
    assert await stuck(campus) == [award["id"]]
    assert await stuck(campus, AWAY) == [], "it is nobody else's"
    assert (await campus.get("/v1/stuck-awards?seconds=1000000000")).json()["awards"] == []
    assert (await campus.post(f"/v1/stuck-awards/{award['id']}/repair", tenant=AWAY)).status_code == 404
    answer = await campus.post(f"/v1/stuck-awards/{award['id']}/repair")
    assert (answer.status_code, answer.json()["id"]) == (202, award["id"])
    _, again = await campus.said("qualification.completed.v1")
    assert again.id != first.id, "the inbox would pass over the same one"
    facts = [fact_of(each) for each in (first, again)]
    assert all(isinstance(fact, QualificationCompleted) for fact in facts)
    assert facts[0].model_copy(update={"at": NOW}) == facts[1].model_copy(update={"at": NOW})  # type: ignore[union-attr]
    # Its credential comes: there is nothing left to repair.
    await campus.hear(*log.issued("lrn_ada", "certificate", id=credential("lrn_ada", "certificate"), award=award["id"]))
    assert await stuck(campus) == []
    answer = await campus.post(f"/v1/stuck-awards/{award['id']}/repair")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_what_was_recognised_without_a_credential_is_said_as_a_decision_again(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued("lrn_ada", "stats"))
    decision = {
        "kind": "rpl",
        "qualification": "https://north.example/q/data",
        "target": "ml",
        "credits": {"value": "5", "unit": "ECTS"},
        "evidence": ["a portfolio"],
        "reason": "Ten years in the trade.",
    }
    answer = await campus.post("/v1/learners/lrn_ada/decisions", decision)
    assert answer.status_code == 201, answer.text
    [award] = await campus.awards("lrn_ada")
    assert (await campus.post(f"/v1/stuck-awards/{award['id']}/repair")).status_code == 202
    first, again = [fact_of(each) for each in await campus.said("qualification.completed.v1")]
    assert first.model_copy(update={"at": NOW}) == again.model_copy(update={"at": NOW})
    assert again.decisions  # type: ignore[union-attr]


async def test_an_award_that_lapsed_is_not_stuck(campus: Service, log: Log) -> None:
    await campus.publish(framework("stats"))
    await campus.hear(*log.issued("lrn_ada", "stats"))
    [award] = await campus.awards("lrn_ada")
    await campus.hear(*log.status("revoked", "lrn_ada", "stats", NOW))
    assert await stuck(campus) == []
    answer = await campus.post(f"/v1/stuck-awards/{award['id']}/repair")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
