"""Status lists: where each credential's bit lies, and the signed lists that are published."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, text

from cairn.common.db import Transaction
from cairn.common.sql import Sql

FILL: Final = 0.5
"""A list is full at half: up to there, a random index is free at the second try or so."""


_USE: Final = Sql("UPDATE status_lists SET used = used + :n WHERE tenant_id = :tenant AND id = :id")
_NEWEST: Final = Sql("SELECT id, used FROM status_lists WHERE tenant_id = :tenant ORDER BY id DESC LIMIT 1 FOR UPDATE")
_TAKEN: Final = Sql("""
    SELECT list_index FROM credentials WHERE tenant_id = :tenant AND list_id = :list AND list_index = ANY (:draw)
""")


async def allocate(tx: Transaction, tenant: str, count: int, size: int) -> list[tuple[int, int]]:
    """`count` random free places, as (list, index). The list's row stays locked, so no place is taken twice (S14)."""
    places: list[tuple[int, int]] = []
    while len(places) < count:
        current = await _open_list(tx, tenant, size)
        wanted = min(count - len(places), max(int(size * FILL) - current["used"], 1))
        found = await _free(tx, tenant, current["id"], size, wanted)
        await tx.fetch(_USE, n=len(found), tenant=tenant, id=current["id"])
        places += [(current["id"], index) for index in found]
    return places


async def _open_list(tx: Transaction, tenant: str, size: int) -> Mapping[str, Any]:
    newest = await tx.fetch(_NEWEST, tenant=tenant)
    if newest and newest[0]["used"] < int(size * FILL):
        return newest[0]
    await tx.execute(
        text("""
            INSERT INTO status_lists (tenant_id, id, size) VALUES (:tenant, :id, :size)
            ON CONFLICT (tenant_id, id) DO NOTHING
        """),
        {"tenant": tenant, "id": (newest[0]["id"] if newest else 0) + 1, "size": size},
    )
    [opened] = await tx.fetch(_NEWEST, tenant=tenant)
    return opened


async def _free(tx: Transaction, tenant: str, list_id: int, size: int, count: int) -> list[int]:
    """Random, so that neither the index nor its neighbours tell when a credential was issued (S15)."""
    draw = _draw(size, 2 * count + 16)
    occupied = {row["list_index"] for row in await tx.fetch(_TAKEN, tenant=tenant, list=list_id, draw=draw)}
    return [index for index in draw if index not in occupied][:count]


def _draw(size: int, many: int) -> list[int]:
    """So many random numbers below `size`, from the system in one call; those that come twice are there once."""
    return list({number % size: None for number in memoryview(secrets.token_bytes(8 * many)).cast("Q")})


async def published(tx: Transaction, tenant: str, list_id: int, purpose: str) -> RowMapping | None:
    """The list's version now, and the signed document of it if there is one that is still good."""
    statement = text("""
        SELECT l.size, l.version, d.version AS signed_version, d.body, d.valid_until
          FROM status_lists l
          LEFT JOIN status_list_credentials d
            ON d.tenant_id = l.tenant_id AND d.list_id = l.id AND d.purpose = :purpose
         WHERE l.tenant_id = :tenant AND l.id = :list
    """)
    return await tx.row(statement, {"tenant": tenant, "list": list_id, "purpose": purpose})


async def flagged(tx: Transaction, tenant: str, list_id: int, status: str) -> Sequence[int]:
    """Indexes of the list's credentials that have `status`."""
    rows = await tx.rows(
        text("""
            SELECT list_index FROM credentials
             WHERE tenant_id = :tenant AND list_id = :list AND status = :status AND status <> 'valid'
        """),
        {"tenant": tenant, "list": list_id, "status": status},
    )
    return [row["list_index"] for row in rows]


async def publish(
    tx: Transaction, tenant: str, list_id: int, purpose: str, version: int, body: bytes, valid_until: datetime
) -> None:
    """Keep the signed document, unless a newer version was kept meanwhile."""
    row: dict[str, Any] = {
        "tenant": tenant,
        "list": list_id,
        "purpose": purpose,
        "version": version,
        "body": body,
        "until": valid_until,
    }
    await tx.execute(
        text("""
            INSERT INTO status_list_credentials (tenant_id, list_id, purpose, version, body, valid_until)
            VALUES (:tenant, :list, :purpose, :version, :body, :until)
            ON CONFLICT (tenant_id, list_id, purpose) DO UPDATE
               SET version = excluded.version, body = excluded.body, valid_until = excluded.valid_until
             WHERE status_list_credentials.version <= excluded.version
        """),
        row,
    )


async def withdraw(tx: Transaction, tenant: str) -> None:
    """Forget the signed documents of the tenant's lists; the bits stay."""
    await tx.execute(text("DELETE FROM status_list_credentials WHERE tenant_id = :tenant"), {"tenant": tenant})
