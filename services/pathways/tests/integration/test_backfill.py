"""Publishing a framework awards those who qualify already: resumable, and never twice."""

import asyncio
from datetime import timedelta

import pytest

from cairn.pathways.use_cases import backfill, intake
from cairn.pathways.worker import progress

from .conftest import Service
from .world import AWAY, MARCH, NOW, Log, achievement, credential, framework

JUNE = MARCH + timedelta(days=92)
LEARNERS = [f"lrn_{number:02}" for number in range(7)]


@pytest.fixture
async def students(campus: Service, log: Log) -> Service:
    """Seven learners, of whom the even ones have both courses."""
    for number, who in enumerate(LEARNERS):
        await campus.hear(*log.issued(who, "stats"), *([] if number % 2 else log.issued(who, "ml")))
    return campus


async def standing(service: Service) -> list[str]:
    rows = await service.sql("SELECT learner_id FROM awards WHERE state = 'active' ORDER BY 1")
    return [row["learner_id"] for row in rows]


async def test_those_who_qualify_already_are_awarded(students: Service) -> None:
    id_ = await students.publish(framework("stats", "ml"))
    assert (await students.get(f"/v1/frameworks/{id_}")).json()["backfill"]["state"] == "pending"
    assert await standing(students) == []
    assert await students.backfill() == 6, "found at once, audited two at a time, and finished"
    assert await standing(students) == LEARNERS[::2]
    shown = (await students.get(f"/v1/frameworks/{id_}")).json()["backfill"]
    assert (shown["state"], shown["learners"], shown["audited"]) == ("done", 7, 7)
    completed = await students.said("qualification.completed.v1")
    assert sorted(event.key for event in completed) == LEARNERS[::2]
    assert {event.data["earnedAt"] for event in completed} == {"2026-03-01T00:00:00Z"}


async def test_r1_a_backfill_that_is_cut_off_goes_on_where_it_was(students: Service, monkeypatch) -> None:
    await students.publish(framework("stats", "ml"))

    async def killed(*_: object, **__: object) -> None:
        raise ConnectionError("kill -9")

    for cut, before in (("queue", []), ("done", []), ("done", LEARNERS[:1]), ("finish", LEARNERS[::2])):
        with monkeypatch.context() as patched:
            patched.setattr(backfill.backfills, cut, killed)
            with pytest.raises(ConnectionError):
                await students.backfill()
        assert await standing(students) == before, "nothing of the step that was cut off"
        assert (await students.sql("SELECT finished_at FROM backfills"))[0]["finished_at"] is None
        await backfill.step(students.worker)
    assert await standing(students) == LEARNERS[::2]
    shown = (await students.sql("SELECT looked_at, audited, awarded, finished_at FROM backfills"))[0]
    assert (shown["looked_at"], shown["audited"], shown["awarded"]) == (7, 7, 4)
    assert shown["finished_at"] is not None
    assert len(await students.said("qualification.completed.v1")) == 4


async def test_any_number_of_workers_share_a_backfill_and_no_learner_is_audited_twice(students: Service, log) -> None:
    more = [f"lrn_more_{number}" for number in range(20)]
    await students.hear(*(event for who in more for code in ("stats", "ml") for event in log.issued(who, code)))
    await students.publish(framework("stats", "ml"))

    async def worker() -> int:
        steps = 0
        while not (await students.sql("SELECT finished_at FROM backfills"))[0]["finished_at"]:
            steps += bool(await backfill.step(students.worker))
        return steps

    steps = await asyncio.wait_for(asyncio.gather(*(worker() for _ in range(4))), 60)
    assert await students.sql("SELECT learner_id FROM backfill_queue") == []
    assert sum(each > 1 for each in steps) > 1, "more than one found something to do"
    (row,) = await students.sql("SELECT looked_at, audited, awarded, finished_at FROM backfills")
    assert (row["looked_at"], row["audited"], row["awarded"]) == (27, 27, 24)
    assert row["finished_at"] is not None
    assert len(await students.said("qualification.completed.v1")) == 24


async def test_progress_is_shown_until_there_is_nothing_left_to_do(students: Service, capsys) -> None:
    id_ = await students.publish(framework("stats", "ml"))
    for _ in range(2):
        await backfill.step(students.worker)
    await students.post(f"/v1/frameworks/{id_}/backfill/pause")
    shown = asyncio.create_task(progress(students.worker.settings))
    said = await _until(capsys, "(paused)")
    assert "backfill ########" in said
    assert "2 of 7 learners, 1 awards  Certificate in Data 2026 (paused)" in said
    assert not shown.done()
    await students.post(f"/v1/frameworks/{id_}/backfill/resume")
    await students.backfill()
    assert await asyncio.wait_for(shown, 10) == 0


