"""Resolve a DID, as public suites and other verifiers ask for it (DID Resolution 0.3)."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from cairn.common.fetch import Unreachable
from cairn.credentials import (
    DidRefused,
    build_did_document,
    did_web_url,
    parse_json,
    read_did_document,
    resolve_did_key,
)
from cairn.verification.deps import Deps

Reason: TypeAlias = Literal["invalidDid", "methodNotSupported", "notFound", "invalidDidDocument"]


class Unresolved(Exception):
    """There is no document. `reason` is a word of the DID Resolution specification."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


async def resolve(deps: Deps, did: str) -> dict[str, Any]:
    """The DID document. Raises Unresolved."""
    if did.startswith("did:key:"):
        try:
            return build_did_document(did, resolve_did_key(did).methods)
        except DidRefused as refusal:
            raise Unresolved("invalidDid", refusal.detail) from None
    if not did.startswith("did:web:"):
        if did.startswith("did:") and did.count(":") >= 2:
            raise Unresolved("methodNotSupported", "did:key and did:web are resolved here")
        raise Unresolved("invalidDid", "a DID begins with did:")
    try:
        url = did_web_url(did)
    except DidRefused as refusal:
        raise Unresolved("invalidDid", refusal.detail) from None
    try:
        body = await deps.documents.get(url)
        read_did_document(body, did)
    except Unreachable as failure:
        raise Unresolved("notFound", str(failure)) from None
    except DidRefused as refusal:
        raise Unresolved("invalidDidDocument", refusal.detail) from None
    document: dict[str, Any] = parse_json(body)
    return document
