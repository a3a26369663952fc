"""eddsa-jcs-2022: Ed25519 over JCS (Data Integrity EdDSA Cryptosuites 1.0 §3.3). Functions are its steps."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from cairn.credentials.bundle import context_urls
from cairn.credentials.canonicalize import jcs
from cairn.credentials.canonicalize.compact_form import refuse_rekeyed
from cairn.credentials.errors import DocumentRefused, ProofInvalid
from cairn.credentials.keys import PublicKey
from cairn.credentials.proofs.common import decode_proof_value, encode_proof_value, proof_options, unsecured
from cairn.credentials.shape import listed

NAME: Final = "eddsa-jcs-2022"


def transformation(document: dict[str, Any]) -> bytes:
    """§3.3.3: the unsecured document as RFC 8785 writes it."""
    return jcs(document)


def proof_configuration(options: dict[str, Any]) -> bytes:
    """§3.3.5: the proof options, with the contexts they carry, as RFC 8785 writes them."""
    if options.get("type") != "DataIntegrityProof" or options.get("cryptosuite") != NAME:
        raise DocumentRefused("the options are not those of eddsa-jcs-2022", code="proof-malformed", pointer="/proof")
    return jcs(options)


def hashing(transformed_document: bytes, canonical_proof_config: bytes) -> bytes:
    """§3.3.4: 64 bytes, the hash of the options and then that of the document."""
    return sha256(canonical_proof_config).digest() + sha256(transformed_document).digest()


def proof_serialization(signature: bytes) -> str:
    """§3.3.6, without the signing itself, which is behind a `Signer`."""
    return encode_proof_value(signature)


def hash_data(document: dict[str, Any], options: dict[str, Any]) -> bytes:
    """Steps 3 to 5 of §3.3.1: what is signed. Raises DocumentRefused."""
    refuse_rekeyed(document)
    return hashing(transformation(document), proof_configuration(options))


def proof_options_for(document: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """§3.3.1 step 2: the options carry the document's contexts, and stay in the secured document."""
    return {"@context": document["@context"]} | options if "@context" in document else options


def verify_proof(secured: dict[str, Any], proof: dict[str, Any], key: PublicKey) -> None:
    """§3.3.2 and §3.3.7. Raises ProofInvalid where the signature or the contexts do not fit, DocumentRefused."""
    if key.algorithm != "EdDSA":
        raise ProofInvalid("the key is not of Ed25519", code="key-mismatch", pointer="/proof/verificationMethod")
    document = unsecured(secured)
    if "@context" in proof:
        signed, carried = listed(proof["@context"]), listed(document.get("@context"))
        added = carried[len(signed) :]
        # Step 4.1 allows contexts appended after signing; of those, only ones that are known cannot change the meaning.
        if carried[: len(signed)] != signed or not all(isinstance(one, str) and one in context_urls() for one in added):
            raise ProofInvalid(
                "the document's contexts do not begin with those that were signed",
                code="context-changed",
                pointer="/proof/@context",
            )
        document["@context"] = proof["@context"]
    signature = decode_proof_value(proof, 64)
    if not key.verify(signature, hash_data(document, proof_options(proof))):
        raise ProofInvalid(
            "the signature does not fit the document", code="signature-invalid", pointer="/proof/proofValue"
        )
