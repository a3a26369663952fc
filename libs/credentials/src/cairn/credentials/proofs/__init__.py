"""Data Integrity proofs: one cryptosuite a file, behind `sign`, `add_proof`, `prepare` and `verify_proof`.

`Ed25519Signature2020`, which is older than cryptosuites, is verified and never made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import ModuleType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from cairn.credentials.canonicalize import Met
from cairn.credentials.errors import DocumentRefused, KeyRefused, ProofInvalid, ProofUnsupported
from cairn.credentials.instants import format_instant
from cairn.credentials.keys import Algorithm, PublicKey, Signer
from cairn.credentials.proofs import (
    ecdsa_jcs_2019,
    ecdsa_rdfc_2019,
    ecdsa_sd_2023,
    ed25519_signature_2020,
    eddsa_jcs_2022,
    eddsa_rdfc_2022,
)
from cairn.credentials.proofs.common import SIGNATURE_BYTES, input_document, unsecured
from cairn.credentials.shape import Survey, is_object, listed, text_of
from cairn.credentials.strict_json import check_json
from cairn.credentials.structure import check_signs_for, check_unsigned, check_unsigned_presentation

Cryptosuite: TypeAlias = Literal[
    "eddsa-rdfc-2022", "eddsa-jcs-2022", "ecdsa-rdfc-2019", "ecdsa-jcs-2019", "ecdsa-sd-2023"
]
Purpose: TypeAlias = Literal["assertionMethod", "authentication"]

_SUITES: Final[dict[str, ModuleType]] = {
    suite.NAME: suite for suite in (eddsa_rdfc_2022, eddsa_jcs_2022, ecdsa_rdfc_2019, ecdsa_jcs_2019, ecdsa_sd_2023)
}
_OVER_JSON: Final = (eddsa_jcs_2022, ecdsa_jcs_2019)
_OVER_GRAPH: Final = (eddsa_rdfc_2022, ecdsa_rdfc_2019)
"""Without those that are not over all of it."""
_OLDER: Final[dict[str, ModuleType]] = {ed25519_signature_2020.TYPE: ed25519_signature_2020}
"""Types of proof that are their own suite."""


class PreparedProof(NamedTuple):
    """A proof that lacks only its signature, for keys that sign elsewhere and for recording the intent first (S26)."""

    document: dict[str, Any]
    """What is secured: of a chain, with the proofs that this one follows upon."""
    proof: dict[str, Any]
    hash_data: bytes
    """What is signed."""
    algorithm: Algorithm = "EdDSA"
    base: ecdsa_sd_2023.Base | None = None
    """What a base proof of ecdsa-sd-2023 carries besides the signature."""

    def attach(self, signature: bytes) -> dict[str, Any]:
        """The secured document. Raises KeyRefused for a signature that is not of the algorithm's length."""
        return self.document | {"proof": self.complete(signature)}

    def complete(self, signature: bytes) -> dict[str, Any]:
        """The proof with its signature. Raises KeyRefused."""
        if len(signature) != SIGNATURE_BYTES[self.algorithm]:
            raise KeyRefused(f"a signature of {self.algorithm} has {SIGNATURE_BYTES[self.algorithm]} bytes")
        if self.base is not None:
            value = ecdsa_sd_2023.base_proof_serialization(self.base, signature)
        else:
            value = _SUITES[self.proof["cryptosuite"]].proof_serialization(signature)
        return self.proof | {"proofValue": value}


def prepare(
    document: dict[str, Any],
    *,
    verification_method: str,
    created: datetime,
    cryptosuite: Cryptosuite = "eddsa-rdfc-2022",
    algorithm: Algorithm | None = None,
    expires: datetime | None = None,
    purpose: Purpose = "assertionMethod",
    challenge: str | None = None,
    domain: str | None = None,
    mandatory_pointers: Sequence[str] = (),
) -> PreparedProof:
    """Everything of signing but the signature: of a credential, or for `authentication` of a presentation.

    Raises ContextUnknown, or DocumentRefused where part of the document would go unsigned (S1), or where the method's
    DID is not the document's issuer, or holder (S7). `algorithm` is the key's, by default the suite's first.
    `mandatory_pointers` are for ecdsa-sd-2023 alone, and what condemns a credential is always among them; its proofs
    differ from one call to the next.
    """
    if "proof" in document:
        raise DocumentRefused("the document has a proof already", code="proof-present", pointer="/proof")
    if purpose == "authentication":
        check_unsigned_presentation(document, verification_method)
    else:
        check_unsigned(document)
        check_signs_for(document, verification_method, "issuer")
    options = _options(verification_method, created, expires, purpose)
    if challenge is not None:
        options["challenge"] = challenge
    if domain is not None:
        options["domain"] = domain
    return _prepare(document, options, cryptosuite, algorithm, mandatory_pointers)


def proof_of(document: dict[str, Any], *, verification_method: str, created: datetime) -> dict[str, Any]:
    """The proof as `prepare` of that credential gives it, with eddsa-rdfc-2022: nothing is hashed.

    Raises DocumentRefused where the method's DID is not the document's issuer (S7).
    """
    check_signs_for(document, verification_method, "issuer")
    return _typed(eddsa_rdfc_2022.NAME, _options(verification_method, created, None, "assertionMethod"))


def _typed(cryptosuite: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"type": "DataIntegrityProof", "cryptosuite": cryptosuite} | options


