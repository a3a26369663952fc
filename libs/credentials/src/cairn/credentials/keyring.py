"""From the name of an issuer, or holder, to the keys that it publishes; each is asked for once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cairn.credentials import checks, sd_jwt_vc
from cairn.credentials.did import (
    DidDocument,
    did_web_url,
    is_did,
    is_self_contained,
    read_did_document,
    read_issuer_metadata,
    resolve_self_contained,
)
from cairn.credentials.errors import DidRefused, JsonRefused
from cairn.credentials.findings import Check
from cairn.credentials.resolver import Resolver, Unreachable
from cairn.credentials.shape import is_object
from cairn.credentials.strict_json import parse_json


@dataclass(slots=True)
class Keyring:
    """The keys found so far, or why there are none, by issuer and by where they were looked for."""

    resolver: Resolver
    found: dict[tuple[str, bool], DidDocument | Check] = field(
        default_factory=dict[tuple[str, bool], "DidDocument | Check"]
    )

    async def keys(self, issuer: str, *, well_known: bool = False) -> DidDocument | Check:
        """`well_known`: an https issuer of SD-JWT VC publishes its keys elsewhere than one of W3C's credentials."""
        asked = (issuer, well_known)
        if asked not in self.found:
            self.found[asked] = (
                local_keys(issuer) if is_self_contained(issuer) else await self._resolve(issuer, well_known=well_known)
            )
        return self.found[asked]

    async def _resolve(self, issuer: str, *, well_known: bool) -> DidDocument | Check:
        try:
            if well_known and issuer.startswith("https://"):
                return await self._metadata(issuer)
            return read_did_document(await self.resolver.did_document(issuer, _keys_url(issuer)), issuer)
        except Unreachable as reason:
            return checks.undetermined("did-unreachable", f"the issuer's keys cannot be had: {reason}", "/issuer")
        except DidRefused as refusal:
            return checks.undetermined(refusal.code, refusal.detail, "/issuer")

    async def _metadata(self, issuer: str) -> DidDocument:
        """SD-JWT VC §4: JWT VC Issuer Metadata, and the JWK Set that it may point to."""
        metadata = await self._json(issuer, sd_jwt_vc.issuer_metadata_url(issuer))
        elsewhere = sd_jwt_vc.jwks_uri(metadata, issuer)
        if elsewhere is not None:
            metadata = {"issuer": issuer, "jwks": await self._json(issuer, elsewhere)}
        return read_issuer_metadata(metadata, issuer)

    async def _json(self, issuer: str, url: str) -> dict[str, Any]:
        try:
            value = parse_json(await self.resolver.did_document(issuer, url))
        except JsonRefused as refusal:
            raise DidRefused(f"the issuer's metadata is {refusal.detail}", code="did-document-malformed") from None
        if not is_object(value):
            raise DidRefused("the issuer's metadata is not a JSON object", code="did-document-malformed")
        return value


def local_keys(did: str) -> DidDocument | Check:
    """Of a signer other than the issuer: nothing of theirs is fetched, but some DIDs are their own document."""
    if not is_self_contained(did):
        return checks.undetermined("issuer-mismatch", "the proof names a key of somebody other than the issuer")
    try:
        return resolve_self_contained(did)
    except DidRefused as refusal:
        return checks.refused(refusal, "/proof/verificationMethod")


def _keys_url(issuer: str) -> str:
    """Where the issuer publishes its keys. Raises DidRefused.

    An https issuer has a controlled identifier document at its own URL (VC-JOSE-COSE §4.2, Controlled Identifiers §2).
    """
    if issuer.startswith("https://") and len(issuer) <= 2_000 and "#" not in issuer:
        return issuer
    if not issuer.startswith("did:web:") or not is_did(issuer):
        raise DidRefused("issuers are did:key, did:jwk, did:web and https URLs here", code="unsupported")
    return did_web_url(issuer)
