"""Learners: sealed, found by identifier, merged by consent, erased."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text

from cairn.common import dead_letters
from cairn.common.bus import Record
from cairn.common.db import PLATFORM
from cairn.common.events import fact_of

from ..conftest import NOW


async def test_a_registered_learner_is_read_back(service):
    answer = await service.post(
        "/v1/learners",
        {"name": "Ada Lovelace", "email": "ada@example.org", "identifiers": [{"kind": "lms-user", "value": "ada"}]},
    )
    assert answer.status_code == 201
    shown = (await service.get(answer.headers["location"])).json()
    assert shown["profile"] == {"name": "Ada Lovelace", "email": "ada@example.org"}
    assert shown["identifiers"] == [{"kind": "lms-user", "value": "ada"}]


async def test_registering_again_under_an_identifier_finds_the_learner(service):
    first = await service.learner("ada")
    answer = await service.post(
        "/v1/learners", {"name": "A. Lovelace", "identifiers": [{"kind": "lms-user", "value": "ada"}]}
    )
    assert (answer.status_code, answer.json()["id"]) == (200, first)


async def test_fifty_registrations_at_once_make_one_learner(service):
    body = {"name": "Ada", "identifiers": [{"kind": "lms-user", "value": "ada"}]}
    answers = await asyncio.gather(*(service.post("/v1/learners", body) for _ in range(50)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_an_identifier_of_another_learner_is_refused_with_the_field(service):
    await service.learner("ada")
    grace = await service.learner("grace")
    answer = await service.post(f"/v1/learners/{grace}/identifiers", {"kind": "lms-user", "value": "ada"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "identifier-taken"
    assert answer.json()["errors"][0]["field"]


async def test_s29_nothing_that_names_a_learner_is_stored_readable(service):
    await service.learner("ada-canary", email="ada-canary@example.org", name="Ada Canary")
    await service.issued("ada-canary")
    tables = await service.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND relname <> 'alembic_version'"
    )
    for table in tables:
        for row in await service.sql(f'SELECT to_jsonb(t)::text AS row FROM "{table["relname"]}" t'):
            plain = row["row"]
            assert "anary" not in plain, table
            # bytea columns show as hex in JSON
            assert b"anary".hex() not in plain, table


async def test_s29_an_erased_learner_is_unreadable_even_in_a_copy_made_before(service):
    learner = await service.learner("ada", email="ada@example.org")
    credential = await service.issued("ada")
    copy = (await service.sql("SELECT body FROM credentials WHERE id = :id", id=credential))[0]["body"]
    answer = await service.http.delete(f"/v1/learners/{learner}", headers=service.auth("north"))
    assert answer.status_code == 204
    shown = (await service.get(f"/v1/learners/{learner}")).json()
    assert "profile" not in shown or shown["profile"] is None
    assert shown["identifiers"] == []
    assert (await service.get(f"/v1/credentials/{credential}")).json()["credential"] is None
    from cairn.common.vault import Unreadable

    with pytest.raises(Unreadable):
        service.deps.vault.open(None, copy, f"credentials.body:{credential}")
    assert [event.key for event in await service.said("learner.erased.v1")] == [learner]
    assert (await service.complete("ada")).status_code == 400


async def test_s36_the_dead_letters_about_a_learner_go_with_the_learner(service):
    ada, bo = await service.learner("ada"), await service.learner("bo")
    for place, (tenant, who) in enumerate([("north", ada), (PLATFORM, ada), ("north", bo)]):
        async with service.worker.database.transaction(tenant) as tx:
            record = Record("qualifications", 0, place, who, b"not JSON")
            letter = {"code": "malformed", "detail": "not JSON", "event_type": ""}
            await dead_letters.store(tx, service.worker.vault, tenant, "issuance", record, **letter)
            await tx.commit()
    answer = await service.http.delete(f"/v1/learners/{ada}", headers=service.auth("north"))
    assert answer.status_code == 204
    assert [row["subject_key"] for row in await service.sql("SELECT subject_key FROM dead_letters")] == [bo]


async def test_s34_a_merge_needs_the_code_that_only_the_other_institution_gives(service):
    north, harbour = await service.learner("ada"), await service.learner("ada", "harbour")
    refused = await service.post(
        f"/v1/learners/{north}/merges", {"code": "harbour.guessed-guessed-guessed", "consent": "I agree."}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "link-code-refused")
    code = (await service.post(f"/v1/learners/{harbour}/link-codes", tenant="harbour")).json()["code"]
    merged = await service.post(f"/v1/learners/{north}/merges", {"code": code, "consent": "I agree."})
    assert merged.json() == {"learner": north, "merged": harbour}
    again = await service.post(f"/v1/learners/{north}/merges", {"code": code, "consent": "I agree."})
    assert again.status_code == 403, "a code is used once"


async def test_s34_a_merge_is_said_under_both_keys_and_undone_the_same_way(service):
    north, harbour = await service.learner("ada"), await service.learner("ada", "harbour")
    code = (await service.post(f"/v1/learners/{harbour}/link-codes", tenant="harbour")).json()["code"]
    await service.post(f"/v1/learners/{north}/merges", {"code": code, "consent": "I agree."})
    said = await service.said("learner.merged.v1")
    assert {(event.tenant, event.key) for event in said} == {("north", north), ("harbour", harbour)}
    assert all((event.data["learner"], event.data["merged"]) == (north, harbour) for event in said)
    answer = await service.http.delete(f"/v1/learners/{north}/merges/{harbour}", headers=service.auth("north"))
    assert answer.status_code == 204
    assert {event.key for event in await service.said("learner.unmerged.v1")} == {north, harbour}


async def test_s34_who_is_merged_at_a_third_institution_is_not_merged_again(service):
    body = {"id": "island", "name": "Island", "url": "https://island.example"}
    assert (await service.post("/v1/institutions", body, "platform")).status_code == 201
    harbour = await service.learner("ada", "harbour")
    answers = []
    for tenant in ("north", "island"):
        learner = await service.learner("ada", tenant)
        code = (await service.post(f"/v1/learners/{harbour}/link-codes", tenant="harbour")).json()["code"]
        merge = {"code": code, "consent": "I agree."}
        answers.append(await service.post(f"/v1/learners/{learner}/merges", merge, tenant))
    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["code"] == "merge-refused"
    assert len(await service.said("learner.merged.v1")) == 2, "under the key of each"


async def test_s34_who_has_been_merged_with_is_not_merged_away(service):
    ada, bo, cy = [await service.learner(user) for user in ("ada", "bo", "cy")]
    answers = []
    for survivor, merged in ((bo, cy), (ada, bo), (ada, cy)):
        code = (await service.post(f"/v1/learners/{merged}/link-codes")).json()["code"]
        answers.append(
            await service.post(f"/v1/learners/{survivor}/merges", {"code": code, "consent": "The same person."})
        )
    assert [answer.status_code for answer in answers] == [201, 409, 409]
    assert {answer.json()["code"] for answer in answers[1:]} == {"merge-refused"}


async def test_r12_a_merge_ends_and_begins_again_whatever_clock_says_it(service):
    north, harbour = await service.learner("ada"), await service.learner("ada", "harbour")
    app, said = service.http._transport.app, []
    for fast in (5, 3):
        code = (await service.post(f"/v1/learners/{harbour}/link-codes", tenant="harbour")).json()["code"]
        app.state.deps = replace(service.deps, now=partial(NOW.__add__, timedelta(minutes=fast)))
        merge = {"code": code, "consent": "I agree."}
        assert (await service.post(f"/v1/learners/{north}/merges", merge)).status_code == 201
        app.state.deps = replace(service.deps, now=partial(NOW.__add__, timedelta(minutes=fast - 1)))
        await service.http.delete(f"/v1/learners/{north}/merges/{harbour}", headers=service.auth("north"))
    said = [fact_of(event) for event in await service.said() if event.key == north]
    began, ended, again, over = [fact.at for fact in said]
    assert began <= ended < again <= over


async def test_s34_the_other_institution_cannot_be_read_with_a_bad_code(service):
    """The use case widens its scope to the tenant that the code names; a learner there must stay out of reach."""
    harbour = await service.learner("ada", "harbour")
    answer = await service.post(f"/v1/learners/{harbour}/merges", {"code": "harbour.x", "consent": "I agree."})
    assert answer.status_code == 404


async def test_an_expired_link_code_is_refused(service):
    north, harbour = await service.learner("ada"), await service.learner("ada", "harbour")
    code = (await service.post(f"/v1/learners/{harbour}/link-codes", tenant="harbour")).json()["code"]
    async with service.worker.database.transaction("harbour") as tx:
        await tx.execute(text("UPDATE link_codes SET expires_at = now()"))
        await tx.commit()
    answer = await service.post(f"/v1/learners/{north}/merges", {"code": code, "consent": "I agree."})
    assert answer.status_code == 403


async def test_r12_a_link_code_lives_by_the_clock_of_the_database(service):
    """That of the API is a fixed instant in these tests, and any other would do."""
    harbour = await service.learner("ada", "harbour")
    await service.post(f"/v1/learners/{harbour}/link-codes", tenant="harbour")
    [row] = await service.sql("SELECT expires_at - now() AS left FROM link_codes")
    assert timedelta(minutes=14) < row["left"] <= timedelta(minutes=15)
