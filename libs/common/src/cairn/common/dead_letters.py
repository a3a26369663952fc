"""Events that a consumer could not take: kept sealed, for their tenant's eyes, for thirty days (S36, R9).

A dead letter is put right by mending what made it fail and replaying it, through the handler that refused it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import text

from cairn.common.bus.contract import Record
from cairn.common.db import Database, Transaction
from cairn.common.events import Event, check_key, decode, fact_of, stable_id
from cairn.common.problem import DomainError
from cairn.common.vault import Vault

log = structlog.get_logger(__name__)

KEPT: Final = timedelta(days=30)

Handler = Callable[[Sequence[Event]], Awaitable[None]]
"""Takes events in its own transactions, which it commits itself; events that it has taken before change nothing."""


class NoDeadLetter(DomainError):
    """There is no such dead letter in this tenant, or none any more."""

    code = "not-found"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What can be said of a dead letter without opening it. `subject_key` is the event's key, a learner as a rule."""

    id: UUID
    tenant: str
    consumer: str
    topic: str
    partition: int
    position: int
    event_type: str | None
    subject_key: str | None
    code: str
    detail: str
    at: datetime
    expires_at: datetime
    replayed_at: datetime | None


async def store(
    tx: Transaction,
    vault: Vault,
    tenant: str,
    consumer: str,
    record: Record,
    *,
    code: str,
    detail: str,
    event_type: str,
) -> None:
    """Keep what this consumer could not take. A record that is kept already stays as it is, unless a replay had taken
    it: it is refused again, and unsettled.

    `detail` is stored in the clear and shown in lists: it must quote nothing of the event.
    """
    letter = _id(consumer, record)
    await tx.execute(
        _STORE,
        {
            "tenant": tenant,
            "id": letter,
            "consumer": consumer,
            "topic": record.topic,
            "partition": record.partition,
            "position": record.offset,
            "type": event_type or None,
            "key": record.key.replace("\0", "\ufffd"),  # the one character that PostgreSQL does not store
            "code": code,
            "detail": detail[:1000],
            "body": vault.seal_own(record.body, _place(letter)),
            "kept": KEPT,
        },
    )


async def listing(
    tx: Transaction,
    *,
    consumer: str | None = None,
    before: datetime | None = None,
    unsettled: bool = False,
    limit: int = 100,
) -> list[DeadLetter]:
    """Those in the transaction's scope, the newest first; `before` is the `at` of the last one of the page before, and
    `unsettled` leaves out what a replay has taken."""
    parameters = {"consumer": consumer, "before": before, "unsettled": unsettled, "limit": limit}
    rows = await tx.rows(_LIST, parameters)
    return [_letter(row) for row in rows]


async def opened(tx: Transaction, vault: Vault, letter: UUID, *, by: str) -> tuple[DeadLetter, bytes]:
    """One, with its body. `by` is who looks, which is logged. Raises NoDeadLetter, and the vault's Unreadable."""
    row = await tx.row(_OPEN, {"id": letter})
    if row is None:
        raise NoDeadLetter("There is no such dead letter.")
    log.info("dead letter opened", dead_letter=str(letter), tenant=row["tenant_id"], by=by)
    return _letter(row), vault.open_own(row["body"], _place(letter))


async def replay(
    database: Database, vault: Vault, tenant: str, letter: UUID, handlers: Mapping[str, Handler], *, by: str
) -> DeadLetter:
    """Give it to its consumer's handler once more; it is marked as replayed when that has taken it.

    Safe to repeat: what the handler has taken before changes nothing. Raises NoDeadLetter, MalformedEvent, and whatever
    the handler raises; then the letter stays as it was.
    """
    async with database.transaction(tenant) as tx:
        found, body = await opened(tx, vault, letter, by=by)
    handler = handlers.get(found.consumer)
    if handler is None:
        raise NoDeadLetter("Its consumer is not here any more.")
    event = decode(body)
    check_key(event, found.subject_key or "")
    fact_of(event)
    await handler([event])
    async with database.transaction(tenant) as tx:
        row = await tx.row(_REPLAYED, {"id": letter})
        await tx.commit()
    log.info("dead letter replayed", dead_letter=str(letter), tenant=tenant, by=by)
    return _letter(row) if row else found


async def erase(tx: Transaction, key: str) -> int:
    """Remove those about one learner, when the learner is erased; how many. PLATFORM is in the transaction's scope
    beside the learner's tenant: of what could not be read, nobody knew whose it was."""
    return (await tx.execute(text("DELETE FROM dead_letters WHERE subject_key = :key"), {"key": key})).rowcount


async def expire(tx: Transaction) -> int:
    """Remove what has expired; how many. In a transaction for EVERY_TENANT."""
    return (await tx.execute(text("DELETE FROM dead_letters WHERE expires_at < now()"))).rowcount


def _id(consumer: str, record: Record) -> UUID:
    return stable_id("dead-letter", consumer, record.topic, str(record.partition), str(record.offset))


def _place(letter: UUID) -> str:
    return f"dead_letters.body:{letter}"


def _letter(row: Mapping[Any, Any]) -> DeadLetter:
    names = ("consumer", "topic", "partition", "position", "event_type", "subject_key", "code", "detail")
    times = ("at", "expires_at", "replayed_at")
    return DeadLetter(UUID(str(row["id"])), row["tenant_id"], **{name: row[name] for name in (*names, *times)})


_STORE: Final = text("""
    WITH again AS (
        UPDATE dead_letters
           SET code = :code, detail = :detail, at = now(), expires_at = now() + :kept, replayed_at = NULL
         WHERE id = :id AND replayed_at IS NOT NULL)
    INSERT INTO dead_letters (tenant_id, id, consumer, topic, partition, position, event_type, subject_key,
                              code, detail, body, expires_at)
    VALUES (:tenant, :id, :consumer, :topic, :partition, :position, :type, :key, :code, :detail, :body, now() + :kept)
    ON CONFLICT (consumer, topic, partition, position) DO NOTHING
""")
# By name: what a later version adds to the table must not change what a statement that is in use answers.
_SHOWN: Final = """
    id, tenant_id, consumer, topic, partition, position, event_type, subject_key, code, detail, at, expires_at,
    replayed_at
"""
_LIST: Final = text(f"""
    SELECT {_SHOWN} FROM dead_letters
     WHERE (cast(:consumer AS text) IS NULL OR consumer = :consumer)
       AND (cast(:before AS timestamptz) IS NULL OR at < :before) AND expires_at > now()
       AND (NOT :unsettled OR replayed_at IS NULL)
     ORDER BY at DESC LIMIT :limit
""")  # noqa: S608
_OPEN: Final = text(f"SELECT {_SHOWN}, body FROM dead_letters WHERE id = :id AND expires_at > now()")  # noqa: S608
_REPLAYED: Final = text(f"UPDATE dead_letters SET replayed_at = now() WHERE id = :id RETURNING {_SHOWN}")  # noqa: S608
