"""Decisions: a chain of entries for each learner, and one for the institution (the learner ''), only ever added to.

Each entry carries a keyed digest over itself and the digest of the entry before it, made with a key that the database
does not hold. An entry that was edited, moved, or taken out from between others is noticed by whoever reads the chain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from cairn.common.db import Transaction
from cairn.common.instants import format_instant
from cairn.common.sql import Sql
from cairn.common.vault import Vault
from cairn.pathways.domain.canonical import canonical

INSTITUTION: Final = ""
"""In the place of a learner: what is decided for everybody."""

_COLUMNS: Final = (
    *("tenant_id", "id", "learner_id", "ordinal", "kind", "qualification", "body", "by", "at", "valid_until"),
    *("revokes", "sealed", "seal"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """`body` is what the kind says, in the shape of STACKING; `sealed` the reason and the evidence, which may name
    somebody, under the learner's key. `revokes` is the decision that an entry of the kind `revocation` ends."""

    tenant: str
    id: str
    learner: str
    ordinal: int
    kind: str
    qualification: str | None
    body: Mapping[str, Any]
    by: str
    at: datetime
    valid_until: datetime | None
    revokes: str | None
    sealed: bytes
    seal: bytes = b""

    def digest(self, vault: Vault, before: bytes) -> bytes:
        """What `seal` has to be, after an entry whose seal is `before` (empty for the first)."""
        return vault.blind(
            "decision/1",
            before.hex(),
            self.tenant,
            self.id,
            self.learner,
            str(self.ordinal),
            self.kind,
            self.qualification or "",
            canonical(self.body).decode(),
            self.by,
            format_instant(self.at),
            "" if self.valid_until is None else format_instant(self.valid_until),
            self.revokes or "",
            self.sealed.hex(),
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """Every entry, in order. `intact` false: somebody changed the table behind the service's back."""

    entries: tuple[Entry, ...] = ()
    intact: bool = True

    @property
    def revoked(self) -> dict[str, datetime]:
        """When each decision that was revoked was."""
        return {each.revokes: each.at for each in self.entries if each.revokes is not None}


async def chains(
    tx: Transaction, vault: Vault, learners: Collection[str], tenants: Collection[str]
) -> dict[tuple[str, str], Chain]:
    """By tenant and learner, the chains of the learners and of the institutions. One query for a batch."""
    found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for row in await tx.fetch(_CHAINS, ids=list(learners), tenants=list(tenants)):
        found[row["tenant_id"], row["learner_id"]].append(_entry(row))
    return {place: Chain(tuple(entries), _intact(vault, entries)) for place, entries in found.items()}


_CHAINS: Final = Sql(f"""
    SELECT {", ".join(_COLUMNS)} FROM decisions
     WHERE learner_id = ANY (cast(:ids AS text[])) OR learner_id = '' AND tenant_id = ANY (cast(:tenants AS text[]))
     ORDER BY tenant_id, learner_id, ordinal
""")  # noqa: S608


async def places(tx: Transaction, after: tuple[str, str], limit: int) -> list[tuple[str, str]]:
    """The chains that there are, by tenant and learner, in that order."""
    rows = await tx.rows(
        text("""
            SELECT DISTINCT tenant_id, learner_id FROM decisions WHERE (tenant_id, learner_id) > (:tenant, :learner)
             ORDER BY tenant_id, learner_id LIMIT :limit
        """),
        {"tenant": after[0], "learner": after[1], "limit": limit},
    )
    return [(row["tenant_id"], row["learner_id"]) for row in rows]


async def chain(tx: Transaction, vault: Vault, tenant: str, learner: str) -> Chain:
    return (await chains(tx, vault, [learner], [tenant])).get((tenant, learner), Chain())


async def append(tx: Transaction, vault: Vault, chain: Chain, new: Entry) -> Entry:
    """Add `new` at the end, sealed. The learner's row is locked or, for the institution, no batch is under way. What is
    returned is as it was stored."""
    before = chain.entries[-1].seal if chain.entries else b""
    entry = replace(new, ordinal=len(chain.entries) + 1)
    entry = replace(entry, seal=entry.digest(vault, before))
    names = ", ".join(_COLUMNS)
    values = ", ".join(f":{name}" for name in _COLUMNS)
    statement = text(f"INSERT INTO decisions ({names}) VALUES ({values})")  # noqa: S608
    await tx.execute(
        statement.bindparams(bindparam("body", type_=JSONB())),
        {
            "tenant_id": entry.tenant,
            "learner_id": entry.learner,
            **{name: getattr(entry, name) for name in _COLUMNS if not name.endswith("_id")},
        },
    )
    return entry


async def key(tx: Transaction, vault: Vault, tenant: str, learner: str) -> bytes:
    """The learner's wrapped key, made where there is none yet."""
    row = await tx.row(
        text("""
            INSERT INTO learner_keys AS k (tenant_id, learner_id, key) VALUES (:tenant, :learner, :key)
            ON CONFLICT (learner_id) DO UPDATE SET key = k.key RETURNING key
        """),
        {"tenant": tenant, "learner": learner, "key": vault.new_key()},
    )
    assert row is not None
    assert row["key"] is not None, "nothing is decided about the erased"
    return row["key"]


async def known_key(tx: Transaction, learner: str) -> bytes | None:
    """None where there never was one, or it was destroyed."""
    row = await tx.row(text("SELECT key FROM learner_keys WHERE learner_id = :learner"), {"learner": learner})
    return None if row is None else row["key"]


async def destroy_keys(tx: Transaction, learners: Sequence[str]) -> None:
    """What was sealed for the learners can no longer be read by anybody."""
    if learners:
        await tx.execute(
            text("UPDATE learner_keys SET key = NULL WHERE learner_id = ANY (:ids)"), {"ids": list(learners)}
        )


def _entry(row: Mapping[str, Any]) -> Entry:
    values: dict[str, Any] = {name: row[name] for name in _COLUMNS if not name.endswith("_id")}
    values |= {name: values[name] and str(values[name]) for name in ("id", "revokes")}
    return Entry(tenant=row["tenant_id"], learner=row["learner_id"], **values)


def _intact(vault: Vault, entries: Sequence[Entry]) -> bool:
    before = b""
    for place, entry in enumerate(entries, 1):
        if entry.ordinal != place or entry.seal != entry.digest(vault, before):
            return False
        before = entry.seal
    return True
