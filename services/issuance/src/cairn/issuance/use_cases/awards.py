"""Qualifications: a signature is made only for what pathways awarded, and only if it adds up (S33).

An announced award is first written down, then examined. It waits while its framework is unknown, because the
activation travels on another partition; anything else that does not fit makes it a dead letter.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

import structlog
from pydantic import ValidationError

from cairn.common.db import Transaction
from cairn.common.events.models import (
    FrameworkActivated,
    QualificationCompleted,
    QualificationLapsed,
    QualificationRestored,
)
from cairn.common.problem import DomainError
from cairn.credentials import CredentialError, Signer
from cairn.issuance.deps import Deps
from cairn.issuance.domain import names
from cairn.issuance.domain.compose import StackFacts, Subject
from cairn.issuance.domain.model import Profile
from cairn.issuance.signing import NoKey
from cairn.issuance.store import awards, catalog, credentials, people, status_lists
from cairn.issuance.store.credentials import Intent
from cairn.issuance.use_cases.credentials import apply
from cairn.issuance.use_cases.issue import announce, intent_of, status_entries
from cairn.issuance.use_cases.learners import profile_place

log = structlog.get_logger(__name__)

_DIGEST: Final = re.compile(r"(sha256:)?[0-9a-f]{64}")


class Forged(DomainError):
    """The award cannot have come of an audit here; it is never signed."""

    code = "award-refused"


class Unsignable(Forged):
    """It adds up, but there is no key to sign it with: for the job to refuse, since it is not the event's fault."""


async def activate(tx: Transaction, tenant: str, fact: FrameworkActivated) -> None:
    """Remember for which achievement of the tenant this framework awards. Raises Forged for another tenant's."""
    achievement = await catalog.achievement(tx, fact.achievement)
    if achievement is None or achievement["tenant_id"] != tenant:
        raise Forged(f"{fact.achievement} is not an achievement of {tenant}")
    await catalog.add_framework(tx, tenant, fact)


@dataclass(frozen=True, slots=True)
class Told:
    """An award as it was announced, and the `traceparent` of that."""

    fact: QualificationCompleted
    trace: str | None = None


async def complete(deps: Deps, tx: Transaction, tenant: str, told: Sequence[Told]) -> None:
    """Write awards of a tenant down and, where their framework is known, intend their credentials. Raises Forged.

    An award that was refused is examined afresh: its dead letter was replayed. One that was signed is said again:
    pathways asks, since it has not heard so.
    """
    if not told:
        return
    once = {each.fact.award: each for each in told}
    new = await awards.add(tx, tenant, [each.fact for each in once.values()])
    await say_again(tx, [each.fact for award, each in once.items() if award not in new], deps.now())
    found = await examine(deps, tx, tenant, [each for award, each in once.items() if award in new])
    for refusal in found.values():
        if isinstance(refusal, Forged) and not isinstance(refusal, Unsignable):
            raise refusal


async def say_again(tx: Transaction, facts: Sequence[QualificationCompleted], now: datetime) -> None:
    """Announce once more, as the same events, those of these awards that are signed."""
    if facts:
        await people.lock_learners(tx, {fact.learner for fact in facts})
        signed = await credentials.issued_of_awards(tx, [fact.award for fact in facts])
        await tx.publish(*await announce(tx, signed, now))


