"""After a key was compromised: what it signed is signed anew, as the same credentials (S27).

A job goes through the institution's credentials, a batch in each transaction. Of what the key signed it records what
will be signed instead, and the signer goes on from there as with any other intent (S26). Nothing in a credential
changes but its proof: its id, its place in the status list and what rests on it stay, so nobody is told anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
import structlog
from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import EVERY_TENANT
from cairn.common.problem import DomainError
from cairn.credentials import CredentialError, Signer, prepare
from cairn.credentials.jws import read_jws
from cairn.issuance.deps import Deps
from cairn.issuance.domain import intents
from cairn.issuance.store import credentials, people, reissues
from cairn.issuance.use_cases import keys
from cairn.issuance.use_cases.issue import body_place

log = structlog.get_logger(__name__)

_AHEAD: Final = 1_000
"""How many may wait for the signer: they cannot be read meanwhile, and new completions wait behind them."""


async def start(deps: Deps, principal: Principal, tenant: str, key_id: str) -> RowMapping:
    """How far it has come; to ask again starts nothing anew. Raises DomainError `not-found`, `key-refused`."""
    history = await keys.history(deps, principal, tenant)
    key = next((one for one in history if one["id"] == key_id), None)
    if key is None:
        raise _not_found()
    if key["revoked_at"] is None:
        raise DomainError(
            "What the key signed still verifies.", code="key-refused", fix="Revoke the key first, if it is compromised."
        )
    async with deps.database.transaction(tenant) as tx:
        institution = await people.institution(tx, tenant)
        if institution is None or institution["did"].startswith("did:key:"):
            raise DomainError("A did:key has no other key to sign with.", code="key-refused")
        await reissues.start(tx, tenant, key_id, principal.id)
        found = await reissues.progress(tx, tenant, key_id)
        await tx.commit()
    assert found is not None
    return found


async def progress(deps: Deps, principal: Principal, tenant: str, key_id: str) -> RowMapping:
    """Raises DomainError `not-found`."""
    await keys.history(deps, principal, tenant)
    async with deps.database.transaction(tenant) as tx:
        found = await reissues.progress(tx, tenant, key_id)
    if found is None:
        raise _not_found()
    return found


async def reissue(deps: Deps, most: int) -> int:
    """One batch of one institution's; returns how many credentials were looked at."""
    now = deps.now()
    async with deps.database.transaction(EVERY_TENANT) as tx:
        run = await reissues.take(tx)
        if run is None:
            return 0
        waiting = await reissues.waiting(tx, run["tenant_id"], _AHEAD)
        if waiting == _AHEAD:
            return 0
        rows = await reissues.batch(tx, run["tenant_id"], run["reached"], most)
        if not rows:
            if not waiting:
                await reissues.finish(tx, run, now)
                await tx.commit()
            return 0
        signer = await deps.keys.signer(tx, run["tenant_id"], deps.settings.algorithm)
        # Opening and preparing is work for the processor: off the loop, so that health answers.
        batch = await asyncio.to_thread(_intend_all, deps, f"{run['did']}#{run['key_id']}", signer, rows, now)
        await credentials.intend_again(tx, batch.intents, now)
        await reissues.advance(
            tx, run, rows[-1]["id"], examined=len(rows), reissued=len(batch.intents), left_alone=batch.left_alone
        )
        await tx.commit()
    return len(rows)


@dataclass(slots=True)
class _Batch:
    intents: dict[str, tuple[bytes, bytes]] = field(default_factory=dict[str, tuple[bytes, bytes]])
    """Credential id -> digest and sealed body."""
    left_alone: int = 0


def _intend_all(deps: Deps, method: str, signer: Signer, rows: Sequence[RowMapping], now: datetime) -> _Batch:
    batch, vault = _Batch(), deps.vault
    for row in rows:
        if row["key"] is None:
            continue  # nobody can read it any more
        place = body_place(row["id"])
        document: dict[str, Any] = orjson.loads(vault.open(row["key"], row["body"], place))
        if _method_of(document) != method:
            continue
        if row["learner_id"] is None:
            # What a caller wrote is not known to be true today, and the caller has it: it is theirs to issue again.
            batch.left_alone += 1
            continue
        del document["proof"]
        try:
            again = prepare(
                document,
                verification_method=signer.verification_method,
                created=now,
                cryptosuite=deps.settings.cryptosuite,
            )
        except CredentialError as refusal:
            log.warning("credential not reissued", credential=row["id"], code=refusal.code)
            batch.left_alone += 1
            continue
        batch.intents[row["id"]] = again.hash_data, vault.seal(row["key"], intents.record(again), place)
    return batch


def _method_of(document: dict[str, Any]) -> str | None:
    if "proof" in document:
        return document["proof"]["verificationMethod"]
    return read_jws(document["id"].partition(",")[2]).key_id  # enveloped, as a caller may ask


def _not_found() -> DomainError:
    return DomainError("There is no such reissue here.", code="not-found")
