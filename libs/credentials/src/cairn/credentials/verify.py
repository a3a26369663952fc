"""Verification with three answers per check, driven from outside: no socket, no clock, no raise.

The order is the point (S9): before the proof holds, the only thing asked of the outside is the issuer's own DID
document; then what the trust list says of the issuer; and only then, of an issuer who is known, the status list.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from cairn.credentials import checks, sd_jwt_vc
from cairn.credentials.errors import CredentialError
from cairn.credentials.evidence import evidence, has_evidence, held_in
from cairn.credentials.findings import Check, CheckName, Finding, Outcome, Verification
from cairn.credentials.keyring import Keyring, local_keys
from cairn.credentials.resolver import Resolver, Trust, Unreachable
from cairn.credentials.secured import Secured, read_secured, used_contexts
from cairn.credentials.shape import is_object, listed
from cairn.credentials.status_lookup import look_up
from cairn.credentials.strict_json import parse_json
from cairn.credentials.token_status import token_status
from cairn.credentials.verify_old import OldBadges

_NAMES: Final = tuple(CheckName)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked. `tolerance` is allowed to clocks at either end of a period. Checks not asked for are skipped."""

    at: datetime
    tolerance: timedelta = timedelta(minutes=5)
    checks: Collection[CheckName] = _NAMES
    purpose: str = "assertionMethod"
    challenge: str | None = None
    """The nonce that this verifier sent; what is shown without it was made for somebody else, or before."""
    domain: str | None = None
    """Who this verifier is, in the words of its request: the audience of what is shown."""
    answer_within: timedelta = timedelta(minutes=10)
    """How long a holder may take to answer the challenge with a key binding JWT, whose age its specification has a
    verifier bound (RFC 9901 §7.3). What a presentation is fresh by is the challenge alone, as in Data Integrity."""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an instant needs a time zone")


_MAX_STATUS_ENTRIES = 8
_MAX_DEPTH = 2
"""How deep credentials within credentials are looked into: the badges of a CLR, and what endorses those."""


async def verify(credential: dict[str, Any] | str | bytes, resolver: Resolver, policy: Policy) -> Verification:
    """Verifies one credential: a parsed object, JSON text, a compact JWT, or the bytes of either.

    Never raises for what it is given: bad input becomes a finding.
    """
    return await Run(resolver, policy, Keyring(resolver)).credential(credential)


def _asked(answers: dict[CheckName, Check], policy: Policy) -> dict[CheckName, Check]:
    if policy.checks is _NAMES:
        return answers
    return {name: answers[name] if name in policy.checks else checks.NOT_ASKED for name in _NAMES}


def _unreadable(refusal: CredentialError, policy: Policy) -> Verification:
    """Nothing can be said of what cannot be read; `unsupported` may well be good, but not here."""
    outcome = Outcome.UNDETERMINED if refusal.code == "unsupported" else Outcome.FAILED
    rest = checks.undetermined("not-read", "the credential could not be read")
    answers = dict.fromkeys(CheckName, rest)
    answers[CheckName.PROOF] = Check(outcome, refusal.code, refusal.detail, refusal.pointer)
    return Verification(checks=_asked(answers, policy))


