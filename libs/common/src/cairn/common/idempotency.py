"""`Idempotency-Key`: the same request under the same key gets the same answer, once (R7).

A key counts within tenant, principal and route, so that one caller's key never shows another's answer (S37). The answer
is stored in the transaction of the work itself, sealed, and expires after a day (S36).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.auth import Principal
from cairn.common.db import Transaction
from cairn.common.problem import DomainError
from cairn.common.vault import Vault

_KEPT: Final = timedelta(hours=24)
_MAX_KEY: Final = 255


class KeyReused(DomainError):
    code = "idempotency-key-reused"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]


class Idempotency:
    """One request's key. With no key, everything here does nothing."""

    def __init__(self, vault: Vault, principal: Principal, route: str, key: str | None, request: bytes) -> None:
        if key is not None and not (0 < len(key) <= _MAX_KEY and key.isprintable()):
            raise DomainError(
                f"An idempotency key has 1 to {_MAX_KEY} printable characters.",
                field="/header/Idempotency-Key",
                fix="Use a UUID, say.",
            )
        self._vault = vault
        self._key = key
        self._digest = sha256(request).digest()
        self._place = f"saved_answers:{principal.tenant}:{principal.id}:{route}:{key}"
        self._row = {"tenant": principal.tenant, "principal": principal.id, "route": route, "key": key}

    async def saved(self, tx: Transaction) -> Answer | None:
        """The answer given before, or None. A second request under the same key waits here for the first.

        Raises KeyReused where the body differs.
        """
        if self._key is None:
            return None
        # Taken before anything is read: of fifty requests in parallel, one works and the others find its answer.
        await tx.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:place, 0))"), {"place": self._place})
        row = await tx.row(_FIND, self._row)
        if row is None:
            return None
        if row["request_digest"] != self._digest:
            raise KeyReused(
                "This idempotency key came with another request before.",
                field="/header/Idempotency-Key",
                fix="Use a new key for a new request.",
            )
        return Answer(row["status"], self._vault.open_own(row["body"], self._place), row["headers"])

    async def save(self, tx: Transaction, answer: Answer) -> None:
        """Keep the answer, in the transaction of the work that it reports."""
        if self._key is None:
            return
        await tx.execute(
            _SAVE,
            {
                **self._row,
                "digest": self._digest,
                "status": answer.status,
                "headers": dict(answer.headers),
                "body": self._vault.seal_own(answer.body, self._place),
                "kept": _KEPT,
            },
        )


_FIND: Final = text("""
    SELECT request_digest, status, headers, body FROM saved_answers
     WHERE tenant_id = :tenant AND principal = :principal AND route = :route AND key = :key AND expires_at > now()
""")
_SAVE: Final = text("""
    INSERT INTO saved_answers (tenant_id, principal, route, key, request_digest, status, headers, body, expires_at)
    VALUES (:tenant, :principal, :route, :key, :digest, :status, :headers, :body, now() + :kept)
    ON CONFLICT (tenant_id, principal, route, key) DO UPDATE
       SET request_digest = excluded.request_digest, status = excluded.status, headers = excluded.headers,
           body = excluded.body, expires_at = excluded.expires_at
""").bindparams(bindparam("headers", type_=JSONB))
