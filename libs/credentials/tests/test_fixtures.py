"""Every shared fixture gets an honest answer: right where it is supported, never a wrong `passed` where it is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cairn.credentials import (
    CheckName,
    CredentialError,
    Ed25519Signer,
    Outcome,
    Policy,
    sign,
    verify,
    verify_presentation,
)

from .conftest import CREATED, NOW, OWN, SHARED, Files, resolver_of

SUPPORTED = {
    "db/ob3-eddsa-rdfc-2022.json",
    "db/ob3-eddsa-rdfc-2022-full.json",
    "db/ob3-eddsa-jcs-2022.json",
    "db/ob3-ecdsa-rdfc-2019-P-256.json",
    "db/ob3-ecdsa-sd-2023-derived-mid.json",
    "db/ob3-did-web.json",
    "db/status-ok.json",
    "db/endorsement-eddsa-rdfc.json",
    "jose/vc-eddsa.jwt",
    "jose/vc-ob3-profile-eddsa.jwt",
    "jose/vc-es256.jwt",
    "jose/enveloped-vc.json",
    "obl/ldp-eddsa-didkey.json",
    "obl/ldp-eddsa-baked.png",
    "obl/ldp-eddsa-baked.svg",
    "obl/vcjwt-es256.jwt",
    "obl/ob2-hosted.json",
    "obl/ob2-signed.jws",
    "1edtech/ob30/simple-json.png",
    "1edtech/ob30/simple-jwt.svg",
    "sdjwt/ok-all.sdjwt",
    "sdjwt/ok-kb.sdjwt",
    "sdjwt/ok-status.sdjwt",
    "ietf-sdjwtvc/01/sd_jwt_presentation.txt",
    "dcc/v1/dataIntegrityProof/didKey/fourRegistry-noStatus-noExpiry.json",
    "dcc/v2/bothSignatureTypes/didweb/oidf-noStatus-notExpired.json",
    "dcc/v2/dataIntegrityProof/didKey/legacyRegistry-noStatus-noExpiry-credSubjName.json",
    "dcc/v2/ed25519/didKey/legacy-noStatus-noExpiry-lcwExperience.json",
}
FAILING = {
    "db/ob3-ecdsa-sd-2023-BASE.json": (CheckName.PROOF, "base-proof"),
    "db-neg/tamper-name.json": (CheckName.PROOF, "signature-invalid"),
    "db-neg/undefined-term-added.json": (CheckName.PROOF, "term-undefined"),
    "db-neg/proofvalue-flipped.json": (CheckName.PROOF, "signature-invalid"),
    "db-neg/expired.json": (CheckName.VALIDITY, "expired"),
    "db-neg/not-yet-valid.json": (CheckName.VALIDITY, "not-yet-valid"),
    "db-neg/status-revoked.json": (CheckName.STATUS, "revoked"),
    "db-neg/issuer-vm-mismatch-resigned.json": (CheckName.ISSUER, "issuer-mismatch"),
    "db-neg/status-index-out-of-range.json": (CheckName.STATUS, "status-index-range"),
    "jose/neg-alg-none.jwt": (CheckName.PROOF, "alg-refused"),
    "jose/neg-payload-tampered.jwt": (CheckName.PROOF, "signature-invalid"),
    "jose/neg-vc-claim.jwt": (CheckName.PROOF, "vc-claim"),
    "obl/neg-ob2-tampered.jws": (CheckName.PROOF, "json-refused"),
    "obl/neg-ldp-tampered.json": (CheckName.PROOF, "signature-invalid"),
    "sdjwt/neg-tampered-disclosure.sdjwt": (CheckName.PROOF, "disclosure-unreferenced"),
    "sdjwt/neg-kb-nonce.sdjwt": (CheckName.HOLDER, "challenge-mismatch"),
    "sdjwt/neg-status-revoked.sdjwt": (CheckName.STATUS, "revoked"),
    "dcc/v2/dataIntegrityProof/didKey/noRegistry-revokedStatus-noExpiry.json": (CheckName.VALIDITY, "expired"),
    "dcc/v2/ed25519/didKey/legacy-noStatus-noExpiry-tampered.json": (CheckName.PROOF, "signature-invalid"),
}
PROOF_VECTORS = {
    "w3c/vc-di-eddsa/eddsa-rdfc-2022/signedDataInt.json",
    "w3c/vc-di-eddsa/eddsa-jcs-2022/signedJCS.json",
    "w3c/vc-di-ecdsa/ecdsa-rdfc-2019-p256/signedECDSAP256.json",
}
PRESENTATIONS = {
    "db/vp-ok.json": "proof-valid",
    "db-neg/vp-wrong-challenge.json": "challenge-mismatch",
}
# Not credentials: an encoded list, and inputs to be signed.
OTHER_KINDS = {"bitstring", "unsigned"}


# The public validator's own tests are given these keys by a mock; here the issuer publishes them at its own address.
_JSON, _JWT = "https://example.com/issuers/876543", "https://1edtech.edu/issuers/565049"
_RSA = (
    "04q_KmxLWmWsBSv-sHlesyD6lFf_HkKiLE6TBQvWP3E8QgYzf1YuwH3lijpcyFPEEXWxlN7G1Xxr_grj2-GPcwRfvf-UDkKxgQwSQbnW6xCZsU9q"
    "i5dEnkU7LfOYz0mYVxAzjgM1LRtVDMnrqnR6YRX1vQ7mY9kzH3xhw92MATQFrKtTK4VN27UDlzUipZyvA2OUl29-TGhBdYU7otyOMHw1U4W8j3zB"
    "NMSvLUKo-b45wRWSSXy46s8eVl4O9A6vGhZSiKi6YlQQwi2_9YYVkiTB0pWoub9ABr4t_erI_4SqRMOw53kVRSHyimSIFLQiTuDttAM1gskxvUNv"
    "skdN1Q"
)
_KEYS_OF_1EDTECH: dict[str, dict[str, Any]] = {
    "1edtech/ob30/simple-json.png": {
        _JSON: {
            "id": f"{_JSON}#z6MkrvfzkMnvCroEUP2DVc9SHPE48CRsvHiVSusHioxTYu1x",
            "type": "Multikey",
            "controller": _JSON,
            "publicKeyMultibase": "z6MkrvfzkMnvCroEUP2DVc9SHPE48CRsvHiVSusHioxTYu1x",
        }
    },
    "1edtech/ob30/simple-jwt.svg": {
        _JWT: {
            "id": f"{_JWT}#rsa",
            "type": "JsonWebKey",
            "controller": _JWT,
            "publicKeyJwk": {"kty": "RSA", "n": _RSA, "e": "AQAB"},
        }
    },
}


def _entries() -> list[tuple[Path, dict[str, Any]]]:
    found = {entry["file"]: (OWN, entry) for entry in json.loads((OWN / "manifest.json").read_text())}
    if SHARED.is_dir():
        for entry in json.loads((SHARED / "manifest.json").read_text()):
            found.setdefault(entry["file"], (SHARED, entry))
    return [pair for pair in found.values() if pair[1]["format"] not in OTHER_KINDS]


def _asked(entry: dict[str, Any]) -> Policy:
    options = entry.get("options", {})
    return Policy(
        at=datetime.fromtimestamp(options["now"], UTC) if "now" in options else NOW,
        challenge=options.get("nonce", options.get("challenge")),
        domain=options.get("aud", options.get("domain")),
    )


def _resolver(name: str) -> Files:
    resolver = resolver_of(SHARED if SHARED.is_dir() else OWN)
    for issuer, method in _KEYS_OF_1EDTECH.get(name, {}).items():
        document = {"id": issuer, "verificationMethod": [method], "assertionMethod": [method["id"]]}
        resolver.serve(issuer, document)
    return resolver


@pytest.mark.parametrize(("folder", "entry"), [pytest.param(*pair, id=pair[1]["file"]) for pair in _entries()])
async def test_fixture_gets_an_honest_answer(folder: Path, entry: dict[str, Any]) -> None:
    name = entry["file"]
    if entry["format"] == "vp":
        shown = await verify_presentation((folder / name).read_bytes(), _resolver(name), _asked(entry))
        assert shown.verified is (entry["expected"] == "valid"), shown.to_json()
        assert shown.checks[CheckName.PROOF].code == PRESENTATIONS[name]
        return
    found = await verify((folder / name).read_bytes(), _resolver(name), _asked(entry))
    told = json.dumps(found.to_json(), indent=1)
    if name in SUPPORTED:
        assert found.verified, told
    elif name in FAILING:
        check, code = FAILING[name]
        assert not found.verified
        assert (found.checks[check].outcome, found.checks[check].code) == (Outcome.FAILED, code), told
    elif name in PROOF_VECTORS:
        assert found.checks[CheckName.PROOF].outcome is Outcome.PASSED, told
        assert found.checks[CheckName.ISSUER].code == "issuer-mismatch"
        assert not found.verified
    else:
        proof = found.checks[CheckName.PROOF]
        assert (proof.outcome, proof.code) == (Outcome.UNDETERMINED, "unsupported"), told
        assert not found.verified


def _unsigned() -> list[dict[str, Any]]:
    if not SHARED.is_dir():
        return []
    return [one for one in json.loads((SHARED / "manifest.json").read_text()) if one["format"] == "unsigned"]


def test_inputs_of_the_data_model_suite_are_issued_or_refused(signer: Ed25519Signer) -> None:
    for entry in _unsigned():
        document = json.loads((SHARED / entry["file"]).read_text())
        if entry["expected"] == "issue-ok":
            assert sign(document | {"issuer": signer.did}, signer, created=CREATED)["proof"]
        else:
            with pytest.raises(CredentialError):
                sign(document, signer, created=CREATED)


def test_every_supported_fixture_is_in_the_manifest() -> None:
    names = {entry["file"] for _, entry in _entries()}
    listed = {
        name
        for name in SUPPORTED | FAILING.keys() | PROOF_VECTORS | PRESENTATIONS.keys()
        if (OWN / name).exists() or SHARED.is_dir()
    }
    assert listed <= names
