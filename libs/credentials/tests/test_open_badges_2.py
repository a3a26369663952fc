"""Open Badges 2.0: hosted and signed assertions are verified, and no more is asked of the outside than S9 allows.

Statements are those of Open Badges 2.0, "Badge Verification" and "Signed Badges".
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cairn.credentials import CheckName, Gone, Outcome, Policy, Trust, Verification, bake, base64url, verify

from .conftest import NOW, Files

HOME = "https://old.example"
ISSUER, KEY, BADGE, LIST = (f"{HOME}/{name}" for name in ("issuer", "key", "badge", "revoked"))
POLICY = Policy(at=NOW)


@cache
def _rsa(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def assertion(**changes: Any) -> dict[str, Any]:
    body = {
        "@context": "https://w3id.org/openbadges/v2",
        "type": "Assertion",
        "id": f"{HOME}/assertion",
        "recipient": {"type": "email", "hashed": True, "salt": "s", "identity": "sha256$ab"},
        "badge": BADGE,
        "verification": {"type": "HostedBadge"},
        "issuedOn": "2026-01-15T00:00:00Z",
    }
    return {key: value for key, value in (body | changes).items() if value is not None}


def signed(key: rsa.RSAPrivateKey | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    said = assertion(id="urn:uuid:1", verification={"type": "SignedBadge", "creator": KEY}) | changes
    parts = [base64url.encode(json.dumps(part).encode()) for part in (header or {"alg": "RS256"}, said)]
    mark = (key or _rsa()).sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
    return ".".join([*parts, base64url.encode(mark)])


def outside(trust: Trust = Trust.TRUSTED, **changes: Any) -> Files:
    """The documents of one issuer; `changes` by the last part of the address."""
    documents: dict[str, Any] = {
        "assertion": assertion(),
        "issuer": {"type": "Issuer", "name": "Org", "publicKey": KEY, "revocationList": LIST},
        "key": {"type": "CryptographicKey", "owner": ISSUER, "publicKeyPem": pem(_rsa())},
        "badge": {
            "type": "BadgeClass",
            "name": "B",
            "description": "d",
            "criteria": {"narrative": "n"},
            "issuer": ISSUER,
        },
        "revoked": {
            "type": "RevocationList",
            "issuer": ISSUER,
            "revokedAssertions": [{"id": "urn:uuid:9"}, "urn:uuid:8"],
        },
    }
    files = Files(trust)
    for name, body in documents.items():
        files.serve(f"{HOME}/{name}", {"id": f"{HOME}/{name}"} | body | changes.get(name, {}))
    return files


def said(found: Verification, name: CheckName) -> tuple[Outcome, str]:
    return found.checks[name].outcome, found.checks[name].code


@pytest.mark.parametrize("form", ["json", "address", "baked"])
async def test_a_hosted_assertion_is_what_its_own_address_says(form: str) -> None:
    """ "the assertion … hosted at the URL of its id"."""
    given: Any = {"json": assertion(), "address": f"{HOME}/assertion", "baked": b""}[form]
    if form == "baked":
        given = bake(b'<svg xmlns="http://www.w3.org/2000/svg"/>', assertion())
    files = outside()
    found = await verify(given, files, POLICY)
    assert found.verified, found.to_json()
    assert (found.form, found.cryptosuite, found.issuer) == ("open-badges-2", "hosted", ISSUER)
    assert found.facts is not None
    assert (found.facts.achievement, found.facts.name, found.facts.criteria) == (BADGE, "B", "n")
    assert found.facts.identifiers[0].identity_type == "emailAddress"
    assert found.facts.issuer_name == "Org"
    assert files.asked == [f"{HOME}/assertion", BADGE, f"trust {ISSUER}", ISSUER]


@pytest.mark.parametrize(
    ("changes", "check", "answer"),
    [
        ({"assertion": {"badge": f"{HOME}/other"}}, CheckName.PROOF, (Outcome.FAILED, "hosted-differs")),
        ({"assertion": {"id": f"{HOME}/x"}}, CheckName.PROOF, (Outcome.FAILED, "id-other")),
        ({"assertion": {"revoked": True}}, CheckName.STATUS, (Outcome.FAILED, "revoked")),
        (
            {"badge": {"issuer": "https://uni.example/"}},
            CheckName.ISSUER,
            (Outcome.UNDETERMINED, "old-badge-unreachable"),
        ),
        ({"badge": {"issuer": "did:web:old.example"}}, CheckName.ISSUER, (Outcome.FAILED, "issuer-mismatch")),
        ({"badge": {"type": "Badge"}}, CheckName.SCHEMA, (Outcome.FAILED, "badge-malformed")),
        ({"badge": {"name": ""}}, CheckName.SCHEMA, (Outcome.FAILED, "badge-malformed")),
    ],
)
async def test_a_hosted_assertion_that_is_not_its_issuers_fails(
    changes: dict[str, Any], check: CheckName, answer: tuple[Outcome, str]
) -> None:
    found = await verify(assertion(), outside(**changes), POLICY)
    assert said(found, check) == answer, found.to_json()
    assert not found.verified


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        (None, False),
        ({}, False),
        ({"allowedOrigins": "old.example"}, True),
        ({"allowedOrigins": ["uni.example", "old.example"]}, True),
        ({"allowedOrigins": ["uni.example", "evil.old.example", "old.example.evil.example"]}, False),
        ({"allowedOrigins": ["old.example:8443"]}, False),
        ({"allowedOrigins": "old.example", "startsWith": f"{HOME}/ass"}, True),
        ({"allowedOrigins": "old.example", "startsWith": [f"{HOME}/other/", f"{HOME}/ass"]}, True),
        ({"allowedOrigins": "old.example", "startsWith": f"{HOME}/other/"}, False),
        ({"startsWith": f"{HOME}/ass"}, False),
        ({"allowedOrigins": [7, None, {}]}, False),
    ],
    ids=str,
)
async def test_s7_an_issuer_says_where_else_its_assertions_are_hosted(rules: Any, allowed: bool) -> None:
    """ "must be within the permitted scope for hosted verification declared in issuer Profile"."""
    files = outside(badge={"issuer": "https://uni.example/"})
    profile = {"id": "https://uni.example/", "type": "Issuer", "name": "Uni"} | (
        {"verification": rules} if rules else {}
    )
    found = await verify(assertion(), files.serve("https://uni.example/", profile), POLICY)
    expected = (Outcome.PASSED, "issuer-signed") if allowed else (Outcome.FAILED, "issuer-mismatch")
    assert said(found, CheckName.ISSUER) == expected, found.to_json()
    assert found.verified is allowed


async def test_s7_one_of_several_issuers_on_a_host_does_not_host_for_another() -> None:
    """ "startsWith": "Valid Assertions must have an id within this scope"."""
    found = await verify(assertion(), outside(issuer={"verification": {"startsWith": f"{HOME}/theirs/"}}), POLICY)
    assert said(found, CheckName.ISSUER) == (Outcome.FAILED, "issuer-mismatch")
    assert not found.verified


async def test_an_assertion_whose_address_is_gone_is_revoked() -> None:
    """ "To mark a hosted assertion as revoked, respond with an HTTP Status of 410 Gone"."""

    class Emptied(Files):
        async def document(self, url: str) -> bytes:
            raise Gone("answered 410")

    for given in (assertion(), f"{HOME}/assertion"):
        found = await verify(given, Emptied(), POLICY)
        assert said(found, CheckName.PROOF) == (Outcome.FAILED, "revoked")
        assert not found.verified


@pytest.mark.parametrize(
    ("changes", "check", "code"),
    [
        ({"id": "http://old.example/assertion"}, CheckName.PROOF, "address-malformed"),
        ({"id": "urn:uuid:1"}, CheckName.PROOF, "address-malformed"),
        ({"verification": None}, CheckName.PROOF, "proof-missing"),
        ({"verification": {"type": "SignedBadge", "creator": KEY}}, CheckName.PROOF, "proof-missing"),
    ],
)
async def test_an_assertion_that_nobody_vouches_for_fails(changes: dict[str, Any], check: CheckName, code: str) -> None:
    files = outside()
    found = await verify(assertion(**changes), files, POLICY)
    assert said(found, check) == (Outcome.FAILED, code)
    assert files.asked == []


async def test_a_badge_elsewhere_than_its_hosted_assertion_is_not_fetched() -> None:
    elsewhere = assertion(badge="https://uni.example/badge")
    files = outside(assertion={"badge": "https://uni.example/badge"})
    found = await verify(elsewhere, files, POLICY)
    assert said(found, CheckName.PROOF) == (Outcome.FAILED, "issuer-mismatch")
    assert files.asked == [f"{HOME}/assertion"]


async def test_s12_what_cannot_be_had_is_undetermined() -> None:
    for files in (Files(), Files().serve(f"{HOME}/assertion", b"<html>"), Files().serve(f"{HOME}/assertion", b"[]")):
        found = await verify(assertion(), files, POLICY)
        assert found.checks[CheckName.PROOF].outcome is Outcome.UNDETERMINED
        assert not found.verified


async def test_a_signed_assertion_rests_on_the_key_that_its_issuer_publishes() -> None:
    """ "the public key corresponding to the private key used to sign the badge … MUST be published"."""
    files = outside()
    found = await verify(signed(), files, POLICY)
    assert found.verified, found.to_json()
    assert (found.cryptosuite, found.issuer) == ("RS256", ISSUER)
    assert said(found, CheckName.STATUS) == (Outcome.PASSED, "not-revoked")
    assert files.asked == [KEY, ISSUER, f"trust {ISSUER}", BADGE, LIST]
    assert (await verify(bake(b'<svg xmlns="http://www.w3.org/2000/svg"/>', signed()), outside(), POLICY)).verified


@pytest.mark.parametrize(
    ("token", "changes", "check", "answer"),
    [
        (lambda: signed(_rsa(2048, 1)), {}, CheckName.PROOF, (Outcome.FAILED, "signature-invalid")),
        (lambda: signed()[:-8] + "AAAAAAAA", {}, CheckName.PROOF, (Outcome.FAILED, "signature-invalid")),
        (lambda: signed(header={"alg": "none"}), {}, CheckName.PROOF, (Outcome.FAILED, "alg-refused")),
        (lambda: signed(header={"alg": "HS256"}), {}, CheckName.PROOF, (Outcome.FAILED, "alg-refused")),
        (lambda: signed(header={"alg": "ES256"}), {}, CheckName.PROOF, (Outcome.FAILED, "key-mismatch")),
        (signed, {"key": {"owner": "https://uni.example/"}}, CheckName.PROOF, (Outcome.FAILED, "key-unknown")),
        (signed, {"key": {"publicKeyPem": "x"}}, CheckName.PROOF, (Outcome.FAILED, "key-refused")),
        (signed, {"key": {"publicKeyPem": pem(_rsa(1024))}}, CheckName.PROOF, (Outcome.FAILED, "key-length")),
        (signed, {"issuer": {"publicKey": f"{HOME}/another"}}, CheckName.PROOF, (Outcome.FAILED, "key-unknown")),
        (lambda: signed(verification={"type": "SignedBadge"}), {}, CheckName.PROOF, (Outcome.FAILED, "key-unknown")),
        (signed, {"badge": {"issuer": f"{HOME}/another"}}, CheckName.ISSUER, (Outcome.FAILED, "issuer-mismatch")),
        (
            lambda: signed(badge="https://uni.example/badge"),
            {},
            CheckName.ISSUER,
            (Outcome.FAILED, "issuer-mismatch"),
        ),
        (lambda: signed(id="urn:uuid:9"), {}, CheckName.STATUS, (Outcome.FAILED, "revoked")),
        (lambda: signed(id="urn:uuid:8"), {}, CheckName.STATUS, (Outcome.FAILED, "revoked")),
        (
            signed,
            {"revoked": {"issuer": "https://uni.example/"}},
            CheckName.STATUS,
            (Outcome.FAILED, "status-list-issuer"),
        ),
        (lambda: signed(expires="2026-02-01T00:00:00Z"), {}, CheckName.VALIDITY, (Outcome.FAILED, "expired")),
        (lambda: signed(issuedOn="2027-02-01T00:00:00Z"), {}, CheckName.VALIDITY, (Outcome.FAILED, "not-yet-valid")),
        (lambda: signed(recipient=None), {}, CheckName.SCHEMA, (Outcome.FAILED, "recipient-malformed")),
    ],
)
async def test_s7_a_signed_assertion_that_is_not_its_issuers_fails(
    token: Any, changes: dict[str, Any], check: CheckName, answer: tuple[Outcome, str]
) -> None:
    found = await verify(token(), outside(**changes), POLICY)
    assert said(found, check) == answer, found.to_json()
    assert not found.verified


async def test_an_issuer_with_the_key_in_its_profile_is_read() -> None:
    key = f"{ISSUER}#key"
    profile = {"publicKey": {"id": key, "owner": ISSUER, "publicKeyPem": pem(_rsa())}}
    files = outside(issuer=profile)
    found = await verify(signed(verification={"type": "signed", "creator": key}), files, POLICY)
    assert found.verified, found.to_json()
    assert files.asked[0] == ISSUER


async def test_s7_a_fragment_gives_a_document_no_other_address_than_its_own() -> None:
    """Otherwise whoever has a web site could serve there what says that it is another's."""
    evil = "https://evil.example"
    forged = assertion(
        badge={"id": BADGE, "type": "BadgeClass", "name": "B", "description": "d", "criteria": "c", "issuer": ISSUER}
    )
    found = await verify(f"{evil}/a#x", Files().serve(f"{evil}/a", forged), POLICY)
    assert said(found, CheckName.PROOF) == (Outcome.FAILED, "id-other")
    assert not found.verified
    profile = f"{evil}/profile"
    token = signed(badge=forged["badge"], verification={"type": "SignedBadge", "creator": f"{evil}/key"})
    files = Files().serve(f"{evil}/key", {"id": f"{evil}/key", "owner": f"{profile}#x", "publicKeyPem": pem(_rsa())})
    files.serve(profile, {"id": ISSUER, "type": "Issuer", "name": "Org", "publicKey": f"{evil}/key"})
    found = await verify(token, files, POLICY)
    assert said(found, CheckName.PROOF) == (Outcome.FAILED, "id-other")
    assert not found.verified


