"""What was heard: learners, their holdings, the status of those, and who is the same person elsewhere.

Every write is of a set or takes the later of two, so that the order and the number of the events do not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import text

from cairn.common.db import Transaction
from cairn.common.sql import Sql
from cairn.pathways.domain import Holding, State, StatusEntry, holding_keys, stored_holding

REBUILD: Final = 0x7061_7468  # "path"
"""The lock that batches share, and that publications and rebuilds have alone: each sees all of another, or nothing."""


@dataclass(frozen=True, slots=True)
class NewHolding:
    """A credential as it was announced. `award` names the award whose qualification it is, if it is one."""

    tenant: str
    learner: str
    holding: Holding
    award: str | None


@dataclass(frozen=True, slots=True)
class NewStatus:
    tenant: str
    holding: str
    at: datetime
    state: str
    event: str


@dataclass(frozen=True, slots=True)
class NewLink:
    """A merge (`merged` true) or its end."""

    tenant: str
    learner: str
    source_tenant: str
    alias: str
    consent: str
    at: datetime
    merged: bool


@dataclass(frozen=True, slots=True)
class Link:
    """`alias`, a learner of `source_tenant`, counts as `learner` of `tenant` while `active`."""

    tenant: str
    learner: str
    source_tenant: str
    alias: str
    active: bool
    changed_at: datetime

    @property
    def within(self) -> bool:
        """Whether it makes one learner of two of one institution."""
        return self.active and self.tenant == self.source_tenant


@dataclass(frozen=True, slots=True)
class Held:
    """A holding, with its status, and the learner under whose id it came."""

    tenant: str
    learner: str
    award: str | None
    holding: Holding


@dataclass(frozen=True, slots=True)
class Learner:
    id: str
    tenant: str
    erased: bool


async def exclude(tx: Transaction) -> None:
    """Wait for batches that are under way, and hold off others until this transaction ends."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": REBUILD})


async def lock_learners(tx: Transaction, learners: Mapping[str, str]) -> dict[str, Learner]:
    """The learners' rows (id to tenant), made where they are new, held until the transaction ends.

    Always in the order of ids, so that two batches never wait in a circle. A row under another tenant is left out.
    """
    await add_learners(tx, learners)
    return {who: each for who, each in (await lock_known(tx, learners)).items() if each.tenant == learners[who]}


async def add_learners(tx: Transaction, learners: Mapping[str, str]) -> None:
    ids = sorted(learners)
    await tx.fetch(_ADD_LEARNERS, ids=ids, tenants=[learners[id_] for id_ in ids])


_ADD_LEARNERS: Final = Sql("""
    INSERT INTO learners (tenant_id, id)
    SELECT tenant, id FROM unnest(cast(:tenants AS text[]), cast(:ids AS text[])) AS u (tenant, id) ORDER BY id
    ON CONFLICT DO NOTHING
""")


async def lock_known(tx: Transaction, learners: Collection[str]) -> dict[str, Learner]:
    """As `lock_learners`, of those who have a row, whichever tenant in scope they are of."""
    return {
        row["id"]: Learner(row["id"], row["tenant_id"], row["erased_at"] is not None)
        for row in await tx.fetch(_LOCK, ids=sorted(learners))
    }


_LOCK: Final = Sql("""
    SELECT tenant_id, id, erased_at FROM learners WHERE id = ANY (cast(:ids AS text[])) ORDER BY id FOR UPDATE
""")


async def learner(tx: Transaction, learner_id: str) -> Learner | None:
    row = await tx.row(
        text("SELECT tenant_id, id, erased_at FROM learners WHERE id = :id"),
        {"id": learner_id},
    )
    return Learner(row["id"], row["tenant_id"], row["erased_at"] is not None) if row else None


async def learners(tx: Transaction, ids: Collection[str]) -> dict[str, Learner]:
    """Those that are known, in the order of ids; without those whom a merge made part of another."""
    rows = await tx.rows(
        text("""
            SELECT l.tenant_id, l.id, l.erased_at FROM learners l
             WHERE l.id = ANY (:ids) AND l.erased_at IS NULL AND NOT EXISTS (
                   SELECT FROM aliases a WHERE a.alias_id = l.id AND a.active
                      AND a.tenant_id = l.tenant_id AND a.source_tenant_id = l.tenant_id)
             ORDER BY l.id
        """),
        {"ids": list(ids)},
    )
    return {row["id"]: Learner(row["id"], row["tenant_id"], erased=False) for row in rows}


async def links(tx: Transaction, learners: Collection[str]) -> list[Link]:
    """Every link, active or not, that any of the learners has a part in."""
    return [
        Link(row["tenant_id"], row["learner_id"], row["source_tenant_id"], row["alias_id"], row["active"], row["at"])
        for row in await tx.fetch(_LINKS, ids=list(learners))
    ]


_LINKS: Final = Sql("""
    SELECT tenant_id, learner_id, source_tenant_id, alias_id, active, greatest(merged_at, unmerged_at) AS at
      FROM aliases WHERE learner_id = ANY (cast(:ids AS text[])) OR alias_id = ANY (cast(:ids AS text[]))
     ORDER BY learner_id, alias_id
""")


