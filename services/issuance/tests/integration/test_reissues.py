"""S27: what a compromised key signed is signed anew by the next one, whatever happens meanwhile."""

from datetime import timedelta
from typing import Any

import pytest

from cairn.common.auth import Principal
from cairn.common.problem import DomainError
from cairn.credentials import CheckName, Policy, verify
from cairn.issuance.use_cases import institutions, issue, keys, reissues

from ..conftest import NOW
from .test_keys import KEYS, Verifier, codes, later, method_of
from .test_learner_records import qualification, record

__all__ = ["qualification"]

REISSUE = f"{KEYS}/key-1/reissue"
AT = NOW + timedelta(hours=2)
GOOD = {"issuer": "issuer-signed", "status": "not-revoked"}


async def compromised(service) -> None:
    later(service, hours=1)
    answer = await service.post(f"{KEYS}/key-1/revoke", {"since": "2026-11-01T11:00:00Z", "reason": "stolen"})
    assert answer.status_code == 200


async def credential(service, id_: str) -> dict[str, Any]:
    return (await service.get(f"/v1/credentials/{id_}")).json()["credential"]


async def work(service, most: int = 200) -> None:
    while await reissues.reissue(service.worker, most) + await issue.sign(service.worker):
        pass
    await reissues.reissue(service.worker, most)


async def progress(service) -> dict[str, Any]:
    answer = await service.get(REISSUE)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def issued(service) -> list[str]:
    ids: list[str] = []
    for name in ("ada", "bob", "eve"):
        await service.learner(name)
        ids.append(await service.issued(name))
    return ids


async def test_s27_what_a_compromised_key_signed_is_signed_anew(service, issued) -> None:
    before = [await credential(service, one) for one in issued]
    told = len(await service.said())
    await compromised(service)
    assert (await codes(service, issued[0], AT))["issuer"] == "key-revoked"
    answer = await service.post(REISSUE)
    assert answer.status_code == 202
    counts = {"examined": 0, "reissued": 0, "waiting": 0, "leftAlone": 0, "finishedAt": None}
    assert answer.json() == {"total": 3, "startedAt": answer.json()["startedAt"], **counts}
    await work(service)
    shown = await progress(service)
    assert (shown["examined"], shown["reissued"], shown["waiting"], shown["leftAlone"]) == (3, 3, 0, 0)
    assert shown["finishedAt"] == "2026-11-01T13:00:00Z"
    for id_, old in zip(issued, before, strict=True):
        new = await credential(service, id_)
        assert await codes(service, id_, AT) == GOOD
        assert method_of(new) == "key-4"
        assert {**new, "proof": None} == {**old, "proof": None}, "nothing but the proof is new"
    assert len(await service.said()) == told, "nobody is told of what has not changed"
    rows = await service.sql("SELECT issued_at FROM credentials")
    assert {row["issued_at"] for row in rows} == {NOW}
    assert (await service.post(REISSUE)).json() == shown, "to ask again starts nothing anew"


async def test_s27_a_reissue_goes_on_where_it_stopped(service, issued, monkeypatch) -> None:
    await compromised(service)
    await service.post(REISSUE)
    assert await reissues.reissue(service.worker, 1) == 1
    assert (await progress(service))["waiting"] == 1
    await issue.sign(service.worker)

    async def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("cairn.issuance.store.reissues.advance", crash)
        with pytest.raises(RuntimeError):
            await reissues.reissue(service.worker, 1)
    shown = await progress(service)
    assert (shown["examined"], shown["reissued"], shown["waiting"]) == (1, 1, 0)
    assert shown["finishedAt"] is None
    await work(service, 1)
    assert (await progress(service))["reissued"] == 3
    assert [await codes(service, one, AT) for one in issued] == [GOOD] * 3


async def test_s27_it_does_not_run_far_ahead_of_the_signer(service, issued, monkeypatch) -> None:
    monkeypatch.setattr(reissues, "_AHEAD", 2)
    await compromised(service)
    await service.post(REISSUE)
    assert [await reissues.reissue(service.worker, 1) for _ in range(3)] == [1, 1, 0]
    await work(service)
    assert (await progress(service))["reissued"] == 3


