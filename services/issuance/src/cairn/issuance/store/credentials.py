"""Credentials, from the intent to sign to the signature, their status, and the lists that publish it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.instants import parse_instant
from cairn.common.sql import Sql
from cairn.issuance.store.turns import in_turn

_COLUMNS: Final = """
    tenant_id, id, learner_id, achievement_id, completion_id, award_id, state, status, list_id, list_index,
    holding, key, body, intended_at, issued_at, renews
"""
_INTENDED: Final = "state = 'intended' AND learner_id IS NOT NULL"
"""Without those of no learner, which are signed in the request that brings them."""
_TURNS: Final = in_turn("credentials", _INTENDED, "intended_at")


@dataclass(frozen=True, slots=True)
class Intent:
    """A credential that is about to be signed: `digest` is the SHA-256 of the document, `body` the document sealed."""

    tenant: str
    id: str
    learner: str
    achievement: str
    completion: UUID | None
    award: str | None
    list_id: int
    list_index: int
    holding: Mapping[str, Any]
    digest: bytes
    body: bytes
    trace: str | None = None
    """The `traceparent` of what led to it."""
    renews: str | None = None
    """The credential whose place it takes."""


_ADD_INTENTS: Final = Sql("""
    INSERT INTO credentials (tenant_id, id, learner_id, achievement_id, completion_id, award_id, state, status,
                             list_id, list_index, holding, intent, body, traceparent, renews)
    SELECT tenant, id, learner, achievement, completion, award, 'intended', 'valid',
           list_id, list_index, holding, digest, body, trace, renews
      FROM unnest(cast(:tenant AS text[]), cast(:id AS text[]), cast(:learner AS text[]), cast(:achievement AS text[]),
                  cast(:completion AS uuid[]), cast(:award AS text[]), cast(:list_id AS int[]),
                  cast(:list_index AS int[]), cast(:holding AS jsonb[]), cast(:digest AS bytea[]),
                  cast(:body AS bytea[]), cast(:trace AS text[]), cast(:renews AS text[]))
        AS u (tenant, id, learner, achievement, completion, award, list_id, list_index, holding, digest, body, trace,
              renews)
""")
_TAKE_INTENDED: Final = Sql(f"""
    WITH RECURSIVE {_TURNS}
    SELECT c.tenant_id, c.id, c.learner_id, c.award_id, c.status, c.holding, c.intent, c.body, c.traceparent,
           c.renews, c.issued_at, l.key
      FROM turns
     CROSS JOIN LATERAL (
        SELECT * FROM credentials WHERE {_INTENDED} AND tenant_id = turns.tenant
         ORDER BY intended_at LIMIT turns.share FOR UPDATE SKIP LOCKED) AS c
      JOIN learners l ON l.id = c.learner_id
""")  # noqa: S608
_MARK_ISSUED: Final = Sql("""
    UPDATE credentials c SET state = 'issued', body = u.body, issued_at = coalesce(c.issued_at, :now)
      FROM unnest(cast(:ids AS text[]), cast(:bodies AS bytea[])) AS u (id, body) WHERE c.id = u.id
""")
_COMPONENTS: Final = Sql("""
    SELECT id, learner_id, achievement_id, holding ->> 'issuer' AS issuer FROM credentials WHERE id = ANY (:ids)
""")
_STATUS_CHANGES: Final = Sql("""
    SELECT credential_id, status, reason, at FROM status_changes WHERE credential_id = ANY (:ids) ORDER BY seq
""")


async def add_intents(tx: Transaction, intents: Sequence[Intent]) -> None:
    """Record what is about to be signed. A second intent for one completion or award violates a unique key."""
    columns = {name: [getattr(intent, name) for intent in intents] for name in _ADD_INTENTS.names}
    columns["holding"] = [orjson.dumps(holding).decode() for holding in columns["holding"]]
    await tx.fetch(_ADD_INTENTS, **columns)


async def add_document(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Record the intent to sign a document that a caller wrote. `list_id` and `list_index` may be null."""
    statement = text("""
        INSERT INTO credentials (tenant_id, id, document_id, key, state, status, list_id, list_index, intent, body)
        VALUES (:tenant, :id, :document_id, :key, 'intended', 'valid', :list_id, :list_index, :digest, :body)
    """)
    await tx.execute(statement, row)


async def documents(tx: Transaction, document_id: str, *, lock: bool = False) -> Sequence[RowMapping]:
    """What was issued under an id: one that is ours, or one that a caller chose. The newest is first."""
    statement = f"""
        SELECT {_COLUMNS} FROM credentials
         WHERE (id = :id OR document_id = :id) AND state = 'issued'
         ORDER BY intended_at DESC, id{" FOR UPDATE" if lock else ""}
    """  # noqa: S608
    return await tx.rows(text(statement).columns(holding=JSONB()), {"id": document_id})


async def erase_documents(tx: Transaction, ids: Sequence[str]) -> None:
    """Key, body and the id that the caller chose are gone. The place in the status list stays, and what it says."""
    await tx.execute(
        text("""
            UPDATE credentials SET state = 'abandoned', key = '', body = '', document_id = NULL
             WHERE id = ANY (:ids) AND learner_id IS NULL
        """),
        {"ids": list(ids)},
    )


async def take_intended(tx: Transaction, limit: int) -> Sequence[Mapping[str, Any]]:
    """Credentials to sign, by turns of their tenants, each with its learner's key (null: erased meanwhile); others pass
    over these rows."""
    return await tx.fetch(_TAKE_INTENDED, limit=limit)


