"""Frameworks and stateless audits over HTTP."""

import copy
from typing import Any

import pytest

from cairn.common.events.models import FrameworkActivated, fact_of

from .conftest import Service
from .world import AWAY, HOME, Log, achievement, framework


async def findings(service: Service, rules: dict[str, Any]) -> list[tuple[str, str]]:
    answer = await service.post("/v1/frameworks/lint", rules)
    assert answer.status_code == 200, answer.text
    return [(finding["code"], finding["field"]) for finding in answer.json()["findings"]]


async def test_a_draft_is_kept_changed_and_published(campus: Service) -> None:
    answer = await campus.post("/v1/frameworks", framework("stats"))
    drafted = answer.json()
    assert (answer.status_code, drafted["state"], drafted["findings"]) == (201, "draft", [])
    assert answer.headers["Location"] == f"/v1/frameworks/{drafted['id']}"
    changed = (await campus.post("/v1/frameworks", framework("stats", "ml"))).json()
    assert changed["id"] == drafted["id"]
    assert changed["digest"] != drafted["digest"]
    answer = await campus.post(f"/v1/frameworks/{drafted['id']}/publish")
    assert (answer.status_code, answer.json()["state"]) == (200, "active")
    again = await campus.post(f"/v1/frameworks/{drafted['id']}/publish")
    assert (again.status_code, again.json()["activatedAt"]) == (200, answer.json()["activatedAt"])
    (event,) = await campus.said("framework.activated.v1")
    fact = fact_of(event)
    assert isinstance(fact, FrameworkActivated)
    assert (event.tenant, event.key, fact.framework) == (HOME, drafted["id"], drafted["id"])
    assert (fact.achievement, fact.digest) == (achievement("certificate"), changed["digest"])
    listed = (await campus.get("/v1/frameworks")).json()["frameworks"]
    assert [each["id"] for each in listed] == [drafted["id"]]


async def test_what_is_published_does_not_change(campus: Service) -> None:
    id_ = await campus.publish(framework("stats"))
    same = await campus.post("/v1/frameworks", framework("stats"))
    assert (same.status_code, same.json()["id"], same.json()["state"]) == (200, id_, "active")
    other = await campus.post("/v1/frameworks", framework("stats", "ml"))
    assert (other.status_code, other.json()["code"]) == (409, "framework-published")
    assert other.json()["errors"][0]["field"] == "/version"
    assert (await campus.get(f"/v1/frameworks/{id_}")).json()["framework"] == framework("stats")


async def test_a_malformed_framework_is_refused_with_the_path(campus: Service) -> None:
    rules = framework("stats")
    rules["requirement"]["all"][0]["count"] = {"min": "1"}
    rules["colour"] = "blue"
    answer = await campus.post("/v1/frameworks", rules)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    fields = {error["field"] for error in answer.json()["errors"]}
    assert fields == {"/colour", "/requirement/all/0/count/min"}
    assert ("unknown-key", "/colour") in await findings(campus, rules)
    assert (await campus.http.post("/v1/frameworks", json=[], headers=campus.auth(HOME))).status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"award": None}, "/award"),
        ({"award": {"achievement": achievement("stats", AWAY)}}, "/award/achievement"),
        ({"award": {"achievement": achievement("nothing")}}, "/award/achievement"),
        ({"requirement": {"id": "root", "all": []}}, "/requirement/all"),
    ],
)
async def test_what_makes_no_sense_here_is_not_published(campus: Service, change: dict[str, Any], field: str) -> None:
    drafted = await campus.post("/v1/frameworks", framework("stats", **change))
    assert drafted.status_code == 201
    assert field in {finding["field"] for finding in drafted.json()["findings"]}
    answer = await campus.post(f"/v1/frameworks/{drafted.json()['id']}/publish")
    assert (answer.status_code, answer.json()["code"]) == (400, "framework-refused")
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert await campus.said("framework.activated.v1") == []


async def test_a_leaf_that_nothing_on_offer_fills_is_found(campus: Service, log: Log) -> None:
    rules = framework("stats", "astrology")
    found = await findings(campus, rules)
    assert found
    assert all(field.startswith("/requirement/all/1/from") for _, field in found)
    # Not even the award itself fills a leaf of its own.
    assert await findings(campus, framework("certificate"))
    await campus.hear(*log.published("astrology"))
    assert await findings(campus, rules) == []


