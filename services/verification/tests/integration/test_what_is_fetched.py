"""S8 to S13: what is asked of the outside, in which order, and that no answer is not a good answer."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime

import httpx
import pytest

from cairn.credentials import sign
from cairn.verification import store
from cairn.verification.app import verification_app
from cairn.verification.deps import Deps

PATH = "/v1/verifications"
SINCE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ELSEWHERE = "https://cairn.localhost/elsewhere"


async def verify(client, credential) -> dict:
    answer = await client.post(PATH, json={"credential": credential})
    assert answer.status_code == 200, answer.text
    return answer.json()


def everything_points_elsewhere(credential: dict) -> dict:
    """URLs in every place that a careless verifier would follow."""
    return credential | {
        "@context": [*credential["@context"], f"{ELSEWHERE}/context"],
        "credentialSchema": [{"id": f"{ELSEWHERE}/schema", "type": "JsonSchema"}],
        "credentialStatus": {
            "id": f"{ELSEWHERE}/status#1",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": "1",
            "statusListCredential": f"{ELSEWHERE}/status",
        },
        "evidence": [{"id": f"{ELSEWHERE}/evidence", "type": ["Evidence"]}],
        "refreshService": {"id": f"{ELSEWHERE}/refresh", "type": "VerifiableCredentialRefreshService2021"},
        "termsOfUse": [{"id": f"{ELSEWHERE}/terms", "type": "Policy"}],
        "image": {"id": f"{ELSEWHERE}/image", "type": "Image"},
    }


async def test_s9_before_the_proof_holds_only_the_issuers_did_document_is_fetched(client, north, web) -> None:
    credential = north.credential(index=1)
    altered = json.loads(json.dumps(credential))
    altered["credentialSubject"]["achievement"]["name"] = "Brain Surgery"
    unsigned = {key: value for key, value in credential.items() if key != "proof"}
    for forged in (altered, unsigned, everything_points_elsewhere(credential), everything_points_elsewhere(unsigned)):
        found = await verify(client, forged)
        assert not found["verified"]
    assert set(web.hits) <= {north.did_path}
    # Another control stands behind this one: without it nothing is fetched either, and the answer is a wrong one.
    found = await verify(client, altered)
    assert found["checks"]["status"]["code"] == "proof-first"


async def test_s9_a_forged_token_sends_us_nowhere_else(client, north, web) -> None:
    head, _, signature = north.token().split(".")
    payload = base64.urlsafe_b64encode(json.dumps(everything_points_elsewhere(north.unsigned())).encode()).rstrip(b"=")
    for header in (
        {"alg": "EdDSA", "kid": f"{north.did}#key-1", "jku": f"{ELSEWHERE}/jku", "x5u": f"{ELSEWHERE}/x5u"},
        {"alg": "EdDSA", "kid": f"{ELSEWHERE}/kid"},
        {"alg": "EdDSA", "kid": "did:web:cairn.localhost:elsewhere#key"},
    ):
        encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
        assert not (await verify(client, f"{encoded}.{payload.decode()}.{signature}"))["verified"]
    assert not (await verify(client, f"{head}.{payload.decode()}.{signature}"))["verified"]
    assert set(web.hits) <= {north.did_path}


async def test_s9_the_keys_of_somebody_else_who_signed_are_not_fetched(client, north, stranger, web) -> None:
    forged = north.credential()
    forged["proof"]["verificationMethod"] = f"{stranger.did}#key-1"
    await verify(client, forged)
    assert stranger.did_path not in web.hits


async def test_s9_nothing_more_is_fetched_of_an_issuer_who_is_not_known(client, stranger, web) -> None:
    found = await verify(client, stranger.credential(index=1))
    assert found["checks"]["proof"]["outcome"] == "passed"
    assert found["checks"]["trust"]["outcome"] == "undetermined"
    assert web.hits == [stranger.did_path]


async def test_s9_first_the_issuer_then_trust_then_the_status_list(client, north, web, deps, monkeypatch) -> None:
    known = store.is_known

    async def noting(tx, did: str) -> bool:
        web.hits.append("trust")
        return await known(tx, did)

    monkeypatch.setattr(store, "is_known", noting)
    assert (await verify(client, north.credential(index=1)))["verified"]
    assert web.hits == [north.did_path, "trust", north.list_path]


async def test_s2_an_unknown_context_is_not_fetched(client, north, web) -> None:
    credential = north.credential()
    credential["@context"] = [*credential["@context"], f"{ELSEWHERE}/context"]
    found = await verify(client, credential)
    assert found["checks"]["proof"]["outcome"] == "undetermined"
    assert found["checks"]["proof"]["code"] == "context-unknown"
    assert f"{ELSEWHERE.removeprefix('https://cairn.localhost')}/context" not in web.hits


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "169.254.169.254", "10.0.0.1"]
)
@pytest.mark.parametrize("where", ["issuer", "status"])
async def test_s10_no_address_of_the_inner_network_is_asked(client, north, web, host, where) -> None:
    if where == "issuer":
        did = f"did:web:{host.replace(':', '%3A')}%3A{web.port}"
        credential = north.credential() | {"issuer": {"id": did, "type": ["Profile"]}}
        credential["proof"]["verificationMethod"] = f"{did}#key-1"
        allowed = set()
    else:
        credential = north.credential(index=1, list_url=f"https://{host}:{web.port}/list")
        allowed = {north.did_path}
    found = await verify(client, credential)
    assert not found["verified"]
    assert set(web.hits) <= allowed
    if where == "status":
        assert found["checks"]["status"]["outcome"] == "undetermined"


@pytest.mark.parametrize(("status", "outcome"), [(410, "failed"), (404, "undetermined")])
async def test_a_hosted_open_badge_2_whose_address_is_gone_is_revoked(client, web, status, outcome) -> None:
    web.serve("/old/assertion", b"", status=status)
    found = await verify(client, "https://cairn.localhost/old/assertion")
    assert found["checks"]["proof"]["outcome"] == outcome
    assert (found["checks"]["proof"]["code"] == "revoked") is (status == 410)
    assert web.hits == ["/old/assertion"]


class TestS12:
    """A status that cannot be had is neither good nor bad."""

    async def status(self, client, north, **list_url) -> dict:
        found = await verify(client, north.credential(index=1, **list_url))
        assert not found["verified"]
        for name in ("proof", "issuer", "trust", "validity", "schema"):
            assert found["checks"][name]["outcome"] == "passed"
        return {"verdict": found["verdict"], **found["checks"]["status"]}

    @pytest.mark.parametrize(
        "fault",
        [
            {"body": b"", "status": 404},
            {"body": b"", "status": 500},
            {"body": b"", "status": 302},
            {"body": b"", "delay": 5},
            {"body": b"x" * 200_000},
            {"body": b"garbage"},
            {"body": b"\xff\xfe\x00"},
            {"body": b""},
            {"body": {}},
            {"body": []},
            {"body": {"credentialSubject": {"encodedList": "u"}}},
            {"body": "a.b.c"},
        ],
        ids=[
            "404",
            "500",
            "redirect",
            "timeout",
            "too large",
            "garbage",
            "binary",
            "empty",
            "{}",
            "[]",
            "bare",
            "token",
        ],
    )
    async def test_s12_each_fault_is_undetermined(self, client, north, web, fault) -> None:
        web.serve(north.list_path, fault.pop("body"), **fault)
        started = time.monotonic()
        found = await self.status(client, north)
        assert (found["outcome"], found["verdict"]) == ("undetermined", "undetermined")
        assert time.monotonic() - started < 4

    async def test_s12_an_unsigned_list_says_nothing(self, client, north, web) -> None:
        unsigned = {key: value for key, value in north.status_list().items() if key != "proof"}
        web.serve(north.list_path, unsigned)
        assert (await self.status(client, north))["outcome"] != "passed"

    async def test_s12_a_refused_connection_is_undetermined(self, client, north) -> None:
        found = await self.status(client, north, list_url="https://127.0.0.1:1/list")
        assert (found["outcome"], found["verdict"]) == ("undetermined", "undetermined")

    async def test_s13_a_list_by_another_issuer_is_not_believed(self, client, north, stranger, web) -> None:
        web.serve(north.list_path, stranger.status_list(url=north.list_url))
        found = await self.status(client, north)
        assert found["code"] == "status-list-issuer"
        assert found["outcome"] in {"failed", "undetermined"}

    async def test_s13_a_list_of_another_address_is_not_believed(self, client, north, web) -> None:
        web.serve(north.list_path, north.status_list(url=north.list_url + "/other"))
        assert (await self.status(client, north))["outcome"] in {"failed", "undetermined"}

    async def test_s13_an_altered_list_is_not_believed(self, client, north, web) -> None:
        revoked = north.status_list(1)
        revoked["credentialSubject"]["encodedList"] = north.status_list()["credentialSubject"]["encodedList"]
        web.serve(north.list_path, revoked)
        assert (await self.status(client, north))["outcome"] in {"failed", "undetermined"}


class TestIssuerAway:
    """Without the issuer's keys the proof is open, and nothing else is asked."""

    @pytest.mark.parametrize(
        "fault",
        [
            {"status": 404, "body": b""},
            {"delay": 5, "body": b""},
            {"body": b"garbage"},
            {"body": {"id": "did:web:other"}},
        ],
        ids=["404", "timeout", "garbage", "another's"],
    )
    async def test_s12_an_issuer_who_cannot_be_asked_leaves_the_proof_open(self, client, north, web, fault) -> None:
        web.serve(north.did_path, fault.pop("body"), **fault)
        found = await verify(client, north.credential(index=1))
        assert found["checks"]["proof"]["outcome"] == "undetermined"
        assert found["checks"]["status"]["outcome"] == "undetermined"
        assert found["verdict"] == "undetermined"
        assert set(web.hits) == {north.did_path}


