"""Comprehensive Learner Records, from the intent to the signature."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping, text

from cairn.common.db import Transaction


async def record(tx: Transaction, credential_id: str, *, lock: bool = False) -> RowMapping | None:
    statement = "SELECT intent, body, signed_at FROM learner_records WHERE credential_id = :id"
    return await tx.row(text(statement + (" FOR UPDATE" if lock else "")), {"id": credential_id})


async def intend(tx: Transaction, tenant: str, credential_id: str, digest: bytes, body: bytes) -> None:
    """Record what is about to be signed, in the place of an intent that nobody signed."""
    await tx.execute(
        text("""
            INSERT INTO learner_records (tenant_id, credential_id, intent, body)
            VALUES (:tenant, :id, :digest, :body)
            ON CONFLICT (credential_id) DO UPDATE SET intent = excluded.intent, body = excluded.body
             WHERE learner_records.signed_at IS NULL
        """),
        {"tenant": tenant, "id": credential_id, "digest": digest, "body": body},
    )


async def signed(tx: Transaction, credential_id: str, body: bytes, now: datetime) -> None:
    await tx.execute(
        text("UPDATE learner_records SET body = :body, signed_at = :now WHERE credential_id = :id"),
        {"id": credential_id, "body": body, "now": now},
    )
