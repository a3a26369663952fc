"""The doors of the public suites (VC-API): the same use cases, other status codes."""

import json
from datetime import datetime
from urllib.parse import quote

import httpx
import pytest

from cairn.credentials import Ed25519Signer, sign
from cairn.verification.app import verification_app
from cairn.verification.deps import Deps

VERIFY = "/credentials/verify"


async def post(client, credential, **options) -> httpx.Response:
    return await client.post(VERIFY, json={"verifiableCredential": credential, "options": options})


async def test_verified_is_200(client, north) -> None:
    for credential in (north.credential(index=1), north.token(index=1)):
        answer = await post(client, credential)
        assert answer.status_code == 200
        assert answer.json()["verified"] is True
        assert answer.json()["errors"] == []
        assert answer.json()["checks"]["status"]["outcome"] == "passed"


async def test_options_may_be_left_out(client, north) -> None:
    answer = await client.post(VERIFY, json={"verifiableCredential": north.credential()})
    assert answer.status_code == 200


async def test_an_enveloped_credential_is_unwrapped(client, north) -> None:
    envelope = {
        "@context": "https://www.w3.org/ns/credentials/v2",
        "id": f"data:application/vc+jwt,{north.token()}",
        "type": "EnvelopedVerifiableCredential",
    }
    assert (await post(client, envelope)).json()["verified"] is True


async def test_not_verified_is_400_and_says_why(client, north, web) -> None:
    altered = json.loads(json.dumps(north.credential()))
    altered["credentialSubject"]["achievement"]["name"] = "Brain Surgery"
    answer = await post(client, altered)
    assert answer.status_code == 400
    assert answer.json()["verified"] is False
    assert any(error["check"] == "proof" for error in answer.json()["errors"])
    web.serve(north.list_path, north.status_list(9))
    answer = await post(client, north.credential(index=9))
    assert answer.status_code == 400
    assert [error["code"] for error in answer.json()["errors"]] == ["revoked"]


@pytest.mark.parametrize(
    ("path", "bodies"),
    [
        (
            VERIFY,
            [b'{"verifiableCredential": 7}', b'{"verifiableCredential": {}, "verifiableCredential": {}}'],
        ),
        (
            "/presentations/verify",
            [
                b'{"verifiablePresentation": 7}',
                b'{"verifiablePresentation": {"type": ["NonconformingDocument"]}}',
                b'{"verifiablePresentation": {}, "options": {"challenge": 7}}',
                b'{"verifiablePresentation": {}, "options": "all"}',
            ],
        ),
    ],
)
async def test_what_is_no_request_is_400_and_not_verified(client, path: str, bodies: list[bytes]) -> None:
    for body in (b"", b"{", b"[]", b"{}", *bodies):
        answer = await client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400, body
        assert answer.json()["verified"] is False
        assert answer.json()["errors"]


async def test_checks_that_were_not_asked_for_are_skipped(client, north, web) -> None:
    web.serve(north.list_path, north.status_list(9))
    answer = await post(client, north.credential(index=9), checks=["proof"])
    assert answer.status_code == 200
    outcomes = {name: check["outcome"] for name, check in answer.json()["checks"].items()}
    assert outcomes == {
        "proof": "passed",
        "issuer": "passed",
        "trust": "skipped",
        "status": "skipped",
        "validity": "skipped",
        "schema": "skipped",
        "evidence": "skipped",
        "holder": "skipped",
    }
    assert north.list_path not in web.hits
    assert (await post(client, north.credential(index=9), checks=["proof", "credentialStatus"])).status_code == 400


@pytest.mark.parametrize("checks", [["nonsense"], "proof", [7], {}, {"proof": True}], ids=str)
async def test_checks_that_do_not_exist_are_refused(client, north, checks) -> None:
    answer = await post(client, north.credential(), checks=checks)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("/options/checks")


