"""The two jobs that turn grounds into signatures. Lint, record the intent, sign, compare, store, announce (S26).

`draft` decides exactly what will be signed and records its digest, in a transaction of its own; `sign` signs that and
nothing else. A crash between them is harmless: the intent is found again, and Ed25519 signs equal bytes equally.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import structlog
from sqlalchemy import RowMapping

from cairn.common.db import EVERY_TENANT, Transaction
from cairn.common.events import Event, stable_id
from cairn.common.events.models import CredentialIssued, CredentialRenewed, CredentialStatusChanged, Holding
from cairn.common.instants import parse_instant
from cairn.common.vault import Vault
from cairn.credentials import PreparedProof, Signer, prepare
from cairn.issuance.deps import Deps
from cairn.issuance.domain import names
from cairn.issuance.domain.compose import Issuer, Subject, credential_for_completion
from cairn.issuance.domain.model import Achievement, Evidence, Institution, Profile
from cairn.issuance.store import completions, credentials, status_lists
from cairn.issuance.store.credentials import Intent
from cairn.issuance.use_cases.learners import profile_place

log = structlog.get_logger(__name__)

ANNOUNCED = {
    "valid": "credential.reinstated.v1",
    "suspended": "credential.suspended.v1",
    "revoked": "credential.revoked.v1",
}


class WrongBytes(RuntimeError):
    """What was signed, or is about to be, is not what was intended. Nothing of the batch is stored."""


async def draft(deps: Deps, most: int | None = None) -> int:
    """Turn pending completions into intents, at most so many; returns how many were taken."""
    now = deps.now()
    async with deps.database.transaction(EVERY_TENANT) as tx:
        rows = await completions.take_pending(tx, most or deps.settings.draft_batch)
        if not rows:
            return 0
        settled = [(row["id"], "failed", "the learner was erased") for row in rows if row["key"] is None]
        living = [row for row in rows if row["key"] is not None]
        intents: list[Intent] = []
        # In the order of tenants, because each tenant's status list is locked: two workers never wait in a circle.
        for tenant in sorted({row["tenant_id"] for row in living}):
            mine = [row for row in living if row["tenant_id"] == tenant]
            signer = await deps.keys.signer(tx, tenant)
            places = await status_lists.allocate(tx, tenant, len(mine), deps.settings.status_list_size)
            # Composing and canonicalising is a second of work for a batch: off the loop, so that health answers.
            intents += await asyncio.to_thread(_intend_all, deps, tenant, signer, mine, places, now)
        await credentials.add_intents(tx, intents)
        await completions.settle(tx, [*settled, *((row["id"], "drafted", None) for row in living)])
        await tx.commit()
    return len(rows)


def _intend_all(
    deps: Deps,
    tenant: str,
    signer: Signer,
    rows: Sequence[RowMapping],
    places: Sequence[tuple[int, int]],
    now: datetime,
) -> list[Intent]:
    return [_intend(deps, tenant, signer, row, place, now) for row, place in zip(rows, places, strict=True)]


def _intend(deps: Deps, tenant: str, signer: Signer, row: RowMapping, place: tuple[int, int], now: datetime) -> Intent:
    credential_id = names.credential_id(str(row["id"]))
    achievement = Achievement.model_validate(row["achievement"])
    document, holding = credential_for_completion(
        Issuer(row["did"], Institution.model_validate(row["institution"])),
        row["achievement_id"],
        achievement,
        Subject(
            credential_id,
            Profile.model_validate_json(deps.vault.open(row["key"], row["profile"], profile_place(row["learner_id"]))),
            status_entries(deps, tenant, place, achievement),
            names.refresh_url(deps.settings.public_url, credential_id),
        ),
        row["facts"],
        now,
        _fresh_evidence(deps.vault, row),
    )
    return intend(
        deps,
        tenant=tenant,
        learner=(row["learner_id"], row["key"]),
        signer=signer,
        place=place,
        document=document,
        holding=holding,
        grounds={"completion": row["id"], "award": None, "trace": row["traceparent"]},
        now=now,
        renews=row["facts"].get("renews"),
    )


def _fresh_evidence(vault: Vault, row: RowMapping) -> list[Evidence]:
    sealed = row["facts"].get("evidence")
    if sealed is None:
        return []
    opened = vault.open(row["key"], base64.b64decode(sealed), evidence_place(row["facts"]["renews"]))
    return [Evidence.model_validate(one) for one in orjson.loads(opened)]


def status_entries(
    deps: Deps, tenant: str, place: tuple[int, int], achievement: Achievement
) -> dict[str, tuple[str, int]]:
    """Where each purpose of a credential's status is published."""
    list_id, index = place
    purposes = ("revocation", "suspension") if achievement.suspendable else ("revocation",)
    url = deps.settings.public_url
    return {purpose: (names.status_list_url(url, tenant, list_id, purpose), index) for purpose in purposes}


