"""Status: what a university takes back, what it publishes about that, and what it says on the bus."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import orjson
import pytest

from cairn.common.instants import parse_instant
from cairn.credentials import decode_list
from cairn.issuance.domain.rules import next_status
from cairn.issuance.store import status_lists

from ..conftest import NOW


async def change(service, credential: str, action: str, tenant: str = "north"):
    return await service.post(f"/v1/credentials/{credential}/{action}", {"reason": "Marked by mistake."}, tenant)


async def bit(service, credential: str, purpose: str = "revocation") -> bool:
    document = (await service.get(f"/v1/credentials/{credential}")).json()["credential"]
    entries = document["credentialStatus"]
    entries = entries if isinstance(entries, list) else [entries]
    entry = next(entry for entry in entries if entry["statusPurpose"] == purpose)
    path = entry["statusListCredential"].removeprefix(service.deps.settings.public_url)
    answer = await service.http.get(path)  # no token: every verifier may read it
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vc"
    published = orjson.loads(answer.content)
    assert published["proof"]["verificationMethod"].startswith(document["issuer"]["id"] + "#")
    return bool(decode_list(published["credentialSubject"]["encodedList"])[int(entry["statusListIndex"])])


async def test_a_revocation_is_published_and_said_once(service):
    learner = await service.learner("ada")
    credential = await service.issued("ada")
    assert await bit(service, credential) is False
    for _ in range(2):
        answer = await change(service, credential, "revoke")
        assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
    assert await bit(service, credential) is True
    (event,) = await service.said("credential.revoked.v1")
    assert (event.key, event.data["credential"]) == (learner, credential)
    assert "mistake" not in orjson.dumps(event.data).decode(), "the reason may name somebody"


async def test_a_revoked_credential_never_comes_back(service):
    await service.learner("ada")
    credential = await service.issued("ada")
    await change(service, credential, "revoke")
    for action in ("reinstate", "suspend"):
        answer = await change(service, credential, action)
        assert (answer.status_code, answer.json()["code"]) == (409, "status-refused")
    assert await bit(service, credential) is True


async def test_a_suspension_ends_with_a_reinstatement(service):
    suspendable = {"code": "ethics", "name": "Ethics", "description": "…", "criteria": {"narrative": "…"}}
    await service.post("/v1/achievements", suspendable | {"suspendable": True})
    await service.learner("ada")
    credential = await service.issued("ada", "ethics")
    await change(service, credential, "suspend")
    assert (await bit(service, credential, "suspension"), await bit(service, credential)) == (True, False)
    await change(service, credential, "reinstate")
    assert await bit(service, credential, "suspension") is False
    shown = (await service.get(f"/v1/credentials/{credential}")).json()
    assert [entry["status"] for entry in shown["changes"]] == ["suspended", "valid"]
    said = [event.type for event in await service.said() if event.subject == credential]
    assert said == ["credential.issued.v1", "credential.suspended.v1", "credential.reinstated.v1"]


async def test_r12_what_came_last_is_said_to_be_last_whatever_clock_said_it(service):
    suspendable = {"code": "ethics", "name": "Ethics", "description": "…", "criteria": {"narrative": "…"}}
    await service.post("/v1/achievements", suspendable | {"suspendable": True})
    await service.learner("ada")
    earned = NOW + timedelta(minutes=4)  # by the clock of the LMS
    credential = await service.issued("ada", "ethics", completedAt=earned.isoformat())
    app = service.http._transport.app
    for action, fast in (("suspend", 2), ("reinstate", 0), ("suspend", 5), ("reinstate", 1)):
        app.state.deps = replace(service.deps, now=partial(NOW.__add__, timedelta(minutes=fast)))
        await change(service, credential, action)
    said = [event for event in await service.said() if event.subject == credential][1:]
    assert [event.type.split(".")[1] for event in said] == ["suspended", "reinstated"] * 2
    times = [parse_instant(event.data["at"]) for event in said]
    assert sorted({earned, *times}) == [earned, *times]
    shown = (await service.get(f"/v1/credentials/{credential}")).json()
    assert [parse_instant(entry["at"]) for entry in shown["changes"]] == times


async def test_what_is_revoked_before_it_is_signed_is_said_after_its_issue(service):
    from cairn.issuance.use_cases import issue

    await service.learner("ada")
    await service.complete("ada")
    await issue.draft(service.worker)
    (row,) = await service.sql("SELECT id, state FROM credentials")
    assert row["state"] == "intended"
    await change(service, row["id"], "revoke")
    assert await service.said("credential.revoked.v1") == []
    await service.work()
    said = [event.type for event in await service.said() if event.subject == row["id"]]
    assert said == ["credential.issued.v1", "credential.revoked.v1"]


async def test_s14_places_are_never_shared_and_no_revocation_is_lost(service):
    """64 issues and revocations at once, by several workers."""
    from cairn.issuance.use_cases import issue

    for n in range(32):
        await service.learner(f"l{n}")
        await service.complete(f"l{n}")
        await service.complete(f"l{n}", id=f"again-{n}", completedAt="2026-04-01T00:00:00Z")
    service.worker.settings.draft_batch, service.worker.settings.sign_batch = 8, 8
    while any(await asyncio.gather(*(job(service.worker) for job in (issue.draft, issue.sign) for _ in range(2)))):
        pass
    rows = await service.sql("SELECT id, list_id, list_index FROM credentials WHERE state = 'issued'")
    assert len(rows) == 64
    assert len({(row["list_id"], row["list_index"]) for row in rows}) == 64
    await asyncio.gather(*(change(service, row["id"], "revoke") for row in rows))
    assert all([await bit(service, row["id"]) for row in rows])


async def test_s14_a_place_that_is_taken_is_not_given_out_again(service, monkeypatch):
    await service.learner("ada")
    taken = (await service.sql("SELECT list_index FROM credentials WHERE id = :id", id=await service.issued("ada")))[0]
    drawn = [taken["list_index"], *(n for n in range(10) if n != taken["list_index"])]
    monkeypatch.setattr(status_lists, "_draw", lambda *_: drawn)
    async with service.worker.database.transaction("north") as tx:
        places = await status_lists.allocate(tx, "north", 3, 131_072)
    assert [index for _, index in places] == drawn[1:4]


async def test_s14_nobody_looks_for_free_places_while_somebody_else_takes_some(service, monkeypatch):
    draws: list[object] = []
    monkeypatch.setattr(status_lists, "_draw", lambda _, many: draws.append(many) or list(range(many)))

    async def take() -> None:
        async with service.worker.database.transaction("north") as tx:
            await status_lists.allocate(tx, "north", 1, 131_072)
            await tx.commit()

    await take()
    async with service.worker.database.transaction("north") as tx:
        await status_lists.allocate(tx, "north", 1, 131_072)
        second = asyncio.create_task(take())
        await asyncio.sleep(0.3)
        assert len(draws) == 2
        await tx.commit()
    await second
    assert len(draws) == 3


async def test_s15_the_index_tells_nothing_of_the_time(service):
    """Rank correlation of 400 consecutive indexes with their order: a counter has 1, chance about 0.05."""
    async with service.worker.database.transaction("north") as tx:
        places = await status_lists.allocate(tx, "north", 400, 131_072)
    order = sorted(range(400), key=lambda n: places[n])
    rank = {n: position for position, n in enumerate(order)}
    n = len(places)
    rho = 1 - 6 * sum((i - rank[i]) ** 2 for i in range(n)) / (n * (n * n - 1))
    assert abs(rho) < 0.25
    assert len(set(places)) == 400
    assert max(index for _, index in places) > 100_000


async def test_a_full_list_is_followed_by_the_next(service):
    async with service.worker.database.transaction("north") as tx:
        places = await status_lists.allocate(tx, "north", 70, 64)
    assert {list_id for list_id, _ in places} == {1, 2, 3}
    assert len(set(places)) == 70


async def test_an_unchanged_list_is_served_from_the_same_signature(service):
    await service.learner("ada")
    credential = await service.issued("ada")
    first, again = [await service.http.get("/status/north/1/revocation") for _ in range(2)]
    assert first.content == again.content
    fresh = {"If-None-Match": first.headers["etag"]}
    assert (await service.http.get("/status/north/1/revocation", headers=fresh)).status_code == 304
    await change(service, credential, "revoke")
    assert (await service.http.get("/status/north/1/revocation", headers=fresh)).status_code == 200


@pytest.mark.parametrize("action", ["suspend", "reinstate"])
def test_no_action_leads_out_of_revoked(action):
    from cairn.common.problem import DomainError

    with pytest.raises(DomainError):
        next_status("revoked", action)
