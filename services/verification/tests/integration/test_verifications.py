"""`POST /v1/verifications`: every form of a credential, each check's answer, and the record that stays."""

import json
from base64 import b64encode
from datetime import datetime

import cbor2
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from cairn.common.db import Transaction
from cairn.common.events import decode, fact_of
from cairn.credentials import bake
from cairn.verification.app import verification_app
from cairn.verification.deps import Deps
from cairn.verification.jobs import forget

PATH = "/v1/verifications"


async def verify(client, credential, status: int = 200) -> dict:
    answer = await client.post(PATH, json={"credential": credential})
    assert answer.status_code == status, answer.text
    return answer.json()


def outcomes(found: dict) -> dict[str, str]:
    return {name: check["outcome"] for name, check in found["checks"].items()}


ALL_PASSED = dict.fromkeys(("proof", "issuer", "trust", "status", "validity", "schema"), "passed")
ALL_PASSED["evidence"] = "skipped"  # it names none
ALL_PASSED["holder"] = "skipped"  # nobody shows it as its holder


async def test_a_good_credential_passes_every_check(client, north) -> None:
    credential = north.credential(index=42)
    found = await verify(client, credential)
    assert outcomes(found) == ALL_PASSED
    assert (found["verified"], found["verdict"]) == (True, "verified")
    assert found["issuer"] == north.did
    assert found["credentialId"] == credential["id"]
    assert found["asOf"] == "2026-11-24T12:00:00Z"
    assert found["form"] == "data-integrity"
    assert found["cryptosuite"] == "eddsa-rdfc-2022"
    assert len(found["digest"]) == 64
    assert "https://www.w3.org/ns/credentials/v2" in found["contexts"]
    assert all(check["code"] and check["detail"] for check in found["checks"].values())


@pytest.mark.parametrize("form", ["image/svg+xml", "multipart"])
async def test_a_baked_badge_passes_every_check(client, north, form: str) -> None:
    image = bake(b'<svg xmlns="http://www.w3.org/2000/svg"/>', north.credential(index=42))
    if form == "multipart":
        answer = await client.post(PATH, files={"file": ("badge.svg", image, "image/svg+xml")})
    else:
        answer = await client.post(PATH, content=image, headers={"content-type": form})
    assert answer.status_code == 200, answer.text
    assert outcomes(answer.json()) == ALL_PASSED
    twice = image.replace(b"</svg>", image[image.index(b"<openbadges") :])
    answer = await client.post(PATH, content=twice, headers={"content-type": "image/svg+xml"})
    assert (answer.json()["verdict"], answer.json()["checks"]["proof"]["code"]) == ("refused", "badge-twice")


async def test_a_token_passes_every_check(client, north) -> None:
    found = await verify(client, north.token(index=42))
    assert outcomes(found) == ALL_PASSED
    assert found["form"] == "vc+jwt"


async def test_every_form_of_one_credential_gives_the_same_answers(client, north) -> None:
    credential, token = north.credential(index=1), north.token(index=1)
    raw = json.dumps(credential, indent=2).encode()
    forms = [
        {"json": {"credential": credential}},
        {"content": raw, "headers": {"content-type": "application/vc"}},
        {"content": raw, "headers": {"content-type": "application/vc+ld+json; charset=utf-8"}},
        {"files": {"file": ("credential.json", raw, "application/json")}},
        {"json": {"credential": token}},
        {"content": token, "headers": {"content-type": "application/vc+jwt"}},
        {"content": token, "headers": {"content-type": "application/jwt"}},
        {"files": {"file": ("credential.jwt", token.encode(), "application/octet-stream")}},
    ]
    found = [(await client.post(PATH, **form)).json() for form in forms]
    assert [outcomes(one) for one in found] == [ALL_PASSED] * len(forms)
    assert len({one["digest"] for one in found[:4]}) == 1
    assert len({one["digest"] for one in found[4:]}) == 1
    assert len({one["id"] for one in found}) == len(forms)


async def test_one_secured_with_cose_passes_every_check_by_itself_and_in_its_envelope(client, north) -> None:
    header = cbor2.dumps({1: -8, 4: north.signer.verification_method.encode(), 16: "application/vc+cose"})
    payload = json.dumps(north.unsigned(index=42)).encode()
    signature = north.signer.sign(cbor2.dumps(["Signature1", header, b"", payload]))
    data = cbor2.dumps(cbor2.CBORTag(18, [header, {}, payload, signature]))
    envelope = {
        "@context": "https://www.w3.org/ns/credentials/v2",
        "id": f"data:application/vc+cose;base64,{b64encode(data).decode()}",
        "type": "EnvelopedVerifiableCredential",
    }
    by_itself = await client.post(PATH, content=data, headers={"content-type": "application/vc+cose"})
    for found in (by_itself.json(), await verify(client, envelope)):
        assert (outcomes(found), found["form"]) == (ALL_PASSED, "vc+cose"), found


