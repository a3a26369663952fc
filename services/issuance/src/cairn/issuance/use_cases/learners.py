"""Learners: registered, named, merged with the learner that they also are elsewhere, and erased."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import RowMapping

from cairn.common import dead_letters
from cairn.common.auth import Principal
from cairn.common.db import PLATFORM, Transaction
from cairn.common.events import Event
from cairn.common.events.models import Fact, LearnerErased, LearnerMerged, LearnerUnmerged
from cairn.common.problem import DomainError
from cairn.common.vault import Vault
from cairn.issuance.deps import Deps
from cairn.issuance.domain import names
from cairn.issuance.domain.model import Identifier, Profile
from cairn.issuance.store import people

LINK_CODE_LIFE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Learner:
    """A learner as the institution may see them. `profile` is None once erased."""

    id: str
    profile: Profile | None
    identifiers: tuple[Identifier, ...]
    registered_at: datetime
    erased_at: datetime | None


async def register(
    deps: Deps, principal: Principal, profile: Profile, identifiers: Sequence[Identifier]
) -> tuple[Learner, bool]:
    """The learner, and whether they are new. Registering again under an identifier that is attached finds them.

    Raises DomainError `identifier-taken` where the identifiers point to different learners.
    """
    tenant = principal.tenant
    async with deps.database.transaction(tenant) as tx:
        digests = [identifier_digest(deps.vault, tenant, identifier) for identifier in identifiers]
        await people.take_turns(tx, digests)
        known = {row["id"] for row in await people.learners_named(tx, [], digests)}
        if len(known) > 1:
            raise _taken()
        if known:
            found = await _load(tx, deps.vault, known.pop())
            assert found is not None
            await _attach(tx, deps.vault, tenant, found.id, identifiers)
            await tx.commit()
            return found, False
        learner_id, key = names.new_learner_id(), deps.vault.new_key()
        sealed = deps.vault.seal(key, profile.model_dump_json().encode(), profile_place(learner_id))
        await people.add_learner(tx, tenant, learner_id, key, sealed)
        await _attach(tx, deps.vault, tenant, learner_id, identifiers)
        learner = await _load(tx, deps.vault, learner_id)
        await tx.commit()
    assert learner is not None
    return learner, True


async def show(deps: Deps, principal: Principal, learner_id: str) -> Learner:
    """Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        learner = await _load(tx, deps.vault, learner_id)
    if learner is None:
        raise _not_found()
    return learner


