"""Frameworks, and the inverted index over the published ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.sql import Sql
from cairn.pathways.domain import parse_framework
from cairn.pathways.domain.pinning import months_counted, strings
from cairn.pathways.reading_room import Published, ReadingRoom

_COLUMNS: Final = """
    f.tenant_id, f.id, f.qualification, f.version, f.title, f.achievement, f.effective_from, f.body, f.digest, f.state,
    f.written_at, f.activated_at, f.closed_at, f.superseded_by, f.retired_at, f.proposed_by
"""


@dataclass(frozen=True, slots=True)
class Draft:
    tenant: str
    id: str
    qualification: str
    version: str
    title: str
    achievement: str | None
    effective_from: datetime | None
    body: Mapping[str, Any]
    digest: str
    by: str


async def write(tx: Transaction, draft: Draft) -> bool:
    """Store the draft, or replace the one that is there. False where that version is published."""
    statement = text("""
        INSERT INTO frameworks AS f (tenant_id, id, qualification, version, title, achievement, effective_from, body,
                                     digest, written_by)
        VALUES (:tenant, :id, :qualification, :version, :title, :achievement, :effective_from, :body, :digest, :by)
        ON CONFLICT (tenant_id, qualification, version) DO UPDATE
           SET title = excluded.title, achievement = excluded.achievement, effective_from = excluded.effective_from,
               body = excluded.body, digest = excluded.digest, written_by = excluded.written_by, written_at = now(),
               proposed_by = NULL
         WHERE f.state = 'draft' RETURNING f.id
    """).bindparams(bindparam("body", type_=JSONB()))
    row = {name: getattr(draft, name) for name in Draft.__slots__}
    return await tx.row(statement, row) is not None


async def framework(tx: Transaction, framework_id: str, *, lock: bool = False) -> RowMapping | None:
    statement = f"SELECT {_COLUMNS} FROM frameworks f WHERE f.id = :id{' FOR UPDATE' if lock else ''}"  # noqa: S608
    return await tx.row(text(statement).columns(body=JSONB()), {"id": framework_id})


async def named(tx: Transaction, qualification: str, version: str) -> RowMapping | None:
    """A published framework by name."""
    statement = f"""
        SELECT {_COLUMNS} FROM frameworks f
         WHERE f.qualification = :qualification AND f.version = :version AND f.state = 'active'
    """  # noqa: S608
    return await tx.row(text(statement).columns(body=JSONB()), {"qualification": qualification, "version": version})


async def titles(tx: Transaction, qualifications: Collection[str]) -> dict[str, str]:
    """What published qualifications are called; those that there are none of are left out."""
    rows = await tx.rows(
        text("""
            SELECT DISTINCT ON (qualification) qualification, title FROM frameworks
             WHERE qualification = ANY (:names) AND state = 'active' ORDER BY qualification, activated_at DESC
        """),
        {"names": sorted(qualifications)},
    )
    return {row["qualification"]: row["title"] for row in rows}


async def documents(tx: Transaction, tenant: str, qualification: str) -> list[Mapping[str, Any]]:
    """Every published version of a qualification, as JSON."""
    rows = await tx.rows(
        text("""
            SELECT body FROM frameworks WHERE tenant_id = :tenant AND qualification = :name AND state = 'active'
        """).columns(body=JSONB()),
        {"tenant": tenant, "name": qualification},
    )
    return [row["body"] for row in rows]


async def page(tx: Transaction, after: str | None, limit: int) -> Sequence[RowMapping]:
    statement = f"""
        SELECT {_COLUMNS} FROM frameworks f
         WHERE cast(:after AS uuid) IS NULL OR f.id > cast(:after AS uuid) ORDER BY f.id LIMIT :limit
    """  # noqa: S608
    return await tx.rows(text(statement).columns(body=JSONB()), {"after": after, "limit": limit})


async def activate(tx: Transaction, framework_id: str, by: str, at: datetime) -> None:
    await tx.execute(
        text("UPDATE frameworks SET state = 'active', published_by = :by, activated_at = :at WHERE id = :id"),
        {"id": framework_id, "by": by, "at": at},
    )


async def propose(tx: Transaction, framework_id: str, by: str, digest: str) -> bool:
    """Somebody asked for it to be published; to write the draft anew withdraws that. False where it was meanwhile."""
    statement = text("""
        UPDATE frameworks SET proposed_by = :by WHERE id = :id AND state = 'draft' AND digest = :digest RETURNING id
    """)
    return await tx.row(statement, {"id": framework_id, "by": by, "digest": digest}) is not None


async def close(tx: Transaction, framework_id: str, at: datetime, superseded_by: str) -> None:
    """From `at` on nobody new comes under it."""
    await tx.execute(
        text("UPDATE frameworks SET closed_at = :at, superseded_by = cast(:by AS uuid) WHERE id = :id"),
        {"id": framework_id, "at": at, "by": superseded_by},
    )


async def retire(tx: Transaction, framework_id: str, at: datetime) -> None:
    """From `at` on it awards nobody."""
    await tx.execute(
        text("UPDATE frameworks SET retired_at = :at, closed_at = least(closed_at, :at) WHERE id = :id"),
        {"id": framework_id, "at": at},
    )


async def changed_since(tx: Transaction, tenant: str, qualifications: Collection[str], at: datetime) -> bool:
    """Whether any version of the qualifications was published, closed or retired after that."""
    row = await tx.row(
        text("""
            SELECT id FROM frameworks
             WHERE tenant_id = :tenant AND qualification = ANY (:names) AND state = 'active'
               AND greatest(activated_at, closed_at, retired_at) > :at LIMIT 1
        """),
        {"tenant": tenant, "names": sorted(qualifications), "at": at},
    )
    return row is not None


async def keys(tx: Transaction, framework_id: str) -> list[str]:
    rows = await tx.rows(text("SELECT key FROM framework_index WHERE framework_id = :id"), {"id": framework_id})
    return [row["key"] for row in rows]


async def set_keys(tx: Transaction, tenant: str, framework_id: str, keys: Iterable[str]) -> None:
    """The keys under which a published framework is found. Never fewer than before."""
    await tx.execute(
        text("""
            INSERT INTO framework_index (tenant_id, key, framework_id)
            SELECT :tenant, key, :id FROM unnest(cast(:keys AS text[])) AS u (key) ON CONFLICT DO NOTHING
        """),
        {"tenant": tenant, "id": framework_id, "keys": sorted(keys)},
    )


@dataclass(frozen=True, slots=True)
class Life:
    """What may change about a published framework: see `Published`."""

    closed_at: datetime | None
    retired_at: datetime | None


async def touched(
    tx: Transaction,
    keys: Mapping[str, Collection[str]],
    qualifications: Mapping[str, Collection[str]],
    now: datetime,
    *,
    coming: bool = False,
) -> dict[str, Life]:
    """By id, the published frameworks in force that a credential with any of the `keys` can touch, by tenant, and those
    of the `qualifications`: every version of a qualification of which one can be touched, because the best of those
    allowed decides. Those that are yet to come into force too, where `coming` is asked for. One query for a batch."""
    pairs = [(tenant, key) for tenant, some in sorted(keys.items()) for key in sorted(some)]
    named = [(tenant, name) for tenant, some in sorted(qualifications.items()) for name in sorted(some)]
    if not pairs and not named:
        return {}
    rows = await tx.fetch(
        _TOUCHED,
        coming=coming,
        tenants=[tenant for tenant, _ in pairs],
        keys=[key for _, key in pairs],
        owners=[tenant for tenant, _ in named],
        names=[name for _, name in named],
        now=now,
    )
    return {row["id"]: Life(row["closed_at"], row["retired_at"]) for row in rows}


_TOUCHED: Final = Sql("""
    SELECT f.id::text, f.closed_at, f.retired_at
      FROM (SELECT t.tenant_id, t.qualification
              FROM unnest(cast(:tenants AS text[]), cast(:keys AS text[])) AS u (tenant, key)
              JOIN framework_index i ON i.tenant_id = u.tenant AND i.key = u.key
              JOIN frameworks t ON t.id = i.framework_id
             UNION
            SELECT * FROM unnest(cast(:owners AS text[]), cast(:names AS text[]))) q (tenant, qualification)
      JOIN frameworks f ON f.tenant_id = q.tenant AND f.qualification = q.qualification
     WHERE f.state = 'active'
       AND (cast(:coming AS bool) OR f.effective_from IS NULL OR f.effective_from <= cast(:now AS timestamptz))
