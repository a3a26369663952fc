"""The two jobs that turn grounds into signatures. Lint, record the intent, sign, compare, store, announce (S26).

`draft` decides exactly what will be signed and records it with its digest, in a transaction of its own; `sign` signs
that and nothing else. A crash between them is harmless: the intent is found again, and Ed25519 signs equal bytes
equally.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import structlog
from pydantic import ValidationError

from cairn.common.db import EVERY_TENANT, Transaction
from cairn.common.events import Event, stable_id
from cairn.common.events.models import CredentialRenewed, CredentialStatusChanged
from cairn.common.vault import Vault
from cairn.credentials import CredentialError, PreparedProof, Signer, prepare
from cairn.issuance.deps import Deps
from cairn.issuance.domain import intents, names
from cairn.issuance.domain.compose import Subject
from cairn.issuance.domain.model import Achievement, Evidence, Profile
from cairn.issuance.signing import NoKey
from cairn.issuance.store import catalog, completions, credentials, people, status_lists
from cairn.issuance.store.credentials import Intent
from cairn.issuance.use_cases.learners import profile_place

log = structlog.get_logger(__name__)

ANNOUNCED = {
    "valid": "credential.reinstated.v1",
    "suspended": "credential.suspended.v1",
    "revoked": "credential.revoked.v1",
}


async def draft(deps: Deps, most: int | None = None) -> int:
    """Turn pending completions into intents, at most so many; returns how many were taken. Raises WrongBytes."""
    now = deps.now()
    async with deps.database.transaction(EVERY_TENANT) as tx:
        rows = await completions.take_pending(tx, most or deps.settings.draft_batch)
        if not rows:
            return 0
        signers = await _signers(deps, tx, rows)
        settled = {row["id"]: ("failed", "the learner was erased") for row in rows if row["key"] is None}
        living = [row for row in rows if row["key"] is not None and row["tenant_id"] in signers]
        drafted: list[Intent] = []
        # In the order of tenants, because each tenant's status list is locked: two workers never wait in a circle.
        for tenant in sorted({row["tenant_id"] for row in living}):
            mine = [row for row in living if row["tenant_id"] == tenant]
            institution = await people.institution(tx, tenant)
            assert institution is not None
            named = await catalog.achievements_named(tx, sorted({row["achievement_id"] for row in mine}))
            bodies = {row["id"]: row["body"] for row in named}
            places = await status_lists.allocate(tx, tenant, len(mine), deps.settings.status_list_size)
            # Some tenths of a second of work for a batch: off the loop, so that health answers.
            signer = signers[tenant]
            made, refused = await asyncio.to_thread(_intend_all, deps, institution, bodies, signer, mine, places, now)
            drafted += made
            settled |= {row["id"]: ("drafted", None) for row in mine}
            settled |= {row: ("failed", reason) for row, reason in refused.items()}
        await credentials.add_intents(tx, drafted)
        await completions.settle(tx, settled)
        await tx.commit()
    return len(settled)


async def _signers(deps: Deps, tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> dict[str, Signer]:
    """What signs for each tenant of the rows whose learner is not erased. One without a key, as after that of a did:key
    was revoked, is left out: what it has to sign waits, and keeps no other institution waiting."""
    found: dict[str, Signer] = {}
    for tenant in sorted({row["tenant_id"] for row in rows if row["key"] is not None}):
        try:
            found[tenant] = await deps.keys.signer(tx, tenant, deps.settings.algorithm)
        except NoKey:
            log.warning("an institution has no key to sign with", tenant=tenant)
    return found


def _intend_all(
    deps: Deps,
    institution: Mapping[str, Any],
    achievements: Mapping[str, Mapping[str, Any]],
    signer: Signer,
    rows: Sequence[Mapping[str, Any]],
    places: Sequence[tuple[int, int]],
    now: datetime,
) -> tuple[list[Intent], dict[UUID, str]]:
    """Intents; and by completion why there is none, since one that cannot be signed must not keep others waiting."""
    tenant: str = institution["tenant_id"]
    did: str = institution["did"]
    made: list[Intent] = []
    refused: dict[UUID, str] = {}
    for row, place in zip(rows, places, strict=True):
        achievement_id = row["achievement_id"]
        pattern = deps.patterns.of(did, institution["body"], achievement_id, achievements[achievement_id])
        credential_id = names.credential_id(str(row["id"]))
        subject = Subject(
            credential_id,
            Profile.model_validate_json(deps.vault.open(row["key"], row["profile"], profile_place(row["learner_id"]))),
            status_entries(deps, tenant, place, pattern.achievement),
            names.refresh_url(deps.settings.public_url, credential_id),
        )
        try:
            prepared, holding = pattern.fill(
                subject,
                row["facts"],
                now,
                verification_method=signer.verification_method,
                cryptosuite=deps.settings.cryptosuite,
                renewal=_fresh_evidence(deps.vault, row),
            )
        except CredentialError as refusal:
            refused[row["id"]] = f"the credential was refused: {refusal.detail}"
            continue
        except ValidationError as refusal:
            refused[row["id"]] = f"the credential was refused: {refusal.errors(include_input=False)[0]['msg']}"
            continue
        made.append(
            intent_of(
                deps.vault,
                tenant=tenant,
                learner=(row["learner_id"], row["key"]),
                place=place,
                prepared=prepared,
                holding=holding,
                grounds={"completion": row["id"], "award": None, "trace": row["traceparent"]},
                renews=row["facts"].get("renews"),
            )
        )
    return made, refused


def _fresh_evidence(vault: Vault, row: Mapping[str, Any]) -> list[Evidence]:
    sealed = row["facts"].get("evidence")
    if sealed is None:
        return []
    opened = vault.open(row["key"], base64.b64decode(sealed), evidence_place(row["facts"]["renews"]))
    return [Evidence.model_validate(one) for one in orjson.loads(opened)]


def status_entries(
    deps: Deps, tenant: str, place: tuple[int, int], achievement: Achievement
) -> dict[str, tuple[str, int]]:
    """Where each purpose of a credential's status is published: one, unless the achievement asks for several."""
    list_id, index = place
    purposes = ["revocation"]
    if achievement.suspendable:
        purposes += ["suspension", "refresh"] if achievement.valid_months else ["suspension"]
    url = deps.settings.public_url
    return {purpose: (names.status_list_url(url, tenant, list_id, purpose), index) for purpose in purposes}