def _prepare(
    document: dict[str, Any],
    options: dict[str, Any],
    cryptosuite: str,
    algorithm: Algorithm | None = None,
    mandatory_pointers: Sequence[str] = (),
) -> PreparedProof:
    suite = _suite(cryptosuite)
    chosen: Algorithm = algorithm or suite.ALGORITHMS[0]
    if chosen not in suite.ALGORITHMS:
        raise KeyRefused(f"{cryptosuite} is not signed with a key for {chosen}")
    options = suite.proof_options_for(document, _typed(cryptosuite, options))
    if suite is ecdsa_sd_2023:
        base = ecdsa_sd_2023.base(document, options, mandatory_pointers)
        return PreparedProof(document, options, ecdsa_sd_2023.serialize_sign_data(base), chosen, base)
    if mandatory_pointers:
        raise DocumentRefused(f"{cryptosuite} discloses the whole, so it has no mandatory pointers")
    return PreparedProof(document, options, suite.hash_data(document, options, chosen), chosen)


def sign(
    document: dict[str, Any],
    signer: Signer,
    *,
    created: datetime,
    cryptosuite: Cryptosuite = "eddsa-rdfc-2022",
    expires: datetime | None = None,
    purpose: Purpose = "assertionMethod",
    challenge: str | None = None,
    domain: str | None = None,
    mandatory_pointers: Sequence[str] = (),
) -> dict[str, Any]:
    """A copy of the document with a Data Integrity proof. Raises as `prepare` does, and KeyRefused for a wrong key."""
    prepared = prepare(
        document,
        verification_method=signer.verification_method,
        created=created,
        cryptosuite=cryptosuite,
        algorithm=signer.algorithm,
        expires=expires,
        purpose=purpose,
        challenge=challenge,
        domain=domain,
        mandatory_pointers=mandatory_pointers,
    )
    return prepared.attach(signer.sign(prepared.hash_data))


def add_proof(
    secured: dict[str, Any],
    signer: Signer,
    *,
    created: datetime,
    cryptosuite: Cryptosuite = "eddsa-rdfc-2022",
    expires: datetime | None = None,
    proof_id: str | None = None,
    previous: str | Sequence[str] | None = None,
) -> dict[str, Any]:
    """A copy with one more proof, in a set or, where `previous` names proofs by id, in a chain (Data Integrity §4.3).

    Who signs need not be the issuer: a witness vouches for the document, and for the named proofs.
    Raises as `prepare` does, and ProofInvalid where a previous proof is not there.
    """
    check_unsigned(unsecured(secured))
    options = _options(signer.verification_method, created, expires, "assertionMethod")
    if proof_id is not None:
        options["id"] = proof_id
    if previous is not None:
        options["previousProof"] = previous if isinstance(previous, str) else list(previous)
    prepared = _prepare(input_document(secured, options), options, cryptosuite, signer.algorithm)
    proof = prepared.complete(signer.sign(prepared.hash_data))
    return unsecured(secured) | {"proof": [*listed(secured.get("proof")), proof]}


def derive(secured: dict[str, Any], selective_pointers: Sequence[str]) -> dict[str, Any]:
    """The credential that the holder shows: what the issuer made mandatory, and what the JSON pointers select.

    Of a set of proofs, the one base proof of ecdsa-sd-2023 is derived from. Raises ProofInvalid where there is not
    exactly one, and as `ecdsa_sd_2023.add_derived_proof` does.
    """
    check_json(secured)
    proofs = [proof for proof in listed(secured.get("proof")) if is_object(proof)]
    bases = [proof for proof in proofs if proof.get("cryptosuite") == ecdsa_sd_2023.NAME]
    if len(bases) != 1:
        raise ProofInvalid("the credential has not one base proof of ecdsa-sd-2023", pointer="/proof")
    return ecdsa_sd_2023.add_derived_proof(input_document(secured, bases[0]), bases[0], selective_pointers)


def is_supported(proof: dict[str, Any]) -> bool:
    return _reader(proof) is not None


def is_over_json(proof: dict[str, Any]) -> bool:
    """Whether the proof is over the JSON of the document, of which all is looked at then, and not over its graph."""
    return _reader(proof) in _OVER_JSON


def verify_proof(
    secured: dict[str, Any],
    proof: dict[str, Any],
    key: PublicKey,
    surveyed: Survey | None = None,
    met: Met | None = None,
) -> None:
    """The cryptography of one proof, and no more: whose key it is, and the dates, are the caller's to check.

    `surveyed` is what `survey` says of `secured`, and `met` what `meet` does, where those are known already.
    Raises ProofInvalid, ProofUnsupported, ContextUnknown or DocumentRefused.
    """
    suite = _reader(proof)
    if suite is None:
        raise ProofUnsupported(f"the cryptosuite {str(proof.get('cryptosuite'))[:80]} is not implemented here")
    document = input_document(secured, proof)
    if suite in _OVER_JSON:
        suite.verify_proof(document, proof, key, surveyed)
    elif suite in _OVER_GRAPH:
        suite.verify_proof(document, proof, key, None if "previousProof" in proof else met)
    else:
        suite.verify_proof(document, proof, key)


def _reader(proof: dict[str, Any]) -> ModuleType | None:
    if "cryptosuite" in proof:
        return _SUITES.get(text_of(proof["cryptosuite"]) or "")
    return _OLDER.get(text_of(proof.get("type")) or "")


def _suite(cryptosuite: str) -> ModuleType:
    if cryptosuite not in _SUITES:
        raise ProofUnsupported(f"the cryptosuite {cryptosuite[:80]} is not implemented here")
    return _SUITES[cryptosuite]


def _options(method: str, created: datetime, expires: datetime | None, purpose: Purpose) -> dict[str, Any]:
    options: dict[str, Any] = {
        "created": format_instant(created),
        "verificationMethod": method,
        "proofPurpose": purpose,
    }
    return options if expires is None else options | {"expires": format_instant(expires)}
