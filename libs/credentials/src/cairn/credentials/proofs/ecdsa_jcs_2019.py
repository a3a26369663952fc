"""ecdsa-jcs-2019: P-256, P-384 over JCS (Data Integrity ECDSA Cryptosuites 1.0 §3.3). Functions are its steps."""

from __future__ import annotations

from typing import Any, Final

from cairn.credentials.keys import Algorithm, PublicKey
from cairn.credentials.proofs.common import (
    check_key,
    check_signature,
    concatenated_hashes,
    encode_proof_value,
    jcs_configuration,
    jcs_transformation,
    proof_options,
    with_signed_context,
)
from cairn.credentials.shape import Survey

NAME: Final = "ecdsa-jcs-2019"
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("ES256", "ES384")


def transformation(document: dict[str, Any], surveyed: Survey | None = None) -> bytes:
    """§3.3.3: the unsecured document as RFC 8785 writes it, its re-keyed terms refused. Raises DocumentRefused."""
    return jcs_transformation(document, surveyed)


def proof_configuration(options: dict[str, Any]) -> bytes:
    """§3.3.5: the proof options, with the contexts they carry, as RFC 8785 writes them."""
    return jcs_configuration(NAME, options)


def hashing(transformed_document: bytes, canonical_proof_config: bytes, algorithm: Algorithm) -> bytes:
    """§3.3.4: 64 bytes with P-256, 96 with P-384, the hash of the options and then that of the document."""
    return concatenated_hashes(algorithm, transformed_document, canonical_proof_config)


def proof_serialization(signature: bytes) -> str:
    """§3.3.6, without the signing itself, which is behind a `Signer`."""
    return encode_proof_value(signature)


def hash_data(
    document: dict[str, Any], options: dict[str, Any], algorithm: Algorithm, surveyed: Survey | None = None
) -> bytes:
    """Steps 3 to 5 of §3.3.1: what is signed. Raises DocumentRefused."""
    return hashing(transformation(document, surveyed), proof_configuration(options), algorithm)


def proof_options_for(document: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """§3.3.1 step 2: the options carry the document's contexts, and stay in the secured document."""
    return {"@context": document["@context"]} | options if "@context" in document else options


def verify_proof(
    document: dict[str, Any], proof: dict[str, Any], key: PublicKey, surveyed: Survey | None = None
) -> None:
    """§3.3.2 and §3.3.7. Raises ProofInvalid where the signature or the contexts do not fit, DocumentRefused.

    `document` is what the proof secures: without it, and with the proofs it follows upon, if any.
    """
    check_key(key, ALGORITHMS)
    signed = with_signed_context(document, proof)
    check_signature(key, proof, hash_data(signed, proof_options(proof), key.algorithm, surveyed))
