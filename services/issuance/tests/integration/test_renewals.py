"""Renewal: a credential near its end is renewed on fresh evidence, the old one superseded, and both linked."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from cairn.credentials import CheckName, Policy, read_facts, verify
from cairn.issuance.use_cases import issue

from ..conftest import NOW
from .test_keys import Verifier

FIRST_AID = {
    "code": "first-aid",
    "name": "First aid",
    "description": "…",
    "criteria": {"narrative": "…"},
    "validMonths": 12,
}
FRESH = {
    "completedAt": "2026-10-15T00:00:00Z",
    "evidence": [{"id": "https://north.example/evidence/canary", "name": "Drill", "narrative": "Saved a dummy."}],
}


@pytest.fixture
async def old(service) -> str:
    """A credential of 1 March 2026 that ends a year later, 120 days from now."""
    await service.post("/v1/achievements", FIRST_AID)
    await service.learner("ada")
    return await service.issued("ada", "first-aid")


async def renew(service, credential: str, tenant: str = "north", **changes):
    return await service.post(f"/v1/credentials/{credential}/renew", FRESH | changes, tenant)


async def test_a_renewed_credential_takes_the_place_of_the_old_and_both_are_linked(service, old) -> None:
    answer = await renew(service, old)
    assert answer.status_code == 202, answer.text
    assert answer.json()["renews"] == old
    new = answer.json()["credential"]
    assert (await service.get(f"/v1/credentials/{old}/renewal")).status_code == 404, "nothing is signed yet"
    await service.work()
    shown = (await service.get(f"/v1/credentials/{new}")).json()
    assert (shown["state"], shown["status"], shown["renews"]) == ("issued", "valid", old)
    document = shown["credential"]
    assert document["validUntil"] == "2027-10-15T00:00:00Z"
    cited = {one.genre: one.id for one in read_facts(document).evidence}
    assert cited == {"renewed-credential": old, None: "https://north.example/evidence/canary"}
    before = (await service.get(f"/v1/credentials/{old}")).json()
    assert (before["status"], before["credential"]["validUntil"]) == ("superseded", "2027-03-01T00:00:00Z")
    refresh = before["credential"]["refreshService"]
    assert refresh["type"] == "1EdTechCredentialRefresh"
    path = refresh["id"].removeprefix(service.deps.settings.public_url)
    assert (await service.get(path)).json() == document


async def test_that_a_credential_was_superseded_is_published_where_it_has_entries_for_more_than_revocation(
    service,
) -> None:
    """Bitstring Status List §2.2, `refresh`: "signals that an updated verifiable credential is available"."""
    await service.post("/v1/achievements", FIRST_AID | {"suspendable": True})
    await service.learner("ada")
    old = await service.issued("ada", "first-aid")
    document = (await service.get(f"/v1/credentials/{old}")).json()["credential"]
    entries = document["credentialStatus"]
    assert [entry["statusPurpose"] for entry in entries] == ["refresh", "revocation", "suspension"]
    before = await verify(document, Verifier(service), Policy(at=NOW))
    assert before.verified, before.to_json()
    await renew(service, old)
    await service.work()
    found = await verify(document, Verifier(service), Policy(at=NOW))
    assert found.verified, "it is not invalid, there only is a newer one"
    status = found.checks[CheckName.STATUS]
    assert "refresh-available" in {status.code, *(one.code for one in status.also)}


async def test_pathways_hears_of_the_new_credential_and_then_that_the_old_is_superseded(service, old) -> None:
    new = (await renew(service, old)).json()["credential"]
    await service.work()
    said = [event for event in await service.said() if event.subject == new]
    assert [event.type for event in said] == ["credential.issued.v1", "credential.renewed.v1"]
    (learner,) = {event.key for event in said}
    assert said[1].data == {
        "learner": learner,
        "credential": new,
        "supersedes": old,
        "at": "2026-11-01T12:00:00Z",
    }


async def test_r7_asking_again_renews_once(service, old) -> None:
    answers = [await renew(service, old) for _ in range(3)]
    await service.work()
    answers.append(await renew(service, old))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["credential"] for answer in answers}) == 1
    assert len(await service.said("credential.renewed.v1")) == 1
    other = await renew(service, old, completedAt="2026-10-20T00:00:00Z")
    assert (other.status_code, other.json()["code"]) == (409, "renewal-refused")


async def test_a_renewal_that_came_to_nothing_can_be_asked_for_again(service, old) -> None:
    await renew(service, old)
    async with service.worker.database.transaction("north") as tx:
        await tx.execute(text("UPDATE completions SET state = 'failed' WHERE state = 'pending'"))
        await tx.commit()
    new = (await renew(service, old, completedAt="2026-10-20T00:00:00Z")).json()["credential"]
    await service.work()
    assert (await service.get(f"/v1/credentials/{new}")).json()["credential"]["awardedDate"] == "2026-10-20T00:00:00Z"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"completedAt": "2026-02-01T00:00:00Z"}, 409, "renewal-refused"),
        ({"completedAt": "2027-02-01T00:00:00Z"}, 400, "completion-impossible"),
        ({"evidence": []}, 422, "malformed"),
        ({"evidence": [{"name": "x"}]}, 422, "malformed"),
        ({"nonsense": 1}, 422, "malformed"),
    ],
)
async def test_a_renewal_on_nothing_new_is_refused(service, old, changes, status: int, code: str) -> None:
    answer = await renew(service, old, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("action", ["revoke", "suspend"])
async def test_a_credential_that_was_taken_back_is_not_renewed(service, old, action: str) -> None:
    await service.post(f"/v1/credentials/{old}/{action}", {"reason": "Fraud."})
    assert (await renew(service, old)).json()["code"] == "renewal-refused"


async def test_a_revocation_between_renewal_and_signature_stands(service, old) -> None:
    await renew(service, old)
    await service.post(f"/v1/credentials/{old}/revoke", {"reason": "Fraud."})
    await service.work()
    assert (await service.get(f"/v1/credentials/{old}")).json()["status"] == "revoked"


async def test_a_superseded_credential_can_still_be_revoked(service, old) -> None:
    await renew(service, old)
    await service.work()
    answer = await service.post(f"/v1/credentials/{old}/suspend", {"reason": "…"})
    assert (answer.status_code, answer.json()["code"]) == (409, "status-refused")
    answer = await service.post(f"/v1/credentials/{old}/revoke", {"reason": "Fraud."})
    assert (answer.status_code, answer.json()["status"]) == (200, "revoked")


async def test_what_never_ends_or_not_soon_is_not_renewed(service, old) -> None:
    endless = await service.issued("ada")
    assert "never expires" in (await renew(service, endless)).json()["detail"]
    early = await service.issued("ada", "first-aid", completedAt="2026-10-01T00:00:00Z")
    answer = await renew(service, early)
    assert answer.json()["code"] == "renewal-refused"
    assert "2027-10-01" in answer.json()["detail"]


async def test_s23_another_tenants_credential_is_not_found(service, old) -> None:
    assert (await renew(service, old, "harbour")).status_code == 404
    assert (await service.get(f"/v1/credentials/{old}/renewal", "harbour")).status_code == 404


async def test_s36_the_evidence_lies_sealed_and_is_on_no_bus(service, old) -> None:
    await renew(service, old)
    (row,) = await service.sql("SELECT facts::text AS facts FROM completions WHERE facts ? 'renews'")
    assert "canary" not in row["facts"]
    await service.work()
    assert not [event for event in await service.said() if "canary" in str(event.data)]


async def test_a_chain_of_renewals_leads_to_its_end(service, old) -> None:
    middle = (await renew(service, old)).json()["credential"]
    await service.work()
    later = replace(service.deps, now=lambda: datetime(2027, 9, 1, tzinfo=UTC))
    worker = replace(service.worker, now=lambda: datetime(2027, 9, 1, tzinfo=UTC))
    service.http._transport.app.state.deps = later
    last = (await renew(service, middle, completedAt="2027-08-01T00:00:00Z")).json()["credential"]
    while await issue.draft(worker) + await issue.sign(worker):
        pass
    for credential in (old, middle):
        assert (await service.get(f"/v1/credentials/{credential}/renewal")).json()["id"] == last
