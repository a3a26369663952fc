"""ecdsa-sd-2023: P-256, statement by statement (Data Integrity ECDSA Cryptosuites 1.0 §3.6). Functions are its steps.

The issuer gives the holder a base proof, which signs each statement under a key of its own; the holder derives from it
a credential that says less. Whoever checks is only ever shown what was derived: a base proof is not accepted.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any, Final

import cbor2

from cairn.credentials import base58, base64url
from cairn.credentials.canonicalize import quads as quads_of
from cairn.credentials.canonicalize.rdfc import canonical_labels, relabelled
from cairn.credentials.errors import DocumentRefused, KeyRefused, ProofInvalid
from cairn.credentials.keys import Algorithm, P256PublicKey, P256Signer, PublicKey, new_secret, public_key_from_multikey
from cairn.credentials.proofs.common import check_key, check_same_context, malformed, proof_options, rdfc_configuration
from cairn.credentials.proofs.selective import canonicalize_and_group, select_json_ld
from cairn.credentials.shape import is_list, is_object

NAME: Final = "ecdsa-sd-2023"
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("ES256",)
ALWAYS_DISCLOSED: Final = (
    "/issuer",
    "/validFrom",
    "/validUntil",
    "/issuanceDate",
    "/expirationDate",
    "/credentialStatus",
    "/termsOfUse",
)
"""Where there, they are mandatory: a holder must not be able to leave out what condemns or restricts the credential."""

_BASE: Final = b"\xd9\x5d\x00"
_DERIVED: Final = b"\xd9\x5d\x01"
_PREFIX: Final = P256PublicKey.CURVE.prefix
_MAX_TEXT: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Base:
    """All of a base proof but the issuer's signature."""

    proof_hash: bytes
    mandatory_hash: bytes
    public_key: bytes
    """The proof's own key, as a multikey's bytes."""
    hmac_key: bytes
    signatures: tuple[bytes, ...]
    mandatory_pointers: tuple[str, ...]


def base(document: dict[str, Any], options: dict[str, Any], mandatory_pointers: Sequence[str]) -> Base:
    """§3.6.1 up to what is signed. Raises ContextUnknown or DocumentRefused."""
    present = (pointer for pointer in ALWAYS_DISCLOSED if pointer[1:] in document)
    pointers = tuple(dict.fromkeys([*present, *mandatory_pointers]))
    hmac_key = secrets.token_bytes(32)
    mandatory, non_mandatory = base_proof_transformation(document, pointers, hmac_key)
    proof_hash, mandatory_hash = base_proof_hashing(mandatory, base_proof_configuration(document, options))
    proof_key = P256Signer(new_secret("ES256"))
    return Base(
        proof_hash=proof_hash,
        mandatory_hash=mandatory_hash,
        public_key=_PREFIX + proof_key.public_key.raw,
        hmac_key=hmac_key,
        signatures=tuple(proof_key.sign(line.encode()) for line in non_mandatory),
        mandatory_pointers=pointers,
    )


def base_proof_transformation(
    document: dict[str, Any], mandatory_pointers: Sequence[str], hmac_key: bytes
) -> tuple[list[str], list[str]]:
    """§3.6.2: the lines that are always disclosed, and the others."""
    grouped = canonicalize_and_group(document, hmac_key, {"mandatory": mandatory_pointers})
    matching = set(grouped.groups["mandatory"].matching)
    lines = grouped.lines
    return (
        [line for place, line in enumerate(lines) if place in matching],
        [line for place, line in enumerate(lines) if place not in matching],
    )


def base_proof_hashing(mandatory: Sequence[str], canonical_proof_config: bytes) -> tuple[bytes, bytes]:
    """§3.6.3: the hash of the options, and that of what is always disclosed."""
    return sha256(canonical_proof_config).digest(), sha256("".join(mandatory).encode()).digest()


def base_proof_configuration(document: dict[str, Any], options: dict[str, Any]) -> bytes:
    """§3.6.4: the proof options, under the document's own contexts, as canonical N-Quads."""
    return rdfc_configuration(NAME, document, options)


