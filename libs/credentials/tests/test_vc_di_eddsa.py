"""Data Integrity 1.0 and its EdDSA Cryptosuites (https://www.w3.org/TR/vc-di-eddsa/): each test cites its statement."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cairn.credentials import (
    CheckName,
    DocumentRefused,
    Ed25519Signer,
    KeyRefused,
    Outcome,
    P256Signer,
    Policy,
    ProofInvalid,
    VerificationMethod,
    add_proof,
    build_credential,
    build_did_document,
    did_web_url,
    public_key_from_multikey,
    sign,
    verify,
)
from cairn.credentials.proofs import eddsa_jcs_2022, eddsa_rdfc_2022

from .conftest import CREATED, NOW, Files, make_draft

ISSUER = Ed25519Signer(bytes(range(32)))
WITNESS = P256Signer(bytes(range(1, 33)))
SUITES = ["eddsa-rdfc-2022", "eddsa-jcs-2022"]
FIRST, SECOND = "urn:uuid:26329423-bec9-4b2e-88cb-a7c7d9dc4544", "urn:uuid:8cc9022b-6b14-4cf3-8571-74972c5feb54"


@pytest.fixture(params=SUITES)
def secured(request: pytest.FixtureRequest) -> dict[str, Any]:
    return sign(build_credential(make_draft(ISSUER.did)), ISSUER, created=CREATED, cryptosuite=request.param)


def chain() -> dict[str, Any]:
    """The issuer's proof, and upon it a witness's."""
    document = build_credential(make_draft(ISSUER.did))
    first = add_proof(document, ISSUER, created=CREATED, proof_id=FIRST)
    return add_proof(first, WITNESS, created=CREATED, cryptosuite="ecdsa-rdfc-2019", previous=FIRST)


def with_proof(secured: dict[str, Any], **changes: Any) -> dict[str, Any]:
    changed = {name: value for name, value in (secured["proof"] | changes).items() if value is not ...}
    return secured | {"proof": changed}


async def checks(document: Any, policy: Policy, files: Files | None = None) -> tuple[Outcome, str, Outcome]:
    found = await verify(document, files or Files(), policy)
    proof = found.checks[CheckName.PROOF]
    return proof.outcome, proof.code, found.checks[CheckName.ISSUER].outcome


# The cryptosuites


@pytest.mark.parametrize("text", ["", "u" + ISSUER.public_key.multikey[1:], "z6Mk", ISSUER.public_key.multikey + "1"])
def test_a_key_is_the_multikey_of_ed25519(text: str) -> None:
    """§2.1.1: "The publicKeyMultibase value of the verification method MUST start with the base-58-btc prefix (z)… Any
    other encoding MUST NOT be allowed."""
    assert public_key_from_multikey(ISSUER.public_key.multikey) == ISSUER.public_key
    with pytest.raises(KeyRefused):
        public_key_from_multikey(text)


def test_a_proof_has_the_members_of_the_data_model(secured: dict[str, Any]) -> None:
    """§2.2.1: "The type property MUST be DataIntegrityProof"; "The cryptosuite property of the proof MUST be
    eddsa-rdfc-2022 or eddsa-jcs-2022"; "The proofValue property of the proof MUST be a detached EdDSA signature"."""
    proof = secured["proof"]
    assert proof["type"] == "DataIntegrityProof"
    assert proof["cryptosuite"] in SUITES
    assert proof["proofValue"].startswith("z")
    assert {"created", "verificationMethod", "proofPurpose"} < proof.keys()


@pytest.mark.parametrize(
    "options", [{}, {"type": "DataIntegrityProof"}, {"type": "DataIntegrityProof", "cryptosuite": "eddsa-2022"}]
)
def test_options_of_another_suite_raise_an_error(options: dict[str, Any]) -> None:
    """§3.2.5 and §3.3.5: "If proofConfig.type is not set to DataIntegrityProof… an error MUST be raised"."""
    with pytest.raises(DocumentRefused):
        eddsa_rdfc_2022.proof_configuration({"@context": []}, options)
    with pytest.raises(DocumentRefused):
        eddsa_jcs_2022.proof_configuration(options)


# Data Integrity


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": ...}, "proof-malformed"),
        ({"type": "Ed25519Signature2020"}, "proof-malformed"),
        ({"verificationMethod": ...}, "proof-malformed"),
        ({"proofPurpose": ...}, "proof-malformed"),
        ({"proofPurpose": "authentication"}, "proof-purpose"),
        ({"proofPurpose": "invalidPurpose"}, "proof-purpose"),
        ({"proofValue": ...}, "proof-malformed"),
        ({"proofValue": None}, "proof-malformed"),
        ({"proofValue": "not base58"}, "proof-malformed"),
        ({"created": "invalidDate"}, "proof-malformed"),
        ({"created": 1}, "proof-malformed"),
        ({"expires": "invalidDate"}, "proof-malformed"),
        ({"id": "not a URL"}, "proof-malformed"),
        ({"domain": 7}, "proof-malformed"),
        ({"challenge": []}, "proof-malformed"),
        ({"nonce": {}}, "proof-malformed"),
        ({"cryptosuite": ["eddsa-rdfc-2022"]}, "unsupported"),
        ({"cryptosuite": "UnknownCryptosuite"}, "unsupported"),
        ({"verificationMethod": "did:key:invalidVm"}, "did-refused"),
    ],
)
async def test_members_of_a_proof_are_as_the_data_model_says(
    secured: dict[str, Any], changes: dict[str, Any], code: str, policy: Policy
) -> None:
    """Data Integrity §4.4: "If one or more of proof.type, proof.verificationMethod, and proof.proofPurpose does not
    exist, an error MUST be raised"; §2.1 for each member."""
    outcome, found, _ = await checks(with_proof(secured, **changes), policy)
    assert outcome is not Outcome.PASSED
    assert found == code


