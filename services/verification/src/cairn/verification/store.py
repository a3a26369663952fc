"""SQL in, domain out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.events.models import CredentialStatusChanged, InstitutionAccredited
from cairn.verification.domain.policy import Finding, Findings

_ADD: Final = text("""
    INSERT INTO verifications (tenant_id, id, digest, verdict, checks, issuer, credential, verified_at)
    VALUES (:tenant, :id, :digest, :verdict, :checks, :issuer, :credential, :at)
""").bindparams(bindparam("checks", type_=JSONB()))
_FIND: Final = text("""
    SELECT id, digest, verdict, checks, issuer, credential, verified_at FROM verifications WHERE id = :id
""").columns(checks=JSONB())
_FORGET: Final = text("""
    DELETE FROM verifications WHERE id IN (
        SELECT id FROM verifications WHERE verified_at < now() - cast(:kept AS interval)
         ORDER BY verified_at LIMIT :limit)
""")
_ACCREDIT: Final = text("""
    INSERT INTO issuers (tenant_id, did, institution, name, accredited_by, accredited_at)
    VALUES (:tenant, :did, :institution, :name, :accredited_by, :at)
    ON CONFLICT (tenant_id, did) DO UPDATE
       SET institution = excluded.institution, name = excluded.name, accredited_by = excluded.accredited_by,
           accredited_at = excluded.accredited_at
     WHERE issuers.accredited_at < excluded.accredited_at
""").bindparams(bindparam("accredited_by", type_=JSONB()))

_CHANGE: Final = text("""
    INSERT INTO status_changes (tenant_id, credential, at, state) VALUES (:tenant, :credential, :at, :state)
    ON CONFLICT DO NOTHING
""")
# By the issuer's own tenant only: what another institution says of a credential of this id is about something else.
_CHANGES: Final = text("""
    SELECT c.at, c.state FROM status_changes c JOIN issuers i ON i.tenant_id = c.tenant_id
     WHERE c.credential = :credential AND i.did = :did
""")


@dataclass(frozen=True, slots=True)
class Record:
    """A verification that was made, as it is kept."""

    id: UUID
    findings: Findings
    at: datetime


async def add_verification(tx: Transaction, tenant: str, record: Record) -> None:
    findings = record.findings
    await tx.execute(
        _ADD,
        {
            "tenant": tenant,
            "id": record.id,
            "digest": findings.digest,
            "verdict": findings.verdict,
            "checks": {name: [one.outcome, one.code] for name, one in findings.checks.items()},
            "issuer": findings.issuer,
            "credential": findings.credential,
            "at": record.at,
        },
    )


async def verification(tx: Transaction, id_: UUID) -> Record | None:
    row = await tx.row(_FIND, {"id": id_})
    if row is None:
        return None
    checks: dict[str, list[Any]] = row["checks"]
    findings = Findings(
        digest=row["digest"],
        verdict=row["verdict"],
        checks={name: Finding(*kept) for name, kept in checks.items()},
        issuer=row["issuer"],
        credential=row["credential"],
    )
    return Record(row["id"], findings, row["verified_at"])


async def forget_verifications(tx: Transaction, kept: timedelta, limit: int) -> int:
    """Delete up to `limit` records that are older; how many there were."""
    return (await tx.execute(_FORGET, {"kept": kept, "limit": limit})).rowcount


async def accredit(tx: Transaction, tenant: str, fact: InstitutionAccredited) -> None:
    """The latest word about an issuer stands, in whatever order the words come."""
    await tx.execute(
        _ACCREDIT,
        {
            "tenant": tenant,
            "did": fact.issuer,
            "institution": fact.institution,
            "name": fact.name,
            "accredited_by": list(fact.accredited_by),
            "at": fact.at,
        },
    )


async def note_status(tx: Transaction, tenant: str, fact: CredentialStatusChanged, state: str) -> None:
    await tx.execute(_CHANGE, {"tenant": tenant, "credential": fact.credential, "at": fact.at, "state": state})


async def status_changes(tx: Transaction, did: str, credential: str) -> list[tuple[datetime, str]]:
    """What the issuer has said here about its credential, in no particular order."""
    rows = await tx.rows(_CHANGES, {"did": did, "credential": credential})
    return [(row["at"], row["state"]) for row in rows]


async def is_known(tx: Transaction, did: str) -> bool:
    """Whether an institution of this installation issues as `did`: public, whoever asks."""
    return await tx.row(text("SELECT 1 FROM issuers WHERE did = :did LIMIT 1"), {"did": did}) is not None
