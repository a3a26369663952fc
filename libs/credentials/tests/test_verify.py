"""What verify answers at the edges of time, of the bundle, and of the ways a key or a list may be written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cairn.credentials import (
    Bitstring,
    CheckName,
    Cryptosuite,
    Ed25519Signer,
    Outcome,
    Policy,
    StatusEntry,
    Trust,
    VerificationMethod,
    build_credential,
    build_did_document,
    build_status_list,
    bundle,
    did_web_url,
    sign,
    sign_jwt,
    verify,
)

from .conftest import CREATED, NOW, Files, Issue, make_draft

WEB = "did:web:uni.example"
LIST_URL = "https://uni.example/status/1"
END = NOW
MINUTES = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("at", "outcome", "code"),
    [
        (CREATED - 6 * MINUTES, Outcome.FAILED, "not-yet-valid"),
        (CREATED - 5 * MINUTES, Outcome.PASSED, "in-force"),
        (END + 4 * MINUTES, Outcome.PASSED, "in-force"),
        (END + 5 * MINUTES, Outcome.FAILED, "expired"),
    ],
)
async def test_r12_one_tolerance_at_both_ends(issue: Issue, at: Any, outcome: Outcome, code: str) -> None:
    found = await verify(issue(valid_until=END), Files(), Policy(at=at, tolerance=5 * MINUTES))
    check = found.checks[CheckName.VALIDITY]
    assert (check.outcome, check.code) == (outcome, code)


async def test_r12_the_last_instant_of_the_calendar_is_an_end_like_any_other(signer: Ed25519Signer) -> None:
    last = datetime.max.replace(tzinfo=UTC, microsecond=0)
    document = build_credential(make_draft(signer.did, valid_until=last))
    expiring = sign(document, signer, created=CREATED, expires=last)
    for credential in (expiring, sign_jwt(document, signer)):
        assert (await verify(credential, Files(), Policy(at=NOW))).checks[CheckName.VALIDITY].code == "in-force"


async def test_checks_not_asked_for_are_skipped_and_ask_nobody(issue: Issue) -> None:
    files = Files()
    asked = (CheckName.PROOF, CheckName.ISSUER)
    found = await verify(issue(status=(StatusEntry(list_url=LIST_URL, index=1),)), files, Policy(at=NOW, checks=asked))
    assert {name for name, check in found.checks.items() if check.outcome is Outcome.SKIPPED} == set(CheckName) - set(
        asked
    )
    assert found.verified
    assert files.asked == []


@pytest.mark.parametrize(
    ("trust", "outcome"),
    [(Trust.TRUSTED, Outcome.PASSED), (Trust.DISTRUSTED, Outcome.FAILED), (Trust.UNKNOWN, Outcome.UNDETERMINED)],
)
async def test_trust_is_told_apart_from_verification(
    issue: Issue, policy: Policy, trust: Trust, outcome: Outcome
) -> None:
    found = await verify(issue(), Files(trust), policy)
    assert found.checks[CheckName.TRUST].outcome is outcome
    assert found.verified


@pytest.mark.parametrize("is_set", [False, True])
async def test_a_status_list_may_be_a_jwt(issue: Issue, signer: Ed25519Signer, policy: Policy, is_set: bool) -> None:
    bits = Bitstring()
    bits[7] = is_set
    document = build_status_list(url=LIST_URL, issuer=signer.did, purpose="revocation", bits=bits, valid_from=CREATED)
    files = Files().serve(LIST_URL, sign_jwt(document, signer).encode())
    found = await verify(issue(status=(StatusEntry(list_url=LIST_URL, index=7),)), files, policy)
    assert found.checks[CheckName.STATUS].outcome is (Outcome.FAILED if is_set else Outcome.PASSED)


@pytest.mark.parametrize("relative", [True, False])
async def test_a_token_of_a_did_web_is_verified_with_the_key_it_names(policy: Policy, relative: bool) -> None:
    signer = Ed25519Signer(bytes(range(32)), f"{WEB}#key-2")
    keys = [
        VerificationMethod(f"{WEB}#key-1", WEB, Ed25519Signer(bytes(32)).public_key),
        VerificationMethod(f"{WEB}#key-2", WEB, signer.public_key),
    ]
    document = build_did_document(WEB, keys)
    if relative:
        document = json.loads(json.dumps(document).replace(f'"{WEB}#', '"#'))
    files = Files().serve(did_web_url(WEB), document)
    found = await verify(sign_jwt(build_credential(make_draft(WEB)), signer), files, policy)
    assert found.verified, found.to_json()
    assert found.issuer == WEB
    assert found.form == "vc+jwt"


async def test_a_verdict_names_the_revision_of_each_context(signed: dict[str, Any], policy: Policy) -> None:
    found = await verify(signed, Files(), policy)
    url = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
    assert found.contexts[url] == "3d34f4d4ef1bce691106e63798beb5e7b862ba841423f5ee1e53ab7ddf3bca84"


def test_every_bundled_file_is_the_one_that_is_pinned() -> None:
    for url in bundle.context_urls():
        assert "@context" in bundle.context_document(url)


def test_s02_an_altered_bundle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://www.w3.org/ns/credentials/v2"
    altered = {url: {"file": "credentials-v2.json", "sha256": "0" * 64}}
    monkeypatch.setattr(bundle, "_index", lambda folder: altered)
    bundle._read.cache_clear()
    with pytest.raises(bundle.BundleAltered):
        bundle.context_document(url)


def test_a_policy_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Policy(at=NOW.replace(tzinfo=None))


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
async def test_however_its_text_is_laid_out_a_credential_is_the_same(
    issue: Issue, policy: Policy, suite: Cryptosuite
) -> None:
    credential = issue(cryptosuite=suite)
    expected = await verify(credential, Files(), policy)
    assert expected.verified
    turned = dict(reversed(credential.items()))
    layouts = [json.dumps(credential, separators=(",", ":")), json.dumps(credential), json.dumps(turned, indent=2)]
    for text in (*layouts, f"\r\n {layouts[0]}\t\n"):
        for given in (text, text.encode()):
            found = await verify(given, Files(), policy)
            assert found.to_json() == expected.to_json()
            assert found.credential == credential
    for bad in (b"{\xff}", b"\xff", b'{"a":1} .', layouts[0].replace('"id"', '"id":"urn:x","id"', 1).encode()):
        found = await verify(bad, Files(), policy)
        assert found.checks[CheckName.PROOF].outcome is Outcome.FAILED
        assert found.credential is None
