"""Verification of Open Badges 2.0, hosted and signed, asking the outside for no more than S9 allows.

A hosted assertion is what its own address says: that is its proof. Its badge must live in that origin, which must be
the one of its issuer, or what the profile of that allows. A signed one rests on the key that its issuer publishes: key
and profile are fetched, each of which names the other, and nothing else before the signature holds and the issuer is
trusted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cairn.credentials import checks
from cairn.credentials.errors import CredentialError
from cairn.credentials.findings import Check, CheckName, Finding, Outcome, Verification
from cairn.credentials.jws import Jws, verify_jws
from cairn.credentials.keys import RsaPublicKey
from cairn.credentials.old_badge import (
    OLD_FORM,
    OldBadge,
    as_credential,
    findings,
    in_scope,
    origin,
    read_old_facts,
    verification_of,
)
from cairn.credentials.resolver import Gone, Resolver, Unreachable
from cairn.credentials.secured import Secured
from cairn.credentials.shape import id_of, is_object, listed, text_of
from cairn.credentials.strict_json import parse_json

_MAX_VALUES: Final = 20_000
_TAKEN_BACK: Final = ("revoked", "revocationReason")
_NOTHING: Final[dict[str, Any]] = {}


class _Told(Exception):
    """The check at hand ends here, with this answer."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.code)
        self.check = check