async def examine(deps: Deps, tx: Transaction, tenant: str, told: Sequence[Told]) -> dict[str, Forged | bool]:
    """Which awards of a tenant are sign-worthy; those are intended.

    By award: True where it is settled, False while its framework is unknown, Forged where it does not add up.
    """
    found: dict[str, Forged | bool] = {each.fact.award: False for each in told}
    versions = {(each.fact.qualification, each.fact.version) for each in told}
    known = {(row["qualification"], row["version"]): row for row in await catalog.frameworks(tx, tenant, versions)}
    ready = [each for each in told if (each.fact.qualification, each.fact.version) in known]
    if not ready:
        return found
    learners = {row["id"]: row for row in await people.lock_learners(tx, {each.fact.learner for each in ready})}
    stacks = await _stacks(tx, tenant, [each.fact for each in ready])
    outcomes: dict[str, tuple[str, str | None]] = {}
    worthy: list[_Worthy] = []
    for each in ready:
        fact, framework = each.fact, known[each.fact.qualification, each.fact.version]
        try:
            learner = _check(tenant, fact, framework, learners.get(fact.learner))
            if learner["key"] is None:
                outcomes[fact.award] = "withdrawn", "the learner was erased"
            else:
                worthy.append(_Worthy(each, framework["title"], learner, stacks.of(fact)))
                outcomes[fact.award] = "accepted", None
            found[fact.award] = True
        except Forged as refusal:
            found[fact.award] = refusal
    refused = await _intend(deps, tx, tenant, worthy)
    await awards.settle(tx, {award: outcome for award, outcome in outcomes.items() if award not in refused})
    return found | refused


