"""Eligibility: which holdings could fill which leaves, and when. What is left for the allocation is who gets what."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import Final

from cairn.pathways.domain.classes import attempt_classes
from cairn.pathways.domain.decisions import Decision, Equivalence, Rpl, Substitution, Waiver
from cairn.pathways.domain.framework import Framework, Group, Leaf, Node, walk
from cairn.pathways.domain.holding import LOST, Holding, Period, Standing, State
from cairn.pathways.domain.limits import Limit
from cairn.pathways.domain.plan import Amount, Candidate, Problem
from cairn.pathways.domain.reading import NO_INSTANT
from cairn.pathways.domain.selector import AnyOf, Criterion, EarnedWhen, Moment, Not, Selector, add_months

BEGINNING: Final = NO_INSTANT
_NONE: Final = Fraction(0)
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Regime:
    """The decisions that act at an instant, and what follows from them under a framework."""

    framework: Framework
    decisions: tuple[Decision, ...]

    @cached_property
    def waived(self) -> frozenset[str]:
        """Nodes that are met and limits that are dropped."""
        return frozenset(each.target for each in self.decisions if isinstance(each, Waiver))

    @cached_property
    def counts_as(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for each in self.decisions:
            if isinstance(each, Equivalence):
                found.setdefault(each.achievement, set()).add(each.counts_as)
        return {achievement: frozenset(others) for achievement, others in found.items()}

    @cached_property
    def granted(self) -> frozenset[tuple[str, str]]:
        """Pairs of a holding and a leaf that it fits by decision."""
        return frozenset((d.holding, d.target) for d in self.decisions if isinstance(d, Substitution)) | frozenset(
            (d.id, d.target) for d in self.decisions if isinstance(d, Rpl)
        )

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        return tuple(limit for limit in self.framework.limits if limit.id not in self.waived)

    @cached_property
    def below(self) -> Mapping[str | None, frozenset[str]]:
        """The unwaived leaves below each node; those below the root also under None."""
        found: dict[str | None, frozenset[str]] = {}

        def gather(node: Node) -> frozenset[str]:
            own: frozenset[str] = frozenset({node.id} if isinstance(node, Leaf) else ())
            for child in node.children if isinstance(node, Group) else ():
                own |= gather(child)
            found[node.id] = frozenset() if node.id in self.waived else own
            return found[node.id]

        found[None] = gather(self.framework.root)
        # What lies below a waived node is waived with it.
        for node in self.framework.nodes if self.waived else ():
            if node.id in self.waived:
                found.update((each.id, frozenset()) for each in walk(node))
        return found

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        return tuple(leaf for leaf in self.framework.leaves if leaf.id in self.below[None])

    @cached_property
    def measured(self) -> frozenset[str]:
        """Leaves that take no credits in a unit without a conversion: those of credits, and those below a limit that
        measures them."""
        below = (self.below[limit.scope] for limit in self.limits if limit.measured)
        return frozenset(leaf.id for leaf in self.leaves if leaf.measure == "credits").union(*below)


@dataclass(frozen=True)
class Case:
    """One learner's holdings under one framework, at `as_of`: the facts that every step of an audit looks up. What was
    recognised as prior learning is among `holdings`."""

    framework: Framework
    holdings: Sequence[Holding]
    as_of: datetime
    enrolled: datetime | None
    awards: Mapping[str, Collection[str]]
    decisions: Sequence[Decision] = ()
    spent: frozenset[str] = frozenset()
    """Ids of holdings that were spent on another qualification and may not be used here."""
    _regimes: dict[tuple[bool, ...], Regime] = field(default_factory=dict[tuple[bool, ...], Regime])
    _worths: dict[tuple[int, str], Mapping[str, Amount]] = field(
        default_factory=dict[tuple[int, str], Mapping[str, Amount]]
    )
    _credits: dict[str, Fraction | None] = field(default_factory=dict[str, Fraction | None])

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        expiring = self.framework.validity != "never"
        return {h.id: h.standing(self.as_of, expiring=expiring or h.id in self.recognised) for h in self.holdings}

    @cached_property
    def recognised(self) -> frozenset[str]:
        return frozenset(decision.id for decision in self.decisions if isinstance(decision, Rpl))

    @cached_property
    def classes(self) -> Mapping[str, tuple[Holding, ...]]:
        return attempt_classes(self.holdings, self.framework.equivalents)

    @cached_property
    def usable(self) -> tuple[Holding, ...]:
        """Holdings that may count at some instant. Loss is retroactive: what is lost at `as_of` counts at no earlier
        instant. Where an award lives only while its components do, only a revocation is."""
        lost = LOST if self.framework.validity != "always" else {State.REVOKED}
        return tuple(h for h in self.holdings if h.earned <= self.as_of and self.standings[h.id].state not in lost)

    @cached_property
    def timed(self) -> tuple[Selector, ...]:
        """All selectors that do so, those of limits included."""
        limits = (limit.of for limit in self.framework.limits if limit.of.timed)
        return (*(leaf.selector for leaf in self.framework.timed_leaves), *limits)

    @cached_property
    def _only_regime(self) -> Regime | None:
        return None if self.decisions else Regime(self.framework, ())

    def regime(self, at: datetime) -> Regime:
        if self._only_regime is not None:
            return self._only_regime
        acting = tuple(decision.acts(at) for decision in self.decisions)
        found = self._regimes.get(acting)
        if found is None:
            decisions = tuple(d for d, acts in zip(self.decisions, acting, strict=True) if acts)
            found = self._regimes[acting] = Regime(self.framework, decisions)
        return found

    def moment(self, at: datetime) -> Moment:
        return Moment(at, self.enrolled, self.regime(at).counts_as)

    def worth(self, holding: Holding, at: datetime) -> Mapping[str, Amount]:
        """What a holding adds to each leaf it fits when the rules are to hold at an instant."""
        regime = self.regime(at)
        known = self._worths.get((id(regime), holding.id))
        if known is None:
            moment = self.moment(at)
            known = self._worths[id(regime), holding.id] = dict(
                self._fits(holding, self._likely(holding, regime), moment, regime)
            )
        if not self.framework.timed_leaves:
            return known
        timed = (leaf for leaf in self.framework.timed_leaves if leaf.id in regime.below[None])
        return {**known, **dict(self._fits(holding, timed, self.moment(at), regime))}

    def _likely(self, holding: Holding, regime: Regime) -> Iterable[Leaf]:
        """The leaves that a holding may fit, those that look at the time left out."""
        if regime.decisions:
            return (leaf for leaf in regime.leaves if not leaf.selector.timed)
        by_achievement = self.framework.leaves_by_achievement
        return (*by_achievement.get(holding.achievement, ()), *by_achievement[None])

    def _fits(
        self, holding: Holding, leaves: Iterable[Leaf], moment: Moment, regime: Regime
    ) -> Iterator[tuple[str, Amount]]:
        for leaf in leaves:
            if self.fits(holding, leaf, moment, regime):
                amount = self.amount(holding, leaf, regime)
                if amount is not None:
                    yield leaf.id, amount

    def fits(self, holding: Holding, leaf: Leaf, moment: Moment, regime: Regime) -> bool:
        """Whether a leaf's selector and grade admit a holding, or a decision does. Its unit is looked at by
        `amount`."""
        if regime.granted and (holding.id, leaf.id) in regime.granted:
            return True
        if holding.id in self.recognised:
            return False
        if leaf.qualification is not None and holding.achievement not in self.awards.get(leaf.qualification, ()):
            return False
        return leaf.selector.fits(holding, moment) and (leaf.grade is None or leaf.grade.met_by(holding.grade))

    def credits_of(self, holding: Holding) -> Fraction | None:
        """Its credits in the framework's unit; None without a conversion."""
        if holding.credits is None:
            return _NONE
        if holding.id not in self._credits:
            factor = self.framework.factor(holding.credits.unit)
            value = None if factor is None else Fraction(holding.credits.value)
            self._credits[holding.id] = value if value is None or factor is None or factor == 1 else value * factor
        return self._credits[holding.id]

    def amount(self, holding: Holding, leaf: Leaf, regime: Regime) -> Amount | None:
        """What a holding would add to a leaf: one, or its credits; None where its unit keeps it out."""
        if leaf.id not in regime.measured:
            return 1
        converted = self.credits_of(holding)
        return 1 if converted is not None and leaf.measure == "count" else converted

    def problem(self, at: datetime, held: Sequence[Candidate]) -> Problem:
        """What is to be allocated at an instant, of what is held then."""
        regime = self.regime(at)
        return Problem(
            root=self.framework.root,
            candidates=[c for c in held if c.id not in self.spent] if self.spent else held,
            moment=self.moment(at),
            held=held,
            waived=regime.waived,
            limits=regime.limits,
            reuse=self.framework.reuse,
            below=regime.below,
        )


