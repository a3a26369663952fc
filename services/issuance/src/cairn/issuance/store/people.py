"""Institutions, learners, their identifiers, link codes and merges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.sql import Sql

_BODY: Final = {"body": JSONB()}
_NAMED: Final = Sql("""
    SELECT id, NULL::bytea AS digest, erased_at IS NOT NULL AS erased FROM learners WHERE id = ANY (:ids)
     UNION ALL
    SELECT l.id, i.digest, l.erased_at IS NOT NULL
      FROM identifiers i JOIN learners l ON l.id = i.learner_id WHERE i.digest = ANY (:digests)
""")

_INSTITUTION: Final = Sql("SELECT tenant_id, did, body, registered_at FROM institutions WHERE tenant_id = :tenant")
_LOCK: Final = Sql("SELECT tenant_id, id, key, profile FROM learners WHERE id = ANY (:ids) ORDER BY id FOR UPDATE")
_MERGES: Final = Sql("""
    SELECT id, learner_id, merged_tenant, merged_id, merged_at FROM merges
     WHERE unmerged_at IS NULL AND (learner_id = ANY (:ids) OR merged_id = ANY (:ids)) ORDER BY merged_at
""")


async def add_institution(tx: Transaction, tenant: str, did: str, body: Mapping[str, Any]) -> bool:
    """False where the tenant or its DID is registered already."""
    statement = text("""
        INSERT INTO institutions (tenant_id, did, body) VALUES (:tenant, :did, :body)
        ON CONFLICT DO NOTHING RETURNING tenant_id
    """)
    row = await tx.row(
        statement.bindparams(bindparam("body", type_=JSONB())), {"tenant": tenant, "did": did, "body": body}
    )
    return row is not None


async def institution(tx: Transaction, tenant: str) -> Mapping[str, Any] | None:
    return next(iter(await tx.fetch(_INSTITUTION, tenant=tenant)), None)


async def institutions(tx: Transaction) -> Sequence[RowMapping]:
    return await tx.rows(
        text("SELECT tenant_id, did, body, registered_at FROM institutions ORDER BY tenant_id").columns(**_BODY)
    )


async def add_learner(tx: Transaction, tenant: str, learner: str, key: bytes, profile: bytes) -> None:
    await tx.execute(
        text("INSERT INTO learners (tenant_id, id, key, profile) VALUES (:tenant, :id, :key, :profile)"),
        {"tenant": tenant, "id": learner, "key": key, "profile": profile},
    )


async def learner(tx: Transaction, learner_id: str, *, lock: bool = False) -> RowMapping | None:
    """The learner's row; with `lock`, held until the transaction ends."""
    statement = "SELECT tenant_id, id, key, profile, registered_at, erased_at FROM learners WHERE id = :id"
    return await tx.row(text(statement + (" FOR UPDATE" if lock else "")), {"id": learner_id})


async def lock_learners(tx: Transaction, ids: Collection[str]) -> Sequence[Mapping[str, Any]]:
    """The learners' rows, held until the transaction ends; in an order in which nobody waits in a circle."""
    return await tx.fetch(_LOCK, ids=list(ids))


async def learners_named(tx: Transaction, ids: Sequence[str], digests: Sequence[bytes]) -> Sequence[Mapping[str, Any]]:
    """Learners by id or by identifier: `digest` is null for those found by id. One query for a batch."""
    return await tx.fetch(_NAMED, ids=list(ids), digests=list(digests))


async def take_turns(tx: Transaction, digests: Sequence[bytes]) -> None:
    """Wait for whoever is attaching one of these identifiers, in an order in which nobody waits in a circle."""
    for digest in sorted(digests):
        key = int.from_bytes(digest[:8], signed=True)
        await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


async def add_identifiers(tx: Transaction, tenant: str, learner_id: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Attach identifiers. False where one belongs to another learner; again for the same learner changes nothing."""
    statement = text("""
        INSERT INTO identifiers (tenant_id, digest, learner_id, kind, sealed)
        VALUES (:tenant, :digest, :learner, :kind, :sealed)
        ON CONFLICT (tenant_id, digest) DO UPDATE SET kind = excluded.kind
         WHERE identifiers.learner_id = excluded.learner_id RETURNING learner_id
    """)
    for row in rows:
        if await tx.row(statement, {"tenant": tenant, "learner": learner_id, **row}) is None:
            return False
    return True


async def identifiers(tx: Transaction, learner_id: str) -> Sequence[RowMapping]:
    return await tx.rows(
        text("SELECT digest, kind, sealed FROM identifiers WHERE learner_id = :learner ORDER BY kind, digest"),
        {"learner": learner_id},
    )


async def erase(tx: Transaction, learner_id: str, now: datetime) -> None:
    """Destroy the key, and with it everything that was sealed under it; forget the identifiers."""
    await tx.execute(text("DELETE FROM identifiers WHERE learner_id = :learner"), {"learner": learner_id})
    await tx.execute(text("DELETE FROM link_codes WHERE learner_id = :learner"), {"learner": learner_id})
    await tx.execute(
        text("UPDATE learners SET key = NULL, profile = NULL, erased_at = :now WHERE id = :learner"),
        {"learner": learner_id, "now": now},
    )


async def add_link_code(tx: Transaction, tenant: str, digest: bytes, learner_id: str, expires: datetime) -> None:
    await tx.execute(
        text("INSERT INTO link_codes (tenant_id, digest, learner_id, expires_at) VALUES (:tenant, :digest, :id, :exp)"),
        {"tenant": tenant, "digest": digest, "id": learner_id, "exp": expires},
    )


async def use_link_code(tx: Transaction, tenant: str, digest: bytes) -> str | None:
    """The learner for whom the code was made, if it is unused and in time; it is used up by this."""
    row = await tx.row(
        text("""
            UPDATE link_codes SET used_at = now()
             WHERE tenant_id = :tenant AND digest = :digest AND used_at IS NULL AND expires_at > now()
            RETURNING learner_id
        """),
        {"tenant": tenant, "digest": digest},
    )
    return row["learner_id"] if row else None


async def add_merge(tx: Transaction, row: Mapping[str, Any]) -> datetime | None:
    """Since when it counts: later than the end of the last merge of the two, whatever clock said that (R12). None
    where the learner is merged into somebody already, be it where this transaction cannot see it."""
    statement = text("""
        INSERT INTO merges (tenant_id, id, learner_id, merged_tenant, merged_id, consent, recorded_by, merged_at)
        VALUES (:tenant, :id, :learner, :merged_tenant, :merged, :consent, :by,
                greatest(:at, (SELECT max(unmerged_at) + interval '1 microsecond' FROM merges
                                WHERE learner_id = :learner AND merged_id = :merged)))
        ON CONFLICT (merged_id) WHERE unmerged_at IS NULL DO NOTHING RETURNING merged_at
    """)
    added = await tx.row(statement, row)
    return None if added is None else added["merged_at"]


async def end_merge(tx: Transaction, learner_id: str, merged_id: str, now: datetime) -> RowMapping | None:
    """The merge that this ends, not before it began, whatever clock said that (R12); or None."""
    statement = text("""
        UPDATE merges SET unmerged_at = greatest(:now, merged_at)
         WHERE learner_id = :learner AND merged_id = :merged AND unmerged_at IS NULL
        RETURNING id, merged_tenant, unmerged_at
    """)
    return await tx.row(statement, {"learner": learner_id, "merged": merged_id, "now": now})


async def merges(tx: Transaction, learner_ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Standing merges in which any of the learners survives or was merged."""
    return await tx.fetch(_MERGES, ids=list(learner_ids))
