"""Presentations over HTTP: `POST /presentations/verify` of VC-API, and `/v1/verifications`."""

import copy
import json
from typing import Any

import httpx
import pytest

from cairn.credentials import (
    Ed25519Signer,
    P256Signer,
    build_presentation,
    enveloped,
    issue_sd_jwt_vc,
    present_sd_jwt,
    sign_presentation,
    sign_presentation_jwt,
)

from ..conftest import NOW

VERIFY = "/presentations/verify"
ASKED = {"challenge": "u-123", "domain": "verifier.example"}
HOLDER = Ed25519Signer(bytes([7] * 32))


def shown(*credentials: Any, **options: Any) -> dict[str, Any]:
    document = build_presentation(credentials, holder=HOLDER.did)
    return sign_presentation(document, HOLDER, created=NOW, **(ASKED | options))


def shown_as_jwt(*credentials: Any) -> str:
    document = build_presentation(credentials, holder=HOLDER.did)
    return sign_presentation_jwt(document, HOLDER, issued=NOW, **ASKED)


async def post(client: httpx.AsyncClient, presentation: Any, **options: Any) -> httpx.Response:
    return await client.post(VERIFY, json={"verifiablePresentation": presentation, "options": options})


async def test_verified_is_200_in_every_form(client, north) -> None:
    for presentation in (
        shown(north.credential(index=1), north.token(index=2)),
        shown_as_jwt(north.credential(index=1), north.token(index=2)),
        enveloped(shown_as_jwt(north.token())),
        shown(),
    ):
        answer = await post(client, presentation, **ASKED)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["verified"], body["errors"]) == (True, [])
        assert body["checks"]["holder"]["outcome"] == "passed"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"challenge": "another"}, "challenge-mismatch"),
        ({"domain": "other.example"}, "domain-mismatch"),
    ],
)
async def test_made_for_another_is_400(client, north, options, code) -> None:
    for presentation in (shown(north.credential()), shown_as_jwt(north.credential())):
        answer = await post(client, presentation, **(ASKED | options))
        assert answer.status_code == 400
        assert answer.json()["verified"] is False
        assert [error["code"] for error in answer.json()["errors"]] == [code]


async def test_an_unsigned_one_is_taken_where_no_challenge_is_asked(client, north) -> None:
    unsigned = build_presentation([north.credential()], holder=HOLDER.did)
    assert (await post(client, unsigned)).status_code == 200
    assert (await post(client, unsigned, challenge="", domain="")).status_code == 200
    assert (await post(client, unsigned, domain="verifier.example")).status_code == 200
    assert (await client.post(VERIFY, json={"verifiablePresentation": unsigned})).status_code == 200
    answer = await post(client, unsigned, **ASKED)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "proof-missing"


async def test_one_bad_credential_is_400_and_says_which(client, north, web) -> None:
    altered = copy.deepcopy(north.credential())
    altered["credentialSubject"]["achievement"]["name"] = "Brain Surgery"
    web.serve(north.list_path, north.status_list(9))
    for bad, code in ((altered, "signature-invalid"), (north.credential(index=9), "revoked")):
        answer = await post(client, shown(north.credential(), bad), **ASKED)
        assert answer.status_code == 400
        assert [(error["credential"], error["code"]) for error in answer.json()["errors"]] == [(1, code)]
        assert answer.json()["checks"]["proof"]["outcome"] == "passed"


async def test_only_what_was_asked_is_checked(client, north, web) -> None:
    web.serve(north.list_path, north.status_list(9))
    answer = await post(client, shown(north.credential(index=9)), **ASKED, checks=["proof"])
    assert answer.status_code == 200
    assert answer.json()["checks"]["validity"]["outcome"] == "skipped"


