"""The rules as people read them, and what a credential counts for."""

from typing import Any
from urllib.parse import quote

import pytest

from .conftest import Service
from .world import AWAY, HOME, NOW, Log, achievement, framework

ADA = "lrn_ada"
NASTY = "<script>alert(1)</script>"


async def stackability(service: Service, name: str, tenant: str = HOME) -> dict[str, Any]:
    answer = await service.get(f"/v1/achievements/{quote(name, safe='')}/stackability", tenant)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_a_course_counts_for(campus: Service) -> None:
    electives = {
        "id": "electives",
        "credits": {"min": "10"},
        "from": {"tag": ["data"], "earned": {"withinMonths": 60}},
    }
    rules = framework("ml")
    rules["requirement"]["all"].append(electives)
    id_ = await campus.publish(rules)
    found = await stackability(campus, achievement("ml"))
    assert (found["name"], found["counts"]) == ("Machine Learning", True)
    assert [(each["framework"], each["leaf"], each["certain"], each["amount"]) for each in found["towards"]] == [
        (id_, "ml", True, "1"),
        (id_, "electives", False, "5"),
    ]
    assert found["towards"][0]["award"] == achievement("certificate")
    # Another institution's course too, as far as the rules take it; but not in the rules of that institution.
    assert [each["leaf"] for each in (await stackability(campus, achievement("stats", AWAY)))["towards"]] == [
        "electives"
    ]
    assert not (await stackability(campus, achievement("ml"), AWAY))["counts"]
    answer = await campus.get(f"/v1/achievements/{achievement('nothing')}/stackability")
    assert answer.status_code == 404


async def test_what_an_award_counts_for_and_by_a_table(campus: Service) -> None:
    await campus.publish(framework("stats"))
    master = framework("thesis", qualification="https://north.example/q/master", title="Master")
    master["award"] = {"achievement": achievement("master")}
    master["requirement"]["all"].append({"id": "certificate", "qualification": "https://north.example/q/data"})
    id_ = await campus.publish(master)
    found = await stackability(campus, achievement("certificate"))
    assert [(each["leaf"], each["text"]) for each in found["towards"]] == [
        ("certificate", "The qualification Certificate in Data")
    ]
    assert not (await stackability(campus, achievement("ml")))["counts"]
    line = {"achievement": achievement("ml"), "countsAs": achievement("stats"), "reason": "senate"}
    await campus.post("/v1/equivalences", line)
    found = await stackability(campus, achievement("ml"))
    assert [(each["leaf"], each["via"]) for each in found["towards"]] == [("stats", achievement("stats"))]
    await campus.post(f"/v1/frameworks/{id_}/retire")
    assert not (await campus.at(NOW).get(f"/v1/achievements/{achievement('thesis')}/stackability")).json()["counts"]


async def test_the_rules_read_as_a_tree_of_sentences(campus: Service, log: Log) -> None:
    id_ = await campus.publish(framework("stats", "ml"))
    await campus.hear(*log.issued(ADA, "stats"))
    shown = (await campus.get(f"/v1/frameworks/{id_}/statement")).json()
    assert shown["requirement"]["text"] == "All of these:"
    assert [(child["text"], child["met"]) for child in shown["requirement"]["children"]] == [
        ("stats", None),
        ("Machine Learning", None),
    ]
    mine = (await campus.get(f"/v1/frameworks/{id_}/statement", params={"learner": ADA})).json()
    assert [child["met"] for child in mine["requirement"]["children"]] == [True, False]
    assert mine["sentence"] == "Certificate in Data: not complete. You still need: Machine Learning."
    nesting = framework(qualification="https://north.example/q/master", title="Master")
    nesting["requirement"]["all"] = [{"id": "part", "qualification": "https://north.example/q/data"}]
    nesting["award"] = {"achievement": achievement("master")}
    master = await campus.publish(nesting)
    mine = (await campus.get(f"/v1/frameworks/{master}/statement", params={"learner": ADA})).json()
    assert mine["sentence"] == "Master: not complete. You still need: the qualification Certificate in Data."
    await campus.hear(*log.issued(ADA, "ml"), *log.status("revoked", ADA, "ml", NOW))
    (audit,) = [each for each in await campus.audits(ADA) if each["title"] == "Certificate in Data"]
    assert audit["sentence"].endswith("You still need: Machine Learning. Machine Learning was revoked on 2026-11-01.")
    assert [entry["detail"] for entry in audit["unused"]] == ["Machine Learning was revoked on 2026-11-01."]
    headers = {**campus.auth(HOME), "Accept": "text/plain"}
    text = (await campus.http.get(f"/v1/frameworks/{id_}/statement", headers=headers)).text
    assert text.startswith("Certificate in Data (2026)\n\n- All of these:\n  - stats\n  - Machine Learning\n")


async def test_the_page_calls_missing_only_what_is_asked_for(campus: Service, log: Log) -> None:
    rules = framework("stats", "ml")
    rules["requirement"] = {"id": "root", "any": rules["requirement"]["all"]}
    id_ = await campus.publish(rules)
    await campus.hear(*log.issued(ADA, "stats"))
    headers = {**campus.auth(HOME), "Accept": "text/html"}
    path = f"/v1/frameworks/{id_}/statement"
    page = (await campus.http.get(path, params={"learner": ADA}, headers=headers)).text
    assert (page.count(">Done<"), page.count(">Missing<")) == (2, 0)
    assert ">Done<" not in (await campus.http.get(path, headers=headers)).text


async def test_s19_the_page_runs_nothing_and_shows_markup_as_text(campus: Service, log: Log) -> None:
    await campus.hear(*log.published("nasty", name=NASTY))
    id_ = (await campus.post("/v1/frameworks", framework("nasty", title=NASTY, version=NASTY))).json()["id"]
    headers = {**campus.auth(HOME), "Accept": "text/html"}
    answer = await campus.http.get(f"/v1/frameworks/{id_}/statement", headers=headers)
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script" not in answer.text
    assert answer.text.count("&lt;script&gt;") >= 3
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("scopes", [("frameworks:read",)])
async def test_a_learners_progress_asks_for_its_own_scope(campus: Service, log: Log, scopes: tuple[str, ...]) -> None:
    id_ = await campus.publish(framework("stats"))
    await campus.hear(*log.issued(ADA, "stats"))
    path = f"/v1/frameworks/{id_}/statement"
    headers = campus.auth(HOME, *scopes)
    assert (await campus.http.get(path, headers=headers)).status_code == 200
    assert (await campus.http.get(path, params={"learner": ADA}, headers=headers)).status_code == 403
