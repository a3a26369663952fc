"""Ed25519Signature2020 (https://www.w3.org/community/reports/credentials/CG-FINAL-di-eddsa-2020-20220724/)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, get_args

import pytest

from cairn.credentials import (
    CheckName,
    Cryptosuite,
    Ed25519Signer,
    Outcome,
    P256Signer,
    Policy,
    Signer,
    add_proof,
    base58,
    build_credential,
    build_presentation,
    verify,
    verify_presentation,
)
from cairn.credentials.canonicalize import rdfc

from .conftest import NOW, Files, make_draft

ISSUER = Ed25519Signer(bytes(range(32)))
OTHER = P256Signer(bytes(range(1, 33)))
CONTEXT = "https://w3id.org/security/suites/ed25519-2020/v1"


def secured_by(document: dict[str, Any], signer: Signer = ISSUER, **changes: Any) -> dict[str, Any]:
    """§3.1, in the order of the report: the hash of the options, then that of the document."""
    options: dict[str, Any] = {
        "type": "Ed25519Signature2020",
        "created": "2026-03-01T09:30:00Z",
        "verificationMethod": signer.verification_method,
        "proofPurpose": "assertionMethod",
    }
    options |= changes
    both = (rdfc(options | {"@context": document["@context"]}), rdfc(document))
    signature = signer.sign(b"".join(sha256(text).digest() for text in both))
    return document | {"proof": options | {"proofValue": "z" + base58.encode(signature)}}


def credential(issuer: str = ISSUER.did) -> dict[str, Any]:
    document = build_credential(make_draft(issuer))
    return document | {"@context": [*document["@context"], CONTEXT]}


async def proof_of(document: dict[str, Any], policy: Policy) -> tuple[Outcome, str]:
    found = await verify(document, Files(), policy)
    check = found.checks[CheckName.PROOF]
    assert found.verified is (check.outcome is Outcome.PASSED), found.to_json()
    return check.outcome, check.code


async def test_what_a_key_of_the_issuers_has_signed_verifies(policy: Policy) -> None:
    """§2.3: "The verificationMethod property of the proof… MUST be a Ed25519 key"; §3.3, verify proof."""
    assert await proof_of(secured_by(credential()), policy) == (Outcome.PASSED, "proof-valid")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"created": "2026-03-02T09:30:00Z"}, "signature-invalid"),
        ({"proofPurpose": "authentication"}, "proof-purpose"),
        ({"proofValue": "z" + base58.encode(bytes(64))}, "signature-invalid"),
        ({"proofValue": "f00"}, "proof-malformed"),
        ({"proofValue": ...}, "proof-malformed"),
        ({"verificationMethod": ...}, "proof-malformed"),
        ({"created": "yesterday"}, "proof-malformed"),
        ({"note": "unsigned"}, "term-undefined"),
        ({"type": ["Ed25519Signature2020"]}, "unsupported"),
        ({"type": "Ed25519Signature2018"}, "unsupported"),
        ({"cryptosuite": "Ed25519Signature2020"}, "unsupported"),
        ({"cryptosuite": "eddsa-rdfc-2022"}, "proof-malformed"),
        ({"@context": "https://www.w3.org/2018/credentials/v1"}, "context-changed"),
    ],
)
async def test_a_proof_that_was_changed_does_not_hold(changes: dict[str, Any], code: str, policy: Policy) -> None:
    """§2.3.1: "The type property MUST be Ed25519Signature2020… The proofValue property… MUST be present"."""
    secured = secured_by(credential())
    proof = {name: value for name, value in (secured["proof"] | changes).items() if value is not ...}
    outcome, found = await proof_of(secured | {"proof": proof}, policy)
    assert outcome is not Outcome.PASSED
    assert found == code


async def test_a_document_that_was_changed_does_not_verify(policy: Policy) -> None:
    changed = secured_by(credential()) | {"name": "Another"}
    assert await proof_of(changed, policy) == (Outcome.FAILED, "signature-invalid")


async def test_s1_without_its_context_its_options_would_go_unsigned(policy: Policy) -> None:
    secured = secured_by(credential())
    bare = secured | {"@context": secured["@context"][:-1]}
    assert await proof_of(bare, policy) == (Outcome.FAILED, "term-undefined")


async def test_s4_a_key_of_another_type_does_not_verify_it(policy: Policy) -> None:
    outcome, code = await proof_of(secured_by(credential(OTHER.did), OTHER), policy)
    assert (outcome, code) == (Outcome.FAILED, "key-mismatch")


async def test_s7_a_proof_of_somebody_else_does_not_bind_the_issuer(policy: Policy) -> None:
    stranger = Ed25519Signer(bytes(32))
    found = await verify(secured_by(credential(), stranger), Files(), policy)
    assert found.checks[CheckName.ISSUER].code == "issuer-mismatch"
    assert not found.verified


async def test_beside_a_data_integrity_proof_both_count(policy: Policy) -> None:
    """A set of proofs holds where each that can be judged holds."""
    both = add_proof(secured_by(credential()), ISSUER, created=NOW)
    assert await proof_of(both, policy) == (Outcome.PASSED, "proof-valid")
    both["proof"][0] = both["proof"][0] | {"created": "2026-03-02T09:30:00Z"}
    assert await proof_of(both, policy) == (Outcome.FAILED, "signature-invalid")


async def test_a_presentation_of_the_older_kind_verifies_for_its_challenge() -> None:
    document = build_presentation([secured_by(credential())], holder=ISSUER.did)
    document |= {"@context": [document["@context"][0], CONTEXT]}
    shown = secured_by(document, proofPurpose="authentication", challenge="c-1", domain="verifier.example")
    for challenge, expected in (("c-1", True), ("c-2", False)):
        asked = Policy(at=NOW, challenge=challenge, domain="verifier.example")
        found = await verify_presentation(shown, Files(), asked)
        assert found.verified is expected, found.to_json()


def test_it_is_not_among_what_can_be_issued() -> None:
    assert "Ed25519Signature2020" not in get_args(Cryptosuite)
