"""The doors of the public suites on issuance (VC-API), open on one person's machine and closed elsewhere (S35)."""

import base64
import copy
import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pydantic import ValidationError

from cairn.common.auth import Principal
from cairn.credentials import CheckName, Outcome, Policy, Trust, verify
from cairn.issuance.app import issuance_app
from cairn.issuance.domain.documents import Wanted
from cairn.issuance.domain.intents import WrongBytes
from cairn.issuance.settings import IssuanceSettings
from cairn.issuance.use_cases import documents

DOCUMENT: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "id": "urn:uuid:0b5c2c7e-6a5c-4f0c-9a53-5d1c0c6a0d11",
    "type": ["VerifiableCredential"],
    "credentialSubject": {"id": "did:example:subject", "name": "Ada"},
}
ENTRY = "BitstringStatusListEntry"
REVOCATION = {"type": ENTRY, "statusPurpose": "revocation"}
SUSPENSION = {"type": ENTRY, "statusPurpose": "suspension"}
SCOPES = frozenset({"credentials:issue", "credentials:read", "credentials:write"})
UNASKED = {CheckName.EVIDENCE, CheckName.HOLDER}
OPEN = SCOPES | {"credentials:derive"}


@pytest.fixture
async def anybody(service, settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller without a token, on one person's machine."""
    opened = settings.model_copy(update={"public_scopes": OPEN})
    deps = replace(service.deps, settings=opened)
    transport = httpx.ASGITransport(issuance_app(opened, deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8081") as client:
        yield client


async def issued(client: httpx.AsyncClient, document: dict[str, Any] = DOCUMENT, **options: Any) -> dict[str, Any]:
    answer = await client.post("/credentials/issue", json={"credential": document, "options": options})
    assert answer.status_code == 201, answer.text
    return answer.json()["verifiableCredential"]


class Lists:
    """The outside, as far as status lists go: whatever URL is asked, the service itself answers."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def did_document(self, did: str, url: str) -> bytes:
        return await self._get(url)

    async def trust(self, issuer: str) -> Trust:
        return Trust.TRUSTED

    async def status_list(self, url: str) -> bytes:
        return await self._get(url)

    async def _get(self, url: str) -> bytes:
        answer = await self._client.get(url.removeprefix("https://cairn.localhost/issuance"))
        assert answer.status_code == 200, url
        return answer.content


async def verified(client: httpx.AsyncClient, service, credential: Any) -> dict[CheckName, Outcome]:
    found = await verify(credential, Lists(client), Policy(at=service.deps.now()))
    return {name: check.outcome for name, check in found.checks.items()}


async def set_status(client: httpx.AsyncClient, entry: dict[str, str], value: object = True, **more: Any):
    body = {"credentialId": DOCUMENT["id"], "credentialStatus": entry, "status": value, **more}
    return await client.post("/credentials/status", json=body)


@pytest.mark.parametrize(
    ("options", "cryptosuite", "prefix"),
    [
        ({}, "eddsa-rdfc-2022", "z6Mk"),
        ({"cryptosuite": "eddsa-jcs-2022", "keyType": "Ed25519"}, "eddsa-jcs-2022", "z6Mk"),
        ({"cryptosuite": "ecdsa-rdfc-2019"}, "ecdsa-rdfc-2019", "zDna"),
        ({"keyType": "P-384"}, "ecdsa-rdfc-2019", "z82L"),
        ({"cryptosuite": "ecdsa-jcs-2019", "keyType": "P-384"}, "ecdsa-jcs-2019", "z82L"),
    ],
    ids=str,
)
async def test_what_is_issued_verifies(anybody, service, options, cryptosuite, prefix) -> None:
    credential = await issued(anybody, credentialStatus=REVOCATION, **options)
    assert credential["issuer"].startswith(f"did:key:{prefix}")
    assert credential["proof"]["cryptosuite"] == cryptosuite
    outcomes = await verified(anybody, service, credential)
    assert {name for name, outcome in outcomes.items() if outcome is not Outcome.PASSED} == UNASKED
    said = {key: value for key, value in credential.items() if key not in {"proof", "issuer", "credentialStatus"}}
    assert said == DOCUMENT


async def test_a_holder_discloses_a_part(anybody, service) -> None:
    subject = {"id": "did:example:subject", "name": "Ada", "description": "A canary"}
    options = {"cryptosuite": "ecdsa-sd-2023", "mandatoryPointers": ["/issuer"]}
    base = await issued(anybody, DOCUMENT | {"credentialSubject": subject}, **options)
    body = {"verifiableCredential": base, "options": {"selectivePointers": ["/credentialSubject/name"]}}
    answer = await anybody.post("/credentials/derive", json=body)
    assert answer.status_code == 201, answer.text
    derived = answer.json()["verifiableCredential"]
    assert derived["credentialSubject"] == {"id": "did:example:subject", "name": "Ada"}
    outcomes = await verified(anybody, service, derived)
    assert outcomes[CheckName.PROOF] is outcomes[CheckName.ISSUER] is Outcome.PASSED


async def test_what_cannot_be_derived_is_400(anybody) -> None:
    for credential in ({}, DOCUMENT, await issued(anybody)):
        answer = await anybody.post("/credentials/derive", json={"verifiableCredential": credential})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"].startswith("/verifiableCredential")
    assert (await anybody.post("/credentials/derive", json={"verifiableCredential": "x"})).status_code == 400


async def test_vc_1_1_gets_the_terms_of_its_proof(anybody, service) -> None:
    old = DOCUMENT | {"@context": ["https://www.w3.org/2018/credentials/v1"], "issuanceDate": "2026-01-01T00:00:00Z"}
    old["credentialSubject"] = {"id": "did:example:subject"}
    credential = await issued(anybody, old)
    assert credential["@context"] == [*old["@context"], "https://w3id.org/security/data-integrity/v2"]
    assert set((await verified(anybody, service, credential)).values()) <= {Outcome.PASSED, Outcome.SKIPPED}


async def test_an_envelope_carries_the_same(anybody, service) -> None:
    enveloped = await issued(anybody, envelope="vc+jwt")
    assert enveloped["type"] == "EnvelopedVerifiableCredential"
    media_type, _, token = enveloped["id"].partition(",")
    assert media_type == "data:application/vc+jwt"
    payload = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert payload["credentialSubject"] == DOCUMENT["credentialSubject"]
    outcomes = await verified(anybody, service, token)
    assert outcomes[CheckName.PROOF] is outcomes[CheckName.ISSUER] is Outcome.PASSED


@pytest.mark.parametrize(
    "issuer",
    [None, "did:key:z6MkhTNL7i2etLerDK8Acz5t528giE5KA4p75T6ka1E1D74r", "https://example.org/issuers/1"],
    ids=str,
)
async def test_s35_whoever_is_named_the_installation_issues_for_itself(anybody, issuer) -> None:
    own = (await issued(anybody))["issuer"]
    document = DOCUMENT | ({"issuer": issuer} if issuer else {})
    assert (await issued(anybody, document))["issuer"] == own
    described = await issued(anybody, DOCUMENT | {"issuer": {"name": "A school"} | ({"id": issuer} if issuer else {})})
    assert described["issuer"] == {"id": own, "name": "A school"}
    assert (await issued(anybody, DOCUMENT | {"issuer": own}))["issuer"] == own


async def test_s35_with_a_token_the_issuer_is_the_callers_tenant(service) -> None:
    north = (await service.get("/v1/institutions/north")).json()["did"]
    harbour = (await service.get("/v1/institutions/harbour", "harbour")).json()["did"]
    for issuer in (None, north, {"id": north, "name": "North"}):
        document = DOCUMENT | ({"issuer": issuer} if issuer else {})
        answer = await service.post("/credentials/issue", {"credential": document})
        assert answer.status_code == 201, answer.text
        credential = answer.json()["verifiableCredential"]
        assert credential["proof"]["verificationMethod"].startswith(north)
        outcomes = await verified(service.http, service, credential)
        assert outcomes[CheckName.PROOF] is outcomes[CheckName.ISSUER] is Outcome.PASSED
    for foreign in (harbour, {"id": harbour}, "did:key:z6MkhTNL7i2etLerDK8Acz5t528giE5KA4p75T6ka1E1D74r"):
        answer = await service.post("/credentials/issue", {"credential": DOCUMENT | {"issuer": foreign}})
        assert answer.status_code == 400
        assert answer.json()["code"] == "issuer-foreign"
        assert answer.json()["errors"][0]["field"] == "/credential/issuer"


@pytest.mark.parametrize("environment", ["production", "development"])
def test_s35_nothing_is_open_where_others_can_reach_it(settings, environment: str) -> None:
    for scope in SCOPES:
        with pytest.raises(ValidationError, match="CAIRN_PUBLIC_SCOPES"):
            IssuanceSettings(**settings.model_dump() | {"environment": environment, "public_scopes": {scope}})
    with pytest.raises(ValidationError, match="loopback"):
        IssuanceSettings(**settings.model_dump() | {"environment": "onebox", "host": "0.0.0.0"})


async def test_s35_an_operator_of_a_production_signs_for_nobody(service, settings) -> None:
    live = settings.model_copy(update={"environment": "production"})
    transport = httpx.ASGITransport(issuance_app(live, replace(service.deps, settings=live)))
    async with httpx.AsyncClient(transport=transport, base_url="http://issuance") as client:
        body = {"credential": DOCUMENT}
        assert (await client.post("/credentials/issue", json=body)).status_code == 401
        headers = service.auth("platform")
        assert (await client.post("/credentials/issue", json=body, headers=headers)).status_code == 404
        assert (await client.post("/credentials/issue", json=body, headers=service.auth("north"))).status_code == 201


async def test_s35_a_web_page_cannot_make_a_visitor_sign(anybody) -> None:
    body = json.dumps({"credential": DOCUMENT})
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await anybody.post("/credentials/issue", content=body, headers={"content-type": media_type})
        assert answer.status_code == 400


async def test_s35_nor_a_page_whose_name_was_made_to_lead_here(anybody) -> None:
    body = {"credential": DOCUMENT}
    for host in ("evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example", "", "["):
        answer = await anybody.post("/credentials/issue", json=body, headers={"host": host})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), host
        assert (await anybody.get(f"/credentials/{DOCUMENT['id']}", headers={"host": host})).status_code == 401
    for host in ("localhost", "LOCALHOST:8081", "issuance.cairn.localhost", "127.0.0.1:8081", "[::1]:8081"):
        assert (await anybody.post("/credentials/issue", json=body, headers={"host": host})).status_code == 201


async def test_nobody_can_register_as_the_installation_itself(service) -> None:
    for tenant in ("own-ed25519", "own-p-256", "own-p-384"):
        body = {"id": tenant, "name": "Mine", "url": "https://mine.example"}
        assert (await service.post("/v1/institutions", body, "platform")).status_code == 400


async def test_issue_status_verify_revoke_verify(anybody, service) -> None:
    credential = await issued(anybody, credentialStatus=REVOCATION)
    entry = credential["credentialStatus"]
    assert entry["type"] == ENTRY
    assert entry["statusPurpose"] == "revocation"
    assert (await verified(anybody, service, credential))[CheckName.STATUS] is Outcome.PASSED
    for _ in range(2):
        assert (await set_status(anybody, REVOCATION)).status_code == 200
        assert (await verified(anybody, service, credential))[CheckName.STATUS] is Outcome.FAILED
    assert (await set_status(anybody, REVOCATION, value=False)).status_code == 400
    assert (await verified(anybody, service, credential))[CheckName.STATUS] is Outcome.FAILED


async def test_the_status_within_an_envelope_is_the_same(anybody, service) -> None:
    enveloped = await issued(anybody, envelope="vc+jwt", credentialStatus=REVOCATION)
    assert (await verified(anybody, service, enveloped))[CheckName.STATUS] is Outcome.PASSED
    assert (await set_status(anybody, SUSPENSION)).status_code == 400
    assert (await set_status(anybody, REVOCATION)).status_code == 200
    assert (await verified(anybody, service, enveloped))[CheckName.STATUS] is Outcome.FAILED


async def test_a_suspension_can_be_lifted(anybody, service) -> None:
    credential = await issued(anybody, credentialStatus=[REVOCATION, SUSPENSION])
    assert [entry["statusPurpose"] for entry in credential["credentialStatus"]] == ["revocation", "suspension"]
    for value, outcome in ((True, Outcome.FAILED), (False, Outcome.PASSED), (False, Outcome.PASSED)):
        assert (await set_status(anybody, SUSPENSION, value)).status_code == 200
        assert (await verified(anybody, service, credential))[CheckName.STATUS] is outcome


async def test_s14_every_credential_of_one_id_is_revoked_and_no_other(anybody, service) -> None:
    twice = [await issued(anybody, credentialStatus=REVOCATION, keyType=kind) for kind in ("P-256", "Ed25519")]
    without, other = (
        await issued(anybody),
        await issued(anybody, DOCUMENT | {"id": "urn:x:2"}, credentialStatus=REVOCATION),
    )
    places = {entry["credentialStatus"]["id"] for entry in (*twice, other)}
    assert len(places) == 3
    assert (await set_status(anybody, REVOCATION)).status_code == 200
    for credential in twice:
        assert (await verified(anybody, service, credential))[CheckName.STATUS] is Outcome.FAILED
    assert (await verified(anybody, service, without))[CheckName.STATUS] is Outcome.SKIPPED
    assert (await verified(anybody, service, other))[CheckName.STATUS] is Outcome.PASSED


async def test_a_status_that_is_not_there(anybody, service) -> None:
    assert (await set_status(anybody, REVOCATION)).status_code == 404
    await issued(anybody, credentialStatus=REVOCATION)
    answer = await set_status(anybody, SUSPENSION)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "/credentialStatus/statusPurpose"
    assert (await set_status(anybody, REVOCATION, value="yes")).status_code == 400
    assert (await set_status(anybody, {"type": "Other"})).status_code == 400
    # Another tenant's stays out of reach.
    body = {"credentialId": DOCUMENT["id"], "credentialStatus": REVOCATION, "status": True}
    assert (await service.post("/credentials/status", body)).status_code == 404


async def test_a_learners_credential_has_the_same_door(service) -> None:
    await service.learner("ada")
    id_ = await service.issued("ada")
    shown = await service.get(f"/credentials/{id_}")
    assert shown.json()["verifiableCredential"]["id"] == id_
    assert (await service.get(f"/credentials/{id_}", "harbour")).status_code == 404
    body = {"credentialId": id_, "credentialStatus": REVOCATION, "status": True}
    assert (await service.post("/credentials/status", body)).status_code == 200
    assert (await service.get(f"/v1/credentials/{id_}")).json()["status"] == "revoked"
    assert len(await service.said("credential.revoked.v1")) == 1


async def test_reading_a_credential_by_whatever_id_it_has(anybody, service) -> None:
    document = DOCUMENT | {"id": "https://north.example/credentials/1?x=ü"}
    first, second = await issued(anybody, document), await issued(anybody, document, keyType="P-384")
    assert first != second
    answer = await anybody.get(f"/credentials/{quote(document['id'], safe='')}")
    assert answer.json() == {"verifiableCredential": second}
    assert (await anybody.get("/credentials/urn:x:none")).status_code == 404
    listed = (await service.get("/v1/credentials")).json()
    assert listed == [], "what anybody may sign is no institution's"


async def test_what_is_kept_is_sealed_and_nothing_is_announced(anybody, service) -> None:
    before = len(await service.said())
    await issued(anybody, DOCUMENT | {"credentialSubject": {"name": "canary-name"}}, credentialStatus=REVOCATION)
    await set_status(anybody, REVOCATION)
    assert len(await service.said()) == before
    for row in await service.sql("SELECT * FROM credentials"):
        assert "canary-name" not in str(row)
        assert row["state"] == "issued"


@pytest.mark.parametrize(
    "want",
    [Wanted("Ed25519", "eddsa-rdfc-2022"), Wanted("P-256", "ecdsa-sd-2023"), Wanted("Ed25519", None)],
    ids=str,
)
async def test_s26_what_was_altered_after_it_was_recorded_is_not_signed(service, monkeypatch, want) -> None:
    real = documents._secure

    def altered(recorded, intent, signer):
        recorded["document"]["credentialSubject"]["name"] = "Mallory"
        return real(recorded, intent, signer)

    monkeypatch.setattr(documents, "_secure", altered)
    with pytest.raises(WrongBytes):
        await documents.issue(service.deps, Principal("tester", "north", SCOPES), copy.deepcopy(DOCUMENT), want)
    await service.work()
    assert [row["state"] for row in await service.sql("SELECT state FROM credentials")] == ["intended"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"cryptosuite": "rsa-2018"}, "/options/cryptosuite"),
        ({"cryptosuite": "eddsa-rdfc-2022", "keyType": "P-256"}, "/options/keyType"),
        ({"keyType": "P-521"}, "/options/keyType"),
        ({"envelope": "sd-jwt"}, "/options/envelope"),
        ({"envelope": "vc+jwt", "cryptosuite": "eddsa-rdfc-2022"}, "/options/envelope"),
        ({"mandatoryPointers": ["/issuer"], "cryptosuite": "eddsa-rdfc-2022"}, "/options/mandatoryPointers"),
        ({"mandatoryPointers": [7]}, "/options/mandatoryPointers/0"),
        ({"credentialStatus": {"type": "StatusList2017"}}, "/options/credentialStatus/type"),
        ({"credentialStatus": REVOCATION | {"statusPurpose": "message"}}, "/options/credentialStatus/statusPurpose"),
    ],
    ids=str,
)
async def test_options_that_cannot_be_met_name_their_place(anybody, options, field) -> None:
    answer = await anybody.post("/credentials/issue", json={"credential": DOCUMENT, "options": options})
    assert answer.status_code == 400, answer.text
    assert field in {error["field"] for error in answer.json()["errors"]}, answer.text


async def test_a_nul_in_an_id_is_400_too(anybody) -> None:
    asked = {"credentialId": "urn:\0", "credentialStatus": REVOCATION}
    answer = await anybody.post("/credentials/status", json=asked)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "/credentialId")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"credential": 7}', b'{"credential": {}, "credential": {}}', b'{"credential": {}}'],
    ids=repr,
)
async def test_what_is_no_request_is_400(anybody, body: bytes) -> None:
    answer = await anybody.post("/credentials/issue", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["code"] in {"bad-request", "credential-refused"}


async def test_s1_what_would_go_unsigned_is_refused(anybody) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["credentialSubject"]["unheardOf"] = "x"
    answer = await anybody.post("/credentials/issue", json={"credential": document})
    assert answer.status_code == 400
    assert "unheardOf" in answer.text


async def test_s2_an_unknown_context_is_named_and_not_fetched(anybody) -> None:
    document = DOCUMENT | {"@context": [*DOCUMENT["@context"], "https://example.org/contexts/mine"]}
    answer = await anybody.post("/credentials/issue", json={"credential": document})
    assert answer.status_code == 400
    assert "context-unknown" in answer.text


async def test_s29_what_a_caller_had_issued_can_be_erased(anybody, service) -> None:
    secured = await issued(anybody, credentialStatus=REVOCATION)
    await set_status(anybody, REVOCATION)
    path = f"/credentials/{quote(DOCUMENT['id'], safe='')}"
    assert (await anybody.delete(path)).status_code == 202
    assert (await anybody.get(path)).status_code == 404
    assert (await anybody.delete(path)).status_code == 404
    assert (await set_status(anybody, REVOCATION)).status_code == 404
    (row,) = await service.sql("SELECT key, body, document_id FROM credentials")
    assert row == {"key": b"", "body": b"", "document_id": None}
    assert (await verified(anybody, service, secured))[CheckName.STATUS] is Outcome.FAILED, "it stays revoked"


async def test_what_a_learner_earned_is_not_erased_by_that_door(service) -> None:
    await service.learner("ada")
    credential = await service.issued("ada")
    path = f"/credentials/{quote(credential, safe='')}"
    assert (await service.http.delete(path, headers=service.auth("north"))).status_code == 404
    assert (await service.get(path)).status_code == 200
