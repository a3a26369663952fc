"""What people decide about a learner: waived, substituted, recognised, moved, and taken back.

A decision is stored for good, sealed into the learner's chain, and the learner audited anew in the same transaction.
It ends by itself at `validUntil` (`due` sees to that), or by another entry that revokes it: then it is as though it had
never been made. The reason and the evidence may name somebody, so they lie under the learner's own key (S29).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import orjson

from cairn.common.auth import Principal
from cairn.common.db import Transaction
from cairn.common.events import Event
from cairn.common.events.models import DecisionsSealed
from cairn.common.idempotency import Answer, Idempotency
from cairn.common.problem import DomainError, Fault
from cairn.common.vault import Unreadable
from cairn.pathways.deps import Deps
from cairn.pathways.domain import Refused, parse_decision, parse_framework
from cairn.pathways.problems import refusal
from cairn.pathways.store import catalog, decisions, due, facts, frameworks
from cairn.pathways.store.decisions import INSTITUTION, Chain, Entry
from cairn.pathways.use_cases.auditing import Touch, reaudit
from cairn.pathways.use_cases.rulings import AUDITED

_REVOCATION: Final = "revocation"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A decision that somebody wants to make. `says` is what its kind says, in the shape of STACKING."""

    kind: str
    reason: str
    qualification: str | None = None
    valid_until: datetime | None = None
    says: Mapping[str, Any] = field(default_factory=dict[str, Any])
    evidence: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A decision, and what became of it. `reason` is None where its key was destroyed."""

    entry: Entry
    revocation: Entry | None
    reason: str | None
    evidence: Sequence[str]


@dataclass(frozen=True, slots=True)
class Record:
    """A learner's decisions in order. `intact` false: somebody altered them in the database."""

    made: Sequence[Made]
    intact: bool


async def decide(deps: Deps, principal: Principal, learner_id: str, wanted: Wanted, idempotency: Idempotency) -> Made:
    """The same under the same idempotency key is decided once.

    Raises DomainError `not-found`, `malformed`, `decision-refused`, `decisions-altered`."""
    async with deps.database.transaction(principal.tenant, share=facts.REBUILD) as tx:
        if (answer := await idempotency.saved(tx)) is not None:
            record = await _record(tx, deps, principal.tenant, learner_id)
            return next(made for made in record.made if made.entry.id == answer.body.decode())
        now = await deps.clock(tx)
        learners = await _lock(tx, principal.tenant, learner_id)
        new = _entry(principal, learner_id, wanted, now)
        await _check(tx, principal.tenant, learner_id, new)
        key = await decisions.key(tx, deps.vault, principal.tenant, learner_id)
        new = replace(new, sealed=deps.vault.seal(key, words_of(wanted.reason, wanted.evidence), place_of(new.id)))
        entry = await append(tx, deps, await _chain(tx, deps, principal.tenant, learner_id), new)
        await _reaudit(tx, deps, learners, entry)
        made = Made(entry, None, wanted.reason, wanted.evidence)
        await idempotency.save(tx, Answer(201, entry.id.encode(), {}))
        await tx.commit()
    return made


async def revoke(deps: Deps, principal: Principal, learner_id: str, id_: UUID, reason: str) -> Made:
    """Again: changes nothing. Raises DomainError `not-found`, `decisions-altered`."""
    async with deps.database.transaction(principal.tenant, share=facts.REBUILD) as tx:
        now = await deps.clock(tx)
        learners = await _lock(tx, principal.tenant, learner_id)
        chain = await _chain(tx, deps, principal.tenant, learner_id)
        entry = _named(chain, id_)
        if entry.id not in chain.revoked:
            key = await decisions.key(tx, deps.vault, principal.tenant, learner_id)
            new = _revocation(principal, entry, now)
            new = replace(new, sealed=deps.vault.seal(key, words_of(reason), place_of(new.id)))
            await append(tx, deps, chain, new)
            await _reaudit(tx, deps, learners, entry)
        found = await _record(tx, deps, principal.tenant, learner_id)
        await tx.commit()
    return next(made for made in found.made if made.entry.id == entry.id)


