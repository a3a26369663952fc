"""A credential issued here verifies in libraries by others (LGPL, in tests only)."""

from __future__ import annotations

import json
from typing import Any

import openvc
import pytest
from openbadgeslib.ob3 import OB3LdpVerifier, OB3VerificationError, OB3Verifier

from cairn.credentials import (
    Bitstring,
    Ed25519Signer,
    StatusEntry,
    build_credential,
    build_status_list,
    sign,
    sign_jwt,
)
from cairn.credentials.bundle import context_document, context_urls

from .conftest import CREATED, Issue, make_draft

CONTEXTS = {url: context_document(url) for url in context_urls()}
LIST_URL = "https://uni.example/status/1/revocation"


def test_openbadgeslib_accepts_eddsa_rdfc_2022(signed: dict[str, Any], signer: Ed25519Signer) -> None:
    verifier = OB3LdpVerifier.for_issuer_did(signer.did)
    assert verifier.verify(json.dumps(signed)).id == signed["id"]


def test_openbadgeslib_accepts_the_jwt(signer: Ed25519Signer) -> None:
    document = build_credential(make_draft(signer.did))
    assert OB3Verifier.for_issuer_did(signer.did).verify(sign_jwt(document, signer)).id == document["id"]


def test_openbadgeslib_refuses_a_changed_one(signed: dict[str, Any], signer: Ed25519Signer) -> None:
    signed["name"] = "Something grander"
    with pytest.raises(OB3VerificationError):
        OB3LdpVerifier.for_issuer_did(signer.did).verify(json.dumps(signed))


@pytest.mark.parametrize("cryptosuite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
def test_openvc_accepts_both_cryptosuites(issue: Issue, cryptosuite: str) -> None:
    result = openvc.verify_credential(issue(cryptosuite=cryptosuite), extra_contexts=CONTEXTS)
    assert cryptosuite in result.format


@pytest.mark.parametrize("cryptosuite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
def test_openvc_refuses_a_changed_one(issue: Issue, cryptosuite: str) -> None:
    credential = issue(cryptosuite=cryptosuite)
    credential["credentialSubject"]["achievement"]["name"] = "Something grander"
    with pytest.raises(openvc.OpenvcError):
        openvc.verify_credential(credential, extra_contexts=CONTEXTS)


@pytest.mark.parametrize("revoked", [False, True])
def test_openvc_reads_our_status_list(issue: Issue, signer: Ed25519Signer, revoked: bool) -> None:
    bits = Bitstring()
    bits[94_567] = revoked
    unsigned = build_status_list(url=LIST_URL, issuer=signer.did, purpose="revocation", bits=bits, valid_from=CREATED)
    status_list = sign(unsigned, signer, created=CREATED)
    credential = issue(status=(StatusEntry(list_url=LIST_URL, index=94_567),))

    def fetch(url: str) -> Any:
        assert url == LIST_URL
        return openvc.verify_credential(status_list).credential

    if revoked:
        with pytest.raises(openvc.OpenvcError, match="revoked"):
            openvc.verify_credential(credential, resolve_status_list=fetch, extra_contexts=CONTEXTS)
    else:
        assert (
            openvc.verify_credential(credential, resolve_status_list=fetch, extra_contexts=CONTEXTS).issuer
            == signer.did
        )