@pytest.mark.parametrize("proof", [None, [], "x", 7, [7], [[]]])
async def test_a_proof_is_a_map(secured: dict[str, Any], proof: Any, policy: Policy) -> None:
    """Data Integrity §4.4: "If either securedDocument is not a map or securedDocument.proof is not a map, an error MUST
    be raised"."""
    outcome, _, _ = await checks(secured | {"proof": proof}, policy)
    assert outcome is Outcome.FAILED


async def test_a_proof_may_expire(policy: Policy) -> None:
    """Data Integrity §2.1: "expires… specifies when the proof expires"."""
    document = build_credential(make_draft(ISSUER.did))
    for expires, code in ((CREATED + timedelta(days=1), "proof-expired"), (NOW + timedelta(days=1), "proof-valid")):
        assert (await checks(sign(document, ISSUER, created=CREATED, expires=expires), policy))[1] == code


async def test_a_date_without_a_zone_is_in_utc(policy: Policy) -> None:
    """Data Integrity §2.1: "A conforming processor MAY chose to consume time values that were incorrectly serialized
    without an offset"."""
    document = build_credential(make_draft(ISSUER.did))
    stamp = CREATED.isoformat().removesuffix("+00:00")
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": stamp,
        "verificationMethod": ISSUER.verification_method,
        "proofPurpose": "assertionMethod",
        "@context": document["@context"],
    }
    signature = ISSUER.sign(eddsa_jcs_2022.hash_data(document, options))
    proof = options | {"proofValue": eddsa_jcs_2022.proof_serialization(signature)}
    assert await checks(document | {"proof": proof}, policy) == (Outcome.PASSED, "proof-valid", Outcome.PASSED)


@pytest.mark.parametrize("term", ["undefinedTerm", "https:nothing"])
async def test_s01_what_would_be_dropped_is_an_error(term: str, policy: Policy) -> None:
    """Data Integrity §2.4.2: "MUST throw an error… when data is dropped by a JSON-LD processor, such as when an
    undefined term is detected in an input document"; "implementations MUST ensure that the base URL is set to null"."""
    secured = sign(build_credential(make_draft(ISSUER.did)), ISSUER, created=CREATED)
    subject = secured["credentialSubject"] | {term: "x"}
    for altered in (
        secured | {"credentialSubject": subject},
        secured | {"type": [*secured["type"], "UndefinedType"]},
        secured | {"@context": [*secured["@context"], {"@base": "https://invalid.example/"}]},
    ):
        assert (await checks(altered, policy))[0] is Outcome.FAILED


# Proof sets and chains


async def test_every_proof_of_a_set_must_hold(policy: Policy) -> None:
    """Data Integrity §2.1.1: a set of proofs has no order, and each is verified by itself."""
    one = sign(build_credential(make_draft(ISSUER.did)), ISSUER, created=CREATED)
    both = add_proof(one, ISSUER, created=CREATED, cryptosuite="eddsa-jcs-2022")
    assert await checks(both, policy) == (Outcome.PASSED, "proof-valid", Outcome.PASSED)
    assert await checks(both | {"proof": both["proof"][::-1]}, policy) == (
        Outcome.PASSED,
        "proof-valid",
        Outcome.PASSED,
    )
    for broken in range(2):
        proofs = [dict(proof) for proof in both["proof"]]
        proofs[broken]["proofValue"] = proofs[1 - broken]["proofValue"]
        assert (await checks(both | {"proof": proofs}, policy))[0] is Outcome.FAILED


@pytest.mark.parametrize("as_list", [True, False])
async def test_a_chain_binds_a_proof_to_those_before_it(as_list: bool, policy: Policy) -> None:
    """Data Integrity §2.1: "previousProof… MUST be a string value or an unordered list of string values. Each value
    identifies another data integrity proof, all of which MUST also verify for the current proof to be considered
    verified."""
    document = build_credential(make_draft(ISSUER.did))
    first = add_proof(document, ISSUER, created=CREATED, proof_id=FIRST)
    previous = [FIRST] if as_list else FIRST
    secured = add_proof(first, WITNESS, created=CREATED, cryptosuite="ecdsa-rdfc-2019", previous=previous)
    assert await checks(secured, policy) == (Outcome.PASSED, "proof-valid", Outcome.PASSED)
    # The witness vouched for this very proof of the issuer's, not for another one under the same id.
    other = add_proof(document, ISSUER, created=CREATED + timedelta(days=1), proof_id=FIRST)["proof"][0]
    outcome, code, _ = await checks(secured | {"proof": [other, secured["proof"][1]]}, policy)
    assert (outcome, code) == (Outcome.FAILED, "signature-invalid")


