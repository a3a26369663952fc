"""Data Integrity ECDSA Cryptosuites 1.0 (https://www.w3.org/TR/vc-di-ecdsa/): each test cites what it holds us to."""

from __future__ import annotations

import base64
import json
from typing import Any

import cbor2
import pytest

from cairn.credentials import (
    CheckName,
    CredentialError,
    DocumentRefused,
    KeyRefused,
    Outcome,
    P256Signer,
    P384Signer,
    Policy,
    add_proof,
    build_credential,
    derive,
    public_key_from_multikey,
    sign,
    verify,
)
from cairn.credentials.proofs import ecdsa_sd_2023
from cairn.credentials.proofs.selective import json_pointer_to_paths, select_json_ld

from .conftest import CREATED, OWN, Files, make_draft

P256 = P256Signer(bytes(range(1, 33)))
P384 = P384Signer(bytes(range(1, 49)))
SIGNERS = [P256, P384]
WHOLE = ["ecdsa-rdfc-2019", "ecdsa-jcs-2019"]
BASE = json.loads((OWN / "db" / "ob3-ecdsa-sd-2023-BASE.json").read_text())
DERIVED = json.loads((OWN / "db" / "ob3-ecdsa-sd-2023-derived-mid.json").read_text())
DISCLOSED = ["/credentialSubject/id", "/credentialSubject/achievement/criteria", "/name"]


async def proof_of(document: Any, policy: Policy) -> tuple[Outcome, str]:
    found = await verify(document, Files(), policy)
    check = found.checks[CheckName.PROOF]
    return check.outcome, check.code


def credential(signer: P256Signer | P384Signer = P256, **changes: Any) -> dict[str, Any]:
    return build_credential(make_draft(signer.did, **changes))


def base(*pointers: str) -> dict[str, Any]:
    return sign(credential(), P256, created=CREATED, cryptosuite="ecdsa-sd-2023", mandatory_pointers=pointers)


def parts(secured: dict[str, Any]) -> list[Any]:
    """The components within a proofValue of ecdsa-sd-2023."""
    value = secured["proof"]["proofValue"][1:]
    return cbor2.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))[3:])


def with_parts(secured: dict[str, Any], components: Any, header: bytes = b"\xd9\x5d\x01") -> dict[str, Any]:
    data = components if isinstance(components, bytes) else cbor2.dumps(components)
    value = "u" + base64.urlsafe_b64encode(header + data).rstrip(b"=").decode()
    return secured | {"proof": secured["proof"] | {"proofValue": value}}


# 2.1.1 Multikey


@pytest.mark.parametrize(("signer", "start"), [(P256, "zDn"), (P384, "z82")])
def test_the_public_key_starts_with_z_and_follows_as_a_compressed_point(signer: P256Signer, start: str) -> None:
    """§2.1.1: "The publicKeyMultibase value of the verification method MUST start with the base-58-btc prefix (z)…
    A Multibase-encoded ECDSA 256-bit public key value or an ECDSA 384-bit public key value follows"."""
    assert signer.public_key.multikey.startswith(start)
    assert public_key_from_multikey(signer.public_key.multikey) == signer.public_key


@pytest.mark.parametrize(
    "text", ["", "u" + P256.public_key.multikey[1:], P256.public_key.multikey[:-1], "zDn", "z\u00e9"]
)
def test_any_other_encoding_of_a_key_is_refused(text: str) -> None:
    """§2.1.1: "Any other encoding MUST NOT be allowed."""
    with pytest.raises(KeyRefused):
        public_key_from_multikey(text)


