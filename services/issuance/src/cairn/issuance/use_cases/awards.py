"""Qualifications: a signature is made only for what pathways awarded, and only if it adds up (S33).

An announced award is first written down, then examined. It waits while its framework is unknown, because the
activation travels on another partition; anything else that does not fit makes it a dead letter.
"""

from __future__ import annotations

import re
from typing import Any, Final

import structlog
from sqlalchemy import RowMapping

from cairn.common.db import Transaction
from cairn.common.events.models import (
    FrameworkActivated,
    QualificationCompleted,
    QualificationLapsed,
    QualificationRestored,
)
from cairn.common.problem import DomainError
from cairn.common.telemetry import traceparent
from cairn.issuance.deps import Deps
from cairn.issuance.domain import names
from cairn.issuance.domain.compose import Issuer, StackFacts, Subject, credential_for_award
from cairn.issuance.domain.model import Achievement, Institution, Profile
from cairn.issuance.store import awards, catalog, credentials, people, status_lists
from cairn.issuance.use_cases.credentials import apply
from cairn.issuance.use_cases.issue import intend, status_entries
from cairn.issuance.use_cases.learners import profile_place

log = structlog.get_logger(__name__)

_DIGEST: Final = re.compile(r"(sha256:)?[0-9a-f]{64}")


class Forged(DomainError):
    """The award cannot have come of an audit here; it is never signed."""

    code = "award-refused"


async def activate(tx: Transaction, tenant: str, fact: FrameworkActivated) -> None:
    """Remember for which achievement of the tenant this framework awards. Raises Forged for another tenant's."""
    achievement = await catalog.achievement(tx, fact.achievement)
    if achievement is None or achievement["tenant_id"] != tenant:
        raise Forged(f"{fact.achievement} is not an achievement of {tenant}")
    await catalog.add_framework(tx, tenant, fact)


async def complete(deps: Deps, tx: Transaction, tenant: str, fact: QualificationCompleted) -> None:
    """Write the award down and, where its framework is known, intend its credential. Raises Forged.

    An award that was refused is examined afresh: its dead letter was replayed.
    """
    if await awards.add(tx, tenant, fact.award, fact.learner, fact.to_json()):
        await examine(deps, tx, tenant, fact)


async def examine(deps: Deps, tx: Transaction, tenant: str, fact: QualificationCompleted) -> bool:
    """Sign-worthy or not? False while the framework is unknown. Raises Forged, saying what does not add up."""
    framework = await catalog.framework(tx, tenant, fact.qualification, fact.version)
    if framework is None:
        return False
    if framework["achievement_id"] != fact.achievement:
        raise Forged(f"{fact.qualification} {fact.version} does not award {fact.achievement}")
    if not _DIGEST.fullmatch(fact.digest):
        raise Forged("the award carries no digest of an audit")
    learner = await people.learner(tx, fact.learner, lock=True)
    if learner is None or learner["tenant_id"] != tenant:
        raise Forged(f"{fact.learner} is not a learner of {tenant}")
    if learner["key"] is None:
        await awards.settle(tx, fact.award, "withdrawn", "the learner was erased")
        return True
    await _intend(deps, tx, tenant, fact, framework["title"], learner)
    await awards.settle(tx, fact.award, "accepted")
    return True


async def lapse(deps: Deps, tx: Transaction, fact: QualificationLapsed) -> None:
    """Take the qualification back as the framework's policy says; `review` leaves it to a registrar."""
    if fact.action == "review":
        return
    award = await awards.award(tx, fact.award)
    if award is None:
        raise Forged(f"no award {fact.award} was announced")
    if award["state"] == "waiting":
        await awards.settle(tx, fact.award, "withdrawn", "it lapsed before it was signed")
        return
    row = await credentials.credential_of_award(tx, fact.award)
    if row is not None and not (row["status"] == "revoked" and fact.action == "suspend"):
        await apply(tx, row, fact.action, reason=fact.reason, principal="pathways", now=fact.at)


async def restore(deps: Deps, tx: Transaction, fact: QualificationRestored) -> None:
    """Lift the suspension of the qualification. One that was revoked stays so: pathways awards anew instead."""
    row = await credentials.credential_of_award(tx, fact.award)
    if row is not None and row["status"] == "suspended":
        await apply(tx, row, "reinstate", reason="the award holds again", principal="pathways", now=fact.at)


async def _intend(
    deps: Deps, tx: Transaction, tenant: str, fact: QualificationCompleted, title: str, learner: RowMapping
) -> None:
    achievement_row = await catalog.achievement(tx, fact.achievement)
    institution = await people.institution(tx, tenant)
    if achievement_row is None or institution is None:
        raise Forged(f"{fact.achievement} is not an achievement of {tenant}")
    components = await _components(tx, tenant, fact)
    achievement, now = Achievement.model_validate(achievement_row["body"]), deps.now()
    place = (await status_lists.allocate(tx, tenant, 1, deps.settings.status_list_size))[0]
    signer = await deps.keys.signer(tx, tenant)
    profile = deps.vault.open(learner["key"], learner["profile"], profile_place(fact.learner))
    document, holding = credential_for_award(
        Issuer(institution["did"], Institution.model_validate(institution["body"])),
        fact.achievement,
        achievement,
        Subject(
            names.credential_id(fact.award),
            Profile.model_validate_json(profile),
            status_entries(deps, tenant, place, achievement),
            names.refresh_url(deps.settings.public_url, names.credential_id(fact.award)),
        ),
        StackFacts(
            fact.qualification,
            fact.version,
            title,
            fact.digest.removeprefix("sha256:"),
            fact.earned_at,
            [(row["id"], row["achievement_id"], row["holding"]["issuer"]) for row in components],
        ),
        now,
    )
    grounds: dict[str, Any] = {"completion": None, "award": fact.award, "trace": traceparent()}
    intent = intend(
        deps,
        tenant=tenant,
        learner=(fact.learner, learner["key"]),
        signer=signer,
        place=place,
        document=document,
        holding=holding,
        grounds=grounds,
        now=now,
    )
    await credentials.add_intents(tx, [intent])


async def _components(tx: Transaction, tenant: str, fact: QualificationCompleted) -> list[RowMapping]:
    """The stack: each one issued here, to this learner or to one who is the same person by recorded consent."""
    merges = [row for row in await people.merges(tx, [fact.learner]) if row["learner_id"] == fact.learner]
    await tx.widen({tenant, *(row["merged_tenant"] for row in merges)})
    same_person = {fact.learner, *(row["merged_id"] for row in merges)}
    found = {row["id"]: row for row in await credentials.credentials_named(tx, list(fact.components))}
    await tx.widen({tenant})
    for component in fact.components:
        row = found.get(component)
        if row is None or row["learner_id"] not in same_person:
            raise Forged(f"the component {component} was not issued to this learner")
    if not fact.components and not fact.decisions:
        raise Forged("the award rests on nothing")
    return [found[component] for component in fact.components]
