"""The did:key Method 0.9 (https://w3c-ccg.github.io/did-key-spec/): each test cites what it holds us to."""

from __future__ import annotations

from typing import Any

import pytest

from cairn.credentials import DidRefused, base58, local_signer, public_key_from_jwk, resolve_did_key
from cairn.credentials.did_resolution import (
    Unresolved,
    dereference,
    document_url,
    expand,
    read_did_url,
    resolution_result,
)

DID = "did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b"
DIDS = [
    local_signer("EdDSA", bytes(32)).did,
    local_signer("ES256", bytes(31) + b"\1").did,
    local_signer("ES384", bytes(47) + b"\1").did,
]


def _longer(did: str) -> str:
    return "did:key:z" + base58.encode(base58.decode(did.removeprefix("did:key:z")) + b"\0")


RELATIONSHIPS = ("authentication", "assertionMethod", "capabilityInvocation", "capabilityDelegation")


def resolve(asked: str, **options: Any) -> dict[str, Any]:
    """What a resolver answers."""
    try:
        url = read_did_url(asked)
        assert document_url(url.did) is None
        found: dict[str, Any] | Unresolved = dereference(expand(url.did, **options), url)
    except Unresolved as failure:
        found = failure
    return resolution_result(asked, found)


@pytest.mark.parametrize("did", DIDS)
def test_the_document_has_one_method_in_four_relationships(did: str) -> None:
    """§3.1.1: "Initialize the authentication, assertionMethod, capabilityInvocation, and the capabilityDelegation
    properties in document to an array where the first item is the value of the id property in
    signatureVerificationMethod."""
    answer = resolve(did)
    document = answer["didDocument"]
    method_id = f"{did}#{did.removeprefix('did:key:')}"
    assert answer["didResolutionMetadata"] == {"contentType": "application/did+ld+json"}
    assert document["@context"][0] == "https://www.w3.org/ns/did/v1"
    assert document["id"] == did
    assert document["verificationMethod"] == [
        {"id": method_id, "type": "Multikey", "controller": did, "publicKeyMultibase": did.removeprefix("did:key:")}
    ]
    assert {name: document[name] for name in RELATIONSHIPS} == {name: [method_id] for name in RELATIONSHIPS}


@pytest.mark.parametrize(
    ("did", "error"),
    [
        (DID.replace("did:", "notDid:", 1), "invalidDid"),
        (DID.replace(":key:", ":experimental:"), "methodNotSupported"),
        (DID.replace(":key:", ":key:-4:"), "invalidDid"),
        (DID.replace(":z6", ":6"), "invalidDid"),
        (DID.replace(":z6", ":u6"), "invalidDid"),
        ("did:key:@", "invalidDid"),
        ("did:key:", "invalidDid"),
        ("did:key", "invalidDid"),
        ("", "invalidDid"),
        ("did:key:z0", "invalidDid"),
    ],
)
def test_an_identifier_of_another_form_is_invalid(did: str, error: str) -> None:
    """§3.1.1: "The scheme MUST be the value did. The method MUST be the value key. The version MUST be convertible to a
    positive integer value. The multibaseValue MUST be a string and begin with the letter z. If any of these
    requirements fail, an invalidDid error MUST be raised."""
    answer = resolve(did)
    assert answer["didResolutionMetadata"]["error"] == error
    assert answer["didDocument"] == {}
    assert answer["didDocumentMetadata"] == {}


@pytest.mark.parametrize("did", ["did:key:zTjsVPtY", *(_longer(did) for did in DIDS)])
def test_a_key_of_another_length_is_told(did: str) -> None:
    """§3.1.2: "If the byte length of rawPublicKeyBytes does not match the expected public key length for the associated
    multicodecValue, an invalidPublicKeyLength error MUST be raised."""
    assert resolve(did)["didResolutionMetadata"]["error"] == "invalidPublicKeyLength"