async def related(tx: Transaction, learners: Collection[str]) -> dict[str, str]:
    """Who is audited along with the learners, or whose award is, with their tenants: the survivors of active merges,
    and who else was merged into those, or into the learners, within one tenant."""
    return (await company(tx, learners))[0]


async def company(tx: Transaction, learners: Collection[str]) -> tuple[dict[str, str], set[str]]:
    """Those `related` to the learners, and which of the learners and of those have a row already."""
    rows = await tx.fetch(_COMPANY, ids=list(learners))
    found = {row["id"]: row["tenant_id"] for row in rows if row["tenant_id"] is not None}
    return found, {row["id"] for row in rows if row["known"]}


_COMPANY: Final = Sql("""
    WITH wanted AS (SELECT unnest(cast(:ids AS text[])) AS id),
    survivors AS (
        SELECT tenant_id, learner_id FROM aliases WHERE active AND alias_id = ANY (cast(:ids AS text[]))),
    found AS (
        SELECT NULL AS tenant_id, id FROM wanted
         UNION ALL
        SELECT tenant_id, learner_id FROM survivors
         UNION ALL
        SELECT tenant_id, alias_id FROM aliases
         WHERE active AND tenant_id = source_tenant_id
           AND (learner_id = ANY (cast(:ids AS text[])) OR learner_id IN (SELECT learner_id FROM survivors)))
    SELECT f.tenant_id, f.id, l.id IS NOT NULL AS known FROM found f LEFT JOIN learners l ON l.id = f.id
""")


def related_by(links: Sequence[Link], learners: Collection[str]) -> dict[str, str]:
    """As `related`, by links that were read: those of the learners, and of the survivors that are known of."""
    active = [link for link in links if link.active]
    survivors = {link.learner: link.tenant for link in active if link.alias in learners}
    heads = {*learners, *survivors}
    return survivors | {link.alias: link.tenant for link in active if link.within and link.learner in heads}


async def add(tx: Transaction, holdings: Sequence[NewHolding], statuses: Sequence[NewStatus]) -> None:
    """Holdings and statuses, in one statement."""
    if not holdings and not statuses:
        return
    await tx.fetch(
        _ADD,
        tenants=[each.tenant for each in holdings],
        ids=[each.holding.id for each in holdings],
        learners=[each.learner for each in holdings],
        awards=[each.award for each in holdings],
        bodies=[each.holding.body.decode() for each in holdings],
        # PostgreSQL's arrays of arrays are rectangles, so the keys of a row travel as JSON.
        keys=[orjson.dumps(sorted(holding_keys(each.holding))).decode() for each in holdings],
        of=[each.tenant for each in statuses],
        holdings=[each.holding for each in statuses],
        ats=[each.at for each in statuses],
        states=[each.state for each in statuses],
        events=[each.event for each in statuses],
    )


_ADD: Final = Sql("""
    WITH held AS (
        INSERT INTO holdings (tenant_id, id, learner_id, achievement, award_id, body, keys)
        SELECT tenant, id, learner, body->>'achievement', award, body, ARRAY(SELECT jsonb_array_elements_text(keys))
          FROM unnest(cast(:tenants AS text[]), cast(:ids AS text[]), cast(:learners AS text[]),
                      cast(:awards AS text[]), cast(:bodies AS jsonb[]), cast(:keys AS jsonb[]))
            AS u (tenant, id, learner, award, body, keys)
         ORDER BY id
        ON CONFLICT DO NOTHING)
    INSERT INTO holding_status (tenant_id, holding_id, at, state, event_id)
    SELECT *
      FROM unnest(cast(:of AS text[]), cast(:holdings AS text[]), cast(:ats AS timestamptz[]),
                  cast(:states AS text[]), cast(:events AS uuid[])) AS u (tenant, holding, at, state, event)
     ORDER BY holding, tenant, at, state
    ON CONFLICT DO NOTHING
""")


async def add_links(tx: Transaction, new: Sequence[NewLink]) -> None:
    """Of several merges or ends the last by `at` counts; the consent is that of the last merge."""
    if not new:
        return
    latest: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for each in sorted(new, key=lambda link: (link.at, link.consent)):
        row = latest[each.learner, each.alias]
        row |= {"tenant": each.tenant, "learner": each.learner, "source": each.source_tenant, "alias": each.alias}
        row["merged" if each.merged else "unmerged"] = each.at
        if each.merged or "consent" not in row:
            row["consent"] = each.consent
    names = ("tenant", "learner", "source", "alias", "consent", "merged", "unmerged")
    await tx.execute(
        text("""
            INSERT INTO aliases AS a (tenant_id, learner_id, source_tenant_id, alias_id, consent, merged_at,
                                      unmerged_at)
            SELECT * FROM unnest(cast(:tenant AS text[]), cast(:learner AS text[]), cast(:source AS text[]),
                                 cast(:alias AS text[]), cast(:consent AS text[]), cast(:merged AS timestamptz[]),
                                 cast(:unmerged AS timestamptz[]))
                AS u (tenant, learner, source, alias, consent, merged, unmerged)
             ORDER BY learner, alias
            ON CONFLICT (learner_id, alias_id) DO UPDATE
               SET consent = CASE
                       WHEN excluded.merged_at IS NOT NULL AND a.merged_at IS NULL
                         OR (excluded.merged_at, excluded.consent) > (a.merged_at, a.consent)
                       THEN excluded.consent ELSE a.consent END,
                   merged_at = greatest(a.merged_at, excluded.merged_at),
                   unmerged_at = greatest(a.unmerged_at, excluded.unmerged_at)
        """),
        {name: [row.get(name) for row in latest.values()] for name in names},
    )


