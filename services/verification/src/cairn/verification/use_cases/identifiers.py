"""Resolve a DID, as public suites and other verifiers ask for it (DID Resolution 0.3)."""

from __future__ import annotations

from typing import Any

from cairn.common.fetch import Unreachable
from cairn.credentials import did_resolution
from cairn.credentials.did_resolution import Unresolved
from cairn.verification.deps import Deps


async def resolve(deps: Deps, asked: str, *, public_key_format: str, experimental: bool) -> dict[str, Any]:
    """The DID document, or what a DID URL's fragment names in it. Raises Unresolved."""
    url = did_resolution.read_did_url(asked)
    where = did_resolution.document_url(url.did)
    if where is None:
        document = did_resolution.expand(url.did, public_key_format=public_key_format, experimental=experimental)
    else:
        try:
            document = did_resolution.read_fetched(url.did, await deps.documents.get(where))
        except Unreachable as failure:
            raise Unresolved(str(failure), code="notFound") from None
    return did_resolution.dereference(document, url)