async def test_s8_a_storm_of_key_ids_fetches_the_issuers_document_once(client, north, web) -> None:
    def with_kid(number: int) -> dict:
        credential = north.credential()
        credential["proof"]["verificationMethod"] = f"{north.did}#random-{number}"
        return credential

    await asyncio.gather(*(verify(client, with_kid(number)) for number in range(100)))
    assert web.hits == [north.did_path]


async def test_s8_an_issuer_who_does_not_answer_is_not_asked_again_at_once(client, north, web) -> None:
    web.serve(north.did_path, b"", status=404)
    for _ in range(20):
        await verify(client, north.credential())
    assert web.hits == [north.did_path]


async def test_one_verification_has_one_deadline_for_all_that_it_fetches(settings, token_for, north, web) -> None:
    """Eight status entries, each slow but within its own deadline."""
    slow = settings.model_copy(update={"verification_seconds": 0.6})
    deps = Deps.wire(slow)
    paths = [f"/issuance/status/north/{number}/revocation" for number in range(1, 9)]
    for path in paths:
        web.serve(path, north.status_list(url=f"https://cairn.localhost{path}"), delay=0.3)
    unsigned = north.unsigned(index=1)
    entry = unsigned["credentialStatus"]
    entry = entry[0] if isinstance(entry, list) else entry
    unsigned["credentialStatus"] = [
        entry | {"statusListCredential": f"https://cairn.localhost{path}", "id": f"https://cairn.localhost{path}#1"}
        for path in paths
    ]
    credential = sign(unsigned, north.signer, created=SINCE)
    transport = httpx.ASGITransport(verification_app(slow, deps))
    headers = token_for("employer", "verifications:create")
    async with httpx.AsyncClient(transport=transport, base_url="http://verification", headers=headers) as client:
        started = time.monotonic()
        found = await verify(client, credential)
        assert time.monotonic() - started < 2
    assert found["checks"]["proof"]["outcome"] == "passed"
    assert found["checks"]["status"]["outcome"] == "undetermined"
    assert len(web.hits) < 6
    await deps.close()


async def test_a_slow_issuer_holds_no_database_connection(settings, token_for, north, web) -> None:
    """One connection, and verifications that wait for the web: the database is asked meanwhile."""
    deps = Deps.wire(settings.model_copy(update={"database_pool": 1}))
    web.serve(north.list_path, north.status_list(), delay=0.4)
    transport = httpx.ASGITransport(verification_app(settings, deps))
    headers = token_for("employer", "verifications:create", "verifications:read")
    async with httpx.AsyncClient(transport=transport, base_url="http://verification", headers=headers) as client:
        waiting = [asyncio.create_task(verify(client, north.credential(index=index))) for index in range(4)]
        started = time.monotonic()
        while north.list_path not in web.hits:
            assert time.monotonic() - started < 10
            await asyncio.sleep(0.01)
        assert (await client.get("/readyz")).status_code == 200
        assert not any(found.done() for found in waiting)
        assert all([(await found)["verified"] for found in waiting])
    await deps.close()
