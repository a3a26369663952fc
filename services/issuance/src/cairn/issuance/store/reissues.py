"""What a compromised key signed, and how far it has been signed anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping, text

from cairn.common.db import Transaction

_SIGNED: Final = "state = 'issued' AND status <> 'revoked'"
"""What is revoked need not verify."""
_WAITING: Final = """
    SELECT 1 FROM credentials
     WHERE tenant_id = :tenant AND state = 'intended' AND learner_id IS NOT NULL AND issued_at IS NOT NULL
"""
"""Signed before, and to be signed anew."""


async def start(tx: Transaction, tenant: str, key_id: str, principal: str) -> None:
    """Nothing where it was started before."""
    await tx.execute(
        text(f"""
            INSERT INTO reissues (tenant_id, key_id, principal, total)
            SELECT :tenant, :key, :principal, (SELECT count(*) FROM credentials WHERE tenant_id = :tenant AND {_SIGNED})
            ON CONFLICT (tenant_id, key_id) DO NOTHING
        """),  # noqa: S608
        {"tenant": tenant, "key": key_id, "principal": principal},
    )


async def progress(tx: Transaction, tenant: str, key_id: str) -> RowMapping | None:
    """With how many credentials wait for their new signature."""
    statement = text(f"""
        SELECT r.*, (SELECT count(*) FROM ({_WAITING}) w) AS waiting
          FROM reissues r WHERE tenant_id = :tenant AND key_id = :key
    """)  # noqa: S608
    return await tx.row(statement, {"tenant": tenant, "key": key_id})


async def take(tx: Transaction) -> RowMapping | None:
    """One that is not finished, with its institution's DID; others pass over it."""
    return await tx.row(
        text("""
            SELECT r.tenant_id, r.key_id, r.reached, i.did
              FROM reissues r JOIN institutions i USING (tenant_id)
             WHERE r.finished_at IS NULL ORDER BY random() LIMIT 1 FOR UPDATE OF r SKIP LOCKED
        """)
    )


async def batch(tx: Transaction, tenant: str, after: str, limit: int) -> Sequence[RowMapping]:
    """The next signed credentials of the institution, locked, each with the key of its learner or its own."""
    statement = text(f"""
        SELECT c.id, c.learner_id, c.body, CASE WHEN c.learner_id IS NULL THEN c.key ELSE l.key END AS key
          FROM (SELECT * FROM credentials WHERE tenant_id = :tenant AND id > :after AND {_SIGNED}
                 ORDER BY id LIMIT :limit FOR UPDATE) c
          LEFT JOIN learners l ON l.id = c.learner_id
         ORDER BY c.id
    """)  # noqa: S608
    return await tx.rows(statement, {"tenant": tenant, "after": after, "limit": limit})


async def advance(
    tx: Transaction, run: RowMapping, reached: str, *, examined: int, reissued: int, left_alone: int
) -> None:
    await tx.execute(
        text("""
            UPDATE reissues SET reached = :reached, examined = examined + :examined, reissued = reissued + :reissued,
                                left_alone = left_alone + :left_alone
             WHERE tenant_id = :tenant AND key_id = :key
        """),
        {
            "tenant": run["tenant_id"],
            "key": run["key_id"],
            "reached": reached,
            "examined": examined,
            "reissued": reissued,
            "left_alone": left_alone,
        },
    )


async def waiting(tx: Transaction, tenant: str, most: int) -> int:
    """How many have no new signature yet; counted up to `most`."""
    row = await tx.row(text(f"SELECT count(*) AS n FROM ({_WAITING} LIMIT :most) w"), {"tenant": tenant, "most": most})  # noqa: S608
    assert row is not None
    return row["n"]


async def finish(tx: Transaction, run: RowMapping, now: datetime) -> None:
    """Learner records that hold the old signatures are made when next asked for, those of other institutions, too."""
    mine = {"tenant": run["tenant_id"]}
    await tx.execute(
        text("""
            DELETE FROM learner_records r USING credentials q
             WHERE q.id = r.credential_id
               AND (q.tenant_id = :tenant OR EXISTS (
                    SELECT 1 FROM jsonb_array_elements_text(q.holding -> 'components') AS part (id)
                      JOIN credentials c ON c.id = part.id AND c.tenant_id = :tenant))
        """),
        mine,
    )
    await tx.execute(
        text("UPDATE reissues SET finished_at = :now WHERE tenant_id = :tenant AND key_id = :key"),
        mine | {"key": run["key_id"], "now": now},
    )
