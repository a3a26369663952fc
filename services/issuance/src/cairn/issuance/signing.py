"""Who signs for an institution: the `KeyHolder` port, and the one that keeps sealed keys in the database.

The private key is sealed under a key of its own, which is wrapped by the service's. Every key that ever signed stays in
the DID document: a retired one with the date it `expires`, so that what it signed before still verifies; a compromised
one with the date it is `revoked` and without a purpose, so that nothing it signed does (S27).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

from sqlalchemy import RowMapping, text

from cairn.common.db import Transaction
from cairn.common.problem import DomainError
from cairn.common.sql import Sql
from cairn.common.vault import Vault
from cairn.credentials import (
    Algorithm,
    LocalSigner,
    Signer,
    VerificationMethod,
    build_did_document,
    local_signer,
    new_secret,
    public_key_from_multikey,
)

SignatureAlgorithm: TypeAlias = Literal["EdDSA", "ES256", "ES384"]
ALGORITHMS: Final[tuple[SignatureAlgorithm, ...]] = get_args(SignatureAlgorithm)
"""An issuer has one current key for each: Ed25519, P-256 and P-384."""


class NoKey(DomainError):
    """The institution has no current key of the algorithm."""

    code = "not-found"


class KeyHolder(Protocol):
    """Holds the issuers' private keys, here or in a device; hands out what signs, never the key."""

    async def create(self, tx: Transaction, tenant: str) -> None:
        """The first keys of a new issuer, one for each algorithm."""
        ...

    async def signer(self, tx: Transaction, tenant: str, algorithm: Algorithm = "EdDSA") -> Signer:
        """What signs for the tenant now, and until the transaction ends. Raises NoKey."""
        ...

    async def lock(self, tx: Transaction, tenant: str) -> None:
        """Waits until nobody signs for the tenant, and lets nobody begin until the transaction ends."""
        ...

    async def rotate(self, tx: Transaction, tenant: str, algorithm: Algorithm, at: datetime) -> str:
        """Retires the current key of the algorithm, if there is one, for a new one; returns the new one's id."""
        ...

    async def revoke(self, tx: Transaction, tenant: str, key_id: str, since: datetime, reason: str) -> None:
        """The key was in other hands from `since` on: nothing it signed is to be trusted any more."""
        ...

    async def history(self, tx: Transaction, tenant: str) -> Sequence[RowMapping]:
        """Every key the tenant ever had, without its private half, the oldest first."""
        ...

    async def did_document(self, tx: Transaction, tenant: str, did: str) -> dict[str, Any]:
        """Every key of the issuer, as verifiers read them."""
        ...


# The shared lock makes a rotation wait: otherwise a proof could be dated after its key was retired.
_CURRENT: Final = Sql("""
    SELECT k.id, k.algorithm, k.wrapping_key, k.sealed, i.did
      FROM issuer_keys k JOIN institutions i USING (tenant_id)
     WHERE k.tenant_id = :tenant AND k.algorithm = :algorithm AND k.retired_at IS NULL AND k.revoked_at IS NULL
       FOR SHARE OF k
""")


class LocalKeyHolder:
    """Keys sealed in the database."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._opened = lru_cache(maxsize=1024)(self._open)

    async def create(self, tx: Transaction, tenant: str) -> None:
        # Ed25519 last: code of before there were others signs with the newest key.
        for number, algorithm in reversed(list(enumerate(ALGORITHMS, start=1))):
            await self._add(tx, tenant, f"key-{number}", algorithm)

    async def signer(self, tx: Transaction, tenant: str, algorithm: Algorithm = "EdDSA") -> Signer:
        asked = {"tenant": tenant, "algorithm": algorithm}
        # Who waited for a rotation finds the old key gone, and sees the new one only in a second statement.
        rows = await tx.fetch(_CURRENT, **asked) or await tx.fetch(_CURRENT, **asked)
        if not rows:
            raise NoKey(f"The tenant {tenant} has no {algorithm} key to sign with.")
        row = rows[0]
        return self._opened(tenant, row["id"], row["algorithm"], row["did"], row["wrapping_key"], row["sealed"])

    async def lock(self, tx: Transaction, tenant: str) -> None:
        await tx.rows(text("SELECT id FROM issuer_keys WHERE tenant_id = :tenant FOR UPDATE"), {"tenant": tenant})

    async def rotate(self, tx: Transaction, tenant: str, algorithm: Algorithm, at: datetime) -> str:
        await tx.execute(
            text("""
                UPDATE issuer_keys SET retired_at = :at
                 WHERE tenant_id = :tenant AND algorithm = :algorithm AND retired_at IS NULL AND revoked_at IS NULL
            """),
            {"tenant": tenant, "algorithm": algorithm, "at": at},
        )
        key_id = f"key-{len(await self.history(tx, tenant)) + 1}"
        await self._add(tx, tenant, key_id, algorithm)
        return key_id

    async def revoke(self, tx: Transaction, tenant: str, key_id: str, since: datetime, reason: str) -> None:
        await tx.execute(
            text("""
                UPDATE issuer_keys SET revoked_at = :since, revoked_reason = :reason
                 WHERE tenant_id = :tenant AND id = :id
            """),
            {"tenant": tenant, "id": key_id, "since": since, "reason": reason},
        )

    async def history(self, tx: Transaction, tenant: str) -> Sequence[RowMapping]:
        return await tx.rows(
            text("""
                SELECT id, algorithm, public_multibase, created_at, retired_at, revoked_at, revoked_reason
                  FROM issuer_keys WHERE tenant_id = :tenant ORDER BY length(id), id
            """),
            {"tenant": tenant},
        )

    async def did_document(self, tx: Transaction, tenant: str, did: str) -> dict[str, Any]:
        methods = [
            VerificationMethod(
                id=_method_id(did, row["id"]),
                controller=did,
                key=public_key_from_multikey(row["public_multibase"]),
                purposes=frozenset({"assertionMethod"} if row["revoked_at"] is None else ()),
                expires=row["retired_at"],
                revoked=row["revoked_at"],
            )
            for row in await self.history(tx, tenant)
        ]
        return build_did_document(did, methods)

    async def _add(self, tx: Transaction, tenant: str, key_id: str, algorithm: Algorithm) -> None:
        secret, wrapping = new_secret(algorithm), self._vault.new_key()
        await tx.execute(
            text("""
                INSERT INTO issuer_keys (tenant_id, id, algorithm, public_multibase, wrapping_key, sealed, created_at)
                VALUES (:tenant, :id, :algorithm, :public, :wrapping, :sealed, clock_timestamp())
            """),
            {
                "tenant": tenant,
                "id": key_id,
                "algorithm": algorithm,
                "public": local_signer(algorithm, secret).public_key.multikey,
                "wrapping": wrapping,
                "sealed": self._vault.seal(wrapping, secret, _place(tenant, key_id)),
            },
        )

    def _open(
        self, tenant: str, key_id: str, algorithm: Algorithm, did: str, wrapping: bytes, sealed: bytes
    ) -> LocalSigner:
        secret = self._vault.open(wrapping, sealed, _place(tenant, key_id))
        return local_signer(algorithm, secret, _method_id(did, key_id))


def _method_id(did: str, key_id: str) -> str:
    """A did:key is one key, which it names after itself."""
    return f"{did}#{did.removeprefix('did:key:') if did.startswith('did:key:') else key_id}"


def _place(tenant: str, key_id: str) -> str:
    return f"issuer_keys:{tenant}:{key_id}"