async def record(deps: Deps, principal: Principal, learner_id: str) -> Record:
    """Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        learner = await facts.learner(tx, learner_id)
        if learner is None:
            raise DomainError("There is no such learner here.", code="not-found")
        return await _record(tx, deps, principal.tenant, learner_id)


async def enrol(deps: Deps, principal: Principal, learner_id: str, qualification: str, at: datetime | None) -> datetime:
    """From when on the learner is under the rules of then; the first enrolment counts, and is what is returned.

    Raises DomainError `not-found`, `framework-unknown`.
    """
    tenant = principal.tenant
    async with deps.database.transaction(tenant, share=facts.REBUILD) as tx:
        learners = await _lock(tx, tenant, learner_id)
        await _refuse_unknown(tx, tenant, qualification)
        await facts.enrol(tx, tenant, learner_id, qualification, at or await deps.clock(tx), principal.id)
        touches = {who: Touch(qualifications={qualification}) for who in learners}
        await reaudit(tx, deps, learners, touches)
        first = (await facts.enrolments(tx, [learner_id]))[learner_id][qualification]
        await tx.commit()
    return first


async def equate(deps: Deps, principal: Principal, wanted: Wanted) -> Made:
    """A line of the institution's table of equivalences: for everybody, in one direction.

    Whoever holds the achievement is audited anew, soon: each falls due. Raises DomainError `malformed`,
    `decision-refused`, `decisions-altered`.
    """
    tenant = principal.tenant
    async with deps.database.transaction(tenant) as tx:
        # A batch under way knows nothing of it, and would plan over what falls due by it.
        await facts.exclude(tx)
        now = await deps.clock(tx)
        new = _entry(principal, INSTITUTION, wanted, now)
        await _check(tx, tenant, INSTITUTION, new)
        chain = await _chain(tx, deps, tenant, INSTITUTION)
        sealed = deps.vault.seal_own(words_of(wanted.reason, wanted.evidence), place_of(new.id))
        entry = await append(tx, deps, chain, replace(new, sealed=sealed))
        await _fall_due(tx, tenant, entry, now)
        await tx.commit()
    return Made(entry, None, wanted.reason, wanted.evidence)


async def unequate(deps: Deps, principal: Principal, id_: UUID, reason: str) -> Made:
    """Again: changes nothing. Raises DomainError `not-found`, `decisions-altered`."""
    tenant = principal.tenant
    async with deps.database.transaction(tenant) as tx:
        await facts.exclude(tx)
        now = await deps.clock(tx)
        chain = await _chain(tx, deps, tenant, INSTITUTION)
        entry = _named(chain, id_)
        if entry.id not in chain.revoked:
            new = _revocation(principal, entry, now)
            sealed = deps.vault.seal_own(words_of(reason), place_of(new.id))
            await append(tx, deps, chain, replace(new, sealed=sealed))
            await _fall_due(tx, tenant, entry, now)
        found = await _record(tx, deps, tenant, INSTITUTION)
        await tx.commit()
    return next(made for made in found.made if made.entry.id == entry.id)


async def table(deps: Deps, principal: Principal) -> Record:
    """The institution's equivalences, revoked ones included."""
    async with deps.database.transaction(principal.tenant) as tx:
        return await _record(tx, deps, principal.tenant, INSTITUTION)


async def _lock(tx: Transaction, tenant: str, learner_id: str) -> dict[str, facts.Learner]:
    """The learner, or, where a merge within the institution made them part of another, that one too."""
    known = await facts.learner(tx, learner_id)
    if known is None or known.erased:
        raise DomainError("There is no such learner here.", code="not-found")
    own = {who: of for who, of in (await facts.related(tx, [learner_id])).items() if of == tenant}
    return await facts.lock_learners(tx, {**own, learner_id: tenant})


async def _reaudit(tx: Transaction, deps: Deps, learners: Mapping[str, facts.Learner], entry: Entry) -> None:
    touch = Touch(everything=True)
    if entry.qualification is not None:
        touch = Touch(qualifications={entry.qualification})
    await reaudit(tx, deps, learners, dict.fromkeys(learners, touch))


async def _fall_due(tx: Transaction, tenant: str, entry: Entry, now: datetime) -> None:
    """At once; the audits that follow plan its end."""
    await due.holders(tx, tenant, entry.body["achievement"], {f"achievement:{entry.body['countsAs']}"}, now)


async def _chain(tx: Transaction, deps: Deps, tenant: str, learner_id: str) -> Chain:
    chain = await decisions.chain(tx, deps.vault, tenant, learner_id)
    if not chain.intact:
        raise DomainError("Decisions were altered in the database.", code="decisions-altered")
    return chain


async def append(tx: Transaction, deps: Deps, chain: Chain, new: Entry) -> Entry:
    """Add to the chain, and say its new head where the database's owner has no say (ADR 17)."""
    entry = await decisions.append(tx, deps.vault, chain, new)
    fact = DecisionsSealed(learner=entry.learner, entries=entry.ordinal, seal=entry.seal.hex(), at=entry.at)
    key = entry.learner or entry.tenant
    await tx.publish(Event("decisions.sealed.v1", "/pathways", entry.id, entry.tenant, key, fact.to_json(), entry.at))
    return entry