async def renew_intents(tx: Transaction, renewed: Mapping[str, tuple[bytes, bytes]]) -> None:
    """Record for each credential another digest and sealed body: its key was retired before it signed."""
    if renewed:
        digests, bodies = zip(*renewed.values(), strict=True)
        await tx.execute(
            text("""
                UPDATE credentials c SET intent = u.digest, body = u.body
                  FROM unnest(cast(:ids AS text[]), cast(:digests AS bytea[]), cast(:bodies AS bytea[]))
                    AS u (id, digest, body) WHERE c.id = u.id
            """),
            {"ids": list(renewed), "digests": list(digests), "bodies": list(bodies)},
        )


async def intend_again(tx: Transaction, intents: Mapping[str, tuple[bytes, bytes]], now: datetime) -> None:
    """Signed credentials are to be signed anew: for each its digest and sealed body. They stay issued since when they
    were."""
    await renew_intents(tx, intents)
    await tx.execute(
        text("UPDATE credentials SET state = 'intended', intended_at = :now WHERE id = ANY (:ids)"),
        {"ids": list(intents), "now": now},
    )


async def mark_issued(tx: Transaction, signed: Mapping[str, bytes], now: datetime) -> None:
    """Store the signed bodies, sealed."""
    await tx.fetch(_MARK_ISSUED, ids=list(signed), bodies=list(signed.values()), now=now)


async def mark_abandoned(tx: Transaction, ids: Sequence[str]) -> None:
    """The learner was erased between intent and signature: nothing will be signed."""
    if ids:
        await tx.execute(text("UPDATE credentials SET state = 'abandoned' WHERE id = ANY (:ids)"), {"ids": list(ids)})


async def credential(tx: Transaction, credential_id: str, *, lock: bool = False) -> RowMapping | None:
    statement = f"SELECT {_COLUMNS} FROM credentials WHERE id = :id{' FOR UPDATE' if lock else ''}"  # noqa: S608
    return await tx.row(text(statement).columns(holding=JSONB()), {"id": credential_id})


async def credential_of_award(tx: Transaction, award: str) -> RowMapping | None:
    statement = f"SELECT {_COLUMNS} FROM credentials WHERE award_id = :award FOR UPDATE"  # noqa: S608
    return await tx.row(text(statement).columns(holding=JSONB()), {"award": award})


async def issued_of_awards(tx: Transaction, awards: Sequence[str]) -> Sequence[RowMapping]:
    statement = f"""
        SELECT {_COLUMNS}, traceparent FROM credentials WHERE award_id = ANY (:awards) AND state = 'issued' ORDER BY id
    """  # noqa: S608
    return await tx.rows(text(statement).columns(holding=JSONB()), {"awards": list(awards)})


async def renewal_of(tx: Transaction, credential_id: str) -> RowMapping | None:
    """The credential that takes the place of this one, signed or not yet."""
    statement = f"SELECT {_COLUMNS} FROM credentials WHERE renews = :id AND state <> 'abandoned'"  # noqa: S608
    return await tx.row(text(statement).columns(holding=JSONB()), {"id": credential_id})


async def credentials_named(tx: Transaction, ids: Sequence[str]) -> Sequence[RowMapping]:
    statement = f"SELECT {_COLUMNS} FROM credentials WHERE id = ANY (:ids)"  # noqa: S608
    return await tx.rows(text(statement).columns(holding=JSONB()), {"ids": list(ids)})


async def components(tx: Transaction, ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """What a qualification cites of each credential in its stack, and whose it is."""
    return await tx.fetch(_COMPONENTS, ids=list(ids))


async def page(tx: Transaction, learner: str | None, after: str, limit: int) -> Sequence[RowMapping]:
    statement = f"""
        SELECT {_COLUMNS} FROM credentials
         WHERE id > :after AND (cast(:learner AS text) IS NULL OR learner_id = :learner) ORDER BY id LIMIT :limit
    """  # noqa: S608
    return await tx.rows(text(statement).columns(holding=JSONB()), {"after": after, "learner": learner, "limit": limit})


async def set_status(
    tx: Transaction, row: RowMapping, status: str, *, reason: str, principal: str, at: datetime
) -> datetime:
    """The new status, its record, and a new version of the list that publishes it; the list's row is locked by that.

    Since when: `at`, but later than what happened to it before, whatever clock said that (R12). By these instants
    others tell what came last.
    """
    await tx.execute(
        text("UPDATE credentials SET status = :status WHERE id = :id"), {"status": status, "id": row["id"]}
    )
    changed = await tx.row(
        text("""
            INSERT INTO status_changes (tenant_id, credential_id, status, reason, principal, at)
            VALUES (:tenant, :id, :status, :reason, :principal,
                    greatest(:at, cast(:earned AS timestamptz) + interval '1 microsecond',
                             (SELECT max(at) + interval '1 microsecond' FROM status_changes
                               WHERE credential_id = :id)))
            RETURNING at
        """),
        {
            "tenant": row["tenant_id"],
            "id": row["id"],
            "status": status,
            "reason": reason,
            "principal": principal,
            "at": at,
            "earned": parse_instant(row["holding"]["earned"]) if row["holding"] else None,
        },
    )
    assert changed is not None
    await tx.execute(
        text("UPDATE status_lists SET version = version + 1 WHERE tenant_id = :tenant AND id = :list"),
        {"tenant": row["tenant_id"], "list": row["list_id"]},
    )
    return changed["at"]


async def status_changes(tx: Transaction, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """What happened to the credentials, in order."""
    return await tx.fetch(_STATUS_CHANGES, ids=list(ids))