def _check(
    tenant: str, fact: QualificationCompleted, framework: Mapping[str, Any], learner: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """The learner. Raises Forged."""
    if framework["achievement_id"] != fact.achievement:
        raise Forged(f"{fact.qualification} {fact.version} does not award {fact.achievement}")
    if not _DIGEST.fullmatch(fact.digest):
        raise Forged("the award carries no digest of an audit")
    if learner is None or learner["tenant_id"] != tenant:
        raise Forged(f"{fact.learner} is not a learner of {tenant}")
    return learner


async def lapse(deps: Deps, tx: Transaction, fact: QualificationLapsed) -> None:
    """Take the qualification back as the framework's policy says; `review` leaves it to a registrar."""
    if fact.action == "review":
        return
    award = await awards.award(tx, fact.award)
    if award is None:
        raise Forged(f"no award {fact.award} was announced")
    if award["state"] in {"waiting", "refused"}:
        # A refused one, too: its dead letter may yet be replayed.
        await awards.settle(tx, {fact.award: ("withdrawn", "it lapsed before it was signed")})
        return
    row = await credentials.credential_of_award(tx, fact.award)
    if row is not None and not (row["status"] == "revoked" and fact.action == "suspend"):
        await apply(tx, row, fact.action, reason=fact.reason, principal="pathways", now=fact.at)


async def restore(deps: Deps, tx: Transaction, fact: QualificationRestored) -> None:
    """Lift the suspension of the qualification. One that was revoked stays so: pathways awards anew instead."""
    row = await credentials.credential_of_award(tx, fact.award)
    if row is None:
        # It lapsed before it was signed.
        await awards.wait_again(tx, fact.award, {"components": fact.components, "digest": fact.digest})
    elif row["status"] == "suspended":
        await apply(tx, row, "reinstate", reason="the award holds again", principal="pathways", now=fact.at)


@dataclass(frozen=True, slots=True)
class _Worthy:
    """An award that adds up."""

    told: Told
    title: str
    learner: Mapping[str, Any]
    stack: Sequence[Mapping[str, Any]]


async def _intend(deps: Deps, tx: Transaction, tenant: str, worthy: Sequence[_Worthy]) -> dict[str, Forged | bool]:
    """By award, why there is no intent: one that cannot be signed must not keep others waiting."""
    if not worthy:
        return {}
    try:
        signer = await deps.keys.signer(tx, tenant, deps.settings.algorithm)
    except NoKey as refusal:
        return {each.told.fact.award: Unsignable(refusal.detail) for each in worthy}
    named = await catalog.achievements_named(tx, sorted({each.told.fact.achievement for each in worthy}))
    institution = await people.institution(tx, tenant)
    assert institution is not None
    achievements = {row["id"]: row["body"] for row in named}
    places = await status_lists.allocate(tx, tenant, len(worthy), deps.settings.status_list_size)
    now, refused = deps.now(), dict[str, Forged | bool]()

    def work() -> Iterator[Intent]:
        for each, place in zip(worthy, places, strict=True):
            achievement = achievements[each.told.fact.achievement]
            try:
                yield _intent(deps, institution, achievement, each, place, signer, now)
            except CredentialError as refusal:
                refused[each.told.fact.award] = Forged(f"the credential was refused: {refusal.detail}")
            except ValidationError as refusal:
                detail = refusal.errors(include_input=False)[0]["msg"]
                refused[each.told.fact.award] = Forged(f"the credential was refused: {detail}")

    await credentials.add_intents(tx, await asyncio.to_thread(lambda: list(work())))
    return refused


def _intent(
    deps: Deps,
    institution: Mapping[str, Any],
    achievement: Mapping[str, Any],
    worthy: _Worthy,
    place: tuple[int, int],
    signer: Signer,
    now: datetime,
) -> Intent:
    fact, learner = worthy.told.fact, worthy.learner
    tenant: str = institution["tenant_id"]
    pattern = deps.patterns.of(institution["did"], institution["body"], fact.achievement, achievement)
    credential_id = names.credential_id(fact.award)
    profile = deps.vault.open(learner["key"], learner["profile"], profile_place(fact.learner))
    prepared, holding = pattern.fill(
        Subject(
            credential_id,
            Profile.model_validate_json(profile),
            status_entries(deps, tenant, place, pattern.achievement),
            names.refresh_url(deps.settings.public_url, credential_id),
        ),
        StackFacts(
            fact.qualification,
            fact.version,
            worthy.title,
            fact.digest.removeprefix("sha256:"),
            fact.earned_at,
            [(row["id"], row["achievement_id"], row["issuer"]) for row in worthy.stack],
        ),
        now,
        verification_method=signer.verification_method,
        cryptosuite=deps.settings.cryptosuite,
    )
    return intent_of(
        deps.vault,
        tenant=tenant,
        learner=(fact.learner, learner["key"]),
        place=place,
        prepared=prepared,
        holding=holding,
        grounds={"completion": None, "award": fact.award, "trace": worthy.told.trace},
    )


@dataclass(frozen=True, slots=True)
class _Stacks:
    """The components of a batch of awards, and who is the same person as whom by recorded consent."""

    components: Mapping[str, Mapping[str, Any]]
    same_person: Mapping[str, set[str]]

    def of(self, fact: QualificationCompleted) -> list[Mapping[str, Any]]:
        """Each one issued here, to this learner or to one who is the same person. Raises Forged.

        In the order of their achievements, whatever order they were announced in: so the stacks of one framework are
        alike, and their credentials are filled in by one template.
        """
        for component in fact.components:
            row = self.components.get(component)
            if row is None or row["learner_id"] not in self.same_person[fact.learner]:
                raise Forged(f"the component {component} was not issued to this learner")
        if not fact.components and not fact.decisions:
            raise Forged("the award rests on nothing")
        return sorted((self.components[id_] for id_ in fact.components), key=itemgetter("achievement_id", "id"))


async def _stacks(tx: Transaction, tenant: str, facts: Sequence[QualificationCompleted]) -> _Stacks:
    same_person = {fact.learner: {fact.learner} for fact in facts}
    scope = {tenant}
    for merge in await people.merges(tx, list(same_person)):
        if merge["learner_id"] in same_person:
            same_person[merge["learner_id"]].add(merge["merged_id"])
            scope.add(merge["merged_tenant"])
    # Beyond the tenant for this one query: whose each component is, is compared with the consent of its own award.
    await tx.widen(scope)
    named = sorted({component for fact in facts for component in fact.components})
    found = {row["id"]: row for row in await credentials.components(tx, named)}
    await tx.widen({tenant})
    return _Stacks(found, same_person)