async def test_s27_what_is_revoked_erased_or_signed_by_another_key_stays_as_it_is(service, issued) -> None:
    revoked, erased, kept = issued
    await service.post(f"/v1/credentials/{revoked}/revoke", {"reason": "a mistake"})
    (row,) = await service.sql("SELECT learner_id FROM credentials WHERE id = :id", id=erased)
    assert (await service.http.delete(f"/v1/learners/{row['learner_id']}", headers=service.auth("north"))).is_success
    await compromised(service)
    await service.learner("fay")
    fresh = await service.issued("fay")
    before = (await service.sql("SELECT body FROM credentials WHERE id = :id", id=fresh))[0]["body"]
    await service.post(REISSUE)
    await work(service)
    shown = await progress(service)
    assert (shown["examined"], shown["reissued"], shown["leftAlone"]) == (3, 1, 0)
    assert method_of(await credential(service, revoked)) == "key-1"
    assert (await service.sql("SELECT body FROM credentials WHERE id = :id", id=fresh))[0]["body"] == before
    assert await codes(service, kept, AT) == GOOD


async def test_a_status_that_changes_while_it_waits_is_told_at_once_and_stays(service, issued) -> None:
    await compromised(service)
    await service.post(REISSUE)
    await reissues.reissue(service.worker, 200)
    answer = await service.post(f"/v1/credentials/{issued[0]}/revoke", {"reason": "a mistake"})
    assert answer.status_code == 200
    assert [event.subject for event in await service.said("credential.revoked.v1")] == [issued[0]]
    await work(service)
    assert len(await service.said("credential.revoked.v1")) == 1
    assert (await codes(service, issued[0], AT))["status"] == "revoked"


@pytest.mark.parametrize(
    "options", [{}, {"envelope": "vc+jwt"}, {"cryptosuite": "ecdsa-rdfc-2019", "keyType": "P-256"}]
)
async def test_what_callers_wrote_is_left_to_them(service, options) -> None:
    document = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": "did:web:cairn.localhost:issuance:institutions:north",
        "credentialSubject": {"id": "did:example:s"},
    }
    answer = await service.post("/credentials/issue", {"credential": document, "options": options})
    assert answer.status_code == 201, answer.text
    await compromised(service)
    await service.post(REISSUE)
    await work(service)
    shown = await progress(service)
    assert (shown["examined"], shown["reissued"]) == (1, 0)
    assert shown["leftAlone"] == (0 if "cryptosuite" in options else 1)


async def test_s27_a_learner_record_is_made_anew_of_the_new_signatures(service, qualification) -> None:
    whole, _ = qualification
    await record(service, whole)
    await compromised(service)
    await service.post(REISSUE)
    await work(service)
    fresh = await record(service, whole)
    assert {method_of(fresh), *(method_of(one) for one in fresh["credentialSubject"]["verifiableCredential"])} == {
        "key-4"
    }
    found = await verify(fresh, Verifier(service), Policy(at=AT))
    assert found.verified, found.to_json()
    assert found.checks[CheckName.EVIDENCE].code == "evidence-verified"


async def test_a_key_that_still_verifies_is_not_reissued(service, issued) -> None:
    refused = await service.post(REISSUE)
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("/key-refused")
    assert (await service.get(REISSUE)).status_code == 404
    assert (await service.post(f"{KEYS}/key-9/reissue")).status_code == 404
    assert (await service.post(REISSUE, tenant="harbour")).status_code == 404


async def test_a_did_key_has_no_other_key_to_sign_with(service) -> None:
    tenant = await institutions.own(service.deps, "Ed25519")
    principal = Principal("tester", tenant, frozenset({"keys:write"}))
    (key, *_) = await keys.history(service.deps, principal, tenant)
    await keys.revoke(service.deps, principal, tenant, key["id"], NOW, "stolen")
    with pytest.raises(DomainError) as refused:
        await reissues.start(service.deps, principal, tenant, key["id"])
    assert refused.value.code == "key-refused"
