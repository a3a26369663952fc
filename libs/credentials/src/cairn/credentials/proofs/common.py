"""What every Data Integrity proof shares: its options, its encoding, and the rules on them.

Source: Verifiable Credential Data Integrity 1.0 (§2.1 proofs, §4.4 verify proof).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256, sha384
from typing import Any, Final

import orjson

from cairn.credentials import base58
from cairn.credentials.bundle import context_urls
from cairn.credentials.canonicalize import jcs, rdfc
from cairn.credentials.canonicalize.compact_form import refuse_rekeyed
from cairn.credentials.errors import DocumentRefused, ProofInvalid
from cairn.credentials.instants import parse_instant
from cairn.credentials.keys import Algorithm, PublicKey
from cairn.credentials.shape import Survey, is_list, is_object, listed, survey

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
HASHES: Final[dict[Algorithm, Callable[[bytes], Any]]] = {"EdDSA": sha256, "ES256": sha256, "ES384": sha384}
"""The hash that goes with the key's curve (Data Integrity ECDSA Cryptosuites 1.0 §3.2.4)."""
SIGNATURE_BYTES: Final[dict[Algorithm, int]] = {"EdDSA": 64, "ES256": 64, "ES384": 96}
_MAX_CONFIGURATION: Final = 4_096
_REQUIRED: Final = ("type", "verificationMethod", "proofPurpose", "proofValue")


