"""Eligibility: which holdings could fill which leaves, and when. What is left for the allocation is who gets what."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import lcm
from operator import itemgetter
from typing import Final

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.classes import attempt_classes
from cairn.pathways.domain.decisions import Decision, Rpl, Substitution
from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.holding import LOST, Holding, Period, Standing, State
from cairn.pathways.domain.nodes import Leaf, Node
from cairn.pathways.domain.once import cached_property
from cairn.pathways.domain.plan import Problem
from cairn.pathways.domain.reading import NO_INSTANT
from cairn.pathways.domain.regime import Fit, Regime
from cairn.pathways.domain.selector import AnyOf, Criterion, EarnedWhen, Moment, Not, Selector, months_pass
from cairn.pathways.domain.soonest import first_full

BEGINNING: Final = NO_INSTANT


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
    _worths: dict[object, Mapping[str, Mapping[str, int]]] = field(
        default_factory=dict[object, Mapping[str, Mapping[str, int]]]
    )

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
    def credits(self) -> Mapping[str, int | None]:
        """What each usable holding has in the framework's unit, as a number of grains; None without a conversion."""
        grain = self.grain
        return {name: None if ratio is None else ratio[0] * grain // ratio[1] for name, ratio in self._ratios.items()}

    @cached_property
    def grain(self) -> int:
        """Credits are counted in units of 1/`grain`: the largest in which all amounts are whole. So sums are exact, and
        cost no more than counting."""
        return lcm(self.framework.grain, *(ratio[1] for ratio in self._ratios.values() if ratio is not None))

    @cached_property
    def needs(self) -> Mapping[str, int]:
        """What each leaf asks for at least, in grains of credit or as a count."""
        return {leaf.id: leaf.grains(leaf.min, self.grain) for leaf in self.framework.leaves}

    @cached_property
    def _ratios(self) -> Mapping[str, tuple[int, int] | None]:
        factors = self.framework.factors
        found: dict[str, tuple[int, int] | None] = {}
        for holding in self.usable:
            if holding.credits is None:
                found[holding.id] = 0, 1
                continue
            factor = factors.get(holding.credits.unit)
            value, parts = holding.credits.value.as_integer_ratio()
            found[holding.id] = None if factor is None else (value * factor[0], parts * factor[1])
        return found

    def regime(self, at: datetime) -> Regime:
        if not self.decisions:
            return self.framework.plain
        acting = tuple(decision.acts(at) for decision in self.decisions)
        found = self._regimes.get(acting)
        if found is None:
            decisions = tuple(d for d, acts in zip(self.decisions, acting, strict=True) if acts)
            found = self._regimes[acting] = Regime(self.framework, decisions)
        return found

    def moment(self, at: datetime) -> Moment:
        return Moment(at, self.enrolled, self.regime(at).counts_as)

    def worths(self, at: datetime) -> Mapping[str, Mapping[str, int]]:
        """What each usable holding adds to each leaf it fits when the rules are to hold at an instant: one, or its
        credits in grains."""
        regime = self.regime(at)
        key = id(regime), at if self.framework.timed_leaves else None
        found = self._worths.get(key)
        if found is None:
            moment, by_name = self.moment(at), regime.fits
            found = self._worths[key] = {
                h.id: self._worth(h, by_name.get(h.achievement, by_name[None]), moment, regime) for h in self.usable
            }
        return found

    def _worth(self, holding: Holding, fits: Sequence[Fit], moment: Moment, regime: Regime) -> Mapping[str, int]:
        credits_ = self.credits[holding.id]
        found: dict[str, int] = {}
        for fit in fits:
            if fit.measured and credits_ is None:
                continue
            if fit.certain or self.fits(holding, fit.leaf, moment, regime):
                found[fit.leaf.id] = 1 if credits_ is None or fit.counts else credits_
        return found

    def fits(self, holding: Holding, leaf: Leaf, moment: Moment, regime: Regime) -> bool:
        """Whether a leaf's selector and grade admit a holding, or a decision does. Its unit is another question."""
        if regime.granted and (holding.id, leaf.id) in regime.granted:
            return True
        if holding.id in self.recognised:
            return False
        if leaf.qualification is not None and holding.achievement not in self.awards.get(leaf.qualification, ()):
            return False
        return leaf.selector.fits(holding, moment) and (leaf.grade is None or leaf.grade.met_by(holding.grade))

    def problem(self, at: datetime, held: Sequence[Candidate], barred: frozenset[str] = frozenset()) -> Problem:
        """What is to be allocated at an instant, of what is held then."""
        regime = self.regime(at)
        return Problem(
            regime=regime,
            root=self.framework.root,
            candidates=[c for c in held if c.id not in self.spent] if self.spent else held,
            moment=self.moment(at),
            grain=self.grain,
            limits=regime.limits,
            held=held,
            barred=barred,
        )


class Timeline:
    """When each usable holding can count: its `periods`, by id. `trusting` takes an unknown status for valid."""

    def __init__(self, case: Case, *, trusting: bool) -> None:
        self._case = case
        self.periods: dict[str, tuple[Period, ...]] = {}
        self._held: list[Holding] = []
        self._candidates: dict[datetime, list[Candidate]] = {}
        self._known: dict[str, Candidate] = {}
        start, end = case.framework.effective_from, case.as_of
        if start is not None and start > end:
            start = end  # Rules that are not in force yet are held against what counts now.
        forgiving = case.framework.validity == "never"
        # Where what fits is the same at all times, what fits nothing never counts.
        worths = None if case.decisions or case.framework.timed_leaves else case.worths(end)
        for holding in case.usable:
            if worths is not None and not worths[holding.id]:
                continue
            expiring = not forgiving or holding.id in case.recognised
            periods = holding.valid_periods(trusting=trusting, expiring=expiring)
            if start is not None or (periods[-1:] and periods[-1].start > end):
                periods = tuple(
                    p for p in periods if p.start <= end and (start is None or p.end is None or p.end > start)
                )
            if periods:
                self.periods[holding.id] = periods
                self._held.append(holding)

    @cached_property
    def steady(self) -> bool:
        """Whether what counts at one instant also counts at every later one."""
        case = self._case
        lasting = all(isinstance(d, Rpl | Substitution) and d.valid_until is None for d in case.decisions)
        if case.framework.timed or not lasting or any(limit.looks_at_all for limit in case.framework.limits):
            return False
        return all(len(p) == 1 and (p[0].end is None or p[0].end > case.as_of) for p in self.periods.values())

    def candidates(self, at: datetime) -> list[Candidate]:
        """The holdings that may be allocated if the rules are to hold at an instant, and those that were spent."""
        found = self._candidates.get(at)
        if found is None:
            worths, periods = self._case.worths(at), self.periods
            found = self._candidates[at] = [
                self._candidate(holding, worth)
                for holding in self._held
                if (worth := worths[holding.id]) and _covered(periods[holding.id], at)
            ]
        return found

    def _candidate(self, holding: Holding, worth: Mapping[str, int]) -> Candidate:
        case = self._case
        # What it is worth is the same object for as long as nothing about it changes.
        known = self._known.get(holding.id)
        if known is not None and known.worth is worth:
            return known
        found = self._known[holding.id] = Candidate(
            holding.id,
            holding,
            case.classes[holding.id][0].id,
            worth,
            case.credits[holding.id] or 0,
            case.grain,
            holding.achievement in case.framework.repeatable,
            holding.valid_until,
        )
        return found

    def instants(self) -> list[datetime]:
        """Every instant, in order, that could be the first at which the rules hold. None before any at which each leaf
        could be met by itself."""
        case = self._case
        soonest = BEGINNING if case.decisions else self._soonest(case.framework.root)
        apart = case.framework.reuse.scope == "none" and not case.decisions and not case.framework.timed_leaves
        if soonest is not None and apart:
            # What is lost again only makes it later.
            arriving = [(start, self._candidate(holding, worth)) for start, holding, worth in self._starts if worth]
            full = first_full(case.framework, arriving)
            soonest = None if full is None else max(full, soonest)
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
            for months in {months for selector in case.framework.timed for months in _months(selector)}:
                turns.update(turn for holding in case.usable for turn in months_pass(holding.earned, months))
        first = BEGINNING if start is None else start
        return sorted({first} | {max(first, turn) for turn in turns if turn <= end}) if first <= end else []

    def _soonest(self, node: Node) -> datetime | None:
        """The earliest instant at which a node could be met if nothing competed for what fits it; None for never."""
        if isinstance(node, Leaf):
            return self._full.get(node.id)
        if not node.n:
            return BEGINNING
        met: list[datetime] = []
        for child in node.children:
            soonest = self._soonest(child)
            if soonest is not None:
                met.append(soonest)
            elif node.n == len(node.children):
                return None
        return sorted(met)[node.n - 1] if len(met) >= node.n else None

    @cached_property
    def _full(self) -> Mapping[str, datetime]:
        """For each leaf that could be met by itself at some time the first instant of it."""
        case = self._case
        missing = dict(case.needs)
        full = {leaf: BEGINNING for leaf, need in missing.items() if not need}
        timed = [leaf for leaf in case.framework.leaves if leaf.selector.timed] if case.framework.timed_leaves else ()
        for instant, holding, worth in self._starts:
            # What counts only for a time may have counted then.
            once = {leaf.id: 1 if leaf.measure == "count" else case.credits[holding.id] or 0 for leaf in timed}
            for leaf, amount in ({**worth, **once} if once else worth).items():
                missing[leaf] -= amount
                if missing[leaf] <= 0:
                    full.setdefault(leaf, instant)
        return full

    @cached_property
    def _starts(self) -> list[tuple[datetime, Holding, Mapping[str, int]]]:
        """When each of what is held comes to count first, in order, and what it is worth at `as_of`."""
        worths = self._case.worths(self._case.as_of)
        starts = ((self.periods[holding.id][0].start, holding, worths[holding.id]) for holding in self._held)
        return sorted(starts, key=itemgetter(0))


def _covered(periods: Sequence[Period], at: datetime) -> bool:
    for start, end in periods:  # noqa: SIM110 - a loop is twice as fast as any()
        if start <= at and (end is None or at < end):
            return True
    return False


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
