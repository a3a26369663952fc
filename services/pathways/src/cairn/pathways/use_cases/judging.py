"""From what a learner holds to what is stored and said: pure, given the engine.

A learner is audited against a framework on the holdings that it can take, as of the newest instant among what went in:
when one was earned, when its status changed, when a merge was made or undone, when the framework came into force; and
the last instant up to now at which time alone changed anything, such as an expiry or the end of a grace period. Never
on when an event arrived. The audit is thereby a function of the facts and of what has fallen due, its digest included:
order, repetition, replay and backfill give the same one. The next instant still ahead is planned, and fires once.
`asOf` in GET and POST is the caller's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cairn.pathways.domain import (
    Audit,
    Award,
    Holding,
    audit,
    holding_keys,
    transition,
)
from cairn.pathways.domain.pinning import allowed, turning_points
from cairn.pathways.domain.selector import add_days
from cairn.pathways.reading_room import Awards, Published, ReadingRoom
from cairn.pathways.store.audits import Latest, NewAudit, NewAward
from cairn.pathways.store.due import Due
from cairn.pathways.use_cases.rulings import Ruling, bearing, counted_as, moved_to, moves_end, substitutes
from cairn.pathways.use_cases.rulings import instants as instants_of
from cairn.pathways.use_cases.sayings import Saying, of_transition, progressed

_END: Final = datetime.max.replace(tzinfo=UTC)
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Subject:
    """A learner who is audited, and what counts for them by active merges."""

    tenant: str
    learner: str
    same: tuple[str, ...]
    """Learners of the same tenant who were merged into this one: their awards are this one's too."""
    holdings: tuple[Holding, ...]
    keys: Mapping[str, frozenset[str]]
    """The index keys of each holding, by its id."""
    linked_at: tuple[datetime, ...]
    enrolled: Mapping[str, datetime]
    """When they enrolled, by qualification, where that is known."""
    rulings: tuple[Ruling, ...]
    """Decisions on them, and the institution's for everybody."""

    @classmethod
    def of(
        cls,
        tenant: str,
        learner: str,
        holdings: Sequence[Holding],
        same: Collection[str] = (),
        linked_at: Collection[datetime] = (),
        enrolled: Mapping[str, datetime] | None = None,
        rulings: Sequence[Ruling] = (),
        now: datetime = _END,
    ) -> Subject:
        keys = keys_of(holdings)
        if more := counted_as(rulings, now):
            for holding in holdings:
                names = more.get(holding.achievement, frozenset())
                keys[holding.id] |= {f"achievement:{name}" for name in names}
        return cls(
            tenant=tenant,
            learner=learner,
            same=tuple(sorted(same)),
            holdings=tuple(holdings),
            keys=keys,
            linked_at=tuple(linked_at),
            enrolled=enrolled or {},
            rulings=tuple(rulings),
        )

    def bearing(self, version: Published, keys: frozenset[str]) -> list[Ruling]:
        """The decisions that can change an audit against the version."""
        if not self.rulings:
            return []
        return bearing(self.rulings, version, keys, frozenset(holding.achievement for holding in self.holdings))


def keys_of(holdings: Sequence[Holding]) -> dict[str, frozenset[str]]:
    """The index keys of each holding. Attempts tie holdings together, which costs a look at all of them for each."""
    others = holdings if any(holding.attempt_of for holding in holdings) else ()
    return {holding.id: holding_keys(holding, others) for holding in holdings}


@dataclass(slots=True)
class Verdict:
    """What is to be stored, and what has changed for others to hear."""

    audits: list[NewAudit] = field(default_factory=list[NewAudit])
    forgotten: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    awards: list[NewAward] = field(default_factory=list[NewAward])
    said: list[Saying] = field(default_factory=list[Saying])
    due: list[Due] = field(default_factory=list[Due])
    made: int = field(default=0, compare=False)
    """How many audits led to this."""

    def add(self, other: Verdict) -> None:
        self.audits += other.audits
        self.forgotten += other.forgotten
        self.awards += other.awards
        self.said += other.said
        self.due += other.due
        self.made += other.made


