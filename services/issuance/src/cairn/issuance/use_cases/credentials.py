"""Credentials: read them, and change their status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import Transaction
from cairn.common.problem import DomainError
from cairn.common.vault import Vault
from cairn.issuance.deps import Deps
from cairn.issuance.domain.rules import Action, next_status
from cairn.issuance.store import credentials, people
from cairn.issuance.use_cases.issue import body_place, status_event


@dataclass(frozen=True, slots=True)
class Found:
    """A credential's row, its signed document if there is one that can be read, and what happened to its status."""

    row: RowMapping
    document: dict[str, Any] | None
    changes: Sequence[Mapping[str, Any]]


async def show(deps: Deps, principal: Principal, credential_id: str) -> Found:
    """Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        return await _found(tx, deps.vault, credential_id)


async def page(deps: Deps, principal: Principal, learner: str | None, after: str, limit: int) -> Sequence[RowMapping]:
    async with deps.database.transaction(principal.tenant) as tx:
        return await credentials.page(tx, learner, after, limit)


async def change_status(deps: Deps, principal: Principal, credential_id: str, action: Action, reason: str) -> Found:
    """Revoke, suspend or reinstate. To ask for what is so already changes nothing.

    Raises DomainError `not-found`, `status-refused`.
    """
    async with deps.database.transaction(principal.tenant) as tx:
        row = await credentials.credential(tx, credential_id, lock=True)
        if row is None:
            raise _not_found()
        await apply(tx, row, action, reason=reason, principal=principal.id, now=deps.now())
        found = await _found(tx, deps.vault, credential_id)
        await tx.commit()
    return found


async def apply(
    tx: Transaction, row: RowMapping, action: Action, *, reason: str, principal: str, now: datetime
) -> bool:
    """Change the status of a locked credential and say so; False where there was nothing to change.

    One that is not signed yet is announced by the signer, after its issue.
    """
    status = next_status(row["status"], action)
    if status == row["status"]:
        return False
    at = await credentials.set_status(tx, row, status, reason=reason, principal=principal, at=now)
    # What a caller wrote is of no learner, and nobody was told of it.
    if row["issued_at"] is not None and row["learner_id"] is not None:
        await tx.publish(status_event(row["tenant_id"], row["learner_id"], row["id"], status, at))
    return True


async def _found(tx: Transaction, vault: Vault, credential_id: str) -> Found:
    row = await credentials.credential(tx, credential_id)
    if row is None:
        raise _not_found()
    document = await document_of(tx, vault, row)
    return Found(row, document, await credentials.status_changes(tx, [credential_id]))


async def document_of(tx: Transaction, vault: Vault, row: RowMapping) -> dict[str, Any] | None:
    """The signed document; None until it is signed, and once its learner is erased."""
    learner = await people.learner(tx, row["learner_id"]) if row["learner_id"] is not None else None
    key = learner["key"] if learner is not None else row["key"]
    if row["state"] != "issued" or key is None:
        return None
    document: dict[str, Any] = orjson.loads(vault.open(key, row["body"], body_place(row["id"])))
    return document


def _not_found() -> DomainError:
    return DomainError("There is no such credential here.", code="not-found")
