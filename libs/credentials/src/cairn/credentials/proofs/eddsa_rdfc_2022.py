"""eddsa-rdfc-2022: Ed25519 over RDFC-1.0 (Data Integrity EdDSA Cryptosuites 1.0 §3.2). Functions are its steps."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from cairn.credentials.canonicalize import rdfc
from cairn.credentials.errors import DocumentRefused, ProofInvalid
from cairn.credentials.keys import PublicKey
from cairn.credentials.proofs.common import decode_proof_value, encode_proof_value, proof_options, unsecured

NAME: Final = "eddsa-rdfc-2022"


def transformation(document: dict[str, Any]) -> bytes:
    """§3.2.3: the unsecured document as canonical N-Quads."""
    return rdfc(document)


def proof_configuration(document: dict[str, Any], options: dict[str, Any]) -> bytes:
    """§3.2.5: the proof options, under the document's own contexts, as canonical N-Quads."""
    if options.get("type") != "DataIntegrityProof" or options.get("cryptosuite") != NAME:
        raise DocumentRefused("the options are not those of eddsa-rdfc-2022", code="proof-malformed", pointer="/proof")
    return rdfc(options | {"@context": document.get("@context")})


def hashing(transformed_document: bytes, canonical_proof_config: bytes) -> bytes:
    """§3.2.4: 64 bytes, the hash of the options and then that of the document."""
    return sha256(canonical_proof_config).digest() + sha256(transformed_document).digest()


def proof_serialization(signature: bytes) -> str:
    """§3.2.6, without the signing itself, which is behind a `Signer`."""
    return encode_proof_value(signature)


def hash_data(document: dict[str, Any], options: dict[str, Any]) -> bytes:
    """Steps 3 to 5 of §3.2.1: what is signed. Raises ContextUnknown or DocumentRefused."""
    return hashing(transformation(document), proof_configuration(document, options))


def proof_options_for(document: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options as the secured document carries them: the contexts are the document's."""
    return options


def verify_proof(secured: dict[str, Any], proof: dict[str, Any], key: PublicKey) -> None:
    """§3.2.2 and §3.2.7. Raises ProofInvalid where the signature does not fit, and as `hash_data` does."""
    if key.algorithm != "EdDSA":
        raise ProofInvalid("the key is not of Ed25519", code="key-mismatch", pointer="/proof/verificationMethod")
    if proof.get("@context", secured.get("@context")) != secured.get("@context"):
        # §3.2.5 sets the document's contexts in its place, so another one would go unsigned.
        raise ProofInvalid(
            "the proof has other contexts than the document", code="context-changed", pointer="/proof/@context"
        )
    signature = decode_proof_value(proof, 64)
    if not key.verify(signature, hash_data(unsecured(secured), proof_options(proof))):
        raise ProofInvalid(
            "the signature does not fit the document", code="signature-invalid", pointer="/proof/proofValue"
        )
