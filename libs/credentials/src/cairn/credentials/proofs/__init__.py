"""Data Integrity proofs: one cryptosuite a file, behind `sign` and `prepare`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from cairn.credentials.keys import Signer

Cryptosuite: TypeAlias = Literal["eddsa-rdfc-2022", "eddsa-jcs-2022"]


@dataclass(frozen=True, slots=True)
class PreparedProof:
    """A proof that lacks only its signature, for keys that sign elsewhere and for recording the intent first (S26)."""

    document: dict[str, Any]
    proof: dict[str, Any]
    hash_data: bytes
    """What is signed."""

    def attach(self, signature: bytes) -> dict[str, Any]:
        """The secured document."""
        raise NotImplementedError


def prepare(
    document: dict[str, Any],
    *,
    verification_method: str,
    created: datetime,
    cryptosuite: Cryptosuite = "eddsa-rdfc-2022",
    expires: datetime | None = None,
) -> PreparedProof:
    """Everything of signing but the signature.

    Raises ContextUnknown, or DocumentRefused where part of the document would go unsigned (S1), or where the method's
    DID is not the document's issuer (S7).
    """
    raise NotImplementedError


def sign(
    document: dict[str, Any],
    signer: Signer,
    *,
    created: datetime,
    cryptosuite: Cryptosuite = "eddsa-rdfc-2022",
    expires: datetime | None = None,
) -> dict[str, Any]:
    """A copy of the document with a Data Integrity proof. Raises as `prepare` does, and KeyRefused for a wrong key."""
    raise NotImplementedError