@dataclass(slots=True)
class Run:
    """One verification, of one credential or of all in a presentation: what is asked of the outside is asked once."""

    resolver: Resolver
    policy: Policy
    keyring: Keyring
    depth: int = 0
    beside: dict[str, Any] = field(default_factory=dict[str, Any])
    """What lies beside the credential in an outer one, by id."""

    async def credential(self, credential: dict[str, Any] | str | bytes) -> Verification:
        policy = self.policy
        try:
            secured = read_secured(credential)
        except CredentialError as refusal:
            return _unreadable(refusal, policy)
        if secured.old is not None:
            found = await OldBadges(self.resolver, self.trust, policy.at, policy.tolerance).verify(secured.old)
            return replace(found, checks=_asked(found.checks, policy))
        proof, issuer = await self.proof_and_issuer(secured, policy.purpose)
        holds = proof.outcome is issuer.outcome is Outcome.PASSED
        answers = {
            CheckName.PROOF: proof,
            CheckName.ISSUER: issuer,
            CheckName.TRUST: await self.trust(secured.issuer)
            if holds
            else checks.undetermined("proof-first", checks.PROOF_FIRST),
        }
        answers[CheckName.STATUS] = await self.status(secured, holds=holds, trust=answers[CheckName.TRUST])
        answers[CheckName.VALIDITY] = checks.validity(secured, at=policy.at, tolerance=policy.tolerance)
        answers[CheckName.SCHEMA] = checks.schema(secured) if CheckName.SCHEMA in policy.checks else checks.NOT_ASKED
        answers[CheckName.EVIDENCE] = await self.evidence(secured, holds=holds, trust=answers[CheckName.TRUST])
        answers[CheckName.HOLDER] = checks.holder(
            secured,
            challenge=policy.challenge,
            domain=policy.domain,
            at=policy.at,
            tolerance=policy.tolerance,
            lifetime=policy.answer_within,
        )
        return Verification(
            checks=_asked(answers, policy),
            credential=secured.document,
            form=secured.form,
            cryptosuite=secured.cryptosuite,
            issuer=secured.issuer,
            contexts=used_contexts(secured),
        )

    async def proof_and_issuer(self, secured: Secured, purpose: str) -> tuple[Check, Check]:
        issuer = secured.issuer
        if issuer is None:
            missing = Finding("issuer-malformed", "no issuer is named", "/issuer")
            return checks.undetermined(missing.code, missing.detail), checks.failed([missing])
        signers = {did for did in secured.signers() if did is not None}
        well_known = secured.form == sd_jwt_vc.FORM
        is_own = issuer in signers or secured.signer_is_issuer
        own = await self.keyring.keys(issuer, well_known=well_known) if is_own else None
        # Whoever else signed says so in the document itself: nothing of theirs is fetched, a did:key aside.
        others = {did: local_keys(did) for did in signers if did != issuer}
        return checks.proof_and_issuer(
            secured,
            {issuer: own, **others} if own is not None else others,
            at=self.policy.at,
            tolerance=self.policy.tolerance,
            purpose=purpose,
        )

    async def trust(self, issuer: str | None) -> Check:
        if CheckName.TRUST not in self.policy.checks or issuer is None:
            return checks.NOT_ASKED
        try:
            answer = await self.resolver.trust(issuer)
        except Unreachable as reason:
            return checks.undetermined("trust-unreachable", f"the trust list cannot be had: {reason}")
        match answer:
            case Trust.TRUSTED:
                return checks.ISSUER_TRUSTED
            case Trust.DISTRUSTED:
                return checks.failed([Finding("issuer-distrusted", "the trust list warns of the issuer", "/issuer")])
            case Trust.UNKNOWN:
                return checks.undetermined("issuer-unknown", "the issuer is on no trust list", "/issuer")

    async def status(self, secured: Secured, *, holds: bool, trust: Check) -> Check:
        name = "status" if secured.form == sd_jwt_vc.FORM else "credentialStatus"
        if secured.document.get(name) in (None, []):
            return checks.STATUS_ABSENT
        if CheckName.STATUS not in self.policy.checks:
            return checks.NOT_ASKED
        if not holds:
            return checks.undetermined("proof-first", checks.PROOF_FIRST, f"/{name}")
        if trust.outcome not in (Outcome.PASSED, Outcome.SKIPPED):
            detail = "nothing is fetched for an issuer who is not trusted"
            return checks.undetermined("issuer-unknown", detail, f"/{name}")
        if name == "status":
            at, tolerance = self.policy.at, self.policy.tolerance
            return await token_status(secured, self.keyring, self.resolver, at=at, tolerance=tolerance)
        entries = listed(secured.document["credentialStatus"])
        if len(entries) > _MAX_STATUS_ENTRIES:
            return checks.undetermined("too-complex", f"more than {_MAX_STATUS_ENTRIES} status entries")
        several = isinstance(secured.document["credentialStatus"], list)
        found = [
            await look_up(secured, entry, f"/credentialStatus/{position}" if several else "/credentialStatus", self)
            for position, entry in enumerate(entries)
        ]
        return checks.gravest(found)

    async def evidence(self, secured: Secured, *, holds: bool, trust: Check) -> Check:
        if CheckName.EVIDENCE not in self.policy.checks:
            return checks.NOT_ASKED
        if not has_evidence(secured.document, secured.surveyed_anyway):
            return checks.EVIDENCE_ABSENT
        if not holds:
            return checks.undetermined("proof-first", checks.PROOF_FIRST, "/evidence")
        if self.depth == _MAX_DEPTH:
            return checks.undetermined("too-complex", "credentials lie within credentials too deeply")
        known = trust.outcome in (Outcome.PASSED, Outcome.SKIPPED)
        # What can be judged without asking anybody is judged whoever the issuer is: a forged part stays a forged part.
        asked = self.resolver if known else _Closed()
        beside = self.beside | held_in(secured.document)
        keyring = self.keyring if known else Keyring(asked)
        within = replace(self, resolver=asked, keyring=keyring, depth=self.depth + 1, beside=beside)

        async def fetch(url: str) -> bytes | Check:
            try:
                return await asked.document(url)
            except Unreachable as reason:
                return checks.undetermined("evidence-unreachable", f"the cited credential cannot be had: {reason}")

        return await evidence(secured.document, within.credential, fetch, self.beside)

    async def signed_list(self, url: str, issuer: str | None) -> dict[str, Any] | Check:
        """The list credential, its own proof and period having passed; or why not."""
        where = "/credentialStatus/statusListCredential"
        try:
            found = read_secured(await self.resolver.status_list(url))
        except Unreachable as reason:
            return checks.undetermined("status-unreachable", f"the status list cannot be had: {reason}", where)
        except CredentialError as refusal:
            return checks.undetermined("status-list-unreadable", f"the status list: {refusal.detail}", where)
        if found.issuer != issuer:
            return checks.failed([Finding("status-list-issuer", "the status list is signed by another issuer", where)])
        proof, signer = await self.proof_and_issuer(found, self.policy.purpose)
        for check in (proof, signer):
            if check.outcome is not Outcome.PASSED:
                finding = Finding("status-list-proof", f"the status list's proof: {check.detail}", where)
                return Check(check.outcome, finding.code, finding.detail, finding.pointer)
        period = checks.validity(found, at=self.policy.at, tolerance=self.policy.tolerance)
        if period.outcome is not Outcome.PASSED:
            return checks.undetermined("status-list-stale", f"the status list: {period.detail}", where)
        return found.document

    async def plain_list(self, url: str) -> dict[str, Any] | Check:
        where = "/credentialStatus/id"
        try:
            found = parse_json(await self.resolver.status_list(url))
        except Unreachable as reason:
            return checks.undetermined("status-unreachable", f"the status list cannot be had: {reason}", where)
        except CredentialError as refusal:
            return checks.undetermined("status-list-unreadable", f"the status list: {refusal.detail}", where)
        return found if is_object(found) else checks.undetermined("status-list-unreadable", "not a list", where)


class _Closed:
    """The outside of an issuer who is not trusted: nothing is fetched (S9)."""

    async def did_document(self, did: str, url: str) -> bytes:
        raise Unreachable(f"nothing is fetched for an issuer who is not trusted, not even {did[:120]}")

    async def trust(self, issuer: str) -> Trust:
        return Trust.UNKNOWN

    async def status_list(self, url: str) -> bytes:
        raise Unreachable("nothing is fetched for an issuer who is not trusted")

    async def document(self, url: str) -> bytes:
        raise Unreachable("nothing is fetched for an issuer who is not trusted")
