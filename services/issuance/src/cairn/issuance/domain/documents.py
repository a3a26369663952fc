"""Credentials that a caller wrote: what may be asked of the signature, who issues them, and what is signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from cairn.common.errors import DomainError
from cairn.credentials import Algorithm, Cryptosuite, resolve_did_key
from cairn.credentials.jose import read_token
from cairn.credentials.shape import id_of, is_object, listed, types_of

KeyType: TypeAlias = Literal["Ed25519", "P-256", "P-384"]
Purpose: TypeAlias = Literal["revocation", "suspension"]
Document: TypeAlias = dict[str, Any]

ALGORITHMS: Final[Mapping[KeyType, Algorithm]] = {"Ed25519": "EdDSA", "P-256": "ES256", "P-384": "ES384"}
KEY_TYPES: Final[Mapping[Cryptosuite, tuple[KeyType, ...]]] = {
    "eddsa-rdfc-2022": ("Ed25519",),
    "eddsa-jcs-2022": ("Ed25519",),
    "ecdsa-rdfc-2019": ("P-256", "P-384"),
    "ecdsa-jcs-2019": ("P-256", "P-384"),
    "ecdsa-sd-2023": ("P-256",),
}
"""The keys that each cryptosuite signs with, the usual one first."""
ENTRY: Final = "BitstringStatusListEntry"
VC1: Final = "https://www.w3.org/2018/credentials/v1"
_PROOF_TERMS: Final = ("https://w3id.org/security/data-integrity/v2", "https://w3id.org/security/data-integrity/v1")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a credential is to be secured: with an embedded proof, or in an envelope."""

    key_type: KeyType
    cryptosuite: Cryptosuite | None
    """None for an envelope, which is a `vc+jwt`."""
    mandatory_pointers: tuple[str, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    """Of the status entries that the credential gets."""

    @property
    def algorithm(self) -> Algorithm:
        return ALGORITHMS[self.key_type]


def wanted(
    *,
    cryptosuite: Cryptosuite | None,
    key_type: KeyType | None,
    envelope: str | None,
    mandatory_pointers: tuple[str, ...],
    purposes: tuple[Purpose, ...],
    usual: Cryptosuite,
) -> Wanted:
    """What was asked for, with the rest filled in. Raises DomainError `credential-refused` where it does not fit."""
    if envelope is not None:
        if cryptosuite is not None or mandatory_pointers:
            raise refused("/options/envelope", "A credential has an embedded proof or an envelope.", "Ask for one.")
        return Wanted(key_type or KEY_TYPES[usual][0], None, (), purposes)
    other: Cryptosuite = "eddsa-rdfc-2022" if key_type == "Ed25519" else "ecdsa-rdfc-2019"
    suite: Cryptosuite = cryptosuite or (usual if key_type in (None, *KEY_TYPES[usual]) else other)
    fitting = KEY_TYPES[suite]
    if key_type is not None and key_type not in fitting:
        raise refused("/options/keyType", f"{suite} does not sign with {key_type}.", f"Ask for {' or '.join(fitting)}.")
    if mandatory_pointers and suite != "ecdsa-sd-2023":
        raise refused("/options/mandatoryPointers", f"{suite} discloses everything.", "Ask for ecdsa-sd-2023.")
    return Wanted(key_type or fitting[0], suite, mandatory_pointers, purposes)


def with_proof_terms(document: Document) -> Document:
    """The document with a context for the terms of its proof, which VC data model 1.1 lacks (Data Integrity §2.4)."""
    contexts = listed(document.get("@context"))
    if VC1 not in contexts[:1] or any(context in _PROOF_TERMS for context in contexts if isinstance(context, str)):
        return document
    return document | {"@context": [*contexts, _PROOF_TERMS[0]]}


def with_issuer(document: Document, did: str) -> Document:
    """The document, with `did` as its issuer where it names none."""
    named = document.get("issuer", did)
    return document | {"issuer": {"id": did} | named if is_object(named) else named}


def issued_by(document: Document, did: str, *, whoever: bool) -> Document:
    """The document with `did` as its issuer, and whatever else it says of the issuer kept.

    `document` names a well-formed issuer. Another one than `did` is refused unless `whoever` it is gives way, as on one
    person's machine, where suites send theirs (S35). Raises DomainError `issuer-foreign`.
    """
    named = document["issuer"]
    id_ = id_of(named) or ""
    if id_ != did and not whoever:
        raise DomainError(
            f"The caller signs for {did}, not for {id_[:200]}.",
            code="issuer-foreign",
            field="/credential/issuer",
            fix="Leave the issuer out, or use a token of that institution.",
        )
    return document | {"issuer": named | {"id": did} if is_object(named) else did}


def with_status(document: Document, entries: list[Document]) -> Document:
    """The document with status entries beside those it has."""
    every = [*listed(document.get("credentialStatus")), *entries]
    return document | {"credentialStatus": every[0] if len(every) == 1 else every}


def status_entry(list_url: str, purpose: Purpose, index: int) -> Document:
    """Bitstring Status List 1.0, section 2.1."""
    return {
        "id": f"{list_url}#{index}",
        "type": ENTRY,
        "statusPurpose": purpose,
        "statusListIndex": str(index),
        "statusListCredential": list_url,
    }


def has_status(issued: Document, list_url: str) -> bool:
    """Whether what was issued, in an envelope or not, has an entry in that list."""
    token = (id_of(issued) or "").partition(",")[2] if "EnvelopedVerifiableCredential" in types_of(issued) else ""
    document = read_token(token).document if token else issued
    entries = listed(document.get("credentialStatus"))
    return any(is_object(entry) and entry.get("statusListCredential") == list_url for entry in entries)


def algorithm_of(did: str, usual: Algorithm) -> Algorithm:
    """With what an issuer signs its own lists: a did:key with the one key that it is, any other with the usual one."""
    return resolve_did_key(did).methods[0].key.algorithm if did.startswith("did:key:") else usual


def refused(field: str, detail: str, fix: str) -> DomainError:
    return DomainError(detail, code="credential-refused", field=field, fix=fix)
