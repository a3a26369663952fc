"""The state of the service as one number: what two runs over the same events must agree on.

It covers holdings, their status, merges, the latest audits, and who holds which qualification. It leaves out what is
history: when a thing was heard, by which event, and awards that lapsed on the way.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.instants import format_instant

_PARTS: Final = {
    "learners": """
        SELECT tenant_id, id, erased_at FROM learners ORDER BY id COLLATE "C"
    """,
    "holdings": """
        SELECT tenant_id, learner_id, id, award_id, body FROM holdings ORDER BY id COLLATE "C"
    """,
    "statuses": """
        SELECT tenant_id, holding_id, at, state FROM holding_status
         ORDER BY holding_id COLLATE "C", tenant_id COLLATE "C", at, state COLLATE "C"
    """,
    "aliases": """
        SELECT tenant_id, learner_id, source_tenant_id, alias_id, consent, merged_at, unmerged_at FROM aliases
         ORDER BY learner_id COLLATE "C", alias_id COLLATE "C"
    """,
    "achievements": """
        SELECT tenant_id, id, body, retired_at FROM achievements ORDER BY tenant_id COLLATE "C", id COLLATE "C"
    """,
    "audits": """
        SELECT a.tenant_id, a.learner_id, f.qualification, f.version, a.status, a.digest,
               a.document->'allocation' AS body
          FROM audits a JOIN frameworks f ON f.id = a.framework_id
         ORDER BY a.learner_id COLLATE "C", f.qualification COLLATE "C", f.version COLLATE "C"
    """,
    # Under the survivor's name: which of two merged learners was awarded depends on which was heard of first. Without
    # those of the erased, about whom nothing is concluded any more: whether it was before depends on the order too.
    "awards": """
        SELECT DISTINCT w.tenant_id, coalesce(a.learner_id, w.learner_id) COLLATE "C" AS learner,
               w.qualification COLLATE "C" AS qualification
          FROM awards w
          LEFT JOIN aliases a ON a.alias_id = w.learner_id AND a.active AND a.tenant_id = w.tenant_id
                             AND a.source_tenant_id = w.tenant_id
          JOIN learners l ON l.id = w.learner_id AND l.erased_at IS NULL
         WHERE w.state = 'active' ORDER BY 2, 3, 1
    """,
}


async def state_hash(tx: Transaction) -> str:
    """SHA-256, in hexadecimal, of the state in the transaction's scope; the same for every order, repetition and replay
    of the same events. Rows are streamed."""
    whole = sha256()
    for part, query in _PARTS.items():
        whole.update(f"{part}\n".encode())
        statement = text(query)
        if " body" in query.split("FROM", 1)[0]:
            statement = statement.columns(body=JSONB())
        async with tx.connection.stream(statement) as rows:
            async for row in rows:
                whole.update(orjson.dumps(list(row), default=_plain, option=orjson.OPT_SORT_KEYS) + b"\n")
    return whole.hexdigest()


def _plain(value: Any) -> str:
    return format_instant(value) if hasattr(value, "tzinfo") else str(value)
