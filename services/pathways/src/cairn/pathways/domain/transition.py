"""What becomes of a standing award: the second pure function."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid5

from cairn.pathways.domain.audit import Audit
from cairn.pathways.domain.holding import LOST, Standing, State
from cairn.pathways.domain.selector import add_days

AwardState = Literal["active", "grace", "review", "suspended", "revoked"]
Change = Literal["award", "hold", "lapse", "restore", "nothing"]

_NAMESPACE: Final = UUID("6b9f6bb0-7a0e-5c7e-9d0a-2f3a51f0c4d7")


@dataclass(frozen=True, slots=True)
class Award:
    """One learner's qualification, awarded. `id` follows from tenant, learner, qualification and `ordinal`; `replaces`
    is the revoked award in whose place it was issued. `version` and `earned_at` never change. `components` are the
    holdings it rests on, recognised prior learning included, and `digest` that of the audit that put it on them.

    `active`, `grace` (until `due`) and `review` (until a registrar decides) stand; `suspended` and `revoked` do not.
    """

    id: str
    tenant: str
    learner: str
    qualification: str
    version: str
    ordinal: int
    state: AwardState
    earned_at: datetime
    components: tuple[str, ...]
    digest: str
    due: datetime | None = None
    replaces: str | None = None

    @property
    def stands(self) -> bool:
        return self.state in ("active", "grace", "review")


@dataclass(frozen=True, slots=True)
class Transition:
    """What to do, and what to store.

    `change`: `award` a new one, `lapse` one that stood, `restore` one that was suspended; `hold` one as it stands,
    though it rests on other credentials now, or all is not well with it; or `nothing`. `award` is the award afterwards
    and `changed` whether it differs from before. `reason` is a stable code.
    """

    change: Change
    award: Award | None
    changed: bool
    reason: str


def award_id(tenant: str, learner: str, qualification: str, ordinal: int) -> str:
    """A UUIDv5, the same wherever and whenever it is computed."""
    return str(uuid5(_NAMESPACE, "|".join((tenant, learner, qualification, str(ordinal)))))


def transition(previous: Award | None, audit: Audit, *, tenant: str, learner: str) -> Transition:
    """Decide what an audit means for the learner's latest award of the qualification (None: there is none yet).

    Applying it again to what it gave changes nothing. Raises ValueError when the two are not of one qualification.
    """
    if previous is not None and previous.qualification != audit.qualification:
        raise ValueError(f"an audit of {audit.qualification} says nothing about {previous.qualification}")
    if audit.status == "undetermined":
        return _to(
            previous, previous, "hold" if previous is not None and previous.stands else "nothing", "undetermined"
        )
    if audit.status == "complete":
        return _complete(previous, audit, tenant, learner)
    if previous is None:
        return _to(None, None, "nothing", "not-earned")
    return _incomplete(previous, audit)


def _to(previous: Award | None, award: Award | None, change: Change, reason: str) -> Transition:
    return Transition(change, award, award != previous, reason)


def _complete(previous: Award | None, audit: Audit, tenant: str, learner: str) -> Transition:
    # One that serves several leaves is one component.
    components = tuple(sorted({name for names in audit.allocation.values() for name in names}))
    if previous is None or previous.state == "revoked":
        ordinal = 1 if previous is None else previous.ordinal + 1
        award = Award(
            id=award_id(tenant, learner, audit.qualification, ordinal),
            tenant=tenant,
            learner=learner,
            qualification=audit.qualification,
            version=audit.version,
            ordinal=ordinal,
            state="active",
            earned_at=audit.earned_at or audit.as_of,
            components=components,
            digest=audit.digest,
            replaces=None if previous is None else previous.id,
        )
        return _to(previous, award, "award", "earned" if previous is None else "earned-anew")
    digest = previous.digest if components == previous.components else audit.digest
    award = replace(previous, state="active", due=None, components=components, digest=digest)
    if previous.state == "suspended":
        return _to(previous, award, "restore", "complete-again")
    if award == previous:
        return _to(previous, award, "nothing", "stands")
    return _to(previous, award, "hold", "reallocated" if components != previous.components else "complete-again")


def _incomplete(award: Award, audit: Audit) -> Transition:
    # An award that lives only while its components do loses those that expire, too.
    losing = LOST | {State.EXPIRED} if audit.validity == "always" else LOST
    lost = [audit.standings.get(name, Standing(State.REVOKED)) for name in award.components]
    lost = [standing for standing in lost if standing.state in losing]
    # What was only suspended or superseded may come back, so that such a loss never revokes.
    for_good = not lost or any(standing.state in (State.REVOKED, State.EXPIRED) for standing in lost)
    policy = audit.loss
    if award.state == "revoked":
        return _to(award, award, "nothing", "revoked")
    if policy.on_loss == "revoke" and for_good:
        return _to(award, replace(award, state="revoked", due=None), "lapse", "component-lost")
    if award.state == "suspended":
        return _to(award, award, "nothing", "suspended")
    if policy.on_loss == "review":
        return _to(award, replace(award, state="review", due=None), "hold", "review")
    if policy.on_loss == "suspend":
        since = _first(standing.since for standing in lost) or audit.as_of
        due = award.due or add_days(since, policy.grace_days)
        if audit.as_of < due:
            return _to(award, replace(award, state="grace", due=due), "hold", "grace")
    return _to(award, replace(award, state="suspended", due=None), "lapse", "component-lost")


def _first(instants: Iterable[datetime | None]) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)