async def test_qualifications_that_nest_each_other_are_refused(campus: Service) -> None:
    await campus.publish(framework("stats"))
    master = framework(qualification="https://north.example/q/master", award={"achievement": achievement("master")})
    master["requirement"]["all"] = [{"id": "certificate", "qualification": "https://north.example/q/data"}]
    await campus.publish(master)
    circle = framework(version="2027")
    circle["requirement"]["all"] = [{"id": "master", "qualification": "https://north.example/q/master"}]
    assert len(await findings(campus, circle)) == 1
    unknown = copy.deepcopy(circle)
    unknown["requirement"]["all"][0]["qualification"] = "https://nowhere.example/q"
    assert len(await findings(campus, unknown)) == 1


HOLDING = {
    "id": "h1",
    "achievement": achievement("stats"),
    "issuer": "did:web:north.example",
    "earned": "2026-03-01T00:00:00Z",
    "status": [{"at": "2026-03-01T00:00:00Z", "state": "valid"}],
}


async def test_a_stateless_audit_has_the_shape_of_the_contract_and_keeps_nothing(service: Service) -> None:
    request = {"framework": framework("stats", "ml"), "asOf": "2026-11-01T00:00:00Z", "holdings": [HOLDING]}
    answer = await service.http.post("/v1/audits", json=request)  # without a token, where the site opens it
    assert answer.status_code == 200, answer.text
    audit = answer.json()
    assert set(audit) == {
        "status",
        "earnedAt",
        "framework",
        "version",
        "asOf",
        "allocation",
        "nodes",
        "limits",
        "unused",
        "remaining",
        "digest",
    }
    assert (audit["status"], audit["earnedAt"], audit["asOf"]) == ("incomplete", None, "2026-11-01T00:00:00Z")
    assert audit["allocation"] == {"stats": ["h1"]}
    assert {"id": "stats", "met": True, "allocated": ["h1"], "needs": None} in audit["nodes"]
    assert await service.sql("SELECT id FROM learners") == []


async def test_a_stateless_audit_of_a_published_framework(campus: Service) -> None:
    rules = framework("stats")
    await campus.publish(rules)
    named = {"qualification": rules["qualification"], "version": rules["version"]}
    request = {"framework": named, "asOf": "2026-11-01T00:00:00Z", "holdings": [HOLDING]}
    answer = await campus.post("/v1/audits", request)
    assert answer.json() == (await campus.post("/v1/audits", {**request, "framework": rules})).json()
    assert answer.json()["status"] == "complete"
    for tenant, reference in ((AWAY, named), (HOME, {**named, "version": "1999"})):
        answer = await campus.post("/v1/audits", {**request, "framework": reference}, tenant)
        assert (answer.status_code, answer.json()["code"]) == (400, "framework-unknown")
        assert answer.json()["errors"][0]["field"] == "/framework"


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"holdings": [{**HOLDING, "earned": "soon"}]}, 422, "malformed", "/holdings/0/earned"),
        ({"colour": "blue"}, 422, "malformed", "/colour"),
        ({"framework": {}}, 422, "malformed", "/framework/qualification"),
        (
            {"framework": framework("stats", requirement={"id": "root", "any": []})},
            400,
            "audit-refused",
            "/framework/requirement/any",
        ),
        ({"decisions": [{"id": "d1"}]}, 422, "malformed", "/decisions/0/kind"),
        ({"decisions": [{"id": "d1", "kind": "waiver", "target": "z"}]}, 400, "audit-refused", "/decisions/0/target"),
        ({"decisions": [{"id": "h1", "kind": "rpl", "target": "stats"}]}, 400, "audit-refused", "/decisions"),
        ({"holdings": [HOLDING, {**HOLDING, "mode": "online"}]}, 400, "audit-refused", "/holdings/1"),
    ],
)
async def test_a_stateless_audit_is_refused_with_the_path(
    service: Service, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    request = {"framework": framework("stats"), "holdings": [HOLDING], **change}
    answer = await service.http.post("/v1/audits", json=request)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in {error["field"] for error in answer.json()["errors"]}
