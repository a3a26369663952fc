"""Verify a credential, and read what was found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from prometheus_client import Counter

from cairn.common.auth import Principal
from cairn.common.db import PLATFORM
from cairn.common.events import Event
from cairn.common.events.models import CredentialVerified
from cairn.common.problem import DomainError
from cairn.credentials import CheckName, Policy, Verification, verify
from cairn.verification import store
from cairn.verification.deps import Deps
from cairn.verification.domain.policy import Presented, credential_id, findings_of, signed, worsened
from cairn.verification.resolvers import Known, Outside
from cairn.verification.store import Record

VERIFICATIONS: Final = Counter("cairn_verifications_total", "Credentials verified, by verdict.", ["verdict"])


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found, whole for the caller, and as it is kept."""

    verification: Verification
    record: Record


async def verify_credential(
    deps: Deps, principal: Principal, presented: Presented, checks: Collection[CheckName] = tuple(CheckName)
) -> Verified:
    """Verify `presented` now, keep the findings and say so.

    The credential itself is not kept anywhere. Never raises for what is in it.
    """
    now = deps.now()
    resolver = Outside(deps.fetcher, deps.documents, _registry(deps), deps.settings.verification_seconds)
    verification = await verify(presented, resolver, Policy(at=now, checks=frozenset(checks)))
    verification = await _with_what_was_heard(deps, verification)
    record = Record(uuid4(), findings_of(presented, verification), now)
    findings = record.findings
    fact = CredentialVerified(
        credential=findings.credential,
        digest=findings.digest,
        issuer=findings.issuer,
        verdict=findings.verdict,
        at=now,
    )
    event = Event(
        id=str(record.id),
        type="credential.verified.v1",
        source="/verification",
        subject=findings.digest,
        tenant=principal.tenant,
        key=findings.digest,
        data=fact.to_json(),
        time=now,
    )
    # Nothing is fetched while the transaction is open: a slow issuer holds no connection of ours.
    async with deps.database.transaction(principal.tenant) as tx:
        await store.add_verification(tx, principal.tenant, record)
        await tx.publish(event)
        await tx.commit()
    VERIFICATIONS.labels(findings.verdict).inc()
    return Verified(verification, record)


async def show_verification(deps: Deps, principal: Principal, id_: UUID) -> Record:
    """Raises DomainError `not-found`, for another tenant's too."""
    async with deps.database.transaction(principal.tenant) as tx:
        record = await store.verification(tx, id_)
    if record is None:
        raise DomainError("There is no such verification here.", code="not-found")
    return record


async def _with_what_was_heard(deps: Deps, verification: Verification) -> Verification:
    """Only of what the issuer has really signed: until then, the id is anybody's."""
    named = credential_id(verification)
    if not signed(verification) or verification.issuer is None or named is None:
        return verification
    async with deps.database.transaction(PLATFORM) as tx:
        return worsened(verification, await store.status_changes(tx, verification.issuer, named))


def _registry(deps: Deps) -> Known:
    """The trust registry as the resolver asks it."""

    async def known(did: str) -> bool:
        # Public data: the scope does not matter, but a transaction has to have one.
        async with deps.database.transaction(PLATFORM) as tx:
            return await store.is_known(tx, did)

    return known