async def test_on_one_persons_machine_the_status_of_a_stranger_is_looked_up(client, stranger, web) -> None:
    answer = await post(client, stranger.credential(index=1))
    assert answer.status_code == 200
    assert answer.json()["checks"]["trust"]["outcome"] == "skipped"
    assert stranger.list_path in web.hits
    # Asked for by name, trust counts, and what hangs on it stays open.
    answer = await post(client, stranger.credential(index=1), checks=["proof", "trust", "status"])
    assert answer.status_code == 400


async def test_s9_in_production_it_is_not(settings, stranger, web, token_for) -> None:
    live = settings.model_copy(update={"environment": "production"})
    deps = Deps.wire(live)  # the map of origins stays, as what stands for the internet here
    transport = httpx.ASGITransport(verification_app(live, deps))
    headers = token_for("employer", "verifications:create")
    async with httpx.AsyncClient(transport=transport, base_url="http://verification", headers=headers) as client:
        for checks in ([], ["proof"], ["proof", "credentialStatus"]):
            await post(client, stranger.credential(index=1), checks=checks)
    assert set(web.hits) == {stranger.did_path}
    await deps.close()


async def test_a_did_key_signs_for_itself(client) -> None:
    signer = Ed25519Signer(bytes([9] * 32))
    unsigned = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": signer.did,
        "credentialSubject": {"id": "did:example:subject"},
    }
    credential = sign(unsigned, signer, created=datetime.fromisoformat("2026-03-01T00:00:00Z"))
    assert (await post(client, credential)).json()["verified"] is True


class TestIdentifiers:
    """`GET /1.0/identifiers/{did}`: a DID resolution result."""

    async def test_a_did_web_is_fetched(self, client, north, web) -> None:
        answer = await client.get(f"/1.0/identifiers/{quote(north.did, safe='')}")
        assert answer.status_code == 200
        assert answer.json()["didDocument"] == north.did_document()
        assert answer.json()["didResolutionMetadata"]["contentType"] == "application/did+ld+json"
        assert answer.json()["didDocumentMetadata"] == {}
        assert web.hits == [north.did_path]

    async def test_a_did_key_is_its_own_document(self, client, web) -> None:
        did = Ed25519Signer(bytes([9] * 32)).did
        document = (await client.get(f"/1.0/identifiers/{did}")).json()["didDocument"]
        assert document["id"] == did
        assert document["assertionMethod"] == [document["verificationMethod"][0]["id"]]
        assert document["verificationMethod"][0]["publicKeyMultibase"] == did.removeprefix("did:key:")
        assert web.hits == []

    @pytest.mark.parametrize(
        ("did", "status", "error"),
        [
            ("nonsense", 400, "invalidDid"),
            ("did:web:", 400, "invalidDid"),
            ("did:web:127.0.0.1", 400, "invalidDid"),
            ("did:key:z6Mk", 400, "unsupportedPublicKeyType"),
            ("did:key:", 400, "invalidDid"),
            ("did:ion:abc", 501, "methodNotSupported"),
            ("did:web:cairn.localhost:nobody", 404, "notFound"),
            ("did:web:localhost", 404, "notFound"),
        ],
    )
    async def test_what_has_no_document_says_why(self, client, web, did, status, error) -> None:
        answer = await client.get(f"/1.0/identifiers/{quote(did, safe='')}")
        assert answer.status_code == status
        assert answer.json()["didDocument"] == {}
        assert answer.json()["didResolutionMetadata"]["error"] == error
        assert set(web.hits) <= {"/nobody/did.json"}

    async def test_the_document_of_another_did_is_refused(self, client, north, stranger, web) -> None:
        web.serve(north.did_path, stranger.did_document())
        answer = await client.get(f"/1.0/identifiers/{quote(north.did, safe='')}")
        assert answer.status_code == 502
        assert answer.json()["didResolutionMetadata"]["error"] == "invalidDidDocument"