async def _record(tx: Transaction, deps: Deps, tenant: str, learner_id: str) -> Record:
    chain = await decisions.chain(tx, deps.vault, tenant, learner_id)
    key = await decisions.known_key(tx, learner_id)
    ends = {entry.revokes: entry for entry in chain.entries if entry.revokes is not None}
    made: list[Made] = []
    for entry in chain.entries:
        if entry.kind != _REVOCATION:
            try:
                place = place_of(entry.id)
                own = learner_id == INSTITUTION
                opened = deps.vault.open_own(entry.sealed, place) if own else deps.vault.open(key, entry.sealed, place)
                words: dict[str, Any] = orjson.loads(opened)
            except Unreadable:
                words = {"reason": None, "evidence": []}
            made.append(Made(entry, ends.get(entry.id), words["reason"], words["evidence"]))
    return Record(made, chain.intact)


def _named(chain: Chain, id_: UUID) -> Entry:
    found = next((entry for entry in chain.entries if entry.id == str(id_) and entry.kind != _REVOCATION), None)
    if found is None:
        raise DomainError("There is no such decision here.", code="not-found")
    return found


def _entry(principal: Principal, learner_id: str, wanted: Wanted, now: datetime) -> Entry:
    if wanted.valid_until is not None and wanted.valid_until <= now:
        raise _refused("/validUntil", "It would have ended already.", "Put it in the future, or leave it out.")
    return Entry(
        tenant=principal.tenant,
        id=str(uuid4()),
        learner=learner_id,
        ordinal=0,
        kind=wanted.kind,
        qualification=wanted.qualification,
        body=dict(wanted.says),
        by=principal.id,
        at=now,
        valid_until=wanted.valid_until,
        revokes=None,
        sealed=b"",
    )


def _revocation(principal: Principal, entry: Entry, now: datetime) -> Entry:
    return Entry(
        tenant=entry.tenant,
        id=str(uuid4()),
        learner=entry.learner,
        ordinal=0,
        kind=_REVOCATION,
        qualification=entry.qualification,
        body={},
        by=principal.id,
        at=now,
        valid_until=None,
        revokes=entry.id,
        sealed=b"",
    )


def words_of(reason: str, evidence: Sequence[str] = ()) -> bytes:
    """What is sealed of a decision."""
    return orjson.dumps({"reason": reason, "evidence": list(evidence)})


def place_of(id_: str) -> str:
    """To what it is bound: moved to another decision, it does not open."""
    return f"decisions.sealed:{id_}"


async def _check(tx: Transaction, tenant: str, learner_id: str, new: Entry) -> None:
    """Whether it can mean anything here: a slip of the pen is refused rather than kept for good."""
    if new.kind in AUDITED:
        try:
            parse_decision({**new.body, "id": new.id, "kind": new.kind})
        except Refused as refused:
            raise refusal(refused, code="decision-refused") from None
    if new.qualification is None:
        if new.kind != "equivalence":
            raise _refused("/qualification", f"A {new.kind} is about one qualification.", "Name it.")
    else:
        await _refuse_unknown(tx, tenant, new.qualification)
    if "target" in new.body:
        await _check_target(tx, tenant, new)
    if new.kind == "substitution":
        people = {learner_id, *(link.alias for link in await facts.links(tx, [learner_id]) if link.active)}
        held = await facts.holdings_of(tx, people)
        if not any(each.holding.id == new.body["holding"] for some in held.values() for each in some):
            raise _refused("/holding", "The learner holds no such credential.", "Name one of theirs.")
    if new.kind == "equivalence":
        for name in ("achievement", "countsAs"):
            if not await catalog.names(tx, [new.body[name]]):
                raise _refused(f"/{name}", "No such achievement is on offer.", "Correct its id.")
    if new.kind == "move":
        assert new.qualification is not None
        if await frameworks.named(tx, new.qualification, new.body["version"]) is None:
            raise _refused("/version", "There is no such published version.", "Name one that is published.")


async def _check_target(tx: Transaction, tenant: str, new: Entry) -> None:
    """A waiver is of any node but the root, or of a limit; a substitution and an RPL are of a leaf."""
    assert new.qualification is not None
    target = new.body["target"]
    for document in await frameworks.documents(tx, tenant, new.qualification):
        framework = parse_framework(document)
        names = {leaf.id for leaf in framework.leaves}
        if new.kind == "waiver":
            limits: Sequence[Mapping[str, Any]] = document.get("limits") or ()
            names |= {node.id for node in framework.nodes if node is not framework.root}
            names |= {limit["id"] for limit in limits}
        if target in names:
            return
    what = "node or limit" if new.kind == "waiver" else "leaf"
    raise _refused("/target", f"No version has a {what} {target!r} to which this applies.", "Correct its id.")


async def _refuse_unknown(tx: Transaction, tenant: str, qualification: str) -> None:
    if not (await frameworks.awards(tx, {tenant: [qualification]}))[tenant]:
        raise DomainError(
            "No framework of this qualification is published here.",
            code="framework-unknown",
            field="/qualification",
            fix="Correct it, or publish one first.",
        )


def _refused(field_: str, detail: str, fix: str) -> DomainError:
    return DomainError("The decision was refused.", code="decision-refused", faults=[Fault(field_, detail, fix)])
