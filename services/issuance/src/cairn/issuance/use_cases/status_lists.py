"""Status lists as they are published: signed, the same for everybody, and new as soon as a status changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

import orjson

from cairn.common.problem import DomainError
from cairn.credentials import Bitstring, Cryptosuite, build_status_list, sign
from cairn.issuance.deps import Deps
from cairn.issuance.domain import names
from cairn.issuance.domain.documents import algorithm_of
from cairn.issuance.store import people, status_lists

_LIFE: Final = timedelta(days=7)
_RENEW_BEFORE: Final = timedelta(days=3)
Purpose: TypeAlias = Literal["revocation", "suspension", "refresh"]
_FLAG: Final[Mapping[Purpose, str]] = {"revocation": "revoked", "suspension": "suspended", "refresh": "superseded"}
_OF_DID_KEYS: Final[Mapping[str, Cryptosuite]] = {
    "EdDSA": "eddsa-rdfc-2022",
    "ES256": "ecdsa-rdfc-2019",
    "ES384": "ecdsa-rdfc-2019",
}


@dataclass(frozen=True, slots=True)
class Published:
    body: bytes
    version: int
    valid_until: datetime


async def published(deps: Deps, tenant: str, list_id: int, purpose: Purpose) -> Published:
    """The signed list. It is signed anew when a status changed since, or when it would soon expire.

    Raises DomainError `not-found`.
    """
    now = deps.now().replace(microsecond=0)
    async with deps.database.transaction(tenant) as tx:
        row = await status_lists.published(tx, tenant, list_id, purpose)
        institution = await people.institution(tx, tenant)
        if row is None or institution is None:
            raise DomainError("There is no such status list here.", code="not-found")
        if row["signed_version"] == row["version"] and row["valid_until"] > now + _RENEW_BEFORE:
            return Published(row["body"], row["version"], row["valid_until"])
        bits = Bitstring(row["size"])
        for index in await status_lists.flagged(tx, tenant, list_id, _FLAG[purpose]):
            bits[index] = True
        document = build_status_list(
            url=names.status_list_url(deps.settings.public_url, tenant, list_id, purpose),
            issuer=institution["did"],
            purpose=purpose,
            bits=bits,
            valid_from=now,
            valid_until=now + _LIFE,
            ttl=timedelta(seconds=deps.settings.status_list_ttl_seconds),
        )
        usual = deps.settings.algorithm
        algorithm = algorithm_of(institution["did"], usual)
        cryptosuite: Cryptosuite = deps.settings.cryptosuite if algorithm == usual else _OF_DID_KEYS[algorithm]
        signer = await deps.keys.signer(tx, tenant, algorithm)
        signed = await asyncio.to_thread(sign, document, signer, created=now, cryptosuite=cryptosuite)
        body = orjson.dumps(signed)
        # The version was read before the bits: a change in between makes a newer one, and the next reader signs anew.
        await status_lists.publish(tx, tenant, list_id, purpose, row["version"], body, now + _LIFE)
        await tx.commit()
    return Published(body, row["version"], now + _LIFE)
