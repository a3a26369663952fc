"""did:key and did:web: identifiers to keys, with no socket. Sources: DID Core 1.0, did:key 0.9, did:web, CID 1.0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cairn.credentials.keys import PublicKey


@dataclass(frozen=True, slots=True)
class VerificationMethod:
    """A key of a DID document, and what it may be used for."""

    id: str
    controller: str
    key: PublicKey
    purposes: frozenset[str] = frozenset({"assertionMethod"})
    expires: datetime | None = None
    """Retired then: what it signed before still verifies (S27)."""
    revoked: datetime | None = None
    """Compromised then: nothing it signed verifies from that date on."""


@dataclass(frozen=True, slots=True)
class DidDocument:
    id: str
    methods: tuple[VerificationMethod, ...]

    def method(self, method_id: str) -> VerificationMethod | None:
        return next((one for one in self.methods if one.id == method_id), None)


def did_web_url(did: str) -> str:
    """The https URL where the document of a did:web is (did:web §3.2). Raises DidRefused."""
    raise NotImplementedError


def did_web_for(url: str) -> str:
    """The did:web that resolves under `url`, an https URL without `/did.json`. Raises DidRefused."""
    raise NotImplementedError


def resolve_did_key(did: str) -> DidDocument:
    """The document of a did:key, from itself. Raises DidRefused."""
    raise NotImplementedError


def read_did_document(document: dict[str, Any] | bytes, did: str) -> DidDocument:
    """Reads the document found for `did`: its id must be that DID, and its keys its own. Raises DidRefused.

    Methods of unsupported key types are left out. Purposes are those the document relates each key to.
    """
    raise NotImplementedError


def build_did_document(did: str, methods: Sequence[VerificationMethod]) -> dict[str, Any]:
    """The document that a did:web publishes, in Multikey form."""
    raise NotImplementedError
