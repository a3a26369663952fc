"""Intake: durable before it is answered, each line by itself, and never half-applied."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from cairn.common.events import fact_of


def line(user: str = "ada", **more) -> dict:
    return {
        "learner": {"identifier": {"kind": "lms-user", "value": user}},
        "achievement": "stats",
        "completedAt": "2026-03-01T00:00:00Z",
        **more,
    }


async def ndjson(service, lines, **headers):
    body = "\n".join(entry if isinstance(entry, str) else json.dumps(entry) for entry in lines)
    headers = service.auth("north") | {"Content-Type": "application/x-ndjson"} | headers
    return await service.http.post("/v1/completions", content=body, headers=headers)


async def test_one_completion_becomes_one_signed_credential(service):
    learner = await service.learner("ada", email="ada@example.org")
    credential = await service.issued("ada", grade={"score": "0.82"})
    shown = (await service.get(f"/v1/credentials/{credential}")).json()
    assert (shown["learner"], shown["state"], shown["status"]) == (learner, "issued", "valid")
    document = shown["credential"]
    assert document["issuer"]["id"] == "did:web:cairn.localhost:issuance:institutions:north"
    assert document["proof"]["cryptosuite"] == "eddsa-rdfc-2022"
    assert "ada@example.org" not in json.dumps(document)


async def test_the_announcement_carries_every_field_of_a_holding(service):
    learner = await service.learner("ada")
    credential = await service.issued("ada", grade={"score": "0.82"})
    (event,) = await service.said("credential.issued.v1")
    assert event.key == learner
    holding = event.data["holding"]
    assert holding == {
        "id": credential,
        "achievement": "https://cairn.localhost/issuance/achievements/north/stats",
        "issuer": "did:web:cairn.localhost:issuance:institutions:north",
        "type": ["MicroCredential"],
        "credits": {"value": "5", "unit": "ECTS"},
        "level": {"EQF": 7},
        "grade": {"score": "0.82"},
        "area": ["statistics"],
        "tag": ["data"],
        "skill": [],
        "assessment": {"supervised": True, "identityVerified": True},
        "mode": "online",
        "source": "lms",
        "accreditedBy": [],
        "earned": "2026-03-01T00:00:00Z",
        "components": [],
        "status": [{"at": "2026-03-01T00:00:00Z", "state": "valid"}],
    }
    assert "Ada" not in json.dumps(event.data)


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"achievement": "alchemy"}, 400, "achievement-unknown", "/achievement"),
        ({"learner": {"id": "lrn_nobody"}}, 400, "learner-unknown", "/learner/id"),
        (
            {"learner": {"identifier": {"kind": "lms-user", "value": "x"}}},
            400,
            "learner-unknown",
            "/learner/identifier",
        ),
        ({"completedAt": "2031-01-01T00:00:00Z"}, 400, "completion-impossible", "/completedAt"),
        ({"completedAt": "1902-01-01T00:00:00Z"}, 400, "completion-impossible", "/completedAt"),
        ({"grade": {"score": "1.2"}}, 400, "completion-impossible", "/grade/score"),
        ({"grade": {"score": "-0.1"}}, 400, "completion-impossible", "/grade/score"),
        ({"grade": {"points": "3"}}, 400, "completion-impossible", "/grade/scale"),
        ({"completedAt": "2026-02-30T00:00:00Z"}, 422, "malformed", "/completedAt"),
        ({"completedAt": 7}, 422, "malformed", "/completedAt"),
        ({"grade": {"score": 0.8}}, 422, "malformed", "/grade/score"),
        ({"grade": {"score": "NaN"}}, 422, "malformed", "/grade/score"),
        ({"learner": {}}, 422, "malformed", "/learner"),
        ({"colour": "red"}, 422, "malformed", "/colour"),
    ],
)
async def test_bad_input_is_refused_with_the_field_named_and_nothing_stored(service, change, status, code, field):
    await service.learner("ada")
    answer = await service.post("/v1/completions", line() | change)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["errors"][0]["field"] == field
    assert problem["errors"][0]["fix"]
    assert await service.sql("SELECT 1 AS one FROM completions UNION ALL SELECT 1 FROM receipts") == []


async def test_each_line_has_its_own_outcome(service):
    await service.learner("ada")
    answer = await ndjson(
        service, [line(), line(achievement="alchemy"), "{not json", line(id="x", completedAt="2026-04-01T00:00:00Z")]
    )
    assert answer.status_code == 202
    body = answer.json()
    assert (body["lines"], body["accepted"]) == (4, 2)
    assert [(entry["line"], entry["code"]) for entry in body["rejected"]] == [
        (2, "achievement-unknown"),
        (3, "malformed"),
    ]
    await service.work()
    receipt = (await service.get(answer.headers["location"])).json()
    assert (receipt["status"], receipt["issued"]) == ("done", 2)
    assert [outcome["line"] for outcome in receipt["outcomes"]] == [1, 4]
    assert receipt["rejected"] == body["rejected"]


async def test_a_byte_order_mark_before_the_first_line_is_passed_over(service):
    await service.learner("ada")
    answer = await ndjson(service, ["\ufeff" + json.dumps(line()), line(id="x")])
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, [])


async def test_a_completion_with_a_key_twice_is_refused(service):
    await service.learner("ada")
    twice = json.dumps(line())[:-1] + ', "achievement": "alchemy"}'
    answer = await ndjson(service, [line(), twice])
    assert answer.json()["accepted"] == 1
    (refused,) = answer.json()["rejected"]
    assert (refused["line"], refused["code"]) == (2, "malformed")
    assert "achievement" in refused["errors"][0]["detail"]


async def test_ten_thousand_lines_are_taken_and_one_more_is_not(service):
    await service.learner("ada")
    lines = [json.dumps(line(id=f"e{n}")) for n in range(10_001)]
    answer = await ndjson(service, lines)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-many-lines")
    answer = await ndjson(service, lines[:10_000])
    assert (answer.status_code, answer.json()["accepted"]) == (202, 10_000)
    assert await service.sql("SELECT count(*) AS n FROM completions") == [{"n": 10_000}]


async def test_posting_a_completion_again_changes_nothing(service):
    await service.learner("ada")
    for _ in range(3):
        await service.issued("ada")
    assert await service.sql("SELECT count(*) AS n FROM credentials") == [{"n": 1}]
    (said,) = await service.said("completion.recorded.v1")
    fact = fact_of(said)
    assert (fact.learner, fact.source) == (said.key, "lms")
    assert (fact.completion, fact.completed_at) == (said.subject, datetime(2026, 3, 1, tzinfo=UTC))


async def test_the_same_id_with_other_facts_is_refused(service):
    await service.learner("ada")
    assert (await service.complete("ada", id="evt-1")).status_code == 202
    answer = await service.complete("ada", id="evt-1", grade={"score": "1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "completion-changed")
    within = await ndjson(service, [line(id="evt-2"), line(id="evt-2", grade={"score": "1"}), line(id="evt-2")])
    assert within.json()["accepted"] == 2
    assert [entry["line"] for entry in within.json()["rejected"]] == [2]


async def test_r7_fifty_posts_under_one_key_are_one_post(service):
    await service.learner("ada")
    headers = {"Idempotency-Key": "k1"}
    answers = await asyncio.gather(*(service.post("/v1/completions", line(), headers=headers) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    await service.work()
    assert await service.sql("SELECT count(*) AS n FROM credentials") == [{"n": 1}]
    changed = await service.post("/v1/completions", line(id="other"), headers=headers)
    assert (changed.status_code, changed.json()["code"]) == (409, "idempotency-key-reused")


async def test_s37_a_key_of_another_tenant_replays_nothing(service):
    for tenant in ("north", "harbour"):
        await service.learner("ada", tenant)
    first = await service.post("/v1/completions", line(), headers={"Idempotency-Key": "k1"})
    other = await service.post("/v1/completions", line(), "harbour", headers={"Idempotency-Key": "k1"})
    assert (first.status_code, other.status_code) == (202, 202)
    assert first.json()["id"] != other.json()["id"]


async def test_a_retired_achievement_takes_no_later_completion(service):
    await service.learner("ada")
    assert (await service.post("/v1/achievements/stats/retire")).status_code == 200
    late = await service.complete("ada", completedAt="2026-11-01T12:05:00Z")
    assert (late.status_code, late.json()["code"]) == (400, "achievement-retired")
    assert (await service.complete("ada")).status_code == 202


async def test_an_unknown_media_type_says_what_is_understood(service):
    headers = service.auth("north") | {"Content-Type": "text/csv"}
    answer = await service.http.post("/v1/completions", content="a,b", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
