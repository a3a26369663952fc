"""Ed25519Signature2020: Ed25519 over RDFC-1.0, before there were cryptosuites (W3C-CCG di-eddsa-2020). Only verified.

It differs from eddsa-rdfc-2022 in the words of its options alone: its type stands for the suite, so it has no
`cryptosuite`, and its terms are those of its own context, which the document has to name.
"""

from __future__ import annotations

from typing import Any, Final

from cairn.credentials.canonicalize import rdfc
from cairn.credentials.keys import Algorithm, PublicKey
from cairn.credentials.proofs.common import (
    check_key,
    check_same_context,
    check_signature,
    concatenated_hashes,
    proof_options,
)

TYPE: Final = "Ed25519Signature2020"
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("EdDSA",)


def verify_proof(document: dict[str, Any], proof: dict[str, Any], key: PublicKey) -> None:
    """Raises ProofInvalid where the signature does not fit, ContextUnknown or DocumentRefused.

    `document` is what the proof secures. The hash of the options comes first, and then that of the document.
    """
    check_key(key, ALGORITHMS)
    check_same_context(document, proof)
    configuration = rdfc(proof_options(proof) | {"@context": document.get("@context")})
    check_signature(key, proof, concatenated_hashes("EdDSA", rdfc(document), configuration))