# 2.2.1 DataIntegrityProof


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize("cryptosuite", WHOLE)
async def test_a_proof_has_the_members_of_the_data_model(signer: P256Signer, cryptosuite: Any, policy: Policy) -> None:
    """§2.2.1: "The type property MUST be DataIntegrityProof. The cryptosuite property MUST be ecdsa-rdfc-2019,
    ecdsa-jcs-2019, or ecdsa-sd-2023."""
    secured = sign(credential(signer), signer, created=CREATED, cryptosuite=cryptosuite)
    proof = secured["proof"]
    assert (proof["type"], proof["cryptosuite"]) == ("DataIntegrityProof", cryptosuite)
    assert proof["proofValue"].startswith("z")
    assert (await verify(secured, Files(), policy)).verified
    for name, value in (("type", "Ed25519Signature2020"), ("type", None), ("proofPurpose", "authentication")):
        assert (await proof_of(secured | {"proof": proof | {name: value}}, policy))[0] is Outcome.FAILED
    unknown = secured | {"proof": proof | {"cryptosuite": "ecdsa-jcs-2020"}}
    assert await proof_of(unknown, policy) == (Outcome.UNDETERMINED, "unsupported")


@pytest.mark.parametrize("cryptosuite", WHOLE)
async def test_a_proof_value_of_another_length_or_encoding_is_refused(cryptosuite: Any, policy: Policy) -> None:
    """§3.2.2 and §3.3.2: "Let proofBytes be the Multibase decoded base58-btc value in
    securedDocument.proof.proofValue."""
    secured = sign(credential(), P256, created=CREATED, cryptosuite=cryptosuite)
    value = secured["proof"]["proofValue"]
    for other in (value[:-1], value[1:], "u" + value[1:], "z", "z0OIl", None, 7):
        altered = secured | {"proof": secured["proof"] | {"proofValue": other}}
        assert (await proof_of(altered, policy))[0] is Outcome.FAILED, other


# 3.2 and 3.3


def test_p384_goes_with_sha384() -> None:
    """§3.2.4: "SHA-384 (SHA-2 with 384-bit output)… Respective transformedDocumentHash will be exactly 32 or 48 bytes
    in size."""
    from cairn.credentials.proofs import ecdsa_rdfc_2019

    assert len(ecdsa_rdfc_2019.hashing(b"a", b"b", "ES256")) == 64
    assert len(ecdsa_rdfc_2019.hashing(b"a", b"b", "ES384")) == 96


@pytest.mark.parametrize("cryptosuite", WHOLE)
async def test_the_key_decides_the_hash(cryptosuite: Any, policy: Policy) -> None:
    """§3.2.7: the verification algorithm is that of the key named by the proof, whatever the proof says."""
    secured = sign(credential(), P256, created=CREATED, cryptosuite=cryptosuite)
    swapped = secured["proof"] | {"verificationMethod": P384.verification_method}
    assert (await proof_of(secured | {"proof": swapped}, policy))[0] is Outcome.FAILED


def test_a_jcs_proof_carries_the_contexts() -> None:
    """§3.3.1 step 2: "If unsecuredDocument.@context is present, set proof.@context to unsecuredDocument.@context."""
    secured = sign(credential(), P256, created=CREATED, cryptosuite="ecdsa-jcs-2019")
    assert secured["proof"]["@context"] == secured["@context"]


async def test_a_jcs_proof_is_bound_to_how_the_contexts_begin(policy: Policy) -> None:
    """§3.3.2: "Check that the securedDocument.@context starts with all values contained in the
    proofOptions.@context in the same order. Otherwise, set verified to false"."""
    secured = sign(credential(), P256, created=CREATED, cryptosuite="ecdsa-jcs-2019")
    for contexts in (secured["@context"][:1], secured["@context"][::-1], secured["@context"][1:]):
        assert (await proof_of(secured | {"@context": contexts}, policy))[0] is Outcome.FAILED


def test_a_wrong_created_raises_an_error() -> None:
    """§3.2.5: "If proofConfig.created is set and if the value is not a valid [XMLSCHEMA11-2] datetime, an error MUST be
    raised"."""
    from cairn.credentials.proofs import ecdsa_rdfc_2019

    options = {"type": "DataIntegrityProof", "cryptosuite": "ecdsa-rdfc-2019", "created": "yesterday"}
    with pytest.raises(DocumentRefused):
        ecdsa_rdfc_2019.proof_configuration(credential(), options)