async def _until(capsys, words: str) -> str:
    said = ""
    for _ in range(100):
        said += capsys.readouterr().out
        if words in said:
            return said
        await asyncio.sleep(0.1)
    raise AssertionError(said)


async def test_who_comes_during_the_backfill_is_awarded_once(students: Service, log: Log) -> None:
    await students.publish(framework("stats", "ml"))
    for _ in range(2):
        await backfill.step(students.worker)
    await students.hear(*log.issued(LEARNERS[5], "ml"), *log.issued("lrn_000", "stats"), *log.issued("lrn_000", "ml"))
    await students.backfill()
    assert await standing(students) == ["lrn_00", "lrn_000", "lrn_02", "lrn_04", "lrn_05", "lrn_06"]
    assert len(await students.said("qualification.completed.v1")) == 6


async def test_a_course_elsewhere_brings_its_survivor_into_the_backfill(campus: Service, log: Log) -> None:
    await campus.hear(*log.issued("lrn_away", "stats", tenant=AWAY), *log.merged("lrn_ada", "lrn_away", JUNE))
    await campus.publish(framework(f"{AWAY}/stats"))
    await campus.backfill()
    assert await standing(campus) == ["lrn_ada"]


async def test_rules_that_come_into_force_later_award_then(students: Service, log: Log) -> None:
    force = NOW + timedelta(days=30)
    rules = framework("stats", "ml", effective={"from": force.isoformat().replace("+00:00", "Z")})
    await students.publish(rules)
    await students.hear(*log.issued(LEARNERS[1], "ml"))
    assert await students.backfill() == 0
    assert await standing(students) == []
    then = students.at(force)
    await then.backfill()
    assert await standing(students) == sorted([*LEARNERS[::2], LEARNERS[1]])
    earned = {event.data["earnedAt"] for event in await students.said("qualification.completed.v1")}
    assert earned == {"2026-12-01T12:00:00Z"}
    await then.hear(*log.issued(LEARNERS[3], "ml"))
    assert LEARNERS[3] in await standing(students)


async def test_a_new_award_of_a_nested_qualification_reaches_those_who_nest_it(campus: Service, log: Log) -> None:
    await campus.publish(framework("ml", version="2025"))
    master = framework(qualification="https://north.example/q/master", award={"achievement": achievement("master")})
    master["requirement"]["all"] = [{"id": "certificate", "qualification": "https://north.example/q/data"}]
    await campus.publish(master)
    await campus.backfill()
    # Somebody holds what only a later version of the nested qualification awards.
    await campus.hear(*log.issued("lrn_ada", "thesis", id="urn:uuid:other-award"))
    assert await standing(campus) == []
    await campus.publish(framework("stats", version="2026", award={"achievement": achievement("thesis")}))
    await campus.backfill()
    awards = await campus.awards("lrn_ada")
    assert [(award["qualification"], award["components"]) for award in awards] == [
        ("https://north.example/q/master", ["urn:uuid:other-award"])
    ]


async def test_publication_waits_for_the_batch_that_is_under_way(campus: Service, log: Log) -> None:
    """Otherwise the batch would miss the framework, and the backfill the learner."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    reaudit = intake.reaudit

    async def slowly(*arguments, **more):
        done = await reaudit(*arguments, **more)
        reached.set()
        await go_on.wait()
        return done

    draft = await campus.post("/v1/frameworks", framework("stats"))
    intake.reaudit = slowly
    try:
        batch = asyncio.create_task(campus.hear(*log.issued("lrn_ada", "stats")))
        await reached.wait()
        publication = asyncio.create_task(campus.post(f"/v1/frameworks/{draft.json()['id']}/publish"))
        done, _ = await asyncio.wait({publication}, timeout=0.3)
        assert not done
        go_on.set()
        await batch
    finally:
        intake.reaudit = reaudit
    assert (await publication).status_code == 200
    await campus.backfill()
    assert await standing(campus) == ["lrn_ada"]
    assert (await campus.awards("lrn_ada"))[0]["components"] == [credential("lrn_ada", "stats")]
