"""did:key, did:web, and the documents found for them."""

from __future__ import annotations

from typing import Any

import pytest

from cairn.credentials import (
    CheckName,
    DidRefused,
    Ed25519PublicKey,
    Ed25519Signer,
    KeyRefused,
    Outcome,
    P256PublicKey,
    Policy,
    VerificationMethod,
    build_credential,
    build_did_document,
    did_web_for,
    did_web_url,
    public_key_from_jwk,
    public_key_from_multikey,
    read_did_document,
    resolve_did_key,
    sign,
    verify,
)

from .conftest import CREATED, Files, make_draft

ED = "z6Mkn2suzehWw92ULZn2fBmqkWFbA1rsdU1W3EXN5AVHiWYy"
P256 = "zDnaeuiM2M7hhMahiPkpatLGPz9vVRKJ4MnvwGkgvpdQb8jx8"
WEB = "did:web:uni.example"


@pytest.mark.parametrize(
    ("did", "url"),
    [
        ("did:web:uni.example", "https://uni.example/.well-known/did.json"),
        ("did:web:uni.example:issuers:1", "https://uni.example/issuers/1/did.json"),
        ("did:web:uni.example%3A8443:x", "https://uni.example:8443/x/did.json"),
        (
            "did:web:cairn.localhost:issuance:institutions:north",
            "https://cairn.localhost/issuance/institutions/north/did.json",
        ),
    ],
)
def test_a_did_web_is_at_one_url(did: str, url: str) -> None:
    assert did_web_url(did) == url
    assert did_web_for(url.removesuffix("/did.json").removesuffix("/.well-known")) == did


@pytest.mark.parametrize(
    "did",
    [
        "did:web:",
        "did:web:127.0.0.1",
        "did:web:0x7f.1",
        "did:web:2130706433",
        "did:web:%5B%3A%3A1%5D",
        "did:web:user%40uni.example",
        "did:web:uni.example:..",
        "did:web:uni.example:%2e%2e:x",
        "did:web:uni.example:a%2Fb",
        "did:web:uni.example%2Fevil",
        "did:web:uni.example#x",
        "did:web:uni.example%3A99999999",
        "did:key:z6Mk",
        "https://uni.example",
    ],
)
def test_an_odd_did_web_is_refused(did: str) -> None:
    with pytest.raises(DidRefused):
        did_web_url(did)


@pytest.mark.parametrize(
    "url", ["http://uni.example", "https://u@uni.example", "https://uni.example/?x", "https://[::1]/"]
)
def test_an_odd_url_has_no_did_web(url: str) -> None:
    with pytest.raises(DidRefused):
        did_web_for(url)


@pytest.mark.parametrize(("multikey", "kind"), [(ED, Ed25519PublicKey), (P256, P256PublicKey)])
def test_a_did_key_is_its_own_document(multikey: str, kind: type) -> None:
    document = resolve_did_key(f"did:key:{multikey}")
    (method,) = document.methods
    assert method.id == f"did:key:{multikey}#{multikey}"
    assert isinstance(method.key, kind)
    assert method.key.multikey == multikey
    assert public_key_from_jwk(method.key.to_jwk()) == method.key == public_key_from_multikey(multikey)


@pytest.mark.parametrize(
    "did",
    ["did:key:", "did:key:z", "did:key:z111", "did:key:u6Mk", f"did:key:{ED}x", "did:key:zQ3shok", f"did:web:{ED}"],
)
def test_a_broken_did_key_is_refused(did: str) -> None:
    with pytest.raises(DidRefused):
        resolve_did_key(did)


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "d": "A" * 43},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        {"kty": "RSA"},
        [],
        None,
    ],
)
def test_a_jwk_that_is_no_public_key_is_refused(jwk: Any) -> None:
    with pytest.raises(KeyRefused):
        public_key_from_jwk(jwk)


def test_a_document_round_trips(signer: Ed25519Signer) -> None:
    method = VerificationMethod(f"{WEB}#k", WEB, signer.public_key, frozenset({"assertionMethod"}), CREATED, CREATED)
    assert read_did_document(build_did_document(WEB, [method]), WEB).methods == (method,)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "did:web:other.example"},
        {"id": None},
        {"verificationMethod": [{"id": f"{WEB}#k"}, {"id": f"{WEB}#k"}]},
        {"verificationMethod": [{}] * 200},
    ],
)
def test_a_document_that_is_not_the_dids_is_refused(signer: Ed25519Signer, change: dict[str, Any]) -> None:
    document = build_did_document(WEB, [VerificationMethod(f"{WEB}#k", WEB, signer.public_key)])
    with pytest.raises(DidRefused):
        read_did_document(document | change, WEB)


@pytest.mark.parametrize(
    "change",
    [
        {"controller": "did:web:other.example"},
        {"id": "did:web:other.example#k"},
        {"type": "Nonsense"},
        {"publicKeyMultibase": "zzz"},
        {"expires": "tomorrow"},
    ],
)
def test_a_key_that_is_not_the_dids_is_left_out(signer: Ed25519Signer, change: dict[str, Any]) -> None:
    document = build_did_document(WEB, [VerificationMethod(f"{WEB}#k", WEB, signer.public_key)])
    document["verificationMethod"][0] |= change
    assert read_did_document(document, WEB).methods == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'{"id":"did:web:uni.example","id":"x"}', b'{"id": "did:web:x"}'])
async def test_a_document_that_cannot_be_read_leaves_the_proof_undetermined(policy: Policy, body: bytes) -> None:
    signer = Ed25519Signer(bytes(range(32)), f"{WEB}#k")
    files = Files().serve(did_web_url(WEB), body)
    found = await verify(sign(build_credential(make_draft(WEB)), signer, created=CREATED), files, policy)
    assert found.checks[CheckName.PROOF].outcome is Outcome.UNDETERMINED
    assert found.checks[CheckName.STATUS].outcome is not Outcome.PASSED
    assert not found.verified


async def test_an_unreachable_document_leaves_proof_and_issuer_undetermined(policy: Policy) -> None:
    signer = Ed25519Signer(bytes(range(32)), f"{WEB}#k")
    found = await verify(sign(build_credential(make_draft(WEB)), signer, created=CREATED), Files(), policy)
    for name in (CheckName.PROOF, CheckName.ISSUER):
        assert (found.checks[name].outcome, found.checks[name].code) == (Outcome.UNDETERMINED, "did-unreachable")
    assert found.checks[CheckName.TRUST].outcome is Outcome.UNDETERMINED


async def test_another_did_method_is_unsupported_and_asks_nobody(policy: Policy) -> None:
    signer = Ed25519Signer(bytes(range(32)), "did:ion:abc#k")
    files = Files()
    found = await verify(sign(build_credential(make_draft("did:ion:abc")), signer, created=CREATED), files, policy)
    assert (found.checks[CheckName.PROOF].outcome, found.checks[CheckName.PROOF].code) == (
        Outcome.UNDETERMINED,
        "unsupported",
    )
    assert files.asked == []
