"""The latest audit of each learner against each framework, and the awards that came of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.sql import Sql
from cairn.pathways.domain import Award

_AWARD: Final = """
    tenant_id, id, learner_id, qualification, version, ordinal, achievement, state, earned_at, components, digest, due,
    replaces, reason, changed_at
"""


@dataclass(frozen=True, slots=True)
class Latest:
    """What is stored of a learner's latest audit against a framework. `progress` is from 0 to 1."""

    tenant: str
    learner: str
    framework: str
    status: str
    progress: Decimal
    digest: str


@dataclass(frozen=True, slots=True)
class NewAudit(Latest):
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewAward:
    award: Award
    achievement: str
    reason: str


async def latest(tx: Transaction, learners: Collection[str]) -> dict[tuple[str, str], Latest]:
    """By learner and framework."""
    rows = await tx.fetch(_LATEST, ids=list(learners))
    return {(row["learner_id"], row["framework"]): Latest(*row.values()) for row in rows}


_LATEST: Final = Sql("""
    SELECT tenant_id, learner_id, framework_id::text AS framework, status, progress, digest FROM audits
     WHERE learner_id = ANY (cast(:ids AS text[]))
""")


async def save(tx: Transaction, audits: Sequence[NewAudit]) -> None:
    if not audits:
        return
    await tx.fetch(
        _SAVE,
        tenants=[each.tenant for each in audits],
        learners=[each.learner for each in audits],
        frameworks=[each.framework for each in audits],
        statuses=[each.status for each in audits],
        progress=[each.progress for each in audits],
        digests=[each.digest for each in audits],
        documents=[orjson.dumps(each.document).decode() for each in audits],
    )


_SAVE: Final = Sql("""
    INSERT INTO audits (tenant_id, learner_id, framework_id, status, progress, digest, document)
    SELECT * FROM unnest(cast(:tenants AS text[]), cast(:learners AS text[]), cast(:frameworks AS uuid[]),
                         cast(:statuses AS text[]), cast(:progress AS numeric[]), cast(:digests AS text[]),
                         cast(:documents AS jsonb[]))
    ON CONFLICT (learner_id, framework_id) DO UPDATE
       SET status = excluded.status, progress = excluded.progress, digest = excluded.digest,
           document = excluded.document
""")


async def forget(tx: Transaction, places: Collection[tuple[str, str]]) -> None:
    """Audits (learner, framework) that there is no longer any reason for."""
    if not places:
        return
    await tx.execute(
        text("""
            DELETE FROM audits a USING unnest(cast(:learners AS text[]), cast(:frameworks AS uuid[])) AS u (l, f)
             WHERE a.learner_id = u.l AND a.framework_id = u.f
        """),
        {"learners": [place[0] for place in places], "frameworks": [place[1] for place in places]},
    )


async def forget_learners(tx: Transaction, learners: Collection[str]) -> None:
    """Every audit of learners about whom nothing is concluded any more."""
    if learners:
        await tx.execute(text("DELETE FROM audits WHERE learner_id = ANY (:ids)"), {"ids": list(learners)})


async def awards(tx: Transaction, learners: Collection[str]) -> dict[tuple[str, str], Award]:
    """The latest award of each learner and qualification."""
    rows = await tx.fetch(_AWARDS, ids=list(learners))
    return {(row["learner_id"], row["qualification"]): award_of(row) for row in rows}


_AWARDS: Final = Sql(f"""
    SELECT DISTINCT ON (learner_id, qualification) {_AWARD} FROM awards
     WHERE learner_id = ANY (cast(:ids AS text[])) ORDER BY learner_id, qualification, ordinal DESC
""")  # noqa: S608


async def save_awards(tx: Transaction, new: Sequence[NewAward], at: datetime) -> None:
    if not new:
        return
    columns: dict[str, list[Any]] = defaultdict(list)
    for each in new:
        award = each.award
        row: dict[str, Any] = {
            "tenant": award.tenant,
            "id": award.id,
            "learner": award.learner,
            "qualification": award.qualification,
            "version": award.version,
            "ordinal": award.ordinal,
            "achievement": each.achievement,
            "state": award.state,
            "earned_at": award.earned_at,
            "components": orjson.dumps(award.components).decode(),
            "digest": award.digest,
            "due": award.due,
            "replaces": award.replaces,
            "reason": each.reason,
        }
        for name, value in row.items():
            columns[name].append(value)
    await tx.fetch(_SAVE_AWARDS, **columns, at=at)


