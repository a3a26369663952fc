"""Data Integrity proofs: one cryptosuite a file, behind `sign`, `prepare` and `verify_proof`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias

from cairn.credentials.errors import DocumentRefused, KeyRefused, ProofUnsupported
from cairn.credentials.instants import format_instant
from cairn.credentials.keys import PublicKey, Signer
from cairn.credentials.proofs import eddsa_jcs_2022, eddsa_rdfc_2022
from cairn.credentials.structure import check_signs_for, check_unsigned, check_unsigned_presentation

Cryptosuite: TypeAlias = Literal["eddsa-rdfc-2022", "eddsa-jcs-2022"]

_SUITES: Final[dict[str, ModuleType]] = {suite.NAME: suite for suite in (eddsa_rdfc_2022, eddsa_jcs_2022)}


@dataclass(frozen=True, slots=True)
class PreparedProof:
    """A proof that lacks only its signature, for keys that sign elsewhere and for recording the intent first (S26)."""

    document: dict[str, Any]
    proof: dict[str, Any]
    hash_data: bytes
    """What is signed."""

    def attach(self, signature: bytes) -> dict[str, Any]:
        """The secured document. Raises KeyRefused for a signature that is not of Ed25519's length."""
        if len(signature) != 64:
            raise KeyRefused("a signature of Ed25519 has 64 bytes")
        value = _SUITES[self.proof["cryptosuite"]].proof_serialization(signature)
        return self.document | {"proof": self.proof | {"proofValue": value}}


def prepare(
    document: dict[str, Any],
    *,
    verification_method: str,
    created: datetime,
    cryptosuite: Cryptosuite = "eddsa-rdfc-2022",
    expires: datetime | None = None,
    purpose: Literal["assertionMethod", "authentication"] = "assertionMethod",
    challenge: str | None = None,
    domain: str | None = None,
) -> PreparedProof:
    """Everything of signing but the signature: of a credential, or for `authentication` of a presentation.

    Raises ContextUnknown, or DocumentRefused where part of the document would go unsigned (S1), or where the method's
    DID is not the document's issuer, or holder (S7).
    """
    if cryptosuite not in _SUITES:
        raise ProofUnsupported(f"the cryptosuite {cryptosuite} is not implemented here")
    if "proof" in document:
        raise DocumentRefused("the document has a proof already", code="proof-present", pointer="/proof")
    if purpose == "authentication":
        check_unsigned_presentation(document, verification_method)
    else:
        check_unsigned(document)
        check_signs_for(document, verification_method, "issuer")
    suite = _SUITES[cryptosuite]
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": cryptosuite,
        "created": format_instant(created),
        "verificationMethod": verification_method,
        "proofPurpose": purpose,
    }
    if expires is not None:
        options["expires"] = format_instant(expires)
    if challenge is not None:
        options["challenge"] = challenge
    if domain is not None:
        options["domain"] = domain
    options = suite.proof_options_for(document, options)
    return PreparedProof(document=document, proof=options, hash_data=suite.hash_data(document, options))


def sign(
    document: dict[str, Any],
    signer: Signer,
    *,
    created: datetime,
    cryptosuite: Cryptosuite = "eddsa-rdfc-2022",
    expires: datetime | None = None,
    purpose: Literal["assertionMethod", "authentication"] = "assertionMethod",
    challenge: str | None = None,
    domain: str | None = None,
) -> dict[str, Any]:
    """A copy of the document with a Data Integrity proof. Raises as `prepare` does, and KeyRefused for a wrong key."""
    if signer.algorithm != "EdDSA":
        raise KeyRefused(f"{cryptosuite} is signed with Ed25519, not with a key for {signer.algorithm}")
    prepared = prepare(
        document,
        verification_method=signer.verification_method,
        created=created,
        cryptosuite=cryptosuite,
        expires=expires,
        purpose=purpose,
        challenge=challenge,
        domain=domain,
    )
    return prepared.attach(signer.sign(prepared.hash_data))


def is_supported(cryptosuite: object) -> bool:
    return isinstance(cryptosuite, str) and cryptosuite in _SUITES


def verify_proof(secured: dict[str, Any], proof: dict[str, Any], key: PublicKey) -> None:
    """The cryptography of one proof, and no more: whose key it is, and the dates, are the caller's to check.

    Raises ProofInvalid, ProofUnsupported, ContextUnknown or DocumentRefused.
    """
    cryptosuite = proof.get("cryptosuite")
    if not isinstance(cryptosuite, str) or cryptosuite not in _SUITES:
        raise ProofUnsupported(f"the cryptosuite {str(cryptosuite)[:80]} is not implemented here")
    _SUITES[cryptosuite].verify_proof(secured, proof, key)
