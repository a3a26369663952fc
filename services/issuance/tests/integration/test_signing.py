"""Lint, record the intent, sign, compare: S26, and R1 at the seam between the two jobs."""

import asyncio

import orjson
import pytest
from sqlalchemy import text

from cairn.common.db import EVERY_TENANT
from cairn.credentials.canonicalize.outline import Outline
from cairn.issuance.domain import intents
from cairn.issuance.domain.model import Profile
from cairn.issuance.store import people
from cairn.issuance.use_cases import issue
from cairn.issuance.use_cases.learners import profile_place

BRIEF = {
    "code": "brief",
    "name": "First aid",
    "description": "Keep somebody alive until help comes.",
    "criteria": {"narrative": "Show it."},
    "validMonths": 1,
}


async def intended(service) -> str:
    await service.learner("ada")
    await service.complete("ada")
    await issue.draft(service.worker)
    (row,) = await service.sql("SELECT id, state FROM credentials")
    assert row["state"] == "intended"
    return row["id"]


async def recorded(service) -> list[dict]:
    """Intents with their bodies opened."""
    rows = await service.sql(
        "SELECT c.id, c.body, c.intent, l.key FROM credentials c JOIN learners l ON l.id = c.learner_id"
    )
    return [
        row | {"body": service.worker.vault.open(row["key"], row["body"], issue.body_place(row["id"]))} for row in rows
    ]


ALTERED = {
    "document": lambda body, intent: (body.replace(b"Statistics", b"Medicine"), intent),
    "proof": lambda body, intent: (body.replace(b"assertionMethod", b"authentication"), intent),
    "digest": lambda body, intent: (body, bytes(len(intent))),
}


async def altered(service, what: str) -> None:
    (row,) = await recorded(service)
    body, intent = ALTERED[what](row["body"], row["intent"])
    assert (body, intent) != (row["body"], row["intent"])
    await rewrite(service, row, body, intent)


async def rewrite(service, row: dict, body: bytes, intent: bytes) -> None:
    forged = service.worker.vault.seal(row["key"], body, issue.body_place(row["id"]))
    async with service.worker.database.transaction(EVERY_TENANT) as tx:
        await tx.execute(text("UPDATE credentials SET body = :body, intent = :it"), {"body": forged, "it": intent})
        await tx.commit()


async def nothing_is_signed(service) -> None:
    with pytest.raises(intents.WrongBytes):
        await issue.sign(service.worker)
    assert await service.sql("SELECT DISTINCT state FROM credentials") == [{"state": "intended"}]
    assert await service.said("credential.issued.v1") == []


@pytest.mark.parametrize("what", ALTERED)
async def test_s26_what_differs_from_its_intent_is_not_signed(service, what):
    await intended(service)
    await altered(service, what)
    await nothing_is_signed(service)


@pytest.mark.parametrize("what", [None, *ALTERED])
async def test_s26_what_a_version_before_bindings_has_recorded_goes_the_long_way(service, what):
    await intended(service)
    (row,) = await recorded(service)
    before = {name: part for name, part in orjson.loads(row["body"]).items() if name != "bound"}
    await rewrite(service, row, orjson.dumps(before), row["intent"])
    if what is None:
        assert await issue.sign(service.worker) == 1
        return
    await altered(service, what)
    await nothing_is_signed(service)


async def test_s26_a_template_that_goes_wrong_is_found_out_before_anything_is_recorded(service, monkeypatch):
    """The intent of a batch comes of a template, and is compared with what the long way makes of the document."""
    for user in ("ada", "ben", "cyd"):
        await service.learner(user)
        await service.complete(user)
    plain, templated = Outline.canonical, []

    def wrong(outline, values):
        templated.append(values)
        return plain(outline, values).replace("_:c14n0", "_:c14n00")

    monkeypatch.setattr(Outline, "canonical", wrong)
    with pytest.raises(intents.WrongBytes):
        await issue.draft(service.worker)
    assert len(templated) == 1
    assert await service.sql("SELECT * FROM credentials") == []


async def test_r1_a_crash_between_signing_and_commit_signs_the_same_bytes_again(service, monkeypatch):
    credential = await intended(service)
    signatures: list[str] = []
    plain = intents.Recorded.signed

    def watched(*arguments):
        signed = plain(*arguments)
        signatures.append(orjson.loads(signed)["proof"]["proofValue"])
        return signed

    async def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(intents.Recorded, "signed", watched)
    with monkeypatch.context() as patch:
        patch.setattr(issue.credentials, "mark_issued", crash)
        with pytest.raises(KeyboardInterrupt):
            await issue.sign(service.worker)
    await issue.sign(service.worker)
    assert len(signatures) == 2
    assert len(set(signatures)) == 1
    assert len(await service.said("credential.issued.v1")) == 1
    shown = (await service.get(f"/v1/credentials/{credential}")).json()
    assert shown["credential"]["proof"]["proofValue"] == signatures[0]


async def test_several_workers_share_the_work_and_do_each_item_once(service):
    for n in range(30):
        await service.learner(f"l{n}")
        await service.complete(f"l{n}")
    service.worker.settings.draft_batch, service.worker.settings.sign_batch = 4, 4
    try:
        while any(await asyncio.gather(*(job(service.worker) for job in (issue.draft, issue.sign) for _ in range(3)))):
            pass
    finally:
        service.worker.settings.draft_batch, service.worker.settings.sign_batch = 200, 50
    assert await service.sql("SELECT count(*) AS n FROM credentials WHERE state = 'issued'") == [{"n": 30}]
    issued = await service.said("credential.issued.v1")
    assert len(issued) == len({event.id for event in issued}) == 30


async def test_s29_a_learner_erased_before_the_signature_gets_none(service):
    credential = await intended(service)
    (row,) = await service.sql("SELECT learner_id FROM credentials")
    await service.http.delete(f"/v1/learners/{row['learner_id']}", headers=service.auth("north"))
    await service.work()
    assert (await service.get(f"/v1/credentials/{credential}")).json()["state"] == "abandoned"
    assert await service.said("credential.issued.v1") == []


@pytest.mark.parametrize(
    ("user", "code", "reason"),
    [
        ("bell", "stats", "a control character"),
        ("ada", "brief", "validUntil is not after validFrom"),
    ],
)
async def test_r9_a_completion_that_cannot_be_signed_keeps_nobody_waiting(service, user, code, reason):
    await service.learner("ada")
    await service.learner("bell", name="Bell \x07")
    await service.post("/v1/achievements", BRIEF)
    posted = await service.complete(user, code)
    assert await service.issued("ada", completedAt="2026-04-01T00:00:00Z")
    receipt = (await service.get(f"/v1/receipts/{posted.json()['id']}")).json()
    (outcome,) = receipt["outcomes"]
    assert (receipt["status"], outcome["state"]) == ("done", "failed")
    assert reason in outcome["reason"]


async def test_a_completion_that_came_to_nothing_is_tried_again_when_it_is_posted_again(service):
    bell = await service.learner("bell", name="Bell \x07")
    posted = await service.complete("bell")
    await service.work()
    async with service.worker.database.transaction("north") as tx:
        row = await people.learner(tx, bell)
        profile = Profile(name="Bell").model_dump_json().encode()
        sealed = service.worker.vault.seal(row["key"], profile, profile_place(bell))
        await tx.execute(text("UPDATE learners SET profile = :sealed"), {"sealed": sealed})
        await tx.commit()
    assert await service.issued("bell")
    (outcome,) = (await service.get(f"/v1/receipts/{posted.json()['id']}")).json()["outcomes"]
    assert outcome["state"] == "issued"
