"""Eligibility: which holdings could fill which leaves, and when. What is left for the allocation is who gets what."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cached_property

from cairn.pathways.domain.classes import attempt_classes
from cairn.pathways.domain.framework import Framework, Group, Leaf, Node
from cairn.pathways.domain.holding import LOST, Holding, Period, Standing
from cairn.pathways.domain.plan import Amount, Candidate
from cairn.pathways.domain.selector import AnyOf, Criterion, EarnedWhen, Moment, Not, Selector, add_months


@dataclass(frozen=True)
class Case:
    """One learner's holdings under one framework, at `as_of`: the facts that every step of an audit looks up."""

    framework: Framework
    holdings: Sequence[Holding]
    as_of: datetime
    enrolled: datetime | None
    awards: Mapping[str, Collection[str]]

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        return {holding.id: holding.standing(self.as_of) for holding in self.holdings}

    @cached_property
    def classes(self) -> Mapping[str, tuple[Holding, ...]]:
        return attempt_classes(self.holdings, self.framework.equivalents)

    @cached_property
    def usable(self) -> tuple[Holding, ...]:
        """Holdings that are not lost at `as_of`. Loss is retroactive: such a holding counts at no earlier instant."""
        return tuple(h for h in self.holdings if self.standings[h.id].state not in LOST and h.earned <= self.as_of)

    @cached_property
    def timed_leaves(self) -> tuple[Leaf, ...]:
        """Leaves whose selector counts months back from the instant at which the rules are to hold."""
        return tuple(leaf for leaf in self.framework.leaves if leaf.selector.timed)

    @cached_property
    def worths(self) -> Mapping[str, Mapping[str, Amount]]:
        """For each holding, what it adds to each leaf it fits, timed leaves left out."""
        moment = Moment(self.as_of, self.enrolled)
        untimed = [leaf for leaf in self.framework.leaves if not leaf.selector.timed]
        return {holding.id: dict(self._fits(holding, untimed, moment)) for holding in self.holdings}

    def worth(self, holding: Holding, at: datetime) -> Mapping[str, Amount]:
        """What a holding adds to each leaf it fits when the rules are to hold at an instant."""
        if not self.timed_leaves:
            return self.worths[holding.id]
        return {**self.worths[holding.id], **dict(self._fits(holding, self.timed_leaves, Moment(at, self.enrolled)))}

    def _fits(self, holding: Holding, leaves: Sequence[Leaf], moment: Moment) -> Iterator[tuple[str, Amount]]:
        for leaf in leaves:
            if self.fits(holding, leaf, moment) and (amount := self.amount(holding, leaf)):
                yield leaf.id, amount

    def fits(self, holding: Holding, leaf: Leaf, moment: Moment) -> bool:
        """Whether a leaf's selector and grade admit a holding. Credits are looked at by `amount`."""
        if leaf.qualification is not None and holding.achievement not in self.awards.get(leaf.qualification, ()):
            return False
        return leaf.selector.fits(holding, moment) and (leaf.grade is None or leaf.grade.met_by(holding.grade))

    def amount(self, holding: Holding, leaf: Leaf) -> Amount | None:
        """What a holding would add to a leaf: one, or its credits in the framework's unit; None without a
        conversion."""
        if leaf.measure == "count":
            return 1
        if holding.credits is None:
            return 0
        factor = self.framework.factor(holding.credits.unit)
        return None if factor is None else Fraction(holding.credits.value) * factor


class Timeline:
    """When each usable holding can count: its `periods`, by id. `trusting` takes an unknown status for valid."""

    def __init__(self, case: Case, *, trusting: bool) -> None:
        self._case = case
        self.periods: dict[str, tuple[Period, ...]] = {}
        start, end = case.framework.effective_from, case.as_of
        for holding in case.usable:
            if not case.timed_leaves and not case.worths[holding.id]:
                continue
            periods = holding.valid_periods(trusting=trusting)
            within = tuple(p for p in periods if p.start <= end and (start is None or p.end is None or p.end > start))
            if within:
                self.periods[holding.id] = within

    @cached_property
    def steady(self) -> bool:
        """Whether what counts at one instant also counts at every later one."""
        if self._case.timed_leaves:
            return False
        end = self._case.as_of
        return all(len(p) == 1 and (p[0].end is None or p[0].end > end) for p in self.periods.values())

    def candidates(self, at: datetime) -> list[Candidate]:
        """The holdings that may be allocated if the rules are to hold at an instant."""
        found: list[Candidate] = []
        repeatable = self._case.framework.repeatable
        for holding in self._case.usable:
            if not any(period.covers(at) for period in self.periods.get(holding.id, ())):
                continue
            if worth := self._case.worth(holding, at):
                found.append(
                    Candidate(
                        id=holding.id,
                        kind=self._case.classes[holding.id][0].id,
                        worth=worth,
                        earned=holding.earned,
                        repeatable=holding.achievement in repeatable,
                        outside=holding.source in ("rpl", "external"),
                        grade=holding.grade,
                        components=holding.components,
                    )
                )
        return found

    def instants(self) -> list[datetime]:
        """Every instant, in order, that could be the first at which the rules hold: something begins to count at each.
        None before any at which each leaf could be met by itself."""
        start, end = self._case.framework.effective_from, self._case.as_of
        begins = {period.start for periods in self.periods.values() for period in periods}
        for months in {months for leaf in self._case.timed_leaves for months in _months(leaf.selector)}:
            # What `not` excludes for so many months counts again from the instant after them.
            past = (add_months(holding.earned, months) for holding in self._case.usable)
            begins.update(instant + timedelta(microseconds=1) for instant in past if instant < end)
        if start is not None:
            begins = {max(start, instant) for instant in begins} | {start}
        soonest = self._soonest(self._case.framework.root)
        within = {instant for instant in begins or {end} if instant <= end}
        return sorted(instant for instant in within if soonest is not None and soonest <= instant)

    def _soonest(self, node: Node) -> datetime | None:
        """The earliest instant at which a node could be met if nothing competed for what fits it; None for never."""
        always = datetime.min.replace(tzinfo=self._case.as_of.tzinfo)
        if isinstance(node, Group):
            if not node.n:
                return always
            met = sorted(each for each in map(self._soonest, node.children) if each is not None)
            return met[node.n - 1] if len(met) >= node.n else None
        if not node.min:
            return always
        timed = node.selector.timed
        total: Amount = 0
        for instant, holding in self._starts:
            amount = self._case.amount(holding, node) if timed else self._case.worths[holding.id].get(node.id)
            total += amount or 0
            if total >= node.min:
                return instant
        return None

    @cached_property
    def _starts(self) -> list[tuple[datetime, Holding]]:
        held = [(self.periods[h.id][0].start, h) for h in self._case.usable if h.id in self.periods]
        return sorted(held, key=lambda entry: entry[0])


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