@dataclass(frozen=True, slots=True)
class Instants:
    """When an audit is made: as of the newest instant that bears on it (`as_of`), and again at `next`, if time alone
    may change it."""

    as_of: datetime
    next: datetime | None


def instants(
    published: Published,
    relevant: Sequence[Holding],
    linked_at: Sequence[datetime],
    now: datetime,
    rulings: Sequence[Ruling] = (),
) -> Instants:
    """See the head of this module. A fact counts whatever its date; what comes to pass counts once it has."""
    facts = [holding.earned for holding in relevant]
    facts += [entry.at for holding in relevant for entry in holding.status]
    facts += linked_at
    made, ending = instants_of(rulings)
    facts += made
    if published.framework.effective_from is not None:
        facts.append(published.framework.effective_from)
    coming = {*turning_points(relevant, published.months), *ending}
    policy = published.framework.loss
    if policy.on_loss == "suspend" and policy.grace_days:
        # Whatever was lost, and whenever: the grace that it began ends by itself.
        coming |= {add_days(instant, policy.grace_days) for instant in (*facts, *coming)}
    newest = max([*facts, *(instant for instant in coming if instant <= now)], default=published.activated_at)
    return Instants(newest, min((instant for instant in coming if instant > max(now, newest)), default=None))


def relevant(
    subject: Subject,
    published: Published,
    versions: Sequence[Published],
    room: ReadingRoom,
    known: Awards,
    now: datetime = _END,
) -> list[Holding]:
    """The holdings that the framework can take, or that a decision lets it take. An award of the qualification itself
    is none of them: it would hold up the very award that it is."""
    keys = room.keys(published, known)
    own = {version.achievement for version in versions}
    let = frozenset(substitutes(subject.bearing(published, keys), now))
    return [
        holding
        for holding in subject.holdings
        if holding.achievement not in own and (not keys.isdisjoint(subject.keys[holding.id]) or holding.id in let)
    ]


def judge(
    subject: Subject,
    versions: Sequence[Published],
    *,
    room: ReadingRoom,
    known: Awards,
    latest: Mapping[tuple[str, str], Latest],
    awards: Mapping[tuple[str, str], Award],
    now: datetime,
    steps: int,
) -> Verdict:
    """Audit the subject against the versions of one qualification, and let the best of them decide about the award.

    `latest` are the stored audits by learner and framework, `awards` the latest awards by learner and qualification.
    `now` is only written into what is said.
    """
    qualification = versions[0].framework.qualification
    held = held_by(subject, qualification, awards)
    counting = {version.id: relevant(subject, version, versions, room, known, now) for version in versions}
    rulings = {version.id: subject.bearing(version, room.keys(version, known)) for version in versions}
    verdict = Verdict()
    audits: list[tuple[Published, Audit]] = []
    coming = list(moves_end(subject.rulings, qualification, now))
    open_to = versions_for(subject, versions, counting, rulings, held, now)
    for version in sorted(versions, key=lambda each: each.id):
        mine, decided = counting[version.id], rulings[version.id]
        standing = [ruling for ruling in decided if ruling.stands(now)]
        if version.id not in open_to or not (mine or standing):
            if (subject.learner, version.id) in latest:
                verdict.forgotten.append((subject.learner, version.id))
            if version.id not in open_to or not held:
                continue
        when = instants(version, mine, subject.linked_at, now, decided)
        if when.next is not None:
            coming.append(when.next)
        result = audit(
            version.framework,
            mine,
            [ruling.decision() for ruling in standing],
            when.as_of,
            enrolled=subject.enrolled.get(qualification),
            awards=version.awards(known),
            steps=steps,
        )
        audits.append((version, result))
        if mine or standing:
            _note(verdict, subject, version, result, latest.get((subject.learner, version.id)), now)
    verdict.made = len(audits)
    verdict.due.append(Due(subject.tenant, subject.learner, qualification, min(coming, default=None)))
    if audits:
        version, result = best(audits, held[0].version if held else None)
        _decide(verdict, subject, version, result, held, now)
    return verdict