def unsecured(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its proofs."""
    return _without(document, "proof")


def proof_options(proof: dict[str, Any]) -> dict[str, Any]:
    """The proof without its signature."""
    return _without(proof, "proofValue")


def encode_proof_value(signature: bytes) -> str:
    return "z" + base58.encode(signature)


def decode_proof_value(proof: dict[str, Any], length: int) -> bytes:
    """The signature of `length` bytes, from base58-btc multibase. Raises ProofInvalid."""
    value = proof.get("proofValue")
    if not isinstance(value, str) or not value.startswith("z") or len(value) > 4 * length:
        raise malformed("proofValue is not written in base58-btc multibase", "proofValue")
    try:
        signature = base58.decode(value[1:])
    except ValueError:
        raise malformed("proofValue is not base58-btc", "proofValue") from None
    if len(signature) != length:
        raise malformed(f"the signature has not {length} bytes", "proofValue")
    return signature


def check_key(key: PublicKey, algorithms: tuple[Algorithm, ...]) -> None:
    """Raises ProofInvalid for a key of another type than the suite's (S4)."""
    if key.algorithm not in algorithms:
        raise ProofInvalid(
            f"the suite is for {' and '.join(algorithms)}, the key for {key.algorithm}",
            code="key-mismatch",
            pointer="/proof/verificationMethod",
        )


def check_signature(key: PublicKey, proof: dict[str, Any], data: bytes) -> None:
    """Proof verification: whether the proof's signature fits `data`. Raises ProofInvalid."""
    signature = decode_proof_value(proof, SIGNATURE_BYTES[key.algorithm])
    if not key.verify(signature, data):
        raise ProofInvalid(
            "the signature does not fit the document", code="signature-invalid", pointer="/proof/proofValue"
        )


def concatenated_hashes(algorithm: Algorithm, transformed_document: bytes, canonical_proof_config: bytes) -> bytes:
    """The hash of the options and then that of the document."""
    digest = HASHES[algorithm]
    return digest(canonical_proof_config).digest() + digest(transformed_document).digest()


def rdfc_configuration(name: str, document: dict[str, Any], options: dict[str, Any]) -> bytes:
    """The proof options, under the document's own contexts, as canonical N-Quads. Raises DocumentRefused."""
    _check_suite(name, options)
    return _configuration(rdfc, options | {"@context": document.get("@context")})


def _configuration(canonicalize: Callable[[dict[str, Any]], bytes], options: dict[str, Any]) -> bytes:
    try:
        written = orjson.dumps(options)
    except orjson.JSONEncodeError:
        return canonicalize(options)  # which says what is wrong with it
    return _known_configuration(canonicalize, written) if len(written) <= _MAX_CONFIGURATION else canonicalize(options)


@lru_cache(maxsize=512)
def _known_configuration(canonicalize: Callable[[dict[str, Any]], bytes], options: bytes) -> bytes:
    """Proofs that are made together have the same options."""
    return canonicalize(orjson.loads(options))


def jcs_transformation(document: dict[str, Any], surveyed: Survey | None = None) -> bytes:
    """The document as RFC 8785 writes it. Raises DocumentRefused, also for re-keyed terms, found in the same look.

    `surveyed` is what `survey` says of the document, or of one that has more members, where that is known already.
    """
    surveyed = surveyed or survey(document)
    refuse_rekeyed(document, surveyed)
    return jcs(document, surveyed)


def jcs_configuration(name: str, options: dict[str, Any]) -> bytes:
    """The proof options, with the contexts they carry, as RFC 8785 writes them. Raises DocumentRefused."""
    _check_suite(name, options)
    return _configuration(jcs, options)


def check_same_context(document: dict[str, Any], proof: dict[str, Any]) -> None:
    """Canonicalised proofs take the document's contexts, so other ones in the proof would go unsigned."""
    if proof.get("@context", document.get("@context")) != document.get("@context"):
        raise ProofInvalid(
            "the proof has other contexts than the document", code="context-changed", pointer="/proof/@context"
        )


def with_signed_context(document: dict[str, Any], proof: dict[str, Any]) -> dict[str, Any]:
    """The document under the contexts that a JCS proof carries. Raises ProofInvalid where the document's are others.

    Contexts may be appended after signing; of those, only ones that are known cannot change the meaning.
    """
    if "@context" not in proof:
        return document
    if proof["@context"] == document.get("@context"):
        return document
    signed, carried = listed(proof["@context"]), listed(document.get("@context"))
    added = carried[len(signed) :]
    if carried[: len(signed)] != signed or not all(isinstance(one, str) and one in context_urls() for one in added):
        raise ProofInvalid(
            "the document's contexts do not begin with those that were signed",
            code="context-changed",
            pointer="/proof/@context",
        )
    return document | {"@context": proof["@context"]}


def check_options(proof: dict[str, Any], *, purpose: str) -> None:
    """The members of a proof before its cryptography (§2.1). Raises ProofInvalid.

    One without `cryptosuite` is of an older type, which is its own suite.
    """
    for name in _REQUIRED:
        if not isinstance(proof.get(name), str) or not proof[name]:
            raise malformed(f"the proof has no {name}", name)
    if "cryptosuite" in proof and proof["type"] != "DataIntegrityProof":
        raise malformed(f"the proof's type is {proof['type'][:80]}, not DataIntegrityProof", "type")
    if proof["proofPurpose"] != purpose:
        raise ProofInvalid(
            f"the proof is for {proof['proofPurpose'][:80]}, not for {purpose}",
            code="proof-purpose",
            pointer="/proof/proofPurpose",
        )
    for name in ("created", "expires"):
        if name in proof and proof_instant(proof, name) is None:
            raise malformed(f"the proof's {name} is not a date-time", name)
    for name in ("id", "challenge", "nonce"):
        if name in proof and not isinstance(proof[name], str):
            raise malformed(f"the proof's {name} is not text", name)
    if "id" in proof and ":" not in proof["id"]:
        raise malformed("the proof's id is not a URL", "id")
    if "domain" in proof and not all(isinstance(domain, str) for domain in listed(proof["domain"])):
        raise malformed("the proof's domain is not text", "domain")


def check_times(proof: dict[str, Any], *, at: datetime, tolerance: timedelta) -> None:
    """Not from the future, not expired (§4.4 step on `expires`). Raises ProofInvalid."""
    created = proof_instant(proof, "created")
    expires = proof_instant(proof, "expires") if "expires" in proof else None
    if created is not None and created > at + tolerance:
        raise ProofInvalid("the proof was created in the future", code="proof-from-future", pointer="/proof/created")
    if expires is not None and expires <= at - tolerance:
        raise ProofInvalid(f"the proof expired at {proof['expires']}", code="proof-expired", pointer="/proof/expires")


def proof_instant(proof: dict[str, Any], name: str) -> datetime | None:
    """`created` or `expires`. One without a zone is in UTC (§2.1), although it should not have been written so."""
    value = proof.get(name)
    return parse_instant(value) or (parse_instant(value + "Z") if isinstance(value, str) else None)


def input_document(secured: dict[str, Any], proof: dict[str, Any]) -> dict[str, Any]:
    """What one proof of a set or chain secures (§4.5 step 3): the document, with the proofs it follows upon if any.

    Raises ProofInvalid where one of those is not there.
    """
    if "previousProof" not in proof:
        return unsecured(secured)
    named = proof["previousProof"] if is_list(proof["previousProof"]) else [proof["previousProof"]]
    others = [other for other in listed(secured.get("proof")) if is_object(other)]
    by_id = {other["id"]: other for other in others if isinstance(other.get("id"), str)}
    if not named or not all(isinstance(one, str) and one in by_id and by_id[one] is not proof for one in named):
        raise ProofInvalid(
            "the proof follows upon a proof that is not there",
            code="previous-proof-missing",
            pointer="/proof/previousProof",
        )
    return unsecured(secured) | {"proof": [by_id[one] for one in named]}


def _without(members: dict[str, Any], name: str) -> dict[str, Any]:
    rest = members.copy()
    rest.pop(name, None)
    return rest


def malformed(detail: str, name: str) -> ProofInvalid:
    return ProofInvalid(detail, code="proof-malformed", pointer=f"/proof/{name}")


def _check_suite(name: str, options: dict[str, Any]) -> None:
    if options.get("type") != "DataIntegrityProof" or options.get("cryptosuite") != name:
        raise DocumentRefused(f"the options are not those of {name}", code="proof-malformed", pointer="/proof")
    if "created" in options and proof_instant(options, "created") is None:
        raise DocumentRefused("created is not a date-time", code="proof-malformed", pointer="/proof/created")