async def find(deps: Deps, principal: Principal, identifier: Identifier) -> Learner:
    """The learner to whom the institution has attached the identifier. Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        rows = await people.learners_named(tx, [], [identifier_digest(deps.vault, principal.tenant, identifier)])
        learner = await _load(tx, deps.vault, rows[0]["id"]) if rows else None
    if learner is None:
        raise _not_found()
    return learner


async def identify(deps: Deps, principal: Principal, learner_id: str, identifier: Identifier) -> Learner:
    """Attach an identifier. Raises DomainError `identifier-taken`, `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        await _living(tx, learner_id)
        await _attach(tx, deps.vault, principal.tenant, learner_id, [identifier])
        learner = await _load(tx, deps.vault, learner_id)
        await tx.commit()
    assert learner is not None
    return learner


async def make_link_code(deps: Deps, principal: Principal, learner_id: str) -> tuple[str, datetime]:
    """A code that the learner can carry to another institution, to prove there who they are here (S34)."""
    secret = secrets.token_urlsafe(24)
    async with deps.database.transaction(principal.tenant) as tx:
        await _living(tx, learner_id)
        # By the database's clock, as it is judged: two APIs may have different ones (R12).
        expires = tx.now + LINK_CODE_LIFE
        digest = deps.vault.blind("link-code", principal.tenant, secret)
        await people.add_link_code(tx, principal.tenant, digest, learner_id, expires)
        await tx.commit()
    return f"{principal.tenant}.{secret}", expires


async def merge(deps: Deps, principal: Principal, learner_id: str, code: str, consent: str) -> str:
    """The other institution's learner counts as this one from now on, by their recorded consent; returns their id.

    The code is what entitles this to act in the other tenant, for the one statement that uses it up.
    Raises DomainError `link-code-refused`, `merge-refused`, `not-found`.
    """
    now, tenant = deps.now(), principal.tenant
    other, _, secret = code.partition(".")
    refused = DomainError(
        "The link code is unknown, used or out of date.",
        code="link-code-refused",
        field="/code",
        fix="Let the learner ask their other institution for a new one.",
    )
    if not other or not secret or "," in other or other == "*":
        raise refused
    async with deps.database.transaction({tenant, other}) as tx:
        survivor = await _living(tx, learner_id)
        if survivor["tenant_id"] != tenant:
            raise _not_found()
        merged = await people.use_link_code(tx, other, deps.vault.blind("link-code", other, secret))
        if merged is None:
            raise refused
        again = DomainError(
            "One of the two is merged already.", code="merge-refused", fix="Undo that merge first, if it was wrong."
        )
        standing = await people.merges(tx, [learner_id, merged])
        if merged == learner_id or any(row["merged_id"] in {learner_id, merged} for row in standing):
            raise again
        if any((row["learner_id"], row["merged_tenant"]) == (merged, other) for row in standing):
            # Merges are not followed any further: what came with that one would count for nobody.
            raise DomainError(
                "Another learner of that institution is merged into the one of the code.",
                code="merge-refused",
                fix="Undo that merge first, and merge both.",
            )
        merge_id = uuid4()
        at = await people.add_merge(
            tx,
            {
                "tenant": tenant,
                "id": merge_id,
                "learner": learner_id,
                "merged_tenant": other,
                "merged": merged,
                "consent": deps.vault.seal(survivor["key"], consent.encode(), f"merges.consent:{merge_id}"),
                "by": principal.id,
                "at": now,
            },
        )
        if at is None:
            # Into a learner of a third institution, whose merges are not ours to see.
            raise again
        fact = LearnerMerged(learner=learner_id, merged=merged, merged_tenant=other, consent=str(merge_id), at=at)
        # Said to both learners' readers, each under their own key and tenant.
        await tx.publish(*_both("learner.merged.v1", tenant, other, fact))
        await tx.commit()
    return merged


async def unmerge(deps: Deps, principal: Principal, learner_id: str, merged_id: str) -> None:
    """As though the merge had never been. Raises DomainError `not-found`."""
    now = deps.now()
    async with deps.database.transaction(principal.tenant) as tx:
        ended = await people.end_merge(tx, learner_id, merged_id, now)
        if ended is None:
            raise _not_found()
        other = ended["merged_tenant"]
        await tx.widen({principal.tenant, other})
        fact = LearnerUnmerged(
            learner=learner_id,
            merged=merged_id,
            merged_tenant=other,
            consent=str(ended["id"]),
            at=ended["unmerged_at"],
        )
        await tx.publish(*_both("learner.unmerged.v1", principal.tenant, other, fact))
        await tx.commit()


async def erase(deps: Deps, principal: Principal, learner_id: str) -> None:
    """Destroy the learner's key: profile, identifiers and credential bodies become unreadable, everywhere (S29)."""
    now = deps.now()
    async with deps.database.transaction(principal.tenant) as tx:
        await _living(tx, learner_id)
        await people.erase(tx, learner_id, now)
        await tx.widen({principal.tenant, PLATFORM})
        await dead_letters.erase(tx, learner_id)
        fact = LearnerErased(learner=learner_id, at=now)
        await tx.publish(_event("learner.erased.v1", principal.tenant, learner_id, fact, now))
        await tx.commit()
    deps.vault.forget()


def profile_place(learner_id: str) -> str:
    """What a sealed profile is bound to."""
    return f"learners.profile:{learner_id}"


def _both(type_: str, tenant: str, other: str, fact: LearnerMerged | LearnerUnmerged) -> list[Event]:
    return [
        _event(type_, tenant, fact.learner, fact, fact.at),
        _event(type_, other, fact.merged, fact, fact.at),
    ]


def _event(type_: str, tenant: str, learner: str, fact: Fact, at: datetime) -> Event:
    return Event(
        type=type_, source="/issuance", subject=learner, tenant=tenant, key=learner, data=fact.to_json(), time=at
    )


async def _living(tx: Transaction, learner_id: str) -> RowMapping:
    row = await people.learner(tx, learner_id, lock=True)
    if row is None:
        raise _not_found()
    if row["erased_at"] is not None:
        raise DomainError("The learner was erased.", code="learner-erased")
    return row


async def _attach(
    tx: Transaction, vault: Vault, tenant: str, learner_id: str, identifiers: Sequence[Identifier]
) -> None:
    row = await people.learner(tx, learner_id, lock=True)
    assert row is not None
    rows: list[dict[str, Any]] = []
    for identifier in identifiers:
        digest = identifier_digest(vault, tenant, identifier)
        sealed = vault.seal(row["key"], identifier.value.encode(), _identifier_place(learner_id, digest))
        rows.append({"digest": digest, "kind": identifier.kind, "sealed": sealed})
    if not await people.add_identifiers(tx, tenant, learner_id, rows):
        raise _taken()


async def _load(tx: Transaction, vault: Vault, learner_id: str) -> Learner | None:
    row = await people.learner(tx, learner_id)
    if row is None:
        return None
    profile = None
    identifiers: list[Identifier] = []
    if row["key"] is not None:
        profile = Profile.model_validate_json(vault.open(row["key"], row["profile"], profile_place(learner_id)))
        for entry in await people.identifiers(tx, learner_id):
            place = _identifier_place(learner_id, entry["digest"])
            value = vault.open(row["key"], entry["sealed"], place).decode()
            identifiers.append(Identifier(kind=entry["kind"], value=value))
    return Learner(learner_id, profile, tuple(identifiers), row["registered_at"], row["erased_at"])


def identifier_digest(vault: Vault, tenant: str, identifier: Identifier) -> bytes:
    """By which an identifier is found without being readable."""
    return vault.blind("identifier", tenant, identifier.kind, identifier.canonical)


def _identifier_place(learner_id: str, digest: bytes) -> str:
    return f"identifiers:{learner_id}:{digest.hex()}"


def _not_found() -> DomainError:
    return DomainError("There is no such learner here.", code="not-found")


def _taken() -> DomainError:
    return DomainError(
        "The identifier belongs to another learner of this institution.",
        code="identifier-taken",
        field="/identifiers",
        fix="Check which learner it names: GET /v1/learners?kind=…&value=….",
    )