""")


async def read_with(tx: Transaction, room: ReadingRoom, lives: Mapping[str, Life]) -> dict[str, Published]:
    """As `read`, with what may have changed about them."""
    return {
        id_: replace(found, closed_at=lives[id_].closed_at, retired_at=lives[id_].retired_at)
        for id_, found in (await read(tx, room, lives.keys())).items()
    }


async def read(tx: Transaction, room: ReadingRoom, ids: Collection[str]) -> dict[str, Published]:
    """Published frameworks by id; only those that were not read before are asked for."""
    if missing := room.missing(ids):
        statement = (
            f"SELECT {_COLUMNS} FROM frameworks f WHERE f.id = ANY (cast(:ids AS uuid[])) AND f.state = 'active'"  # noqa: S608
        )
        for row in await tx.rows(text(statement).columns(body=JSONB()), {"ids": missing}):
            room.add(published(row))
    return {id_: found for id_ in sorted(ids) if (found := room.get(id_)) is not None}


def published(row: RowMapping) -> Published:
    framework = parse_framework(row["body"])
    nested = frozenset(leaf.qualification for leaf in framework.leaves if leaf.qualification is not None)
    return Published(
        id=str(row["id"]),
        tenant=row["tenant_id"],
        framework=framework,
        achievement=row["achievement"],
        activated_at=row["activated_at"],
        nested=nested,
        months=months_counted(row["body"]),
        names=frozenset(strings(row["body"])),
    )


async def awards(tx: Transaction, nested: Mapping[str, Collection[str]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """By tenant and qualification, the achievements that its published versions award. Only a tenant's own: otherwise
    another could publish under the name of its qualification, and award what fills it."""
    pairs = [(tenant, name) for tenant, names in sorted(nested.items()) for name in sorted(names)]
    known: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    if not pairs:
        return known
    rows = await tx.rows(
        text("""
            SELECT f.tenant_id, f.qualification, array_agg(DISTINCT f.achievement) AS achievements
              FROM unnest(cast(:tenants AS text[]), cast(:names AS text[])) AS u (tenant, name)
              JOIN frameworks f ON f.tenant_id = u.tenant AND f.qualification = u.name
             WHERE f.state = 'active' GROUP BY f.tenant_id, f.qualification
        """),
        {"tenants": [tenant for tenant, _ in pairs], "names": [name for _, name in pairs]},
    )
    for row in rows:
        known[row["tenant_id"]][row["qualification"]] = tuple(sorted(row["achievements"]))
    return known


async def nesting(tx: Transaction) -> dict[str, set[str]]:
    """The published qualifications, and those that they nest."""
    rows = await tx.rows(
        text("""
            SELECT f.qualification, i.key FROM frameworks f
              LEFT JOIN framework_index i ON i.framework_id = f.id AND i.key LIKE 'qualification:%'
             WHERE f.state = 'active'
        """)
    )
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row["qualification"]].update([row["key"].removeprefix("qualification:")] if row["key"] else [])
    return found


async def nesting_in(tx: Transaction, tenant: str, qualification: str) -> set[str]:
    """Published frameworks of the tenant that nest the qualification."""
    rows = await tx.rows(
        text("SELECT framework_id AS id FROM framework_index WHERE tenant_id = :tenant AND key = :key"),
        {"tenant": tenant, "key": f"qualification:{qualification}"},
    )
    return {str(row["id"]) for row in rows}
