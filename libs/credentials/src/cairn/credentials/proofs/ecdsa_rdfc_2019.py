"""ecdsa-rdfc-2019: P-256, P-384 over RDFC-1.0 (Data Integrity ECDSA Cryptosuites 1.0 §3.2). Functions are its steps."""

from __future__ import annotations

from typing import Any, Final

from cairn.credentials.canonicalize import Met, rdfc, rdfc_again
from cairn.credentials.keys import Algorithm, PublicKey
from cairn.credentials.proofs.common import (
    check_key,
    check_same_context,
    check_signature,
    concatenated_hashes,
    encode_proof_value,
    proof_options,
    rdfc_configuration,
)

NAME: Final = "ecdsa-rdfc-2019"
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("ES256", "ES384")


def transformation(document: dict[str, Any]) -> bytes:
    """§3.2.3: the unsecured document as canonical N-Quads."""
    return rdfc(document)


def proof_configuration(document: dict[str, Any], options: dict[str, Any]) -> bytes:
    """§3.2.5: the proof options, under the document's own contexts, as canonical N-Quads."""
    return rdfc_configuration(NAME, document, options)


def hashing(transformed_document: bytes, canonical_proof_config: bytes, algorithm: Algorithm) -> bytes:
    """§3.2.4: 64 bytes with P-256, 96 with P-384, the hash of the options and then that of the document."""
    return concatenated_hashes(algorithm, transformed_document, canonical_proof_config)


def proof_serialization(signature: bytes) -> str:
    """§3.2.6, without the signing itself, which is behind a `Signer`."""
    return encode_proof_value(signature)


def hash_data(document: dict[str, Any], options: dict[str, Any], algorithm: Algorithm) -> bytes:
    """Steps 3 to 5 of §3.2.1: what is signed. Raises ContextUnknown or DocumentRefused."""
    return hashing(transformation(document), proof_configuration(document, options), algorithm)


def proof_options_for(document: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options as the secured document carries them: the contexts are the document's."""
    return options


def verify_proof(document: dict[str, Any], proof: dict[str, Any], key: PublicKey, met: Met | None = None) -> None:
    """§3.2.2 and §3.2.7. Raises ProofInvalid where the signature does not fit, and as `hash_data` does.

    `document` is what the proof secures: without it, and with the proofs it follows upon, if any. `met` is what
    `meet` says of it with its proofs.
    """
    check_key(key, ALGORITHMS)
    check_same_context(document, proof)
    configuration = proof_configuration(document, proof_options(proof))
    check_signature(key, proof, hashing(rdfc_again(document, met), configuration, key.algorithm))
