"""Verify a credential or a presentation, and read what was found."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from prometheus_client import Counter

from cairn.common.auth import Principal
from cairn.common.db import PLATFORM
from cairn.common.events import Event
from cairn.common.events.models import CredentialVerified
from cairn.common.problem import DomainError
from cairn.credentials import (
    CheckName,
    Policy,
    PresentationVerification,
    Verification,
    verify,
    verify_presentation,
)
from cairn.verification import store
from cairn.verification.deps import Deps
from cairn.verification.domain.policy import (
    Presented,
    credential_id,
    findings_of,
    presentation_findings,
    signed,
    worsened,
)
from cairn.verification.resolvers import Known, Outside
from cairn.verification.store import Record

VERIFICATIONS: Final = Counter("cairn_verifications_total", "Credentials verified, by verdict.", ["verdict"])


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller wants to know."""

    checks: Collection[CheckName] = tuple(CheckName)
    challenge: str | None = None
    domain: str | None = None

    def policy(self, at: datetime) -> Policy:
        return Policy(at=at, checks=frozenset(self.checks), challenge=self.challenge, domain=self.domain)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found, whole for the caller, and as it is kept."""

    verification: Verification
    record: Record


@dataclass(frozen=True, slots=True)
class VerifiedPresentation:
    """What was found of a presentation, and of each credential in it."""

    presentation: PresentationVerification
    record: Record
    credentials: tuple[Verified, ...]


ALL: Final = Asked()


async def verify_credential(deps: Deps, principal: Principal, presented: Presented, asked: Asked = ALL) -> Verified:
    """Verify `presented` now, keep the findings and say so.

    The credential itself is not kept anywhere. Never raises for what is in it.
    """
    now = deps.now()
    found = await _with_what_was_heard(deps, await verify(presented, _outside(deps), asked.policy(now)))
    verified = Verified(found, Record(uuid4(), findings_of(presented, found), now))
    await _keep(deps, principal, [verified.record], said=[verified.record])
    return verified


async def verify_shown(
    deps: Deps, principal: Principal, presented: Presented, asked: Asked = ALL
) -> VerifiedPresentation:
    """Verify a presentation now, and each credential in it as `verify_credential` does: one record each."""
    now = deps.now()
    found = await verify_presentation(presented, _outside(deps), asked.policy(now))
    credentials = [await _with_what_was_heard(deps, one) for one in found.credentials]
    found = replace(found, credentials=tuple(credentials))
    record = Record(uuid4(), presentation_findings(presented, found), now)
    each = tuple(
        Verified(one, Record(uuid4(), findings_of(shown, one), now))
        for one, shown in zip(credentials, found.given, strict=True)
    )
    said = [one.record for one in each]
    await _keep(deps, principal, [record, *said], said=said)
    return VerifiedPresentation(found, record, each)


async def show_verification(deps: Deps, principal: Principal, id_: UUID) -> Record:
    """Raises DomainError `not-found`, for another tenant's too."""
    async with deps.database.transaction(principal.tenant) as tx:
        record = await store.verification(tx, id_)
    if record is None:
        raise DomainError("There is no such verification here.", code="not-found")
    return record


async def _keep(deps: Deps, principal: Principal, records: Sequence[Record], *, said: Sequence[Record]) -> None:
    """Nothing is fetched while the transaction is open: a slow issuer holds no connection of ours."""
    async with deps.database.transaction(principal.tenant) as tx:
        for record in records:
            await store.add_verification(tx, principal.tenant, record)
        for record in said:
            await tx.publish(_event(principal.tenant, record))
        await tx.commit()
    for record in said:
        VERIFICATIONS.labels(record.findings.verdict).inc()


def _event(tenant: str, record: Record) -> Event:
    findings = record.findings
    fact = CredentialVerified(
        credential=findings.credential,
        digest=findings.digest,
        issuer=findings.issuer,
        verdict=findings.verdict,
        at=record.at,
    )
    return Event(
        id=str(record.id),
        type="credential.verified.v1",
        source="/verification",
        subject=findings.digest,
        tenant=tenant,
        key=findings.digest,
        data=fact.to_json(),
        time=record.at,
    )


async def _with_what_was_heard(deps: Deps, verification: Verification) -> Verification:
    """Only of what the issuer has really signed: until then, the id is anybody's."""
    named = credential_id(verification)
    if not signed(verification) or verification.issuer is None or named is None:
        return verification
    async with deps.database.transaction(PLATFORM) as tx:
        return worsened(verification, await store.status_changes(tx, verification.issuer, named))


def _outside(deps: Deps) -> Outside:
    return Outside(deps.fetcher, deps.documents, _registry(deps), deps.settings.verification_seconds)


def _registry(deps: Deps) -> Known:
    """The trust registry as the resolver asks it."""

    async def known(did: str) -> bool:
        # Public data: the scope does not matter, but a transaction has to have one.
        async with deps.database.transaction(PLATFORM) as tx:
            return await store.is_known(tx, did)

    return known