class TestV1:
    """`POST /v1/verifications`: always 200, with what was found."""

    async def ask(self, client: httpx.AsyncClient, presentation: Any, **also: Any) -> dict[str, Any]:
        answer = await client.post("/v1/verifications", json={"presentation": presentation, **also})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def test_a_presentation_and_each_credential_have_a_record(self, client, north, own_database) -> None:
        credential, token = north.credential(index=1), north.token(index=2)
        found = await self.ask(client, shown(credential, token), **ASKED)
        assert (found["verdict"], found["form"], found["holder"]) == ("verified", "data-integrity", HOLDER.did)
        assert [one["verdict"] for one in found["credentials"]] == ["verified", "verified"]
        again = (await client.post("/v1/verifications", json={"credential": token})).json()
        assert found["credentials"][1]["digest"] == again["digest"]
        for one in (found, *found["credentials"]):
            record = (await client.get(f"/v1/verifications/{one['id']}")).json()
            assert (record["verdict"], record["digest"]) == (one["verdict"], one["digest"])
        kept = (await client.get(f"/v1/verifications/{found['id']}")).json()
        assert HOLDER.did not in json.dumps(kept)

    async def test_verdicts(self, client, north, stranger) -> None:
        altered = copy.deepcopy(north.credential())
        altered["name"] = "Brain Surgery"
        wrong = await self.ask(client, shown(north.credential()), challenge="another")
        assert (wrong["verdict"], wrong["checks"]["proof"]["code"]) == ("refused", "challenge-mismatch")
        assert (await self.ask(client, shown(altered), **ASKED))["verdict"] == "refused"
        assert (await self.ask(client, shown(stranger.credential(index=1)), **ASKED))["verdict"] == "undetermined"
        assert (await self.ask(client, shown_as_jwt(north.token()), **ASKED))["verdict"] == "verified"

    async def test_it_may_come_as_itself_or_as_a_file(self, client, north) -> None:
        token = shown_as_jwt(north.token())
        for content, media_type in ((token, "application/vp+jwt"), (json.dumps(shown()), "application/vp")):
            answer = await client.post("/v1/verifications", content=content, headers={"content-type": media_type})
            assert answer.json()["verdict"] == "verified", answer.text
        answer = await client.post("/v1/verifications", files={"file": ("shown.jwt", token)})
        assert answer.json()["holder"] == HOLDER.did

    @pytest.mark.parametrize("name", ["challenge", "domain"])
    @pytest.mark.parametrize("value", ["", 7, ["x"]])
    async def test_what_was_asked_is_text(self, client, name, value) -> None:
        answer = await client.post("/v1/verifications", json={"presentation": {}, name: value})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, f"/{name}")

    async def test_a_holder_is_asked_for_keys_and_nothing_else_before_the_proof_holds(self, client, north, web) -> None:
        forged = shown(north.credential()) | {"holder": "did:web:cairn.localhost:somebody"}
        assert (await self.ask(client, forged, **ASKED))["verdict"] == "refused"
        assert set(web.hits) <= {north.did_path, north.list_path}


class TestSdJwt:
    """An SD-JWT VC of an https issuer, shown by its holder."""

    ISSUER = "https://cairn.localhost/sd"
    METADATA = "/.well-known/jwt-vc-issuer/sd"

    @pytest.fixture
    def text(self, web) -> str:
        signer = P256Signer(bytes([3] * 32), f"{self.ISSUER}#k1")
        keys = [signer.public_key.to_jwk() | {"kid": "k1"}]
        web.serve(self.METADATA, {"issuer": self.ISSUER, "jwks": {"keys": keys}})
        claims = {"iss": self.ISSUER, "vct": "urn:x:badge", "given_name": "Ada", "email": "ada@learner.example"}
        issued = issue_sd_jwt_vc(claims, signer, disclosable=("/given_name", "/email"), holder=HOLDER.public_key)
        return present_sd_jwt(issued, ["/given_name"], HOLDER, issued=NOW, **ASKED)

    async def test_it_is_verified_at_every_door(self, client, text, web) -> None:
        assert (await post(client, text, **ASKED)).status_code == 200
        assert (await post(client, text, challenge="other")).status_code == 400
        for body in ({"credential": text}, {"credential": text, **ASKED}, {"presentation": text, **ASKED}):
            found = (await client.post("/v1/verifications", json=body)).json()
            assert (found["verified"], found["form"], found["issuer"]) == (True, "dc+sd-jwt", self.ISSUER), found
            assert found["checks"]["holder"]["outcome"] == "passed"
        answer = await client.post("/v1/verifications", content=text, headers={"content-type": "application/dc+sd-jwt"})
        assert answer.json()["verdict"] == "verified"
        assert web.hits == [self.METADATA]

    async def test_s36_nothing_of_what_was_disclosed_is_kept(self, client, text) -> None:
        found = (await client.post("/v1/verifications", json={"credential": text, **ASKED})).json()
        kept = (await client.get(f"/v1/verifications/{found['id']}")).text
        assert "Ada" not in kept
        assert "holder-bound" in kept

    async def test_what_was_changed_is_refused(self, client, text) -> None:
        for changed in (text.replace("~", "~WyJhIiwiYiIsImMiXQ~", 1), text[:-6] + "AAAAAA", text.split("~")[0] + "~"):
            found = (await client.post("/v1/verifications", json={"credential": changed, **ASKED})).json()
            assert found["verdict"] == "refused", found
