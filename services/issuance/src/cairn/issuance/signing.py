"""Who signs for an institution: the `KeyHolder` port, and the one that keeps sealed keys in the database.

The private key is sealed under a key of its own, which is wrapped by the service's. A retired key stays in the DID
document, so that what it signed still verifies (S27).
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import text

from cairn.common.db import Transaction
from cairn.common.problem import DomainError
from cairn.common.vault import Vault
from cairn.credentials import Ed25519Signer, Signer, VerificationMethod, build_did_document, public_key_from_multikey


class KeyHolder(Protocol):
    """Holds the issuers' private keys, here or in a device; hands out what signs, never the key."""

    async def create(self, tx: Transaction, tenant: str, did: str) -> None:
        """The first key of a new issuer."""
        ...

    async def signer(self, tx: Transaction, tenant: str) -> Signer:
        """What signs for the tenant now. Raises DomainError where the tenant has no key."""
        ...

    async def did_document(self, tx: Transaction, tenant: str, did: str) -> dict[str, Any]:
        """Every key of the issuer, as verifiers read them."""
        ...


class LocalKeyHolder:
    """Ed25519 keys, sealed in the database."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._opened = lru_cache(maxsize=1024)(self._open)

    async def create(self, tx: Transaction, tenant: str, did: str) -> None:
        seed, wrapping, key_id = os.urandom(32), self._vault.new_key(), "key-1"
        await tx.execute(
            text("""
                INSERT INTO issuer_keys (tenant_id, id, public_multibase, wrapping_key, sealed)
                VALUES (:tenant, :id, :public, :wrapping, :sealed)
            """),
            {
                "tenant": tenant,
                "id": key_id,
                "public": Ed25519Signer(seed).public_key.multikey,
                "wrapping": wrapping,
                "sealed": self._vault.seal(wrapping, seed, _place(tenant, key_id)),
            },
        )

    async def signer(self, tx: Transaction, tenant: str) -> Signer:
        row = await tx.row(
            text("""
                SELECT k.id, k.wrapping_key, k.sealed, i.did
                  FROM issuer_keys k JOIN institutions i USING (tenant_id)
                 WHERE k.tenant_id = :tenant AND k.retired_at IS NULL ORDER BY k.created_at DESC LIMIT 1
            """),
            {"tenant": tenant},
        )
        if row is None:
            raise DomainError(f"The tenant {tenant} has no key to sign with.", code="not-found")
        return self._opened(tenant, row["id"], row["did"], row["wrapping_key"], row["sealed"])

    async def did_document(self, tx: Transaction, tenant: str, did: str) -> dict[str, Any]:
        rows = await tx.rows(
            text("""
                SELECT id, public_multibase, retired_at FROM issuer_keys WHERE tenant_id = :tenant ORDER BY created_at
            """),
            {"tenant": tenant},
        )
        methods = [
            VerificationMethod(
                id=f"{did}#{row['id']}",
                controller=did,
                key=public_key_from_multikey(row["public_multibase"]),
                expires=row["retired_at"],
            )
            for row in rows
        ]
        return build_did_document(did, methods)

    def _open(self, tenant: str, key_id: str, did: str, wrapping: bytes, sealed: bytes) -> Ed25519Signer:
        return Ed25519Signer(self._vault.open(wrapping, sealed, _place(tenant, key_id)), f"{did}#{key_id}")


def _place(tenant: str, key_id: str) -> str:
    return f"issuer_keys:{tenant}:{key_id}"
