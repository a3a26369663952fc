"""The life of a framework: an impact report, a second person, successors, and the end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cairn.common.auth import SCOPES, mint
from cairn.pathways.use_cases import impact, publishing

from .conftest import Service
from .world import MARCH, NOW, Log, achievement, framework

ADA = "lrn_ada"
LEARNERS = [f"lrn_{number:02}" for number in range(7)]


@pytest.fixture
async def students(campus: Service, log: Log) -> Service:
    """Seven learners, of whom the even ones have both courses."""
    for number, who in enumerate(LEARNERS):
        await campus.hear(*log.issued(who, "stats"), *([] if number % 2 else log.issued(who, "ml")))
    return campus


@pytest.fixture
def colleague(signing_key: Any) -> dict[str, str]:
    """The headers of somebody else at the same institution."""
    scopes = [scope for scope in SCOPES if scope != "platform:admin"]
    return {"Authorization": f"Bearer {mint(signing_key, 'colleague', 'north', scopes)}"}


@pytest.fixture
def strict(students: Service) -> Service:
    """Where two awards at once need a second person."""
    settings = students.deps.settings.model_copy(update={"approval_threshold": 2})
    transport: Any = students.http._transport
    transport.app.state.deps = replace(students.deps, settings=settings)
    return students


def _set_clock(service: Service, now: datetime) -> Service:
    """The service at another time, its app too."""
    later, app = service.at(now), service.http._transport.app  # pyright: ignore[reportAttributeAccessIssue]
    app.state.deps = replace(later.deps, settings=app.state.deps.settings)
    return later


async def drafted(service: Service, rules: dict[str, Any]) -> str:
    return (await service.post("/v1/frameworks", rules)).json()["id"]


async def report(service: Service, id_: str) -> dict[str, Any]:
    answer = await service.post(f"/v1/frameworks/{id_}/impact")
    assert (answer.status_code, answer.json()["state"]) == (202, "working"), answer.text
    steps = 0
    while await impact.step(service.worker):
        steps += 1
    assert steps >= 4, "windows of two"
    return (await service.get(f"/v1/frameworks/{id_}/impact")).json()


async def test_a_dry_run_says_who_gains_loses_and_stands_and_changes_nothing(students: Service) -> None:
    await students.publish(framework("stats", "ml", version="2025", effective={"to": "2026-06-01"}))
    await students.backfill()
    state, said = await students.state(), len(await students.said())
    id_ = await drafted(students, framework("stats", version="2026", effective={"from": "2026-06-01"}))
    found = await report(students, id_)
    assert {key: found[key] for key in ("state", "current", "learners", "lookedAt", "audited")} == {
        "state": "done",
        "current": True,
        "learners": 7,
        "lookedAt": 7,
        "audited": 7,
    }
    # Those with one course would gain by the draft alone; but they are under the version of their first component.
    assert (found["gain"], found["lose"], found["stand"], found["newAwards"]) == (3, 0, 4, 0)
    assert (await students.state(), len(await students.said())) == (state, said)
    learners = (await students.get(f"/v1/frameworks/{id_}/impact/learners")).json()["learners"]
    assert learners == [{"learner": who, "awarded": False} for who in LEARNERS[1::2]]
    stricter = await drafted(students, framework("stats", "thesis", version="2027", effective={"from": "2026-06-01"}))
    found = await report(students, stricter)
    assert (found["gain"], found["lose"], found["stand"]) == (0, 4, 0)
    answer = await students.get(f"/v1/frameworks/{stricter}/impact/learners", params={"outcome": "lose", "limit": 2})
    assert [each["learner"] for each in answer.json()["learners"]] == ["lrn_00", "lrn_02"]


async def test_a_report_is_out_of_date_once_the_draft_has_changed(students: Service) -> None:
    id_ = await drafted(students, framework("stats", "ml"))
    assert (await report(students, id_))["newAwards"] == 4
    await drafted(students, framework("stats"))
    assert not (await students.get(f"/v1/frameworks/{id_}/impact")).json()["current"]
    assert (await report(students, id_))["newAwards"] == 7


async def test_r1_a_report_that_is_cut_off_goes_on_where_it_was(
    students: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await drafted(students, framework("stats", "ml"))
    await students.post(f"/v1/frameworks/{id_}/impact")
    await impact.step(students.worker)

    async def killed(*_: Any, **__: Any) -> None:
        raise ConnectionError("kill -9")

    with monkeypatch.context() as cut:
        cut.setattr(impact.impacts, "advance", killed)
        with pytest.raises(ConnectionError):
            await impact.step(students.worker)
    # Asked for again, it goes on.
    await students.post(f"/v1/frameworks/{id_}/impact")
    assert (await students.get(f"/v1/frameworks/{id_}/impact")).json()["lookedAt"] == 2
    while await impact.step(students.worker):
        pass
    found = (await students.get(f"/v1/frameworks/{id_}/impact")).json()
    assert (found["lookedAt"], found["gain"]) == (7, 4)


async def test_what_could_award_many_needs_a_report_and_a_second_person(
    strict: Service, colleague: dict[str, str]
) -> None:
    id_ = await drafted(strict, framework("stats", "ml"))
    answer = await strict.post(f"/v1/frameworks/{id_}/publish")
    assert (answer.status_code, answer.json()["code"]) == (409, "impact-needed")
    await report(strict, id_)
    answer = await strict.post(f"/v1/frameworks/{id_}/publish")
    assert (answer.status_code, answer.json()["state"]) == (202, "proposed")
    assert await strict.said("framework.activated.v1") == []
    answer = await strict.post(f"/v1/frameworks/{id_}/approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "approval-refused")
    # A draft that is changed in between is not what was proposed.
    await drafted(strict, framework("stats", "ml", title="Something else"))
    answer = await strict.http.post(f"/v1/frameworks/{id_}/approve", headers=colleague)
    assert (answer.status_code, answer.json()["code"]) == (409, "approval-refused")
    await report(strict, id_)
    await strict.post(f"/v1/frameworks/{id_}/publish")
    answer = await strict.http.post(f"/v1/frameworks/{id_}/approve", headers=colleague)
    assert (answer.status_code, answer.json()["state"]) == (200, "active")
    assert len(await strict.said("framework.activated.v1")) == 1


async def test_a_report_is_believed_for_a_day(strict: Service, colleague: dict[str, str]) -> None:
    id_ = await drafted(strict, framework("stats", "ml"))
    await report(strict, id_)
    assert (await strict.post(f"/v1/frameworks/{id_}/publish")).json()["state"] == "proposed"
    for hours, current in ((23, True), (25, False)):
        later = _set_clock(strict, NOW + timedelta(hours=hours))
        assert (await later.get(f"/v1/frameworks/{id_}/impact")).json()["current"] is current
    # What was proposed while it was fresh does not outlive it either.
    for path, headers in (("publish", later.auth("north")), ("approve", colleague)):
        answer = await later.http.post(f"/v1/frameworks/{id_}/{path}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "impact-needed")
        assert answer.json()["detail"] == "The report is older than 24 hours."
    await report(later, id_)
    assert (await later.post(f"/v1/frameworks/{id_}/publish")).json()["state"] == "proposed"
    answer = await later.http.post(f"/v1/frameworks/{id_}/approve", headers=colleague)
    assert (answer.status_code, answer.json()["state"]) == (200, "active")


async def test_a_report_is_stale_once_many_came_whom_it_has_not_seen(strict: Service, log: Log) -> None:
    id_ = await drafted(strict, framework("stats", "ml"))
    await report(strict, id_)
    for number, code in enumerate((202, 202, 409)):
        await strict.hear(*log.issued(f"lrn_new_{number}", "stats"))
        answer = await strict.post(f"/v1/frameworks/{id_}/publish")
        assert answer.status_code == code, "as many as one person may award at once"
    assert answer.json()["code"] == "impact-needed"
    assert not (await strict.get(f"/v1/frameworks/{id_}/impact")).json()["current"]


async def test_a_report_is_stale_once_what_the_draft_nests_has_changed(strict: Service) -> None:
    nested = await strict.publish(framework("thesis", qualification="https://north.example/q/mini"))
    rules = framework("stats", "ml", award={"achievement": achievement("master")})
    rules["requirement"]["all"].append({"id": "mini", "qualification": "https://north.example/q/mini"})
    id_ = await drafted(strict, rules)
    await report(strict, id_)
    assert (await strict.get(f"/v1/frameworks/{id_}/impact")).json()["current"]
    assert (await strict.post(f"/v1/frameworks/{nested}/retire")).status_code == 200
    assert not (await strict.get(f"/v1/frameworks/{id_}/impact")).json()["current"]
    answer = await strict.post(f"/v1/frameworks/{id_}/publish")
    assert "on which it depends" in answer.json()["detail"]


async def test_a_draft_that_is_changed_while_it_is_counted_is_not_proposed(
    strict: Service, colleague: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await drafted(strict, framework("stats", "ml"))
    count = publishing._new_awards

    async def overtaken(*arguments: Any) -> int:
        await drafted(strict, framework("stats"))
        return await count(*arguments)

    await report(strict, id_)
    with monkeypatch.context() as slow:
        slow.setattr(publishing, "_new_awards", overtaken)
        answer = await strict.post(f"/v1/frameworks/{id_}/publish")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    answer = await strict.http.post(f"/v1/frameworks/{id_}/approve", headers=colleague)
    assert (answer.status_code, answer.json()["code"]) == (409, "approval-refused")


async def test_what_can_only_award_few_needs_neither(strict: Service, log: Log) -> None:
    await strict.hear(*log.issued(ADA, "thesis"))
    assert await strict.publish(framework("thesis"))


async def test_a_superseded_version_takes_nobody_new_and_keeps_whom_it_has(campus: Service, log: Log) -> None:
    old = await campus.publish(framework("stats", "ml", version="2026"))
    await campus.hear(*log.issued(ADA, "stats"))
    force = NOW + timedelta(days=30)
    new = await campus.publish(framework("stats", version="2027", effective={"from": force.isoformat()}))
    answer = await campus.post(f"/v1/frameworks/{old}/supersede", {"by": new})
    assert (answer.status_code, answer.json()["state"]) == (200, "superseded")
    assert datetime.fromisoformat(answer.json()["closedAt"]) == force
    again = await campus.post(f"/v1/frameworks/{old}/supersede", {"by": new})
    assert again.json() == answer.json()
    then = campus.at(force + timedelta(days=1))
    await then.backfill()
    await then.hear(*log.issued(ADA, "stats", at=force, id="urn:uuid:again"), *log.issued("lrn_bo", "stats", at=force))
    assert await then.awards(ADA) == []
    assert {audit["version"] for audit in await then.audits(ADA)} == {"2026"}
    assert [award["version"] for award in await then.awards("lrn_bo")] == ["2027"]
    await then.hear(*log.issued(ADA, "ml", at=force))
    assert [award["version"] for award in await then.awards(ADA)] == ["2026"]


@pytest.mark.parametrize("reason", ["itself", "another qualification", "the past", "a draft"])
async def test_a_successor_must_make_sense(campus: Service, reason: str) -> None:
    old = await campus.publish(framework("stats"))
    other = framework("ml", qualification="https://north.example/q/other", award={"achievement": achievement("master")})
    body: dict[str, Any] = {"by": old}
    if reason == "another qualification":
        body = {"by": await campus.publish(other)}
    if reason == "a draft":
        body = {"by": await drafted(campus, framework("ml", version="2027"))}
    if reason == "the past":
        body = {"by": await campus.publish(framework("ml", version="2027")), "at": MARCH.isoformat()}
    answer = await campus.post(f"/v1/frameworks/{old}/supersede", body)
    expected = (409, "conflict") if reason == "the past" else (400, "framework-unknown")
    assert (answer.status_code, answer.json()["code"]) == expected


async def test_a_retired_version_awards_nobody_and_upholds_what_it_awarded(campus: Service, log: Log) -> None:
    id_ = await campus.publish(framework("stats"))
    await campus.hear(*log.issued(ADA, "stats"))
    answer = await campus.post(f"/v1/frameworks/{id_}/retire")
    assert (answer.status_code, answer.json()["state"]) == (200, "retired")
    assert (await campus.post(f"/v1/frameworks/{id_}/retire")).json() == answer.json()
    await campus.hear(*log.issued("lrn_bo", "stats"))
    assert await campus.awards("lrn_bo") == []
    assert [award["state"] for award in await campus.awards(ADA)] == ["active"]
    await campus.hear(*log.status("revoked", ADA, "stats", datetime(2026, 7, 1, tzinfo=UTC)))
    assert [award["state"] for award in await campus.awards(ADA)] == ["revoked"]
    await campus.hear(*log.issued(ADA, "stats", at=NOW, id="urn:uuid:again"))
    assert [award["state"] for award in await campus.awards(ADA)] == ["revoked"]


async def test_a_backfill_is_held_to_a_rate_can_be_paused_and_looked_through(students: Service) -> None:
    settings = students.worker.settings.model_copy(update={"backfill_awards_per_minute": 1})
    slow = replace(students, worker=replace(students.worker, settings=settings))
    id_ = await slow.publish(framework("stats", "ml"))
    assert await slow.backfill() == 2, "whom it can touch is found, and the first two are audited"
    shown = (await slow.get(f"/v1/frameworks/{id_}")).json()["backfill"]
    assert {key: shown[key] for key in ("state", "learners", "of", "audited", "awarded")} == {
        "state": "pending",
        "learners": 2,
        "of": 7,
        "audited": 2,
        "awarded": 1,
    }
    minute = slow.at(NOW + timedelta(seconds=61))
    answer = await slow.post(f"/v1/frameworks/{id_}/backfill/pause")
    assert answer.json()["backfill"]["state"] == "paused"
    assert await minute.backfill() == 0
    await slow.post(f"/v1/frameworks/{id_}/backfill/resume")
    assert await minute.backfill() == 1
    made = (await slow.get(f"/v1/frameworks/{id_}/awards")).json()["awards"]
    assert sorted(award["learner"] for award in made) == ["lrn_00", "lrn_02"]
    await students.at(NOW + timedelta(hours=1)).backfill()
    assert len((await slow.get(f"/v1/frameworks/{id_}/awards", params={"limit": 3})).json()["awards"]) == 3