def serialize_sign_data(base: Base) -> bytes:
    """§3.5.1: what the issuer's key signs."""
    return base.proof_hash + base.public_key + base.mandatory_hash


def base_proof_serialization(base: Base, base_signature: bytes) -> str:
    """§3.6.5 and §3.5.2, without the signing itself, which is behind a `Signer`."""
    return _serialized(
        _BASE,
        [base_signature, base.public_key, base.hmac_key, list(base.signatures), list(base.mandatory_pointers)],
    )


def proof_options_for(document: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options as the secured document carries them: the contexts are the document's."""
    return options


def add_derived_proof(
    document: dict[str, Any], proof: dict[str, Any], selective_pointers: Sequence[str]
) -> dict[str, Any]:
    """§3.6.6: what the holder shows. `document` is without its proof, a base proof.

    Raises ProofInvalid for another proof, and DocumentRefused for pointers to nothing, to part of an ordered list, or
    where nothing at all would be disclosed.
    """
    base_signature, public_key, hmac_key, signatures, mandatory_pointers = parse_base_proof_value(proof)
    combined_pointers = [*mandatory_pointers, *selective_pointers]
    grouped = canonicalize_and_group(
        document,
        hmac_key,
        {"mandatory": mandatory_pointers, "selective": selective_pointers, "combined": combined_pointers},
    )
    mandatory, selective = (set(grouped.groups[name].matching) for name in ("mandatory", "selective"))
    combined = grouped.groups["combined"]
    reveal_document = select_json_ld(document, combined_pointers)
    others = [place for place in range(len(grouped.lines)) if place not in mandatory]
    if reveal_document is None or len(others) != len(signatures):
        raise DocumentRefused("the base proof is of another document, or nothing is selected", code="pointer-refused")
    canonical = canonical_labels(combined.quads)
    components = [
        base_signature,
        public_key,
        [signature for place, signature in zip(others, signatures, strict=True) if place in selective],
        compress_label_map({canonical[node]: grouped.label_map[node] for node in canonical}),
        [relative for relative, place in enumerate(combined.matching) if place in mandatory],
    ]
    derived = {key: value for key, value in proof.items() if key != "@context"}
    return reveal_document | {"proof": derived | {"proofValue": _serialized(_DERIVED, components)}}


def verify_proof(document: dict[str, Any], proof: dict[str, Any], key: PublicKey) -> None:
    """§3.6.7 of a derived proof. Raises ProofInvalid, of a base proof too, ContextUnknown or DocumentRefused."""
    check_key(key, ALGORITHMS)
    check_same_context(document, proof)
    base_signature, public_key, signatures, label_map, mandatory_indexes = parse_derived_proof_value(proof)
    mandatory, non_mandatory = _verify_lines(document, label_map, mandatory_indexes)
    if len(signatures) != len(non_mandatory):
        raise _invalid(f"there are {len(signatures)} signatures for {len(non_mandatory)} statements")
    proof_hash, mandatory_hash = base_proof_hashing(mandatory, base_proof_configuration(document, proof_options(proof)))
    if not key.verify(base_signature, proof_hash + public_key + mandatory_hash):
        raise _invalid("the issuer's signature does not fit what must be disclosed")
    try:
        proof_key = public_key_from_multikey("z" + base58.encode(public_key))
    except KeyRefused:
        raise malformed("the proof's own key is not a key", "proofValue") from None
    check_key(proof_key, ALGORITHMS)
    if not all(
        proof_key.verify(signature, line.encode()) for signature, line in zip(signatures, non_mandatory, strict=True)
    ):
        raise _invalid("a signature does not fit the statement that is disclosed")


def _verify_lines(
    document: dict[str, Any], label_map: Mapping[str, str], mandatory_indexes: Sequence[int]
) -> tuple[list[str], list[str]]:
    """§3.5.9: the document's statements under the labels that were signed; the mandatory ones, and the others."""
    quads = quads_of(document)
    canonical = canonical_labels(quads)
    # One label for two nodes would make one statement of two, so that a signature would count for both.
    if set(canonical.values()) != set(label_map) or len(set(label_map.values())) != len(label_map):
        raise _invalid("the labels of the proof are not those of the document's nodes")
    lines = relabelled(quads, {node: label_map[label] for node, label in canonical.items()})
    places = set(mandatory_indexes)
    if len(places) != len(mandatory_indexes) or not places <= set(range(len(lines))):
        raise _invalid("the proof's mandatory statements are not all there")
    return (
        [line for place, line in enumerate(lines) if place in places],
        [line for place, line in enumerate(lines) if place not in places],
    )


def compress_label_map(label_map: Mapping[str, str]) -> dict[int, bytes]:
    """§3.5.5: `_:c14n7` -> `_:u…` becomes 7 -> 32 bytes."""
    return {int(label[6:]): base64url.decode(value[3:]) for label, value in label_map.items()}


def decompress_label_map(compressed: Mapping[int, bytes]) -> dict[str, str]:
    """§3.5.6"""
    return {f"_:c14n{label}": "_:u" + base64url.encode(value) for label, value in compressed.items()}


def parse_base_proof_value(proof: dict[str, Any]) -> tuple[bytes, bytes, bytes, list[bytes], list[str]]:
    """§3.5.3: signature, key, HMAC key, signatures and pointers. Raises ProofInvalid."""
    signature, key, hmac_key, signatures, pointers = _components(proof, _BASE)
    if not (
        _are_bytes([signature], 64)
        and _are_bytes([key], 35)
        and _are_bytes([hmac_key], 32)
        and _are_bytes(signatures, 64)
        and is_list(pointers)
        and all(isinstance(pointer, str) for pointer in pointers)
    ):
        raise malformed("proofValue does not have the five parts of a base proof", "proofValue")
    return signature, key, hmac_key, signatures, pointers


def parse_derived_proof_value(proof: dict[str, Any]) -> tuple[bytes, bytes, list[bytes], dict[str, str], list[int]]:
    """§3.5.8: signature, key, signatures, labels and mandatory indexes. Raises ProofInvalid."""
    signature, key, signatures, labels, indexes = _components(proof, _DERIVED)
    if not (
        _are_bytes([signature], 64)
        and _are_bytes([key], 35)
        and _are_bytes(signatures, 64)
        and is_object(labels)
        and _are_bytes(list(labels.values()), 32)
        and is_list(indexes)
        and all(type(one) is int for one in (*labels, *indexes))
    ):
        raise malformed("proofValue does not have the five parts of a derived proof", "proofValue")
    compressed: Any = labels
    return signature, key, signatures, decompress_label_map(compressed), indexes


def _components(proof: dict[str, Any], header: bytes) -> list[Any]:
    value = proof.get("proofValue")
    if not isinstance(value, str) or not value.startswith("u") or len(value) > _MAX_TEXT:
        raise malformed("proofValue is not written in base64url multibase", "proofValue")
    try:
        data = base64url.decode(value[1:])
    except ValueError:
        raise malformed("proofValue is not base64url", "proofValue") from None
    if header == _DERIVED and data.startswith(_BASE):
        detail = "this is the holder's base proof, which is not shown: a credential is derived from it"
        raise ProofInvalid(detail, code="base-proof", pointer="/proof/proofValue")
    if not data.startswith(header):
        raise malformed(f"proofValue does not start with the bytes {header.hex()}", "proofValue")
    try:
        decoder = cbor2.CBORDecoder(BytesIO(data[3:]), max_depth=4, allow_indefinite=False, allow_duplicate_keys=False)
        components = decoder.decode()
        exact = is_list(components) and len(components) == 5 and cbor2.dumps(components) == data[3:]
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError):
        raise malformed("proofValue is not CBOR", "proofValue") from None
    if not exact:
        raise malformed("proofValue is not five parts in the one plain way of CBOR", "proofValue")
    return components


def _serialized(header: bytes, components: list[Any]) -> str:
    return "u" + base64url.encode(header + cbor2.dumps(components))


def _are_bytes(values: Any, size: int) -> bool:
    return is_list(values) and all(isinstance(value, bytes) and len(value) == size for value in values)


def _invalid(detail: str) -> ProofInvalid:
    return ProofInvalid(detail, code="signature-invalid", pointer="/proof/proofValue")
