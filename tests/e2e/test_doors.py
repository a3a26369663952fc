"""The doors of the public suites by TLS on loopback, through real processes as `make run STORY=0` starts them."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest

from cairn.onebox.box import Box

DOCUMENT = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "id": "urn:uuid:5f2b7c0e-6a0e-4b1f-9c1f-0d6f2a3b4c5d",
    "type": ["VerifiableCredential"],
    "credentialSubject": {"id": "did:example:subject", "name": "Ada"},
}
REVOCATION = {"type": "BitstringStatusListEntry", "statusPurpose": "revocation"}


class Doors:
    """The two APIs, as a suite calls them: no token, and the CA of this machine."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.issuance, self.verification = told["direct"]["issuance"], told["direct"]["verification"]
        verify = ssl.create_default_context(cafile=told["ca"])
        self.client = httpx.Client(verify=verify, trust_env=False, timeout=20)

    def post(self, url: str, **body: Any) -> httpx.Response:
        return self.client.post(url, json=body)

    def issue(self, **options: Any) -> dict[str, Any]:
        answer = self.post(f"{self.issuance}/credentials/issue", credential=DOCUMENT, options=options)
        assert answer.status_code == 201, answer.text
        return answer.json()["verifiableCredential"]

    def verify(self, credential: dict[str, Any]) -> tuple[int, dict[str, str]]:
        answer = self.post(f"{self.verification}/credentials/verify", verifiableCredential=credential)
        return answer.status_code, {name: check["outcome"] for name, check in answer.json()["checks"].items()}


@pytest.fixture(scope="module")
def doors(boxes: Callable[..., Box]) -> Generator[Doors]:
    box = boxes(env={"CAIRN_TLS": "1"}).serving()
    made = Doors(json.loads((box.folder / "access.json").read_text()))
    yield made
    made.client.close()


@pytest.mark.parametrize(
    "options",
    [
        {"cryptosuite": "eddsa-rdfc-2022"},
        {"cryptosuite": "ecdsa-jcs-2019", "keyType": "P-384"},
        {"envelope": "vc+jwt", "keyType": "P-256"},
    ],
    ids=str,
)
def test_issue_status_verify_revoke_verify(doors: Doors, options: dict[str, str]) -> None:
    """The status list is fetched by https from the issuance API itself, under the CA of this machine."""
    credential = doors.issue(credentialStatus=REVOCATION, **options)
    status, outcomes = doors.verify(credential)
    assert (status, outcomes["proof"], outcomes["issuer"], outcomes["status"]) == (200, "passed", "passed", "passed")
    assert outcomes["trust"] == "skipped"
    revoke = {"credentialId": DOCUMENT["id"], "credentialStatus": REVOCATION, "status": True}
    assert doors.post(f"{doors.issuance}/credentials/status", **revoke).status_code == 200
    status, outcomes = doors.verify(credential)
    assert (status, outcomes["proof"], outcomes["status"]) == (400, "passed", "failed")


def test_the_status_list_is_for_everybody_to_read(doors: Doors) -> None:
    entry = doors.issue(credentialStatus=REVOCATION)["credentialStatus"]
    for accept, media_type in (
        ("*/*", "application/vc"),
        ("application/ld+json, application/json", "application/ld+json"),
    ):
        answer = doors.client.get(entry["statusListCredential"], headers={"accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == media_type
        assert answer.json()["id"] == entry["statusListCredential"]


def test_a_part_is_disclosed_and_verified(doors: Doors) -> None:
    base = doors.issue(cryptosuite="ecdsa-sd-2023", mandatoryPointers=["/issuer"])
    options = {"selectivePointers": ["/credentialSubject/id"]}
    answer = doors.post(f"{doors.issuance}/credentials/derive", verifiableCredential=base, options=options)
    assert answer.status_code == 201, answer.text
    derived = answer.json()["verifiableCredential"]
    assert "name" not in derived["credentialSubject"]
    assert doors.verify(derived)[0] == 200


def test_an_unknown_context_leaves_the_proof_open_at_once(doors: Doors) -> None:
    """Nothing is fetched: the answer comes sooner than any attempt would have failed (S2)."""
    credential = doors.issue(cryptosuite="eddsa-jcs-2022")
    contexts = [*DOCUMENT["@context"], "https://unheard-of.example/v1"]
    started = time.monotonic()
    answer = doors.post(
        f"{doors.verification}/credentials/verify", verifiableCredential=credential | {"@context": contexts}
    )
    assert answer.status_code == 400
    assert answer.json()["checks"]["proof"]["outcome"] == "undetermined"
    assert answer.json()["checks"]["proof"]["code"] == "context-unknown"
    assert time.monotonic() - started < 5


def test_a_stranger_without_the_ca_is_not_served(doors: Doors) -> None:
    with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        client.get(f"{doors.issuance}/livez")