def intent_of(
    vault: Vault,
    *,
    tenant: str,
    learner: tuple[str, bytes],
    place: tuple[int, int],
    prepared: PreparedProof,
    holding: dict[str, Any],
    grounds: Mapping[str, Any],
    renews: str | None = None,
) -> Intent:
    """Seal what was decided."""
    learner_id, key = learner
    return Intent(
        tenant=tenant,
        id=holding["id"],
        learner=learner_id,
        achievement=holding["achievement"],
        completion=grounds["completion"],
        award=grounds["award"],
        list_id=place[0],
        list_index=place[1],
        holding=holding,
        digest=prepared.hash_data,
        body=vault.seal(key, intents.record(prepared), body_place(holding["id"])),
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
        signers = await _signers(deps, tx, rows)
        living = [row for row in rows if row["key"] is not None and row["tenant_id"] in signers]
        signed, renewed = await asyncio.to_thread(_sign_all, deps, signers, living, now)
        await credentials.renew_intents(tx, renewed)
        await credentials.mark_issued(tx, signed, now)
        await credentials.mark_abandoned(tx, gone)
        # Those that are signed anew, since their key was compromised, were announced when they were first signed.
        issued = [row for row in living if row["id"] in signed and row["issued_at"] is None]
        await tx.publish(*await announce(tx, issued, now))
        for row in issued:
            if row["renews"] is not None:
                await _supersede(tx, row, now)
        await tx.commit()
    return len(gone) + len(living)


def _sign_all(
    deps: Deps, signers: Mapping[str, Signer], rows: Sequence[Mapping[str, Any]], now: datetime
) -> tuple[dict[str, bytes], dict[str, tuple[bytes, bytes]]]:
    """Sealed bodies by credential id; and the intents whose key signs no more, made anew as (digest, sealed body)."""
    vault = deps.vault
    signed: dict[str, bytes] = {}
    renewed: dict[str, tuple[bytes, bytes]] = {}
    for row in rows:
        signer, place = signers[row["tenant_id"]], body_place(row["id"])
        recorded = intents.read(vault.open(row["key"], row["body"], place), row["intent"])
        if recorded.method == signer.verification_method:
            signed[row["id"]] = vault.seal(row["key"], recorded.signed(signer), place)
        else:
            # The key was rotated since (S27). What will be signed instead is recorded before it is signed, too.
            again = prepare(
                orjson.loads(recorded.document),
                verification_method=signer.verification_method,
                created=now,
                cryptosuite=deps.settings.cryptosuite,
            )
            renewed[row["id"]] = again.hash_data, vault.seal(row["key"], intents.record(again), place)
    return signed, renewed


async def announce(tx: Transaction, rows: Sequence[Mapping[Any, Any]], now: datetime) -> list[Event]:
    """What there is to say of signed credentials, with what has happened to them."""
    changes: dict[str, list[Mapping[str, Any]]] = {row["id"]: [] for row in rows}
    for change in await credentials.status_changes(tx, list(changes)):
        changes[change["credential_id"]].append(change)
    events: list[Event] = []
    for row in rows:
        # The holding was stored as it is said: what an event may be is checked when a fact is read from it.
        award = {} if row["award_id"] is None else {"award": row["award_id"]}
        events.append(
            Event(
                type="credential.issued.v1",
                source="/issuance",
                subject=row["id"],
                tenant=row["tenant_id"],
                key=row["learner_id"],
                data={"learner": row["learner_id"], "holding": row["holding"], **award},
                time=now,
                id=str(stable_id("credential.issued.v1", row["id"])),
                traceparent=row["traceparent"],
            )
        )
        # What happened to it before it was signed is said after it, once.
        events += [
            status_event(row["tenant_id"], row["learner_id"], row["id"], change["status"], change["at"])
            for change in changes[row["id"]]
        ]
    return events


async def _supersede(tx: Transaction, row: Mapping[str, Any], now: datetime) -> None:
    """The old credential's place is taken at the instant at which the new one is signed, or just after what happened
    to it last.

    One that was revoked or suspended meanwhile stays so, as its status list says.
    """
    at = now
    old = await credentials.credential(tx, row["renews"], lock=True)
    if old is not None and old["status"] == "valid":
        reason = f"renewed by {row['id']}"
        at = await credentials.set_status(tx, old, "superseded", reason=reason, principal="issuance", at=now)
    fact = CredentialRenewed(learner=row["learner_id"], credential=row["id"], supersedes=row["renews"], at=at)
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
