"""Achievements, and the read model of active frameworks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.events.models import FrameworkActivated
from cairn.common.sql import Sql

_COLUMNS: Final = "tenant_id, code, id, body, published_at, retired_at"
_NAMED: Final = Sql(f"SELECT {_COLUMNS} FROM achievements WHERE code = ANY (:names) OR id = ANY (:names)")  # noqa: S608
_FRAMEWORKS: Final = Sql("""
    SELECT qualification, version, title, achievement_id FROM frameworks
     WHERE tenant_id = :tenant
       AND (qualification, version) IN (SELECT * FROM unnest(cast(:names AS text[]), cast(:versions AS text[])))
""")


async def add_achievement(tx: Transaction, tenant: str, code: str, id_: str, body: Mapping[str, Any]) -> bool:
    """False where the institution has an achievement of this code."""
    statement = text("""
        INSERT INTO achievements (tenant_id, code, id, body) VALUES (:tenant, :code, :id, :body)
        ON CONFLICT DO NOTHING RETURNING code
    """).bindparams(bindparam("body", type_=JSONB()))
    return await tx.row(statement, {"tenant": tenant, "code": code, "id": id_, "body": body}) is not None


async def achievement(tx: Transaction, name: str) -> Mapping[str, Any] | None:
    """By code or by id."""
    return next(iter(await achievements_named(tx, [name])), None)


async def achievements_named(tx: Transaction, names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Every achievement in scope whose code or id is among `names`."""
    return await tx.fetch(_NAMED, names=list(names))


async def achievements(tx: Transaction, after: str, limit: int) -> Sequence[RowMapping]:
    statement = f"SELECT {_COLUMNS} FROM achievements WHERE code > :after ORDER BY code LIMIT :limit"  # noqa: S608
    return await tx.rows(text(statement).columns(body=JSONB()), {"after": after, "limit": limit})


async def retire(tx: Transaction, code: str, now: datetime) -> RowMapping | None:
    statement = f"""
        UPDATE achievements SET retired_at = coalesce(retired_at, :now) WHERE code = :code RETURNING {_COLUMNS}
    """  # noqa: S608
    return await tx.row(text(statement).columns(body=JSONB()), {"code": code, "now": now})


async def add_framework(tx: Transaction, tenant: str, fact: FrameworkActivated) -> None:
    """A published version never changes: the first word about it stands."""
    await tx.execute(
        text("""
            INSERT INTO frameworks (tenant_id, qualification, version, title, achievement_id, digest, activated_at)
            VALUES (:tenant, :qualification, :version, :title, :achievement, :digest, :at)
            ON CONFLICT DO NOTHING
        """),
        {
            "tenant": tenant,
            "qualification": fact.qualification,
            "version": fact.version,
            "title": fact.title,
            "achievement": fact.achievement,
            "digest": fact.digest,
            "at": fact.at,
        },
    )


async def frameworks(
    tx: Transaction, tenant: str, versions: Collection[tuple[str, str]]
) -> Sequence[Mapping[str, Any]]:
    """Those that are active, of (qualification, version)."""
    names, numbers = [name for name, _ in versions], [version for _, version in versions]
    return await tx.fetch(_FRAMEWORKS, tenant=tenant, names=names, versions=numbers)