@dataclass(slots=True)
class OldBadges:
    """Verifies one. `trust` asks for the issuer's, and is only asked once the proof holds."""

    resolver: Resolver
    trust: Callable[[str | None], Awaitable[Check]]
    at: datetime
    tolerance: timedelta

    async def verify(self, old: OldBadge) -> Verification:
        assertion, profile, issuer_id = old.assertion, _NOTHING, None
        badge = badge_of(assertion)
        try:
            if old.jws is None:
                assertion = await self.hosted(old)
                badge = badge_of(assertion) or await self.document(
                    id_of(assertion.get("badge")), within=origin(assertion["id"]), where="/badge"
                )
                issuer_id = id_of(badge.get("issuer"))
            else:
                profile = await self.signed(old.jws, assertion)
                issuer_id = text_of(profile["id"])
            proof = checks.passed("proof-valid", "it is what its own address says, or its issuer's key has signed it")
        except _Told as told:
            proof = told.check
        holds = proof.outcome is Outcome.PASSED
        issuer = checks.undetermined("proof-first", checks.PROOF_FIRST, "/badge")
        status = trust = issuer
        if holds:
            trust = await self.trust(issuer_id)
            known = trust.outcome in (Outcome.PASSED, Outcome.SKIPPED)
            if old.jws is None:
                issuer, profile = await self.host(assertion, issuer_id)
            else:
                issuer, badge = await self.issuer(assertion, badge, issuer_id, fetch=known)
            status = await self.status(old, assertion, profile, fetch=known)
        violations = list(findings(assertion, badge)) if badge else []
        answers = {
            CheckName.PROOF: proof,
            CheckName.ISSUER: issuer,
            CheckName.TRUST: trust,
            CheckName.STATUS: status,
            CheckName.VALIDITY: self.validity(assertion, badge),
            CheckName.SCHEMA: self.schema(badge, violations),
            CheckName.EVIDENCE: self.evidence(assertion),
            CheckName.HOLDER: Check(Outcome.SKIPPED, "not-presented", "nobody shows the credential as its holder"),
        }
        return Verification(
            checks=answers,
            credential=assertion,
            old_facts=read_old_facts(assertion, badge, profile),
            form=OLD_FORM,
            cryptosuite=old.jws.algorithm if old.jws else "hosted",
            issuer=issuer_id,
        )

    async def hosted(self, old: OldBadge) -> dict[str, Any]:
        """The assertion as its own address gives it, which must be the one that was handed in."""
        kind, _ = verification_of(old.assertion)
        if not old.by_address and kind != "hosted":
            raise _failed("proof-missing", "the assertion is not hosted, and nobody has signed it", "/verification")
        revoked = _failed("revoked", "its own address says that it is gone, by which an issuer revokes", "/id")
        found = await self.document(text_of(old.assertion.get("id")), where="/id", gone=revoked)
        before = {name: value for name, value in found.items() if name not in _TAKEN_BACK}
        if not old.by_address and old.assertion not in (found, before):
            if found.get("revoked") is True:
                # It may say no more than that; then nobody vouches for the rest of what was handed in.
                raise _failed("revoked", "the issuer has revoked the assertion", "/id")
            raise _failed("hosted-differs", "its own address gives another assertion than this one", "/id")
        if verification_of(found)[0] != "hosted":
            raise _failed("proof-missing", "the assertion does not say that it is hosted", "/verification")
        return found

    async def signed(self, jws: Jws, assertion: dict[str, Any]) -> dict[str, Any]:
        """The profile of who signed: its key says whose it is, and it says that the key is its own."""
        kind, creator = verification_of(assertion)
        if kind != "signed" or creator is None:
            raise _failed("key-unknown", "the assertion does not say whose key has signed it", "/verification/creator")
        home, where = origin(creator), "/verification/creator"
        found = await self.document(creator, where=where)
        key = next((one for one in (found, *listed(found.get("publicKey"))) if _is(one, creator)), None)
        owner = text_of(key.get("owner")) if key else None
        if key is None or owner is None or origin(owner) != home:
            raise _failed("key-unknown", "what lies there is not a key that says whose it is", where)
        profile = found if found.get("id") == owner else await self.document(owner, within=home, where=where)
        if creator not in {id_of(one) for one in listed(profile.get("publicKey"))}:
            raise _failed("key-unknown", "the issuer does not publish that key", where)
        try:
            verify_jws(jws, RsaPublicKey.from_pem(text_of(key.get("publicKeyPem")) or ""))
        except CredentialError as refusal:
            raise _Told(checks.refused(refusal, where)) from None
        return profile

    async def issuer(
        self, assertion: dict[str, Any], badge: dict[str, Any], issuer_id: str | None, *, fetch: bool
    ) -> tuple[Check, dict[str, Any]]:
        """Whether the badge is that issuer's (S7), and the badge."""
        home = origin(issuer_id)
        try:
            if not badge and not fetch:
                detail = "nothing is fetched for an issuer who is not trusted, so whose badge it is stays open"
                return checks.undetermined("issuer-unknown", detail, "/badge"), badge
            badge = badge or await self.document(id_of(assertion.get("badge")), within=home, where="/badge")
        except _Told as told:
            return told.check, badge
        if issuer_id is None or id_of(badge.get("issuer")) != issuer_id or home is None:
            return _failed("issuer-mismatch", "the badge is not one of whoever vouches for it", "/badge").check, badge
        return checks.passed("issuer-signed", "the badge is one of the issuer who vouches for it"), badge

    async def host(self, assertion: dict[str, Any], issuer_id: str | None) -> tuple[Check, dict[str, Any]]:
        """Whether the issuer lets its assertions be hosted there (S7), and its profile, which says so."""
        try:
            if origin(issuer_id) is None:
                raise _failed("issuer-mismatch", "the badge is of nobody who has an address", "/badge")
            profile = await self.document(issuer_id, where="/badge")
            if not in_scope(assertion["id"], profile):
                raise _failed("issuer-mismatch", "the issuer does not host its assertions there", "/id")
        except _Told as told:
            return told.check, _NOTHING
        return checks.passed("issuer-signed", "the issuer hosts its assertions there"), profile

    async def status(self, old: OldBadge, assertion: dict[str, Any], profile: dict[str, Any], *, fetch: bool) -> Check:
        if assertion.get("revoked") is True:
            return _failed("revoked", "the issuer has revoked the assertion", "/revoked").check
        if old.jws is None:
            return checks.passed("not-revoked", "its own address does not say that it is revoked")
        listed_at = id_of(profile.get("revocationList"))
        if listed_at is None:
            return Check(Outcome.SKIPPED, "status-absent", "the issuer has no revocation list")
        if not fetch:
            return checks.undetermined("issuer-unknown", "nothing is fetched for an issuer who is not trusted")
        try:
            found = await self.document(listed_at, where="/id")
        except _Told as told:
            return checks.undetermined("status-unreachable", told.check.detail)
        if found.get("id") != listed_at or id_of(found.get("issuer")) not in (None, profile["id"]):
            return _failed("status-list-issuer", "the revocation list is not the issuer's", None).check
        if text_of(assertion.get("id")) in set(_revoked(found)):
            return _failed("revoked", "the issuer has revoked the assertion", "/id").check
        return checks.passed("not-revoked", "the assertion is not on the issuer's revocation list")

    def validity(self, assertion: dict[str, Any], badge: dict[str, Any]) -> Check:
        stated = Secured(as_credential(assertion, badge), OLD_FORM)
        return checks.validity(stated, at=self.at, tolerance=self.tolerance)

    def schema(self, badge: dict[str, Any], violations: list[Finding]) -> Check:
        if violations:
            return checks.failed(violations)
        if not badge:
            return checks.undetermined("not-read", "the badge class is not at hand", "/badge")
        return checks.passed("structure-valid", "shaped as Open Badges 2.0 asks")

    def evidence(self, assertion: dict[str, Any]) -> Check:
        named = len(listed(assertion.get("evidence")))
        if not named:
            return Check(Outcome.SKIPPED, "evidence-absent", "the assertion names no evidence")
        return checks.passed("evidence-named", f"pieces of evidence: {named}; none could be verified by itself")

    async def document(
        self, url: str | None, *, where: str, within: str | None = None, gone: _Told | None = None
    ) -> dict[str, Any]:
        """The JSON object at `url`, which says that it is there; within an origin, where there is one. Raises _Told.

        What a fragment names lies within the object, or is it.
        """
        if url is None or origin(url) is None:
            raise _failed("address-malformed", "the address is not an https URL", where)
        if within is not None and origin(url) != within:
            raise _failed("issuer-mismatch", "it lies elsewhere than its issuer", where)
        address = url.partition("#")[0]
        try:
            found = parse_json(await self.resolver.document(address), max_nodes=_MAX_VALUES)
        except Unreachable as reason:
            if gone is not None and isinstance(reason, Gone):
                raise gone from None
            raise _Told(checks.undetermined("old-badge-unreachable", f"{url[:200]}: {reason}", where)) from None
        except CredentialError as refusal:
            raise _Told(checks.undetermined("old-badge-unreadable", f"{url[:200]}: {refusal.detail}", where)) from None
        if not is_object(found):
            raise _Told(checks.undetermined("old-badge-unreadable", f"{url[:200]} gives no JSON object", where))
        if found.get("id") not in (url, address):
            raise _failed("id-other", "what lies at the address has another id", where)
        return found


def badge_of(assertion: dict[str, Any]) -> dict[str, Any]:
    """The badge class where it lies within the assertion, whole."""
    badge = assertion.get("badge")
    return badge if is_object(badge) and "issuer" in badge else _NOTHING


def _is(one: Any, id_: str) -> bool:
    return is_object(one) and one.get("id") == id_ and "publicKeyPem" in one


def _revoked(revocations: dict[str, Any]) -> Iterator[str]:
    for one in listed(revocations.get("revokedAssertions")):
        names = (id_of(one), text_of(one.get("uid")) if is_object(one) else None)
        yield from (name for name in names if name is not None)


def _failed(code: str, detail: str, where: str | None) -> _Told:
    return _Told(checks.failed([Finding(code, detail, where)]))
