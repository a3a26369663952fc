"""Controlled Identifiers 1.0 (https://www.w3.org/TR/cid-1.0/), did:jwk, https issuers: each test cites its source."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from cairn.credentials import (
    CheckName,
    DidRefused,
    Ed25519Signer,
    LocalSigner,
    Outcome,
    P256Signer,
    Policy,
    VerificationMethod,
    base64url,
    build_credential,
    build_did_document,
    local_signer,
    public_key_from_jwk,
    public_key_from_multikey,
    read_did_document,
    sign,
    verify,
)
from cairn.credentials.did import read_issuer_metadata, resolve_did_jwk, resolve_self_contained
from cairn.credentials.did_resolution import Unresolved, expand

from .conftest import CREATED, NOW, Files, make_draft

HTTPS = "https://uni.example/issuers/1"
KEYS = [local_signer("EdDSA", bytes(range(32))), local_signer("ES256", bytes(range(1, 33)))]
KEYS += [local_signer("ES384", bytes(range(1, 49)))]


def document_of(signer: LocalSigner, **changes: Any) -> dict[str, Any]:
    method = VerificationMethod(f"{HTTPS}#key-1", HTTPS, signer.public_key)
    document = build_did_document(HTTPS, [method])
    document["verificationMethod"][0] |= changes
    return document


def did_jwk(jwk: Any) -> str:
    return "did:jwk:" + base64url.encode(json.dumps(jwk).encode())


async def issuer_check(issuer: str, signer: LocalSigner, files: Files, policy: Policy) -> tuple[str, str]:
    credential = sign(
        build_credential(make_draft(issuer)),
        signer,
        created=CREATED,
        cryptosuite="eddsa-rdfc-2022" if signer.algorithm == "EdDSA" else "ecdsa-rdfc-2019",
    )
    found = await verify(credential, files, policy)
    return found.checks[CheckName.PROOF].code, found.checks[CheckName.ISSUER].code


# §2.2 Verification methods


@pytest.mark.parametrize("signer", KEYS)
def test_multikey_and_jwk_say_the_same_key(signer: LocalSigner) -> None:
    """§2.2.2: "publicKeyMultibase… MUST be a Multibase encoded value"; §2.2.3: "publicKeyJwk… MUST be a map
    representing a JSON Web Key that conforms to [RFC7517]"."""
    key = signer.public_key
    assert public_key_from_multikey(key.multikey) == key == public_key_from_jwk(key.to_jwk())
    for entry in (
        {"type": "Multikey", "publicKeyMultibase": key.multikey},
        {"type": "JsonWebKey", "publicKeyJwk": key.to_jwk() | {"kid": "x", "alg": key.algorithm}},
    ):
        document = {"id": HTTPS, "verificationMethod": [{"id": "#k", "controller": HTTPS, **entry}]}
        assert read_did_document(document, HTTPS).methods[0].key == key


def test_a_private_key_is_not_published() -> None:
    """§2.2.3: "The map MUST NOT include any members of the private information class, such as d"."""
    document = document_of(KEYS[1])
    document["verificationMethod"][0] |= {
        "type": "JsonWebKey",
        "publicKeyJwk": KEYS[1].public_key.to_jwk() | {"d": "AA"},
    }
    assert read_did_document(document, HTTPS).methods == ()


@pytest.mark.parametrize(
    "change",
    [
        {"id": "https://uni.example/issuers/2#key-1"},
        {"id": None},
        {"controller": "https://evil.example/"},
        {"type": None},
        {"publicKeyMultibase": None},
        {"publicKeyJwk": KEYS[0].public_key.to_jwk()},
    ],
)
def test_a_method_needs_an_id_of_the_document_a_type_and_its_controller(change: dict[str, Any]) -> None:
    """§3.3: "If the absolute URL value of verificationMethod.id does not equal vmIdentifier, an error MUST be raised…
    If the absolute URL value of verificationMethod.controller does not equal controllerDocumentUrl, an error MUST be
    raised"; §2.2.1: "MUST NOT contain multiple verification material properties for the same material"."""
    assert read_did_document(document_of(KEYS[0], **change), HTTPS).methods == ()