@pytest.mark.parametrize(("cryptosuite", "signer"), [("ecdsa-sd-2023", P384), ("eddsa-rdfc-2022", P256)])
def test_a_key_of_another_type_signs_nothing(cryptosuite: Any, signer: P256Signer) -> None:
    """§3.6: the signature algorithm is ES256, so a P-384 key does not fit ecdsa-sd-2023."""
    with pytest.raises(KeyRefused):
        sign(credential(signer), signer, created=CREATED, cryptosuite=cryptosuite)


# 3.4 Selective disclosure functions


def test_pointers_are_read_as_rfc_6901_writes_them() -> None:
    """§3.4.10: "unescape any JSON pointer escape sequences in path"."""
    assert json_pointer_to_paths("/a~1b/~0/0") == ["a/b", "~", "0"]
    for text in ("a", "/~2", "/~", "~"):
        with pytest.raises(DocumentRefused):
            json_pointer_to_paths(text)


def test_a_pointer_to_nothing_raises_an_error() -> None:
    """§3.4.12: "If value is now undefined, an error MUST be raised… indicating that the JSON pointer does not match the
    given document."""
    for pointer in ("/credentialSubject/invalidPointer", "/type/9", "/type/01", "/name/length", "/type/x"):
        with pytest.raises(DocumentRefused):
            base(pointer)
        with pytest.raises(DocumentRefused):
            derive(BASE, [pointer])


def test_no_pointers_select_nothing_and_the_empty_one_everything() -> None:
    """§3.4.13: "If pointers is empty, return null."""
    document = credential()
    assert select_json_ld(document, []) is None
    assert select_json_ld(document, [""]) == document


def test_who_is_on_the_way_is_named_and_arrays_are_dense() -> None:
    """§3.4.11: "All non-blank node identifiers in the path of any JSON Pointer MUST be included"; "The selection MUST
    include all types in the path"; §3.4.13: "Make array dense"."""
    document = {
        "@context": "c",
        "id": "urn:a",
        "type": ["A"],
        "list": [{"x": 1}, {"id": "urn:b", "type": "B", "x": 2, "y": 3}],
    }
    selected = select_json_ld(document, ["/list/1/y"])
    assert selected == {
        "@context": "c",
        "id": "urn:a",
        "type": ["A"],
        "list": [{"id": "urn:b", "type": "B", "y": 3}],
    }


# 3.5 Proof values


def test_a_base_proof_value_has_its_header_and_five_parts_without_tags() -> None:
    """§3.5.2: "starts with the ECDSA-SD base proof header bytes 0xd9, 0x5d, and 0x00"; "CBOR tagging MUST NOT be used
    on any of the components"."""
    secured = base("/credentialSubject/achievement/name")
    assert secured["proof"]["proofValue"].startswith("u2V0A")
    signature, key, hmac_key, signatures, pointers = parts(secured)
    assert (len(signature), len(key), key[:2]) == (64, 35, b"\x80\x24")
    assert len(hmac_key) == 32, '§3.6.2: "the HMAC key MUST be the same length as the digest size"'
    assert {len(one) for one in signatures} == {64}
    assert pointers == ["/issuer", "/validFrom", "/credentialSubject/achievement/name"]


def test_what_condemns_a_credential_is_mandatory_without_being_asked_for() -> None:
    """§3.6.2: "The transformation options MUST contain an array of mandatory JSON pointers". A holder who could leave
    out the status would un-revoke the credential."""
    document = credential() | {
        "validUntil": "2045-01-01T00:00:00Z",
        "credentialStatus": {
            "id": "https://uni.example/status/1#7",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": "7",
            "statusListCredential": "https://uni.example/status/1",
        },
    }
    shown = derive(sign(document, P256, created=CREATED, cryptosuite="ecdsa-sd-2023"), [])
    assert {name: shown[name] for name in ("issuer", "validFrom", "validUntil", "credentialStatus")} == {
        name: document[name] for name in ("issuer", "validFrom", "validUntil", "credentialStatus")
    }