@pytest.mark.parametrize("suite", SUITES)
async def test_a_chain_may_be_of_any_suite_and_length(suite: Any, policy: Policy) -> None:
    """Data Integrity §4.3: each proof is added in turn; §4.5: and verified with the proofs that it names."""
    first = add_proof(
        build_credential(make_draft(ISSUER.did)), ISSUER, created=CREATED, cryptosuite=suite, proof_id=FIRST
    )
    third = add_proof(first, ISSUER, created=CREATED, proof_id=SECOND, previous=FIRST)
    last = add_proof(third, ISSUER, created=CREATED, cryptosuite=suite, previous=[FIRST, SECOND])
    assert [proof.get("previousProof") for proof in last["proof"]] == [None, FIRST, [FIRST, SECOND]]
    assert await checks(last, policy) == (Outcome.PASSED, "proof-valid", Outcome.PASSED)


@pytest.mark.parametrize(
    "previous", ["urn:uuid:missing", ["urn:uuid:missing"], [FIRST, "urn:uuid:missing"], 456321, []]
)
async def test_a_previous_proof_that_is_not_there_is_an_error(previous: Any, policy: Policy) -> None:
    """Data Integrity §4.5: "If a proof with id value equal to the value of previousProof does not exist in allProofs,
    an error MUST be raised"."""
    secured = chain()
    proofs = [secured["proof"][0], secured["proof"][1] | {"previousProof": previous}]
    outcome, code, _ = await checks(secured | {"proof": proofs}, policy)
    assert (outcome, code) == (Outcome.FAILED, "previous-proof-missing")
    if previous != 456321:
        with pytest.raises(ProofInvalid):
            add_proof(secured, ISSUER, created=CREATED, previous=previous)


async def test_a_previous_proof_that_does_not_hold_fails_the_chain(policy: Policy) -> None:
    """Data Integrity §2.1: all of the named proofs "MUST also verify for the current proof to be considered
    verified."""
    secured = chain()
    broken = secured["proof"][0] | {"proofValue": "invalidProofValue"}
    assert (await checks(secured | {"proof": [broken, secured["proof"][1]]}, policy))[0] is Outcome.FAILED


async def test_a_chain_upon_a_proof_that_cannot_be_judged_is_undetermined(policy: Policy) -> None:
    """Of a set, a proof of an unknown suite is left aside; not where another one rests on it."""
    document = build_credential(make_draft(ISSUER.did))
    unknown = {
        "id": FIRST,
        "type": "DataIntegrityProof",
        "cryptosuite": "bbs-2023",
        "verificationMethod": ISSUER.verification_method,
        "proofPurpose": "assertionMethod",
        "proofValue": "uAAAA",
    }
    aside = add_proof(document | {"proof": unknown}, ISSUER, created=CREATED)
    assert (await checks(aside, policy))[0] is Outcome.PASSED
    upon = add_proof(document | {"proof": unknown}, ISSUER, created=CREATED, previous=FIRST)
    assert (await checks(upon, policy))[:2] == (Outcome.UNDETERMINED, "unsupported")


async def test_s07_a_witness_beside_the_issuer_does_not_stand_for_it(policy: Policy) -> None:
    """Row S7: among several who sign, one must be the issuer, and with a proof that holds."""
    secured = chain()
    assert (await checks(secured, policy))[2] is Outcome.PASSED
    document = {name: value for name, value in secured.items() if name != "proof"}
    witnessed = add_proof(document, WITNESS, created=CREATED, cryptosuite="ecdsa-jcs-2019")
    assert await checks(witnessed, policy) == (Outcome.PASSED, "proof-valid", Outcome.FAILED)
    forged = add_proof(witnessed, WITNESS, created=CREATED, cryptosuite="ecdsa-rdfc-2019")
    forged["proof"][1] |= {"verificationMethod": ISSUER.verification_method, "cryptosuite": "eddsa-rdfc-2022"}
    assert (await checks(forged, policy))[0] is Outcome.FAILED


async def test_s27_a_date_that_the_proof_claims_is_read_as_it_is_written(policy: Policy) -> None:
    """Row S27, with the leniency of §2.1: a proof without a zone in its date is not one without a date."""
    did = "did:web:uni.example"
    signer = Ed25519Signer(bytes(range(32)), f"{did}#key-1")
    method = VerificationMethod(f"{did}#key-1", did, signer.public_key, expires=CREATED)
    files = Files().serve(did_web_url(did), build_did_document(did, [method]))
    for created, outcome in ((CREATED, Outcome.FAILED), (CREATED - timedelta(days=1), Outcome.PASSED)):
        secured = sign(build_credential(make_draft(did)), signer, created=created)
        assert (await checks(secured, policy, files))[2] is outcome
