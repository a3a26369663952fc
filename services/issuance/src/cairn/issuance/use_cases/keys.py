"""An institution's signing keys: rotate them in time, and revoke one that others have had (S27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import Transaction
from cairn.common.instants import CLOCK_TOLERANCE
from cairn.common.problem import DomainError
from cairn.credentials import Algorithm
from cairn.issuance.deps import Deps
from cairn.issuance.store import people, status_lists


async def history(deps: Deps, principal: Principal, tenant: str) -> Sequence[RowMapping]:
    """Every key the institution ever had, the oldest first. Raises DomainError `not-found`."""
    async with deps.database.transaction(tenant) as tx:
        await _found(tx, principal, tenant)
        return await deps.keys.history(tx, tenant)


async def rotate(deps: Deps, principal: Principal, tenant: str, algorithm: Algorithm) -> RowMapping:
    """The new current key of the algorithm. What the one before it has signed still verifies.

    Raises DomainError `not-found`, `key-refused`.
    """
    async with deps.database.transaction(tenant) as tx:
        if _is_one_key(await _found(tx, principal, tenant)):
            raise DomainError("A did:key is its one key, which cannot be rotated.", code="key-refused")
        # Only once nobody signs is it known that no proof is dated later than the key's end.
        await deps.keys.lock(tx, tenant)
        key_id = await deps.keys.rotate(tx, tenant, algorithm, deps.now())
        key = _of(await deps.keys.history(tx, tenant), key_id)
        await tx.commit()
    return key


async def revoke(
    deps: Deps, principal: Principal, tenant: str, key_id: str, since: datetime, reason: str
) -> RowMapping:
    """Nothing that the key signed verifies any more; a current key is replaced. To revoke it again changes nothing.

    A did:key is not replaced: nothing is signed with it any more, and no document can tell verifiers so.

    Raises DomainError `not-found`, `key-refused`.
    """
    async with deps.database.transaction(tenant) as tx:
        institution = await _found(tx, principal, tenant)
        await deps.keys.lock(tx, tenant)
        key = _of(await deps.keys.history(tx, tenant), key_id)
        if since > deps.now() + CLOCK_TOLERANCE:
            raise DomainError(
                "A key is compromised from a day that has come.",
                code="key-refused",
                field="/since",
                fix="Give the first instant at which somebody else may have had the key.",
            )
        if key["revoked_at"] is None:
            await deps.keys.revoke(tx, tenant, key_id, since, reason)
            if key["retired_at"] is None and not _is_one_key(institution):
                await deps.keys.rotate(tx, tenant, key["algorithm"], deps.now())
            # Lists that it signed are worth nothing now: each is signed anew when it is next asked for.
            await status_lists.withdraw(tx, tenant)
            key = _of(await deps.keys.history(tx, tenant), key_id)
            await tx.commit()
    return key


async def _found(tx: Transaction, principal: Principal, tenant: str) -> Mapping[str, Any]:
    row = await people.institution(tx, tenant)
    if row is None or (tenant != principal.tenant and "platform:admin" not in principal.scopes):
        raise DomainError("There is no such institution here.", code="not-found")
    return row


def _is_one_key(institution: Mapping[str, Any]) -> bool:
    return institution["did"].startswith("did:key:")


def _of(keys: Sequence[RowMapping], key_id: str) -> RowMapping:
    for key in keys:
        if key["id"] == key_id:
            return key
    raise DomainError("The institution has no such key.", code="not-found")