async def test_deriving_equals_the_peer_to_the_byte() -> None:
    """§3.6.6: the derived proof is a function of base proof and pointers alone."""
    assert derive(BASE, DISCLOSED) == DERIVED


@pytest.mark.parametrize("pointers", [[], ["/credentialSubject/id"], DISCLOSED, [""]])
async def test_what_is_derived_verifies_and_says_no_more(pointers: list[str], policy: Policy) -> None:
    """§3.6.7: "Return a verification result with… verified"."""
    secured = base("/name")
    shown = derive(secured, pointers)
    assert await proof_of(shown, policy) == (Outcome.PASSED, "proof-valid")
    assert ("evidence" in shown) == (pointers == [""])
    assert shown["name"] == secured["name"]


async def test_an_ordered_list_is_disclosed_whole_or_not_at_all(policy: Policy) -> None:
    """§3.4.16: what is selected must be among what was signed; a part of the `allowedValue` of 1EdTech is not."""
    secured = base()
    where = "/credentialSubject/achievement/resultDescription/0/allowedValue"
    assert await proof_of(derive(secured, [where]), policy) == (Outcome.PASSED, "proof-valid")
    for pointers in ([f"{where}/1"], [f"{where}/0", f"{where}/2"]):
        with pytest.raises(DocumentRefused):
            derive(secured, pointers)
    with pytest.raises(DocumentRefused):
        base(f"{where}/0")


async def test_a_base_proof_is_not_accepted(policy: Policy) -> None:
    """§3.5.8: "If the decodedProofValue does not start with the ECDSA-SD disclosure proof header bytes 0xd9, 0x5d, and
    0x01, an error MUST be raised"."""
    assert await proof_of(BASE, policy) == (Outcome.FAILED, "base-proof")
    assert await proof_of(base(), policy) == (Outcome.FAILED, "base-proof")


async def test_the_number_of_signatures_must_match(policy: Policy) -> None:
    """§3.6.7: "If the length of signatures does not match the length of nonMandatory, an error MUST be raised"."""
    signature, key, signatures, labels, indexes = parts(DERIVED)
    fewer = with_parts(DERIVED, [signature, key, signatures[1:], labels, indexes])
    more = with_parts(DERIVED, [signature, key, [*signatures, signatures[0]], labels, indexes])
    for altered in (fewer, more):
        assert await proof_of(altered, policy) == (Outcome.FAILED, "signature-invalid")


async def test_a_derived_proof_value_of_another_shape_is_refused(policy: Policy) -> None:
    """§3.5.8: "If the result is not an array of the following five elements — a byte array of length 64; a byte array
    [of the key]; an array of byte arrays, each of length 64; a map of integers to byte arrays, each of length 32; and
    an array of integers — an error MUST be raised"."""
    signature, key, signatures, labels, indexes = good = parts(DERIVED)
    assert with_parts(DERIVED, good) == DERIVED
    wrong: list[Any] = [
        [],
        {},
        7,
        good[:4],
        [*good, 1],
        [signature[1:], key, signatures, labels, indexes],
        [signature, key[2:], signatures, labels, indexes],
        [signature, key, [b"x"], labels, indexes],
        [signature, key, signatures, {"c14n0": b"x" * 32}, indexes],
        [signature, key, signatures, {0: b"x"}, indexes],
        [signature, key, signatures, labels, ["0", *indexes[1:]]],
        [signature, key, signatures, labels, [True]],
        [cbor2.CBORTag(64, signature), key, signatures, labels, indexes],
        cbor2.dumps(good) + b"\x00",
        cbor2.dumps(good)[:-1],
        b"\x9f" + cbor2.dumps(good)[1:] + b"\xff",
        b"\xff",
        b"\xc0\x60",
        b"\x81" * 100_000,
    ]
    for components in wrong:
        found = await proof_of(with_parts(DERIVED, components), policy)
        assert found == (Outcome.FAILED, "proof-malformed"), components
    assert (await proof_of(with_parts(DERIVED, good, header=b"\xd9\x5d\x02"), policy))[1] == "proof-malformed"
    for value in (DERIVED["proof"]["proofValue"][1:], "z" + DERIVED["proof"]["proofValue"][1:], "u", "u!"):
        altered = DERIVED | {"proof": DERIVED["proof"] | {"proofValue": value}}
        assert (await proof_of(altered, policy))[1] == "proof-malformed"