@pytest.mark.parametrize("found", [{"id": "https://evil.example/"}, {"id": None}, {}])
def test_the_document_must_be_that_of_its_url(found: dict[str, Any]) -> None:
    """§3.3: "If controllerDocument.id does not match the controllerDocumentUrl, an error MUST be raised"."""
    document = {key: value for key, value in document_of(KEYS[0]).items() if key != "id"} | found
    with pytest.raises(DidRefused):
        read_did_document(document, HTTPS)


# §2.3 Relationships


async def test_a_key_is_used_for_what_the_document_says(policy: Policy) -> None:
    """§3.3: "If verificationMethod is not associated… with the verification relationship array in the
    controllerDocument identified by verificationRelationship, an error MUST be raised"."""
    document = document_of(KEYS[0])
    signer = Ed25519Signer(bytes(range(32)), f"{HTTPS}#key-1")
    assert await issuer_check(HTTPS, signer, Files().serve(HTTPS, document), policy) == ("proof-valid", "issuer-signed")
    document["authentication"] = document.pop("assertionMethod")
    assert await issuer_check(HTTPS, signer, Files().serve(HTTPS, document), policy) == ("proof-valid", "key-purpose")


async def test_a_retired_key_verifies_what_it_signed_before_and_a_revoked_one_nothing(policy: Policy) -> None:
    """§2.2: `expires` is "when the verification method SHOULD cease to be used", and `revoked` "when the verification
    method MUST NOT be used… systems… are expected to not verify any proofs associated with the verification method at
    or after the time of revocation". Row S27 of the promises."""
    signer = Ed25519Signer(bytes(range(32)), f"{HTTPS}#key-1")
    later, earlier = ((CREATED + timedelta(days=days)).isoformat().replace("+00:00", "Z") for days in (1, -1))
    for changes, answer in (
        ({"expires": later}, "issuer-signed"),
        ({"expires": earlier}, "key-expired"),
        ({"revoked": later}, "key-revoked"),
        ({"revoked": (NOW + timedelta(days=1)).isoformat().replace("+00:00", "Z")}, "issuer-signed"),
    ):
        files = Files().serve(HTTPS, document_of(KEYS[0], **changes))
        assert (await issuer_check(HTTPS, signer, files, policy))[1] == answer, changes


# https issuers


@pytest.mark.parametrize(("kind", "secret"), [(Ed25519Signer, bytes(range(32))), (P256Signer, bytes(range(1, 33)))])
async def test_an_https_issuer_is_bound_to_the_keys_at_its_url(kind: Any, secret: bytes, policy: Policy) -> None:
    """§3.3: the verification method is taken from the controller's document; nothing else is asked for (S9)."""
    signer = kind(secret, f"{HTTPS}#key-1")
    files = Files().serve(HTTPS, document_of(signer))
    assert await issuer_check(HTTPS, signer, files, policy) == ("proof-valid", "issuer-signed")
    assert files.asked == [HTTPS, f"trust {HTTPS}"]


async def test_s07_an_https_issuer_is_not_bound_by_a_key_of_its_own_choosing(policy: Policy) -> None:
    """The specifications' vectors name an https issuer and a did:key: they hold as proofs, and bind nobody."""
    signer = Ed25519Signer(bytes(range(32)))
    document = build_credential(make_draft(signer.did))
    forged = sign(document, signer, created=CREATED)
    issuer = forged["issuer"] | {"id": HTTPS}
    files = Files().serve(HTTPS, document_of(KEYS[1]))
    found = await verify(forged | {"issuer": issuer}, files, policy)
    assert found.checks[CheckName.ISSUER].code == "issuer-mismatch"
    assert files.asked == []