class Timeline:
    """When each usable holding can count: its `periods`, by id. `trusting` takes an unknown status for valid."""

    def __init__(self, case: Case, *, trusting: bool) -> None:
        self._case = case
        self.periods: dict[str, tuple[Period, ...]] = {}
        self._candidates: dict[datetime, list[Candidate]] = {}
        start, end = case.framework.effective_from, case.as_of
        forgiving = case.framework.validity == "never"
        plain = not case.decisions and not case.framework.timed_leaves
        for holding in case.usable:
            if plain and not case.worth(holding, end):
                continue
            expiring = not forgiving or holding.id in case.recognised
            periods = holding.valid_periods(trusting=trusting, expiring=expiring)
            within = tuple(p for p in periods if p.start <= end and (start is None or p.end is None or p.end > start))
            if within:
                self.periods[holding.id] = within

    @cached_property
    def steady(self) -> bool:
        """Whether what counts at one instant also counts at every later one."""
        case = self._case
        lasting = all(isinstance(d, Rpl | Substitution) and d.valid_until is None for d in case.decisions)
        if case.timed or not lasting or any(limit.looks_at_all for limit in case.framework.limits):
            return False
        return all(len(p) == 1 and (p[0].end is None or p[0].end > case.as_of) for p in self.periods.values())

    def candidates(self, at: datetime) -> list[Candidate]:
        """The holdings that may be allocated if the rules are to hold at an instant, and those that were spent."""
        if at in self._candidates:
            return self._candidates[at]
        found = self._candidates[at] = list[Candidate]()
        case = self._case
        for holding in case.usable:
            if any(p.covers(at) for p in self.periods.get(holding.id, ())) and (worth := case.worth(holding, at)):
                found.append(
                    Candidate(
                        holding,
                        case.classes[holding.id][0].id,
                        worth,
                        case.credits_of(holding) or Fraction(0),
                        holding.achievement in case.framework.repeatable,
                        holding.valid_until,
                    )
                )
        return found

    def instants(self) -> list[datetime]:
        """Every instant, in order, that could be the first at which the rules hold. None before any at which each leaf
        could be met by itself."""
        soonest = self._soonest(self._case.framework.root)
        return [] if soonest is None else [turn for turn in self.turns(every=not self.steady) if soonest <= turn]

    def turns(self, *, every: bool) -> list[datetime]:
        """The instants up to `as_of`, in order, from which on something counts that did not just before; with `every`,
        also those from which on something does not any more. Before the first of them nothing ever changed: unless the
        rules have a date, it is the beginning of time."""
        case = self._case
        start, end = case.framework.effective_from, case.as_of
        turns = {period.start for periods in self.periods.values() for period in periods}
        turns.update(decision.at for decision in case.decisions if decision.at is not None)
        if every:
            turns.update(p.end for periods in self.periods.values() for p in periods if p.end is not None)
            turns.update(decision.valid_until for decision in case.decisions if decision.valid_until is not None)
            # What counts for so many months ceases to at the instant after them.
            for months in {months for selector in case.timed for months in _months(selector)}:
                past = (add_months(holding.earned, months) for holding in case.usable)
                turns.update(instant + _TICK for instant in past if instant < end)
        first = BEGINNING if start is None else start
        return sorted({first} | {max(first, turn) for turn in turns if turn <= end}) if first <= end else []

    def _soonest(self, node: Node) -> datetime | None:
        """The earliest instant at which a node could be met if nothing competed for what fits it; None for never."""
        case = self._case
        if case.decisions:
            return BEGINNING
        if isinstance(node, Group):
            if not node.n:
                return BEGINNING
            met = sorted(each for each in map(self._soonest, node.children) if each is not None)
            return met[node.n - 1] if len(met) >= node.n else None
        if not node.min:
            return BEGINNING
        regime = case.regime(case.as_of)
        timed = node.selector.timed
        total: Amount = 0
        for instant, holding, worth in self._starts:
            total += (case.amount(holding, node, regime) if timed else worth.get(node.id)) or 0
            if total >= node.min:
                return instant
        return None

    @cached_property
    def _starts(self) -> list[tuple[datetime, Holding, Mapping[str, Amount]]]:
        case = self._case
        held = [(self.periods[h.id][0].start, h) for h in case.usable if h.id in self.periods]
        return [(start, h, case.worth(h, case.as_of)) for start, h in sorted(held, key=lambda entry: entry[0])]


def _months(criterion: Criterion) -> Iterator[int]:
    match criterion:
        case EarnedWhen(months=int(months)) if criterion.timed:
            yield months
        case Selector(criteria=parts) | AnyOf(selectors=parts):
            for part in parts:
                yield from _months(part)
        case Not(selector=inner):
            yield from _months(inner)
        case _:
            pass