def held_by(subject: Subject, qualification: str, awards: Mapping[tuple[str, str], Award]) -> list[Award]:
    """The subject's latest award of it, and those of whoever was merged into them."""
    people = (subject.learner, *subject.same)
    return [awards[who, qualification] for who in people if (who, qualification) in awards]


def versions_for(
    subject: Subject,
    versions: Sequence[Published],
    counting: Mapping[str, Sequence[Holding]],
    rulings: Mapping[str, Sequence[Ruling]],
    held: Sequence[Award],
    now: datetime,
) -> frozenset[str]:
    """Ids of the versions by which the subject is judged: those in force when they enrolled or, where that is not
    known, earned their first component; those they were moved to; and those of the awards they have, which even a
    retired one must uphold.

    The first component is one that any of the versions can take, whatever became of it: a revocation moves nobody to
    other rules.
    """
    upheld = {award.version for award in held if award.state != "revoked"}
    qualification = versions[0].framework.qualification
    first = subject.enrolled.get(qualification)
    if first is None:
        begun = [holding.earned for some in counting.values() for holding in some]
        begun += [ruling.entry.at for some in rulings.values() for ruling in some]
        first = min(begun, default=None)
    names = moved_to(subject.rulings, qualification, now)
    if first is not None:
        names |= allowed({each.framework.version: each.span for each in versions}, first)
    return frozenset(
        each.id
        for each in versions
        if each.framework.version in upheld
        or (each.framework.version in names and (each.retired_at is None or each.retired_at > now))
    )


def best(audits: Sequence[tuple[Published, Audit]], standing: str | None) -> tuple[Published, Audit]:
    """The version that decides: complete, then the earliest, then the newest (STACKING, "best version"). Where none is
    complete, one that cannot be told before one that is not; then that of the award that stands, then the newest."""

    def rank(each: tuple[Published, Audit]) -> tuple[int, datetime, bool, float]:
        version, result = each
        start = version.framework.effective_from or _BEGINNING
        status = ("complete", "undetermined", "incomplete").index(result.status)
        newest_first = -(start - _BEGINNING).total_seconds()
        return status, result.earned_at or _BEGINNING, version.framework.version != standing, newest_first

    newest_version_first = sorted(audits, key=lambda each: each[0].framework.version, reverse=True)
    return min(newest_version_first, key=rank)


def _note(
    verdict: Verdict, subject: Subject, version: Published, result: Audit, before: Latest | None, now: datetime
) -> None:
    progress = result.findings.progress
    new = NewAudit(
        subject.tenant,
        subject.learner,
        version.id,
        result.status,
        progress,
        result.digest,
        result.answer(),
    )
    if before is None or before.digest != new.digest or before.status != new.status or before.progress != progress:
        verdict.audits.append(new)
    moved = before is None or (before.status, before.progress) != (new.status, new.progress)
    if moved and result.status != "complete":
        verdict.said.append(progressed(result, subject.tenant, subject.learner, version.id, now))


def _decide(
    verdict: Verdict, subject: Subject, version: Published, result: Audit, held: Sequence[Award], now: datetime
) -> None:
    first, rest = (held[0], held[1:]) if held else (None, ())
    for previous in (first, *rest):
        step = transition(previous, result, tenant=subject.tenant, learner=subject.learner)
        # Two of the merged may have earned it before they were one: that is no reason to award it a third time.
        if not step.changed or step.award is None or (previous is not first and step.change == "award"):
            continue
        verdict.awards.append(NewAward(step.award, version.achievement, step.reason))
        shown = {holding.id for holding in subject.holdings}
        verdict.said.extend(of_transition(previous, step, step.award, version.achievement, shown, now))
