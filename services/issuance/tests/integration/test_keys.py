"""Keys of an institution, rotated and revoked: S27, as a verifier sees it over the published documents."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cairn.common.auth import Principal
from cairn.common.problem import DomainError
from cairn.credentials import CheckName, Outcome, Policy, Trust, Unreachable, did_web_url, verify
from cairn.issuance.use_cases import institutions, issue, keys, status_lists

from ..conftest import NOW

KEYS = "/v1/institutions/north/keys"


class Verifier:
    """A resolver that reads what the service publishes."""

    def __init__(self, service: Any) -> None:
        self.service = service

    async def did_document(self, did: str, url: str) -> bytes:
        assert url == did_web_url(did)
        return await self._get(url.replace("https://cairn.localhost/issuance", ""))

    async def trust(self, issuer: str) -> Trust:
        return Trust.TRUSTED

    async def status_list(self, url: str) -> bytes:
        return await self._get(url.replace("https://cairn.localhost/issuance", ""))

    async def document(self, url: str) -> bytes:
        raise Unreachable(url)

    async def _get(self, path: str) -> bytes:
        answer = await self.service.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.content


async def codes(service, credential: str, at=NOW) -> dict[str, str]:
    document = (await service.get(f"/v1/credentials/{credential}")).json()["credential"]
    found = await verify(document, Verifier(service), Policy(at=at))
    assert found.checks[CheckName.PROOF].outcome is Outcome.PASSED, found.to_json()
    return {name.value: found.checks[name].code for name in (CheckName.ISSUER, CheckName.STATUS)}


def method_of(document: dict[str, Any]) -> str:
    return document["proof"]["verificationMethod"].partition("#")[2]


async def listed(service) -> dict[str, dict[str, Any]]:
    return {key["id"]: key for key in (await service.get(KEYS)).json()}


def later(service, **by: float) -> None:
    service.deps = replace(service.deps, now=lambda: NOW + timedelta(**by))
    service.worker = replace(service.worker, now=lambda: NOW + timedelta(**by))
    service.http._transport.app.state.deps = service.deps


async def test_an_institution_starts_with_a_key_for_each_algorithm(service):
    assert {key: one["algorithm"] for key, one in (await listed(service)).items()} == {
        "key-1": "EdDSA",
        "key-2": "ES256",
        "key-3": "ES384",
    }
    async with service.worker.database.transaction("north") as tx:
        for algorithm, length in (("EdDSA", 64), ("ES256", 64), ("ES384", 96)):
            signer = await service.deps.keys.signer(tx, "north", algorithm)
            assert signer.algorithm == algorithm
            assert len(signer.sign(b"data")) == length
    document = (await service.http.get("/institutions/north/did.json")).json()
    assert [method["id"].partition("#")[2] for method in document["verificationMethod"]] == ["key-1", "key-2", "key-3"]
    assert document["assertionMethod"] == [method["id"] for method in document["verificationMethod"]]


async def test_s27_a_retired_key_still_verifies_what_it_signed_before(service):
    await service.learner("ada")
    before = await service.issued("ada")
    later(service, hours=1)
    answer = await service.post(KEYS, {"algorithm": "EdDSA"})
    assert answer.status_code == 201
    assert answer.json()["id"] == "key-4"
    assert (await listed(service))["key-1"]["retiredAt"] == "2026-11-01T13:00:00Z"
    later(service, hours=2)
    await service.learner("bob")
    after = await service.issued("bob")
    at = NOW + timedelta(hours=3)
    good = {"issuer": "issuer-signed", "status": "not-revoked"}
    assert await codes(service, before, at) == good
    assert await codes(service, after, at) == good
    shown = (await service.get(f"/v1/credentials/{after}")).json()["credential"]
    assert method_of(shown) == "key-4"


async def test_s27_a_compromised_key_fails_from_its_date(service):
    await service.learner("ada")
    stolen = await service.issued("ada")
    assert await codes(service, stolen) == {"issuer": "issuer-signed", "status": "not-revoked"}
    later(service, hours=1)
    body = {"since": "2026-11-01T12:30:00Z", "reason": "The key was in a backup that was lost."}
    answer = await service.post(f"{KEYS}/key-1/revoke", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["revokedAt"] == body["since"]
    assert await codes(service, stolen, NOW + timedelta(hours=2)) == {"issuer": "key-revoked", "status": "proof-first"}
    document = (await service.http.get("/institutions/north/did.json")).json()
    method = document["verificationMethod"][0]
    assert method["revoked"] == body["since"]
    assert method["id"] not in document["assertionMethod"], "who does not read `revoked` does not trust it either"
    assert "backup" not in str(document)
    # Another key signs at once, the status lists too, which the stolen key had signed.
    await service.learner("bob")
    assert await codes(service, await service.issued("bob"), NOW + timedelta(hours=2)) == {
        "issuer": "issuer-signed",
        "status": "not-revoked",
    }
    again = await service.post(f"{KEYS}/key-1/revoke", body | {"since": "2026-10-01T00:00:00Z"})
    assert again.json()["revokedAt"] == body["since"], "it changes nothing to ask twice"
    assert len(await listed(service)) == 4


async def test_s27_a_retired_key_may_turn_out_to_be_compromised(service):
    await service.post(KEYS, {"algorithm": "EdDSA"})
    answer = await service.post(f"{KEYS}/key-1/revoke", {"since": "2026-10-01T00:00:00Z", "reason": "Found on a disk."})
    assert answer.json()["retiredAt"] is not None
    assert sorted(await listed(service)) == ["key-1", "key-2", "key-3", "key-4"]


@pytest.mark.parametrize("revoked", [True, False])
async def test_s26_s27_what_a_key_was_to_sign_is_decided_anew_for_the_next_one(service, revoked):
    await service.learner("ada")
    await service.complete("ada")
    await issue.draft(service.worker)
    (intent,) = await service.sql("SELECT id, intent FROM credentials")
    later(service, hours=1)
    if revoked:
        await service.post(f"{KEYS}/key-1/revoke", {"since": "2026-11-01T00:00:00Z", "reason": "stolen"})
    else:
        await service.post(KEYS, {"algorithm": "EdDSA"})
    assert await issue.sign(service.worker) == 1
    (renewed,) = await service.sql("SELECT intent, state FROM credentials")
    assert renewed["state"] == "intended"
    assert renewed["intent"] != intent["intent"], "what will be signed is recorded before it is signed"
    await service.work()
    shown = (await service.get(f"/v1/credentials/{intent['id']}")).json()["credential"]
    assert method_of(shown) == "key-4"
    assert (await codes(service, intent["id"], NOW + timedelta(hours=2)))["issuer"] == "issuer-signed"
    assert len(await service.said("credential.issued.v1")) == 1


async def test_a_rotation_waits_for_who_signs(service):
    """Otherwise a proof could be dated after the end of its key."""
    principal = _principal()
    async with service.worker.database.transaction("north") as tx:
        signer = await service.worker.keys.signer(tx, "north")
        rotation = asyncio.create_task(keys.rotate(service.deps, principal, "north", "EdDSA"))
        await asyncio.sleep(0.2)
        assert not rotation.done()
        await tx.commit()
    assert (await rotation)["id"] == "key-4"
    async with service.worker.database.transaction("north") as tx:
        assert (await service.worker.keys.signer(tx, "north")).verification_method != signer.verification_method


async def test_many_rotations_at_once_leave_one_current_key(service):
    await asyncio.gather(*(service.post(KEYS, {"algorithm": "ES256"}) for _ in range(5)))
    current = [
        key for key in (await listed(service)).values() if key["algorithm"] == "ES256" and key["retiredAt"] is None
    ]
    assert len(current) == 1
    assert len(await listed(service)) == 8


async def test_a_withdrawn_status_list_is_signed_anew(service):
    await service.learner("ada")
    await service.issued("ada")
    before = await status_lists.published(service.deps, "north", 1, "revocation")
    await service.post(f"{KEYS}/key-1/revoke", {"since": "2026-11-01T00:00:00Z", "reason": "stolen"})
    after = await status_lists.published(service.deps, "north", 1, "revocation")
    assert b"#key-1" in before.body
    assert b"#key-4" in after.body


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("key-9/revoke", {"since": "2026-11-01T00:00:00Z", "reason": "r"}, 404, "not-found"),
        ("key-1/revoke", {"since": "2027-11-01T00:00:00Z", "reason": "r"}, 409, "key-refused"),
        ("key-1/revoke", {"since": "yesterday", "reason": "r"}, 422, "malformed"),
        ("key-1/revoke", {"since": "2026-11-01T00:00:00Z"}, 422, "malformed"),
        ("", {"algorithm": "RS256"}, 422, "malformed"),
    ],
)
async def test_what_is_wrong_is_refused_with_its_field(service, path, body, status, code):
    answer = await service.post(f"{KEYS}/{path}".removesuffix("/"), body)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1].removesuffix(".md")) == (status, code)
    assert len(await listed(service)) == 3


def by(service, cryptosuite: str) -> None:
    settings = service.deps.settings.model_copy(update={"cryptosuite": cryptosuite})
    service.deps = replace(service.deps, settings=settings)
    service.worker = replace(service.worker, settings=settings)
    service.http._transport.app.state.deps = service.deps


@pytest.mark.parametrize("cryptosuite", ["ecdsa-rdfc-2019", "ecdsa-jcs-2019", "eddsa-jcs-2022"])
async def test_all_that_is_earned_is_signed_by_the_cryptosuite_that_is_set(service, cryptosuite):
    """Some may use no other curve than those of NIST: then it is P-256 for credentials and lists alike."""
    by(service, cryptosuite)
    await service.learner("ada")
    credential = await service.issued("ada")
    assert await codes(service, credential) == {"issuer": "issuer-signed", "status": "not-revoked"}
    shown = (await service.get(f"/v1/credentials/{credential}")).json()["credential"]
    key = "key-2" if cryptosuite.startswith("ecdsa") else "key-1"
    assert (shown["proof"]["cryptosuite"], method_of(shown)) == (cryptosuite, key)
    path = shown["credentialStatus"]["statusListCredential"].replace("https://cairn.localhost/issuance", "")
    assert method_of((await service.http.get(path)).json()) == key
    await service.post(f"/v1/credentials/{credential}/revoke", {"reason": "a mistake"})
    assert (await codes(service, credential))["status"] == "revoked"


async def test_s26_what_waits_when_the_cryptosuite_is_changed_is_decided_anew(service):
    await service.learner("ada")
    await service.complete("ada")
    await issue.draft(service.worker)
    by(service, "ecdsa-rdfc-2019")
    await service.work()
    (row,) = await service.sql("SELECT id FROM credentials")
    assert (await codes(service, row["id"]))["issuer"] == "issuer-signed"
    shown = (await service.get(f"/v1/credentials/{row['id']}")).json()["credential"]
    assert (shown["proof"]["cryptosuite"], method_of(shown)) == ("ecdsa-rdfc-2019", "key-2")


def _principal() -> Principal:
    return Principal("tester", "north", frozenset({"keys:write"}))


async def test_a_did_key_is_its_one_key(service):
    tenant = await institutions.own(service.deps, "Ed25519")
    with pytest.raises(DomainError) as refused:
        await keys.rotate(service.deps, replace(_principal(), tenant=tenant), tenant, "EdDSA")
    assert refused.value.code == "key-refused"
    caller = replace(_principal(), tenant=tenant)
    row = await keys.revoke(service.deps, caller, tenant, "key-1", NOW, "A laptop was stolen.")
    assert row["revoked_at"] == NOW
    left = await keys.history(service.deps, caller, tenant)
    assert len(left) == 3, "no key takes the place of one that is the issuer's name"
    async with service.deps.database.transaction(tenant) as tx:
        with pytest.raises(DomainError):
            await service.deps.keys.signer(tx, tenant, "EdDSA")
