"""The Comprehensive Learner Record (CLR 2.0) of a qualification: with its whole stack, each part as it was issued.

Signed when it is first asked for, and kept. What will be signed is recorded before, in a transaction of its own (S26).
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import Transaction
from cairn.common.problem import DomainError
from cairn.credentials import PreparedProof, Signer, prepare
from cairn.issuance.deps import Deps
from cairn.issuance.domain import intents
from cairn.issuance.domain.compose import Issuer, learner_record
from cairn.issuance.domain.model import Institution
from cairn.issuance.store import credentials, people, records
from cairn.issuance.use_cases.credentials import document_of


async def show(deps: Deps, principal: Principal, credential_id: str) -> dict[str, Any]:
    """The signed `ClrCredential`. Raises DomainError `not-found`, `learner-erased`."""
    now = deps.now().replace(microsecond=0)
    async with deps.database.transaction(principal.tenant) as tx:
        row, key = await _qualification(tx, credential_id)
        kept = await records.record(tx, credential_id)
        if kept is not None and kept["signed_at"] is not None:
            return orjson.loads(deps.vault.open(key, kept["body"], _place(credential_id)))
        document = await _compose(deps, tx, row, now)
        signer = await deps.keys.signer(tx, row["tenant_id"], deps.settings.algorithm)
        prepared = await asyncio.to_thread(_prepare, deps, document, signer, now)
        sealed = deps.vault.seal(key, intents.record(prepared), _place(credential_id))
        await records.intend(tx, row["tenant_id"], credential_id, prepared.hash_data, sealed)
        await tx.commit()
    async with deps.database.transaction(principal.tenant) as tx:
        # Whoever asked at the same time may have recorded another intent since, or signed: one of them stands.
        kept = await records.record(tx, credential_id, lock=True)
        assert kept is not None
        body = deps.vault.open(key, kept["body"], _place(credential_id))
        if kept["signed_at"] is not None:
            return orjson.loads(body)
        recorded = intents.read(body, kept["intent"])
        signer = await deps.keys.signer(tx, row["tenant_id"], deps.settings.algorithm)
        if recorded.method != signer.verification_method:
            raise DomainError("The key was rotated just now.", code="unavailable", fix="Ask again.")
        signed = recorded.signed(signer)
        await records.signed(tx, credential_id, deps.vault.seal(key, signed, _place(credential_id)), now)
        await tx.commit()
    return orjson.loads(signed)


async def _qualification(tx: Transaction, credential_id: str) -> tuple[RowMapping, bytes]:
    """The issued credential of an award, and its learner's key."""
    row = await credentials.credential(tx, credential_id)
    if row is None or row["award_id"] is None or row["state"] != "issued":
        raise DomainError("There is no such qualification here.", code="not-found")
    learner = await people.learner(tx, row["learner_id"])
    if learner is None or learner["key"] is None:
        raise DomainError("The learner was erased.", code="learner-erased")
    return row, learner["key"]


async def _compose(deps: Deps, tx: Transaction, row: RowMapping, now: datetime) -> dict[str, Any]:
    institution = await people.institution(tx, row["tenant_id"])
    whole = await document_of(tx, deps.vault, row)
    assert institution is not None
    assert whole is not None
    named: list[str] = row["holding"].get("components", [])
    # Parts that another institution issued are read by the consent that was recorded for them, while it stands.
    merges = [
        merge for merge in await people.merges(tx, [row["learner_id"]]) if merge["learner_id"] == row["learner_id"]
    ]
    await tx.widen({row["tenant_id"], *(merge["merged_tenant"] for merge in merges)})
    found = {part["id"]: part for part in await credentials.credentials_named(tx, named)}
    standing = [found[id_] for id_ in named if id_ in found and found[id_]["status"] not in ("revoked", "suspended")]
    documents = [await document_of(tx, deps.vault, part) for part in standing]
    await tx.widen({row["tenant_id"]})
    parts = [document for document in documents if document is not None]
    issuer = Issuer(institution["did"], Institution.model_validate(institution["body"]))
    return learner_record(issuer, whole, parts, partial=len(parts) < len(named), now=now)


def _prepare(deps: Deps, document: dict[str, Any], signer: Signer, now: datetime) -> PreparedProof:
    return prepare(
        document, verification_method=signer.verification_method, created=now, cryptosuite=deps.settings.cryptosuite
    )


def _place(credential_id: str) -> str:
    """What a sealed record is bound to."""
    return f"learner_records.body:{credential_id}"