async def erase(tx: Transaction, learners: Mapping[str, datetime]) -> None:
    """Nothing is concluded about the learners any more. Facts stay, under a pseudonym that leads to nobody."""
    if not learners:
        return
    await tx.execute(
        text("""
            UPDATE learners l SET erased_at = coalesce(least(l.erased_at, u.at), u.at)
              FROM unnest(cast(:ids AS text[]), cast(:ats AS timestamptz[])) AS u (id, at) WHERE l.id = u.id
        """),
        {"ids": list(learners), "ats": list(learners.values())},
    )


async def enrol(tx: Transaction, tenant: str, learner: str, qualification: str, at: datetime, by: str) -> None:
    """The first enrolment counts."""
    await tx.execute(
        text("""
            INSERT INTO enrolments AS e (tenant_id, learner_id, qualification, at, by)
            VALUES (:tenant, :learner, :qualification, :at, :by)
            ON CONFLICT (learner_id, qualification) DO UPDATE SET at = excluded.at, by = excluded.by
             WHERE excluded.at < e.at
        """),
        {"tenant": tenant, "learner": learner, "qualification": qualification, "at": at, "by": by},
    )


async def enrolments(tx: Transaction, learners: Collection[str]) -> dict[str, dict[str, datetime]]:
    """When each learner first enrolled for each qualification, as far as that was said."""
    found: dict[str, dict[str, datetime]] = defaultdict(dict)
    for row in await tx.fetch(_ENROLMENTS, ids=list(learners)):
        found[row["learner_id"]][row["qualification"]] = row["at"]
    return found


_ENROLMENTS: Final = Sql("""
    SELECT learner_id, qualification, at FROM enrolments WHERE learner_id = ANY (cast(:ids AS text[]))
""")


async def page_of_learners(tx: Transaction, after: str, limit: int) -> list[Learner]:
    rows = await tx.rows(
        text("SELECT tenant_id, id, erased_at FROM learners WHERE id > :after ORDER BY id LIMIT :limit"),
        {"after": after, "limit": limit},
    )
    return [Learner(row["id"], row["tenant_id"], row["erased_at"] is not None) for row in rows]


async def count_learners(tx: Transaction) -> int:
    [row] = await tx.rows(text("SELECT count(*) AS many FROM learners"))
    return row["many"]


async def clear(tx: Transaction) -> None:
    """Forget what can be heard again, and what was concluded from it; not the awards, which were announced."""
    for table in ("audits", "due", "holding_status", "holdings", "aliases", "achievements", "learners"):
        await tx.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - the names are ours


async def holdings_of(tx: Transaction, learners: Collection[str]) -> dict[str, list[Held]]:
    """All that came under the ids of the learners and may be read, by learner, in the order of ids."""
    held: dict[str, list[Held]] = defaultdict(list)
    for row in await tx.fetch(_HOLDINGS, ids=list(learners)):
        entries = zip(row["ats"] or (), row["states"] or (), strict=True)
        status = tuple(StatusEntry(at, State(state)) for at, state in entries)
        holding = stored_holding(row["body"], status)
        held[row["learner_id"]].append(Held(row["tenant_id"], row["learner_id"], row["award_id"], holding))
    return held


_HOLDINGS: Final = Sql("""
    SELECT h.tenant_id, h.learner_id, h.award_id, h.body, s.ats, s.states
      FROM holdings h
      LEFT JOIN LATERAL (
            SELECT array_agg(s.at ORDER BY s.at, s.state) AS ats, array_agg(s.state ORDER BY s.at, s.state) AS states
              FROM holding_status s WHERE s.holding_id = h.id AND s.tenant_id = h.tenant_id) s ON true
     WHERE h.learner_id = ANY (cast(:ids AS text[])) ORDER BY h.id
""")


async def known(tx: Transaction, holdings: Collection[str]) -> set[str]:
    """Those of the ids that are holdings which may be read."""
    rows = await tx.rows(text("SELECT id FROM holdings WHERE id = ANY (:ids)"), {"ids": list(holdings)})
    return {row["id"] for row in rows}


async def signed(tx: Transaction, award: str) -> bool:
    """Whether the credential of an award was heard of."""
    return bool(await tx.rows(text("SELECT id FROM holdings WHERE award_id = :award"), {"award": award}))
