"""What every Data Integrity proof shares: its options, its encoding, and the rules on them.

Source: Verifiable Credential Data Integrity 1.0 (§2.1 proofs, §4.3 verify proof).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from cairn.credentials import base58
from cairn.credentials.errors import ProofInvalid
from cairn.credentials.instants import parse_instant
from cairn.credentials.shape import listed

PROOF_KEYS: Final = frozenset(
    {
        "@context",
        "challenge",
        "created",
        "cryptosuite",
        "domain",
        "expires",
        "id",
        "nonce",
        "previousProof",
        "proofPurpose",
        "proofValue",
        "type",
        "verificationMethod",
    }
)
_REQUIRED: Final = ("type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue")


def unsecured(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its proofs."""
    return {key: value for key, value in document.items() if key != "proof"}


def proof_options(proof: dict[str, Any]) -> dict[str, Any]:
    """The proof without its signature."""
    return {key: value for key, value in proof.items() if key != "proofValue"}


def encode_proof_value(signature: bytes) -> str:
    return "z" + base58.encode(signature)


def decode_proof_value(proof: dict[str, Any], length: int) -> bytes:
    """The signature of `length` bytes, from base58-btc multibase. Raises ProofInvalid."""
    value = proof.get("proofValue")
    if not isinstance(value, str) or not value.startswith("z") or len(value) > 4 * length:
        raise ProofInvalid(
            "proofValue is not written in base58-btc multibase", code="proof-malformed", pointer="/proof/proofValue"
        )
    try:
        signature = base58.decode(value[1:])
    except ValueError:
        raise ProofInvalid(
            "proofValue is not base58-btc", code="proof-malformed", pointer="/proof/proofValue"
        ) from None
    if len(signature) != length:
        raise ProofInvalid(f"the signature has not {length} bytes", code="proof-malformed", pointer="/proof/proofValue")
    return signature


def check_options(proof: dict[str, Any], *, purpose: str) -> None:
    """The members of a proof before its cryptography (§2.1). Raises ProofInvalid."""
    for name in _REQUIRED:
        if not isinstance(proof.get(name), str) or not proof[name]:
            raise ProofInvalid(f"the proof has no {name}", code="proof-malformed", pointer=f"/proof/{name}")
    if proof["proofPurpose"] != purpose:
        raise ProofInvalid(
            f"the proof is for {proof['proofPurpose'][:80]}, not for {purpose}",
            code="proof-purpose",
            pointer="/proof/proofPurpose",
        )
    for name in ("created", "expires"):
        if name in proof and parse_instant(proof[name]) is None:
            raise ProofInvalid(
                f"the proof's {name} is not a date-time", code="proof-malformed", pointer=f"/proof/{name}"
            )
    for name in ("id", "challenge", "nonce"):
        if name in proof and not isinstance(proof[name], str):
            raise ProofInvalid(f"the proof's {name} is not text", code="proof-malformed", pointer=f"/proof/{name}")
    if not all(isinstance(domain, str) for domain in listed(proof.get("domain"))):
        raise ProofInvalid("the proof's domain is not text", code="proof-malformed", pointer="/proof/domain")
    if "previousProof" in proof:
        raise ProofInvalid("proof chains are not supported yet", code="unsupported", pointer="/proof/previousProof")


def check_times(proof: dict[str, Any], *, at: datetime, tolerance: timedelta) -> None:
    """Not from the future, not expired (§4.3 step on `expires`). Raises ProofInvalid."""
    created, expires = parse_instant(proof.get("created")), parse_instant(proof.get("expires"))
    if created is not None and created > at + tolerance:
        raise ProofInvalid("the proof was created in the future", code="proof-from-future", pointer="/proof/created")
    if expires is not None and expires + tolerance <= at:
        raise ProofInvalid(f"the proof expired at {proof['expires']}", code="proof-expired", pointer="/proof/expires")
