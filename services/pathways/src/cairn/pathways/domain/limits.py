"""Limits: what the allocated credentials must be together, whichever leaf each of them fills."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

from cairn.common.instants import format_instant
from cairn.pathways.domain.grades import GradeTable, grade_on
from cairn.pathways.domain.holding import Holding, plain_fraction, pointed
from cairn.pathways.domain.selector import ANY_HOLDING, Moment, Selector, add_months, listed_values

Measure = Literal["credits", "count"]


class Counted(NamedTuple):
    """A holding that a limit looks at: its credits in units of 1/`grain` of the framework's own unit, and the leaves
    that it fills."""

    holding: Holding
    credits: int
    grain: int
    leaves: Collection[str]

    def amount(self, measure: Measure) -> int:
        """Its credits, or one, in units of 1/`grain`."""
        return self.credits if measure == "credits" else self.grain


class Judgement(NamedTuple):
    """Whether a limit is met: what there is, None where there is nothing to measure, and the bound in question; for
    dates the last one, and the last one allowed."""

    met: bool
    have: Fraction | datetime | None
    need: Fraction | datetime | None

    def shown(self) -> tuple[str | None, str | None]:
        """For people, never compared: what there is rounded down to 4 places, the bound as it was written."""
        have, need = (format_instant(each) if isinstance(each, datetime) else each for each in self[1:])
        if isinstance(have, Fraction):
            have = pointed(have.numerator * 10_000 // have.denominator, 4)
        return have, plain_fraction(need) if isinstance(need, Fraction) else need


@dataclass(frozen=True, slots=True)
class Bounds:
    """`min` ≤ value ≤ `max`, ends included."""

    min: Fraction = Fraction(0)
    max: Fraction | None = None

    def judge(self, value: Fraction | None) -> Judgement:
        """None stands for a value that cannot be told for want of anything to measure: then the limit is met."""
        over = self.max is not None and value is not None and value > self.max
        need = self.max if over or (self.max is not None and not self.min) else self.min
        return Judgement(value is None or (not over and self.min <= value), value, need)


@dataclass(frozen=True, slots=True)
class Limit(ABC):
    """A rule over the allocated holdings below the node `scope` (None: over all of them). `of` narrows them: of a
    `share` it is what the share is of."""

    id: str
    path: str
    scope: str | None
    of: Selector = field(default=ANY_HOLDING, kw_only=True)

    @property
    def measured(self) -> bool:
        """Whether it measures credits, or weighs grades by them: then no leaf below it takes a unit that does not
        convert."""
        return False

    @property
    def looks_at_all(self) -> bool:
        """Whether it looks at all that is held and fits, allocated or not."""
        return False

    @property
    def judged(self) -> bool:
        """Whether dropping a holding could break it. If not, it is a hard constraint of every allocation."""
        return False

    @abstractmethod
    def judge(self, counted: Sequence[Counted], moment: Moment) -> Judgement:
        """Judge what is allocated below its scope. For `gpa` over `held`, what fits there."""


@dataclass(frozen=True, slots=True)
class Share(Limit):
    """The part of all that is allocated which the selector `of` takes."""

    bounds: Bounds
    measure: Measure

    @property
    def measured(self) -> bool:
        return self.measure == "credits"

    @property
    def judged(self) -> bool:
        return True

    def judge(self, counted: Sequence[Counted], moment: Moment) -> Judgement:
        total = part = 0
        for each in counted:
            amount = each.amount(self.measure)
            total += amount
            part += amount if self.of.fits(each.holding, moment) else 0
        return self.bounds.judge(Fraction(part, total) if total else None)


@dataclass(frozen=True, slots=True)
class Amount(Limit):
    """How much of what is allocated the selector `of` takes."""

    bounds: Bounds
    measure: Measure

    @property
    def measured(self) -> bool:
        return self.measure == "credits"

    @property
    def judged(self) -> bool:
        return self.bounds.min > 0

    def judge(self, counted: Sequence[Counted], moment: Moment) -> Judgement:
        found = sum(each.amount(self.measure) for each in counted if self.of.fits(each.holding, moment))
        return self.bounds.judge(Fraction(found, counted[0].grain) if counted else Fraction(0))


@dataclass(frozen=True, slots=True)
class Distinct(Limit):
    """How many different values of the key `by` there are. `among` narrows the values, `of` the holdings."""

    bounds: Bounds
    by: str
    among: frozenset[str] | None

    @property
    def judged(self) -> bool:
        return self.bounds.min > 0

    def values(self, holding: Holding, moment: Moment) -> frozenset[str]:
        """Those that a holding gives. Its achievement is its own, whatever it counts as by a decision."""
        if not self.of.fits(holding, moment):
            return frozenset()
        values = frozenset(filter(None, listed_values(self.by, holding)))
        return values if self.among is None else values & self.among

    def judge(self, counted: Sequence[Counted], moment: Moment) -> Judgement:
        found = {value for each in counted for value in self.values(each.holding, moment)}
        return self.bounds.judge(Fraction(len(found)))


@dataclass(frozen=True, slots=True)
class Gpa(Limit):
    """The mean of grades as points of `scale`, weighed by `measure`. What has no such grade is left out. `held` looks
    at every attempt that fits a leaf below the scope instead of at what is allocated."""

    min: Decimal
    scale: str | None
    held: bool
    measure: Measure
    tables: tuple[GradeTable, ...]

    @property
    def measured(self) -> bool:
        return True

    @property
    def looks_at_all(self) -> bool:
        return self.held

    @property
    def judged(self) -> bool:
        return True

    def points(self, holding: Holding, moment: Moment) -> Fraction | None:
        points = grade_on(holding.grade, self.scale, self.tables) if self.of.fits(holding, moment) else None
        return None if points is None else Fraction(points)

    def judge(self, counted: Sequence[Counted], moment: Moment) -> Judgement:
        weight, total = 0, Fraction(0)
        for each in counted:
            points = self.points(each.holding, moment)
            if points is not None:
                weight += each.amount(self.measure)
                total += points * each.amount(self.measure)
        return Bounds(Fraction(self.min)).judge(total / weight if weight else None)


@dataclass(frozen=True, slots=True)
class Exclude(Limit):
    """Of the listed achievements at most one is allocated."""

    achievements: frozenset[str]

    def judge(self, counted: Sequence[Counted], moment: Moment) -> Judgement:
        found = {each.holding.achievement for each in counted} & self.achievements
        return Bounds(max=Fraction(1)).judge(Fraction(len(found)))


@dataclass(frozen=True, slots=True)
class Order(Limit):
    """Nothing allocated below the node `before` was earned after anything below the node `after`. `befores` and
    `afters` are the leaves below them."""

    before: str
    after: str
    befores: frozenset[str] = frozenset()
    afters: frozenset[str] = frozenset()

    def judge(self, counted: Sequence[Counted], moment: Moment) -> Judgement:
        before = [each.holding.earned for each in counted if not self.befores.isdisjoint(each.leaves)]
        after = [each.holding.earned for each in counted if not self.afters.isdisjoint(each.leaves)]
        need = min(after) if after else None
        if not before or need is None:
            return Judgement(met=True, have=None, need=need)
        return Judgement(max(before) <= need, max(before), need)


@dataclass(frozen=True, slots=True)
class Window(Limit):
    """What is allocated was earned within so many months of the earliest of it."""

    months: int

    def judge(self, counted: Sequence[Counted], moment: Moment) -> Judgement:
        dates = [each.holding.earned for each in counted if self.of.fits(each.holding, moment)]
        if not dates:
            return Judgement(met=True, have=None, need=None)
        end = self.end(min(dates))
        return Judgement(max(dates) <= end, max(dates), end)

    def end(self, first: datetime) -> datetime:
        """The last instant of a window that begins at `first`."""
        return add_months(first, self.months)