def intend(
    deps: Deps,
    *,
    tenant: str,
    learner: tuple[str, bytes],
    signer: Signer,
    place: tuple[int, int],
    document: dict[str, Any],
    holding: Holding,
    grounds: Mapping[str, Any],
    now: datetime,
    renews: str | None = None,
) -> Intent:
    """Lint the document by preparing its proof, which refuses whatever would go unsigned, and seal what was decided."""
    prepared = deps.templates.prepare(
        document, verification_method=signer.verification_method, created=now, cryptosuite=deps.settings.cryptosuite
    )
    learner_id, key = learner
    body = orjson.dumps({"document": prepared.document, "proof": prepared.proof})
    return Intent(
        tenant=tenant,
        id=holding.id,
        learner=learner_id,
        achievement=holding.achievement,
        completion=grounds["completion"],
        award=grounds["award"],
        list_id=place[0],
        list_index=place[1],
        holding=holding.to_json(),
        digest=prepared.hash_data,
        body=deps.vault.seal(key, body, body_place(holding.id)),
        trace=grounds["trace"],
        renews=renews,
    )


async def sign(deps: Deps, most: int | None = None) -> int:
    """Sign intents, at most so many, store and announce them; returns how many were taken. Raises WrongBytes."""
    now = deps.now()
    async with deps.database.transaction(EVERY_TENANT) as tx:
        rows = await credentials.take_intended(tx, most or deps.settings.sign_batch)
        if not rows:
            return 0
        gone = [row["id"] for row in rows if row["key"] is None]
        living = [row for row in rows if row["key"] is not None]
        signers = {tenant: await deps.keys.signer(tx, tenant) for tenant in {row["tenant_id"] for row in living}}
        signed, renewed = await asyncio.to_thread(_sign_all, deps.vault, signers, living, now)
        await credentials.renew_intents(tx, renewed)
        await credentials.mark_issued(tx, signed, now)
        await credentials.mark_abandoned(tx, gone)
        for row in living:
            if row["id"] in signed:
                await tx.publish(*await _announce(tx, row, now))
                if row["renews"] is not None:
                    await _supersede(tx, row, now)
        await tx.commit()
    return len(rows)


def _sign_all(
    vault: Vault, signers: Mapping[str, Signer], rows: Sequence[RowMapping], now: datetime
) -> tuple[dict[str, bytes], dict[str, tuple[bytes, bytes]]]:
    """Sealed bodies by credential id; and the intents whose key signs no more, made anew as (digest, sealed body)."""
    signed: dict[str, bytes] = {}
    renewed: dict[str, tuple[bytes, bytes]] = {}
    for row in rows:
        signer, place = signers[row["tenant_id"]], body_place(row["id"])
        intended = orjson.loads(vault.open(row["key"], row["body"], place))
        method, cryptosuite = intended["proof"]["verificationMethod"], intended["proof"]["cryptosuite"]
        if method == signer.verification_method:
            credential = sign_intended(intended, row["intent"], signer)
            signed[row["id"]] = vault.seal(row["key"], orjson.dumps(credential), place)
        else:
            # The key was rotated since (S27). What will be signed instead is recorded before it is signed, too.
            document = check_intended(intended, row["intent"]).document
            again = prepare(
                document, verification_method=signer.verification_method, created=now, cryptosuite=cryptosuite
            )
            body = orjson.dumps({"document": again.document, "proof": again.proof})
            renewed[row["id"]] = again.hash_data, vault.seal(row["key"], body, place)
    return signed, renewed