_SAVE_AWARDS: Final = Sql("""
    INSERT INTO awards (tenant_id, id, learner_id, qualification, version, ordinal, achievement, state, earned_at,
                        components, digest, due, replaces, reason, changed_at)
    SELECT u.*, cast(:at AS timestamptz)
      FROM unnest(cast(:tenant AS text[]), cast(:id AS uuid[]), cast(:learner AS text[]),
                  cast(:qualification AS text[]), cast(:version AS text[]), cast(:ordinal AS int[]),
                  cast(:achievement AS text[]), cast(:state AS text[]), cast(:earned_at AS timestamptz[]),
                  cast(:components AS jsonb[]), cast(:digest AS text[]), cast(:due AS timestamptz[]),
                  cast(:replaces AS uuid[]), cast(:reason AS text[])) AS u
    ON CONFLICT (id) DO UPDATE
       SET state = excluded.state, components = excluded.components, digest = excluded.digest,
           due = excluded.due, reason = excluded.reason, changed_at = excluded.changed_at
""")


async def awards_of(tx: Transaction, learner_id: str) -> Sequence[RowMapping]:
    """Every award of the learner, lapsed ones included."""
    statement = f"SELECT {_AWARD} FROM awards WHERE learner_id = :learner ORDER BY qualification, ordinal"  # noqa: S608
    return await tx.rows(text(statement).columns(components=JSONB()), {"learner": learner_id})


async def award(tx: Transaction, award_id: str) -> RowMapping | None:
    statement = f"SELECT {_AWARD} FROM awards WHERE id = :id"  # noqa: S608
    return await tx.row(text(statement).columns(components=JSONB()), {"id": award_id})


async def awards_by(
    tx: Transaction, qualification: str, version: str, after: str | None, limit: int
) -> Sequence[RowMapping]:
    """Awards of one version of a qualification, lapsed ones included, in the order of ids."""
    statement = f"""
        SELECT {_AWARD} FROM awards
         WHERE qualification = :qualification AND version = :version
           AND (cast(:after AS uuid) IS NULL OR id > cast(:after AS uuid)) ORDER BY id LIMIT :limit
    """  # noqa: S608
    parameters = {"qualification": qualification, "version": version, "after": after, "limit": limit}
    return await tx.rows(text(statement).columns(components=JSONB()), parameters)


async def in_review(tx: Transaction, limit: int) -> Sequence[RowMapping]:
    """Awards that wait for a registrar, the longest first."""
    statement = f"SELECT {_AWARD} FROM awards WHERE state = 'review' ORDER BY changed_at, id LIMIT :limit"  # noqa: S608
    return await tx.rows(text(statement).columns(components=JSONB()), {"limit": limit})


async def unsigned(tx: Transaction, seconds: float, limit: int) -> Sequence[RowMapping]:
    """Awards that have stood for so long, and of whose credential nothing was heard; the longest first."""
    statement = f"""
        SELECT {_AWARD} FROM awards
         WHERE state = 'active' AND changed_at < now() - make_interval(secs => :seconds)
           AND NOT EXISTS (SELECT FROM holdings h WHERE h.award_id = awards.id::text)
         ORDER BY changed_at, id LIMIT :limit
    """  # noqa: S608
    return await tx.rows(text(statement).columns(components=JSONB()), {"seconds": seconds, "limit": limit})


def award_of(row: RowMapping | Mapping[str, Any]) -> Award:
    return Award(
        id=str(row["id"]),
        tenant=row["tenant_id"],
        learner=row["learner_id"],
        qualification=row["qualification"],
        version=row["version"],
        ordinal=row["ordinal"],
        state=row["state"],
        earned_at=row["earned_at"],
        components=tuple(row["components"]),
        digest=row["digest"],
        due=row["due"],
        replaces=None if row["replaces"] is None else str(row["replaces"]),
    )