def test_a_point_that_is_not_on_the_curve_is_told() -> None:
    """§3.1.2: "If an invalid public key value is detected, an invalidPublicKey error MUST be raised."""
    did = "did:key:z" + base58.encode(b"\x80\x24\x02" + b"\xff" * 32)
    assert resolve(did)["didResolutionMetadata"]["error"] == "invalidPublicKey"


@pytest.mark.parametrize(
    "did",
    [
        "did:key:z6LSfHfAMAopsuBxaBzvp51GXrPf38Az13j2fmwqadbwwrzJ",  # X25519
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",  # secp256k1
    ],
)
def test_a_key_type_of_no_suite_here_is_unsupported(did: str) -> None:
    """§3.1.2, the table of multicodecs: other key types are told as such, not as malformed."""
    assert resolve(did)["didResolutionMetadata"]["error"] == "unsupportedPublicKeyType"
    with pytest.raises(DidRefused) as refused:
        resolve_did_key(did)
    assert refused.value.code == "unsupported"


def test_what_follows_the_did_must_make_a_did_url() -> None:
    """§3.1.2: "If verificationMethod.id is not a valid DID URL, an invalidDidUrl error MUST be raised."""
    answer = resolve(f"{DID}/^bar^/?query=`#{DID.removeprefix('did:key:')}")
    assert answer["didDereferencingMetadata"]["error"] == "invalidDidUrl"


def test_a_format_that_nobody_knows_is_unsupported() -> None:
    """§3.1.2: "If publicKeyFormat is not known to the implementation, an unsupportedPublicKeyType error MUST be
    raised."""
    assert resolve(DID, public_key_format="unknown")["didResolutionMetadata"]["error"] == "unsupportedPublicKeyType"


@pytest.mark.parametrize("fragment", ["z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b", "z6LSfHfAMAopsuBxaBzvp51GXr"])
def test_an_experimental_format_must_be_asked_for(fragment: str) -> None:
    """§3.1.2: "If options.enableExperimentalPublicKeyTypes is set to false and publicKeyFormat is not Multikey,
    JsonWebKey, or Ed25519VerificationKey2020, an invalidPublicKeyType error MUST be raised."""
    answer = resolve(f"{DID}#{fragment}", public_key_format="Ed25519VerificationKey2018", experimental=False)
    assert answer["didDereferencingMetadata"]["error"] == "invalidPublicKeyType"


@pytest.mark.parametrize("did", DIDS)
def test_a_key_is_written_as_a_jwk_when_asked_for(did: str) -> None:
    """§3.1.2: "If publicKeyFormat is JsonWebKey, set the verificationMethod.publicKeyJwk value"; §3.1.4: "Ensure that d
    is NOT present."""
    (method,) = resolve(did, public_key_format="JsonWebKey")["didDocument"]["verificationMethod"]
    assert method["type"] == "JsonWebKey"
    assert "d" not in method["publicKeyJwk"]
    assert public_key_from_jwk(method["publicKeyJwk"]) == resolve_did_key(did).methods[0].key


def test_ed25519_has_a_format_of_its_own() -> None:
    """§3.1.2: "If publicKeyFormat is Multikey or Ed25519VerificationKey2020, set the
    verificationMethod.publicKeyMultibase value to multibaseValue."""
    (method,) = resolve(DID, public_key_format="Ed25519VerificationKey2020")["didDocument"]["verificationMethod"]
    assert method["publicKeyMultibase"] == DID.removeprefix("did:key:")
    other = resolve(DIDS[1], public_key_format="Ed25519VerificationKey2020")
    assert other["didResolutionMetadata"]["error"] == "invalidPublicKeyType"


def test_a_fragment_names_the_method() -> None:
    """§3.1.2: "Set verificationMethod.controller to the identifier value"; DID Resolution §5: dereferencing."""
    answer = resolve(f"{DID}#{DID.removeprefix('did:key:')}")
    assert answer["didDocument"]["controller"] == DID
    assert "error" not in answer["didDereferencingMetadata"]
    assert resolve(f"{DID}#other")["didDereferencingMetadata"]["error"] == "notFound"
