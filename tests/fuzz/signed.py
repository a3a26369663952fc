"""What is signed before it is read, since nobody guesses a signature: hostile issuers, holders and callers."""

from __future__ import annotations

import json
from typing import Any, Final

from cairn.credentials import (
    CheckName,
    CredentialError,
    Ed25519Signer,
    Outcome,
    P256Signer,
    Verification,
    derive,
    sign,
    sign_jwt,
    verify,
    verify_presentation,
)
from cairn.credentials.jws import sign_jws
from cairn.credentials.proofs import eddsa_jcs_2022
from cairn.credentials.sd_jwt import issue_sd_jwt
from tests.fuzz.outside import MORE, POLICY, Outside, done, object_of

_ISSUER: Final = Ed25519Signer(bytes(range(32)))
_P256: Final = P256Signer(bytes(range(1, 33)))


def what_an_issuer_signs(data: bytes) -> None:
    """Its signature holds, whatever the rest says; so do those of the status lists that it answers with."""
    first, *rest = data.split(MORE)
    found = done(verify(secured(first), Outside([secured(part) for part in rest]), POLICY))
    json.dumps(found.to_json())
    found.facts.model_dump_json() if found.facts else None


def what_an_issuer_signs_in_a_token(data: bytes) -> None:
    first, *rest = data.split(MORE)
    token = _token({"typ": "vc+jwt", "cty": "vc"}, object_of(first))
    json.dumps(done(verify(token, Outside([secured(part) for part in rest]), POLICY)).to_json())


def what_an_issuer_signs_to_be_disclosed(data: bytes) -> None:
    """An SD-JWT VC; the second part has the pointers to what its holder may show, the third the status list."""
    first, pointers, listed, *_ = [*data.split(MORE), b"", b""]
    payload = object_of(first) | {"iss": _ISSUER.did}
    try:
        disclosable = pointers.decode("utf-8", "replace").split()
        token = issue_sd_jwt({"typ": "dc+sd-jwt"}, payload, _ISSUER, disclosable, salt=lambda: "salt")
    except CredentialError:
        return
    states = _token({"typ": "statuslist+jwt"}, object_of(listed)).encode()
    json.dumps(done(verify(token, Outside([states]), POLICY)).to_json())


def what_a_holder_shows(data: bytes) -> None:
    first, *rest = data.split(MORE)
    shown = secured(first, purpose="authentication", challenge="c", domain="d")
    json.dumps(done(verify_presentation(shown, Outside([secured(part) for part in rest]), POLICY)).to_json())


def what_is_signed_verifies(data: bytes) -> None:
    """What a caller may have signed holds when it is read, by each kind of canonical form."""
    document = object_of(data) | {"issuer": _ISSUER.did}
    document.pop("proof", None)
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022"):
        try:
            signed = sign(document, _ISSUER, created=POLICY.at, cryptosuite=suite)
        except CredentialError:
            continue
        _holds(json.dumps(signed))
    try:
        token = sign_jwt(document, _ISSUER)
    except CredentialError:
        return
    assert _holds(token).credential == document


def a_part_that_is_derived(data: bytes) -> None:
    """Whatever a holder selects of what was signed holds, or is refused. The second part has the pointers."""
    first, pointers, *_ = [*data.split(MORE), b""]
    document = object_of(first)
    if "proof" not in document:
        document |= {"issuer": _P256.did}
        try:
            document = sign(document, _P256, created=POLICY.at, cryptosuite="ecdsa-sd-2023")
        except CredentialError:
            return
    try:
        shown = derive(document, pointers.decode("utf-8", "replace").split())
    except CredentialError:
        return
    if "proof" not in object_of(first):
        _holds(json.dumps(shown))


def _holds(text: str) -> Verification:
    found: Verification = done(verify(text, Outside([]), POLICY))
    assert found.checks[CheckName.PROOF].outcome is Outcome.PASSED, found.to_json()
    return found


def secured(data: bytes, purpose: str = "assertionMethod", **more: str) -> bytes:
    """The object with a proof of its own words, without the checks that signing makes; other input as it is."""
    document = object_of(data) | ({} if more else {"issuer": _ISSUER.did})
    document.pop("proof", None)
    proof: dict[str, Any] = {
        "type": "DataIntegrityProof",
        "cryptosuite": eddsa_jcs_2022.NAME,
        "verificationMethod": _ISSUER.verification_method,
        "proofPurpose": purpose,
    }
    options = eddsa_jcs_2022.proof_options_for(document, proof | more)
    try:
        signature = _ISSUER.sign(eddsa_jcs_2022.hash_data(document, options))
    except CredentialError:
        return data
    return json.dumps(
        document | {"proof": options | {"proofValue": eddsa_jcs_2022.proof_serialization(signature)}}
    ).encode()


def _token(header: dict[str, Any], payload: dict[str, Any]) -> str:
    try:
        return sign_jws(header | {"kid": _ISSUER.verification_method}, payload, _ISSUER)
    except CredentialError:
        return ""