async def test_labels_and_indexes_are_those_of_the_document(policy: Policy) -> None:
    """§3.5.9: the labels replace those of the canonical document, one for one; the indexes are of its statements."""
    secured = derive(base(), [""])
    signature, key, signatures, labels, indexes = parts(secured)
    first, second = sorted(labels)[:2]
    for changed in (
        [signature, b"\xed\x01" + key[2:], signatures, labels, indexes],
        [signature, key, signatures, labels | {second: labels[first]}, indexes],
        [signature, key, signatures, {k: v for k, v in labels.items() if k != first}, indexes],
        [signature, key, signatures, labels | {9_999: bytes(32)}, indexes],
        [signature, key, signatures, labels, [*indexes, indexes[0]]],
        [signature, key, signatures, labels, [*indexes, 99_999]],
        [signature, key, signatures, labels, [*indexes, -1]],
        [signature, key, signatures, labels, indexes[1:]],
    ):
        assert await proof_of(with_parts(secured, changed), policy) == (Outcome.FAILED, "signature-invalid")


def test_a_document_that_uses_the_ids_of_the_proof_is_refused() -> None:
    """§3.4.5: skolemization "is intended to be reversible", so its ids may not be in the document before."""
    document = credential() | {"evidence": [{"id": "urn:bnid:b0", "type": ["Evidence"], "name": "x"}]}
    with pytest.raises(DocumentRefused):
        sign(document, P256, created=CREATED, cryptosuite="ecdsa-sd-2023")


@pytest.mark.parametrize(
    "change", [{"proof": None}, {"proof": []}, {"proof": [BASE["proof"], BASE["proof"]]}, {"proof": DERIVED["proof"]}]
)
def test_only_one_base_proof_is_derived_from(change: dict[str, Any]) -> None:
    """§3.6.6: the input is "an ECDSA-SD base proof"."""
    with pytest.raises(CredentialError):
        derive(BASE | change, DISCLOSED)


def test_a_base_proof_of_another_document_discloses_nothing() -> None:
    """§3.5.4: the signatures are matched to statements by their position, so there must be as many."""
    with pytest.raises(DocumentRefused):
        derive({key: value for key, value in BASE.items() if key != "description"}, DISCLOSED)


def test_a_derived_proof_may_follow_upon_another() -> None:
    """Data Integrity §4.3, proof chains: what is named by previousProof is secured with the document."""
    first = add_proof(credential(), P256, created=CREATED, cryptosuite="ecdsa-rdfc-2019", proof_id="urn:uuid:1")
    second = add_proof(first, P256, created=CREATED, cryptosuite="ecdsa-jcs-2019", previous="urn:uuid:1")
    assert [proof.get("previousProof") for proof in second["proof"]] == [None, "urn:uuid:1"]


def test_mandatory_pointers_are_for_selective_disclosure_alone() -> None:
    with pytest.raises(DocumentRefused):
        sign(credential(), P256, created=CREATED, cryptosuite="ecdsa-rdfc-2019", mandatory_pointers=["/issuer"])


def test_equal_documents_have_proofs_that_cannot_be_linked() -> None:
    """§3.6.2 and §3.6.5: HMAC key and key pair are made anew for each proof."""
    one, other = (parts(base()) for _ in range(2))
    assert one[1] != other[1]
    assert one[2] != other[2]
    assert ecdsa_sd_2023.ALWAYS_DISCLOSED[0] == "/issuer"