async def test_every_altered_leaf_is_refused(client, north) -> None:
    credential = north.credential(index=1)

    def leaves(value, path=()):
        if isinstance(value, dict):
            for key, member in value.items():
                yield from leaves(member, (*path, key))
        elif isinstance(value, list):
            for position, member in enumerate(value):
                yield from leaves(member, (*path, position))
        else:
            yield path

    for path in leaves(credential):
        altered = json.loads(json.dumps(credential))
        place = altered
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = f"{place[path[-1]]}x"
        found = await verify(client, altered)
        assert not found["verified"], path
        assert found["verdict"] in {"refused", "undetermined"}
    altered = json.loads(json.dumps(credential))
    altered["credentialSubject"]["achievement"]["name"] = "Brain Surgery"
    found = await verify(client, altered)
    assert outcomes(found)["proof"] == "failed"
    assert found["verdict"] == "refused"


async def test_a_revoked_credential_is_refused(client, north, web) -> None:
    web.serve(north.list_path, north.status_list(42))
    revoked = await verify(client, north.credential(index=42))
    assert outcomes(revoked) == ALL_PASSED | {"status": "failed"}
    assert revoked["checks"]["status"]["code"] == "revoked"
    assert (revoked["verified"], revoked["verdict"]) == (False, "refused")
    assert (await verify(client, north.credential(index=43)))["verified"]


async def test_a_revocation_is_seen_at_once(client, north, web) -> None:
    credential = north.credential(index=7)
    assert (await verify(client, credential))["verified"]
    web.serve(north.list_path, north.status_list(7))
    assert not (await verify(client, credential))["verified"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"valid_until": datetime.fromisoformat("2026-11-01T00:00:00Z")}, "expired"),
        ({"valid_from": datetime.fromisoformat("2027-01-01T00:00:00Z")}, "not-yet-valid"),
    ],
    ids=["expired", "not yet valid"],
)
async def test_a_credential_out_of_its_period_is_refused(client, north, changes, code) -> None:
    found = await verify(client, north.credential(**changes))
    assert outcomes(found)["validity"] == "failed"
    assert found["checks"]["validity"]["code"] == code
    assert found["verdict"] == "refused"


async def test_a_credential_without_status_skips_that_check(client, north) -> None:
    found = await verify(client, north.credential())
    assert outcomes(found)["status"] == "skipped"
    assert found["verified"]


async def test_a_stranger_is_undetermined_and_not_refused(client, stranger) -> None:
    found = await verify(client, stranger.credential(index=1))
    assert outcomes(found) == ALL_PASSED | {"trust": "undetermined", "status": "undetermined"}
    assert (found["verified"], found["verdict"]) == (False, "undetermined")


async def test_s7_the_key_of_one_issuer_does_not_sign_for_another(client, north, stranger) -> None:
    forged = north.credential()
    forged["proof"]["verificationMethod"] = f"{stranger.did}#key-1"
    found = await verify(client, forged)
    assert outcomes(found)["issuer"] == "failed"
    assert found["verdict"] == "refused"


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "a.b.c",
        "not a credential",
        "{}",
        "[]",
        '{"a": 1, "a": 2}',
        {},
        {"proof": {}},
        {"@context": 7},
        {"type": None},
    ],
    ids=str,
)
async def test_what_is_no_sound_credential_is_a_finding_and_no_error(client, nonsense) -> None:
    found = await verify(client, nonsense)
    assert found["verdict"] in {"refused", "undetermined"}
    assert not found["verified"]
    assert outcomes(found)["proof"] != "passed"


async def test_a_broken_image_is_refused_as_what_it_is(client) -> None:
    answer = await client.post(PATH, files={"file": ("badge.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png")})
    assert answer.status_code == 200
    assert outcomes(answer.json())["proof"] == "failed"
    assert answer.json()["checks"]["proof"]["code"] == "image-malformed"


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({"content": b"{", "headers": {"content-type": "application/json"}}, "malformed", ""),
        (
            {"content": b'{"credential": 1, "credential": 2}', "headers": {"content-type": "application/json"}},
            "malformed",
            "",
        ),
        ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, "malformed", ""),
        ({"content": b"\xff", "headers": {"content-type": "application/json"}}, "malformed", ""),
        ({"json": []}, "malformed", ""),
        ({"json": {}}, "credential-missing", "/credential"),
        ({"json": {"credential": 7}}, "malformed", "/credential"),
        ({"json": {"credential": None}}, "malformed", "/credential"),
        ({"content": b"", "headers": {"content-type": "application/json"}}, "credential-missing", ""),
        ({"content": b" ", "headers": {"content-type": "application/vc+jwt"}}, "credential-missing", ""),
        ({"content": b"[]", "headers": {"content-type": "application/vc"}}, "malformed", ""),
        ({"content": b"nonsense", "headers": {"content-type": "application/vc"}}, "malformed", ""),
        ({"files": {"other": ("a.json", b"{}")}}, "credential-missing", "/file"),
        ({"files": {"file": ("a.json", b"")}}, "credential-missing", ""),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_malformed_payload_is_a_problem_document(client, web, request_, code, field) -> None:
    answer = await client.post(PATH, **request_)
    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert body["code"] == code
    assert body["errors"][0]["field"] == field
    assert web.hits == []