def sign_intended(intended: Mapping[str, Any], digest: bytes, signer: Signer) -> dict[str, Any]:
    """The signed credential, if the document still says exactly what was recorded. Raises WrongBytes."""
    return check_intended(intended, digest).attach(signer.sign(digest))


def check_intended(intended: Mapping[str, Any], digest: bytes) -> PreparedProof:
    """The document and its proof, if they still are what was recorded. Raises WrongBytes."""
    document, proof = intended["document"], intended["proof"]
    # By the long way, which shares nothing with the template that the intent may have been made by.
    again = prepare(
        document,
        verification_method=proof["verificationMethod"],
        created=parse_instant(proof["created"]),
        cryptosuite=proof["cryptosuite"],
    )
    if again.hash_data != digest or again.proof != proof:
        raise WrongBytes(f"the document of {document.get('id')} is not the one that was intended")
    return again


async def _announce(tx: Transaction, row: RowMapping, now: datetime) -> list[Event]:
    holding = Holding.model_validate(row["holding"])
    issued = CredentialIssued(learner=row["learner_id"], holding=holding, award=row["award_id"])
    events = [
        Event(
            type="credential.issued.v1",
            source="/issuance",
            subject=row["id"],
            tenant=row["tenant_id"],
            key=row["learner_id"],
            data=issued.to_json(),
            time=now,
            id=str(stable_id("credential.issued.v1", row["id"])),
            traceparent=row["traceparent"],
        )
    ]
    # What happened to it before it was signed is said after it, once.
    for change in await credentials.status_changes(tx, row["id"]):
        events.append(status_event(row["tenant_id"], row["learner_id"], row["id"], change["status"], change["at"]))
    return events


async def _supersede(tx: Transaction, row: RowMapping, now: datetime) -> None:
    """The old credential's place is taken at the instant at which the new one is signed.

    One that was revoked or suspended meanwhile stays so, as its status list says.
    """
    old = await credentials.credential(tx, row["renews"], lock=True)
    if old is not None and old["status"] == "valid":
        reason = f"renewed by {row['id']}"
        await credentials.set_status(tx, old, "superseded", reason=reason, principal="issuance", at=now)
    fact = CredentialRenewed(learner=row["learner_id"], credential=row["id"], supersedes=row["renews"], at=now)
    await tx.publish(
        Event(
            type="credential.renewed.v1",
            source="/issuance",
            subject=row["id"],
            tenant=row["tenant_id"],
            key=row["learner_id"],
            data=fact.to_json(),
            time=now,
            id=str(stable_id("credential.renewed.v1", row["id"])),
            traceparent=row["traceparent"],
        )
    )


def status_event(tenant: str, learner: str, credential: str, status: str, at: datetime) -> Event:
    """What is announced when a status changes. The reason stays here: it may name somebody."""
    fact = CredentialStatusChanged(learner=learner, credential=credential, at=at)
    return Event(
        type=ANNOUNCED[status],
        source="/issuance",
        subject=credential,
        tenant=tenant,
        key=learner,
        data=fact.to_json(),
        time=at,
    )


def evidence_place(credential_id: str) -> str:
    """What the sealed evidence of a renewal is bound to."""
    return f"completions.evidence:{credential_id}"


def body_place(credential_id: str) -> str:
    """What a sealed credential is bound to."""
    return f"credentials.body:{credential_id}"