async def test_a_revoked_address_vouches_for_nothing_that_it_does_not_say() -> None:
    badge = {"id": BADGE, "type": "BadgeClass", "name": "Forged", "description": "d", "criteria": "c", "issuer": ISSUER}
    files = Files().serve(f"{HOME}/assertion", {"id": f"{HOME}/assertion", "revoked": True})
    found = await verify(assertion(badge=badge), files, Policy(at=NOW, checks=(CheckName.PROOF, CheckName.ISSUER)))
    assert said(found, CheckName.PROOF) == (Outcome.FAILED, "revoked")
    assert not found.verified


@pytest.mark.parametrize("trust", [Trust.UNKNOWN, Trust.DISTRUSTED])
async def test_s9_of_a_strangers_signed_assertion_only_key_and_profile_are_fetched(trust: Trust) -> None:
    files = outside(trust)
    found = await verify(signed(), files, POLICY)
    assert files.asked == [KEY, ISSUER, f"trust {ISSUER}"]
    assert said(found, CheckName.ISSUER) == (Outcome.UNDETERMINED, "issuer-unknown")
    assert said(found, CheckName.STATUS) == (Outcome.UNDETERMINED, "issuer-unknown")
    assert not found.verified
    files = outside()
    await verify(signed(_rsa(2048, 1)), files, POLICY)
    assert files.asked == [KEY, ISSUER]


async def test_checks_that_were_not_asked_for_are_skipped() -> None:
    found = await verify(signed(), outside(), Policy(at=NOW, checks=(CheckName.PROOF, CheckName.ISSUER)))
    assert found.checks[CheckName.STATUS].code == "not-asked"
    assert found.verified


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [7], {"id": 7}, {"id": "https://old.example/x"}])
@pytest.mark.parametrize("name", ["id", "badge", "verification", "recipient", "issuedOn", "evidence", "type"])
async def test_an_odd_assertion_is_refused_and_never_breaks_the_verifier(name: str, value: Any) -> None:
    odd = assertion(**{name: value})
    for given in (odd, signed(**{name: value})):
        found = await verify(given, outside(assertion=odd), POLICY)
        assert set(found.checks) == set(CheckName)