async def test_another_media_type_is_refused(client) -> None:
    answer = await client.post(PATH, content=b"x", headers={"content-type": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    assert "application/vc+jwt" in answer.json()["fix"]


async def test_s20_a_payload_over_the_cap_is_refused(client) -> None:
    answer = await client.post(PATH, json={"credential": "x" * 1_100_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload-too-large")

    async def endless():
        for _ in range(200):
            yield b" " * 10_000

    answer = await client.post(PATH, content=endless(), headers={"content-type": "application/vc+jwt"})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload-too-large")


async def test_the_record_can_be_read_again(client, north) -> None:
    found = await verify(client, north.credential(index=42))
    kept = (await client.get(f"{PATH}/{found['id']}")).json()
    for name in ("id", "verified", "verdict", "asOf", "digest", "issuer", "credentialId"):
        assert kept[name] == found[name]
    assert kept["checks"] == {
        name: {"outcome": check["outcome"], "code": check["code"]} for name, check in found["checks"].items()
    }


async def test_a_verification_is_said_on_the_bus(client, north, own_database) -> None:
    found = await verify(client, north.credential(index=42))
    async with own_database.transaction("employer") as tx:
        row = await tx.row(
            text("SELECT * FROM outbox WHERE aggregateid = :digest AND id = :id"),
            {"digest": found["digest"], "id": found["id"]},
        )
    assert row is not None
    assert row["aggregatetype"] == "recognition"
    event = decode(row["payload"])
    assert (event.type, event.tenant, event.key) == ("credential.verified.v1", "employer", found["digest"])
    assert fact_of(event).to_json() == {
        "credential": found["credentialId"],
        "digest": found["digest"],
        "issuer": north.did,
        "verdict": "verified",
        "at": "2026-11-24T12:00:00Z",
    }


async def test_record_and_event_are_one_transaction(client, north, own_database, deps, monkeypatch) -> None:
    async def broken(self, *events) -> None:
        raise RuntimeError("the outbox is gone")

    async def count() -> tuple[int, int]:
        async with own_database.transaction("employer") as tx:
            return len(await tx.rows(text("SELECT 1 FROM verifications"))), len(
                await tx.rows(text("SELECT 1 FROM outbox"))
            )

    before = await count()
    monkeypatch.setattr(Transaction, "publish", broken)
    assert (await client.post(PATH, json={"credential": north.credential()})).status_code == 500
    assert await count() == before


async def test_s36_no_body_and_nobody_is_kept(client, north, stranger, own_database) -> None:
    """All that the database holds after verifications of every kind, searched for what only credentials say."""
    altered = north.credential()
    altered["id"] = "urn:canary:altered"
    named = stranger.credential(id="https://stranger.example/canary-name")
    for credential in (
        north.credential(),
        north.token(),
        altered,
        named,
        "canary.canary.canary",
        {"issuer": "did:web:canary.example", "proof": {"verificationMethod": "did:web:canary.example#key"}},
    ):
        await verify(client, credential)
    async with own_database.transaction("*") as tx:
        for table in ("verifications", "outbox", "inbox", "saved_answers", "dead_letters"):
            for row in await tx.rows(text(f"SELECT * FROM {table}")):
                for name, value in row.items():
                    assert b"canary" not in (value if isinstance(value, bytes) else str(value).encode()), (table, name)


async def test_old_records_are_forgotten(client, north, worker, own_database) -> None:
    young, old = [(await verify(client, north.credential()))["id"] for _ in range(2)]
    async with own_database.transaction("employer") as tx:
        moved = text("""
            WITH gone AS (DELETE FROM verifications RETURNING *)
            INSERT INTO verifications SELECT tenant_id, id, digest, verdict, checks, issuer, credential,
                   CASE WHEN id = :old THEN now() - interval '91 days' ELSE now() END FROM gone
        """)
        await tx.execute(moved, {"old": old})
        await tx.commit()
    assert await forget(worker) == 1
    assert await forget(worker) == 0
    assert (await client.get(f"{PATH}/{old}")).status_code == 404
    assert (await client.get(f"{PATH}/{young}")).status_code == 200


async def test_the_service_answers_503_without_its_database(settings, token_for, north, web) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://a:b@127.0.0.1:1/c")})
    deps = Deps.wire(away)
    transport = httpx.ASGITransport(verification_app(away, deps), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://verification") as client:
        answer = await client.post(
            PATH, json={"credential": north.credential()}, headers=token_for("employer", "verifications:create")
        )
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert (await client.get("/livez")).status_code == 200
    await deps.close()