def test_the_jwks_of_an_https_issuer_are_its_keys() -> None:
    """SD-JWT VC §5: the metadata name the issuer, and its keys as a JWK Set; a key is found by `kid`."""
    keys = [signer.public_key.to_jwk() | {"kid": f"k{n}"} for n, signer in enumerate(KEYS)]
    others = [{"kty": "RSA", "kid": "r"}, keys[1] | {"kid": "e", "use": "enc"}, KEYS[0].public_key.to_jwk(), 7]
    found = read_issuer_metadata({"issuer": HTTPS, "jwks": {"keys": [*keys, *others]}}, HTTPS)
    assert [(method.id, method.key) for method in found.methods] == [
        (f"{HTTPS}#k{n}", signer.public_key) for n, signer in enumerate(KEYS)
    ]
    for wrong in (
        {"issuer": "https://evil.example", "jwks": {"keys": keys}},
        {"issuer": HTTPS, "jwks": {"keys": [keys[0], keys[0]]}},
        [],
    ):
        with pytest.raises(DidRefused):
            read_issuer_metadata(json.dumps(wrong).encode(), HTTPS)


# did:jwk


@pytest.mark.parametrize("signer", KEYS)
async def test_a_did_jwk_is_its_own_document(signer: LocalSigner, policy: Policy) -> None:
    """did:jwk §2: the one verification method is the DID with the fragment `#0`."""
    did = did_jwk(signer.public_key.to_jwk())
    document = expand(did)
    assert document["verificationMethod"][0]["id"] == f"{did}#0"
    assert document["verificationMethod"][0]["publicKeyJwk"] == signer.public_key.to_jwk()
    assert ("keyAgreement" in document) == (signer.algorithm != "EdDSA")
    assert resolve_self_contained(did).methods[0].key == signer.public_key
    signer.verification_method = f"{did}#0"
    files = Files()
    assert await issuer_check(did, signer, files, policy) == ("proof-valid", "issuer-signed")
    assert files.asked == [f"trust {did}"]


def test_a_did_jwk_does_what_its_use_says() -> None:
    """did:jwk §2: with `use` "sig" there is no keyAgreement; with "enc" there is nothing else."""
    jwk = KEYS[1].public_key.to_jwk()
    assert "keyAgreement" not in resolve_did_jwk(did_jwk(jwk | {"use": "sig"})).methods[0].purposes
    assert resolve_did_jwk(did_jwk(jwk | {"use": "enc"})).methods[0].purposes == {"keyAgreement"}


@pytest.mark.parametrize(
    ("did", "error"),
    [
        ("did:jwk:", "invalidDid"),
        ("did:jwk:e30", "unsupportedPublicKeyType"),
        ("did:jwk:e30=", "invalidDid"),
        ("did:jwk:W10", "invalidDid"),
        (did_jwk({"kty": "EC", "crv": "secp256k1"}), "unsupportedPublicKeyType"),
        (did_jwk({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "invalidPublicKeyLength"),
        (did_jwk(KEYS[1].public_key.to_jwk() | {"y": "A" * 43}), "invalidPublicKey"),
        (did_jwk(KEYS[1].public_key.to_jwk() | {"d": "A" * 43}), "invalidDid"),
    ],
)
def test_a_did_jwk_of_no_key_is_refused(did: str, error: str) -> None:
    """did:jwk §2: the identifier is a base64url-encoded public JWK."""
    with pytest.raises(Unresolved) as refused:
        expand(did)
    assert refused.value.code == error


async def test_a_did_jwk_of_no_key_is_not_an_issuer(policy: Policy) -> None:
    did = did_jwk({"kty": "EC", "crv": "secp256k1"})
    found = await verify(
        sign(build_credential(make_draft(did)), Ed25519Signer(bytes(32), f"{did}#0"), created=CREATED), Files(), policy
    )
    assert found.checks[CheckName.PROOF].outcome is Outcome.UNDETERMINED
