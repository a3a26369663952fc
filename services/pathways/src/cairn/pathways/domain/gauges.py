"""Limits as fields of the state of an allocation: what each option adds to them, and when they are met.

Two kinds are enough. A *gauge* is a sum that must not end below zero: a share, an amount, a mean of grades, what a pair
of leaves may share. *Marks* are bits that options set: those that may not go together (an excluded achievement, dates
out of order, an award and its components) forbid each other's; those of `distinct` are counted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import TypeVar

from cairn.pathways.domain.limits import Amount, Counted, Distinct, Exclude, Gpa, Limit, Order, Share, Window
from cairn.pathways.domain.plan import Option, Plan, Problem
from cairn.pathways.domain.selector import Moment

_Key = TypeVar("_Key")


@dataclass(slots=True, eq=False)
class Gauge:
    """A field that holds a sum: it begins at `start`, and `zero` stands for a sum of zero. The bit above it, `carry`,
    is never set."""

    shift: int
    mask: int
    zero: int
    start: int

    @property
    def carry(self) -> int:
        return (self.mask + 1) << self.shift


@dataclass(slots=True, eq=False)
class Marks:
    """Bits of which at least `min` and at most `max` are to be set."""

    bits: int
    min: int
    max: int | None


@dataclass(slots=True, eq=False)
class Rule:
    """A limit, or what a pair may share: met when all of its parts are, or when nothing counts below its scope (none of
    `active` is set; 0 where something always does). `hard` ones hold of every allocation. `verdict` is that of a limit
    that does not look at what is allocated."""

    hard: bool
    active: int = 0
    gauges: list[Gauge] = field(default_factory=list[Gauge])
    marks: Marks | None = None
    verdict: bool = True

    @property
    def bits(self) -> int:
        """Those of the state that it looks at."""
        fields = sum(gauge.mask << gauge.shift for gauge in self.gauges)
        return self.active | fields | (0 if self.marks is None else self.marks.bits)

    def met(self, state: int) -> bool:
        if self.active and not state & self.active:
            return True
        if self.marks is not None:
            count = (state & self.marks.bits).bit_count()
            if count < self.marks.min or (self.marks.max is not None and count > self.marks.max):
                return False
        return self.verdict and all(state >> g.shift & g.mask >= g.zero for g in self.gauges)


def lay_rules(plan: Plan, problem: Problem, limits: Iterable[Limit]) -> list[Rule]:
    """Give limits their bits of the state, and options what they do to them."""
    _keep_awards_apart(plan)
    rules = _Rules(plan, problem)
    for limit in limits:
        rules.add(limit)
    return rules.found + _pairs(plan, problem)


def _keep_awards_apart(plan: Plan) -> None:
    """An award and one of its components are not both allocated, unless the award's leaf is spendable. Each such award
    has two bits: it was used itself, or one of its components was."""
    if not any(c.holding.components for c in plan.candidates):
        return
    options: dict[str, list[Option]] = {}
    for option in (option for item in plan.items for option in item.options):
        options.setdefault(option.candidate.id, []).append(option)
    for name, own in options.items():
        parts = {part for part in own[0].candidate.holding.components if part in options} - {name}
        kept = [option for option in own if not option.slot.leaf.spendable]
        if not parts or not kept:
            continue
        used = 1 << plan.take_bits(2)
        broken = used << 1
        for option in kept:
            option.forbid |= broken
            option.mark |= used
        for option in (option for part in parts for option in options[part]):
            option.forbid |= used
            option.mark |= broken


class _Rules:
    def __init__(self, plan: Plan, problem: Problem) -> None:
        self._plan = plan
        self._problem = problem
        self._moment = problem.moment
        self.found: list[Rule] = []

    def add(self, limit: Limit) -> None:
        leaves = self._problem.below[limit.scope]
        if not leaves:
            return
        rule = Rule(hard=not limit.judged)
        below = [o for item in self._plan.items for o in item.options if o.slot.leaf.id in leaves]
        if limit.judged:
            rule.active = self._activity(leaves)
        match limit:
            case _ if limit.looks_at_all:
                fitting = [c.counted(()) for c in self._problem.held if not leaves.isdisjoint(c.worth)]
                rule.verdict = limit.judge(fitting, self._moment).met
            case Share() | Amount() | Gpa():
                for start, add in sums(limit, self._moment, self._problem.grain):
                    rule.gauges.append(lay_gauge(self._plan, below, start, lambda o, add=add: add(_counted(o))))
            case Distinct():
                self._mark_values(rule, limit, below)
            case Exclude():
                self._exclude(limit, below)
            case Window():
                self._window(limit, below)
            case Order():
                self._order(limit, below)
            case _:
                raise TypeError(f"unknown limit {limit!r}")
        self.found.append(rule)

    def _activity(self, leaves: frozenset[str]) -> int:
        """The bit that says that one of some leaves counts; 0 where one always does."""
        slots = self._plan.slots
        guards = [slots[name].guard for name in leaves if name in slots]
        if any(not guard for guard in guards):
            return 0
        bit = 1 << self._plan.take_bits(1)
        for guard in guards:
            self._plan.marks[guard[-1]] = self._plan.marks.get(guard[-1], 0) | bit
        return bit

    def _mark_values(self, rule: Rule, limit: Distinct, below: Sequence[Option]) -> None:
        values = {o.candidate.id: limit.values(o.candidate.holding, self._moment) for o in below}
        every = sorted({value for some in values.values() for value in some})
        first = self._plan.take_bits(len(every))
        place = {value: 1 << first + n for n, value in enumerate(every)}
        most = None if limit.bounds.max is None else int(limit.bounds.max)
        rule.marks = Marks(sum(place.values()), int(limit.bounds.min), most)
        for option in below:
            option.mark |= sum(place[value] for value in values[option.candidate.id])
            option.helps |= limit.judged and bool(values[option.candidate.id])

    def _exclude(self, limit: Exclude, below: Sequence[Option]) -> None:
        self._clash(
            [
                (o, o.candidate.holding.achievement)
                for o in below
                if o.candidate.holding.achievement in limit.achievements
            ],
            lambda one, other: one != other,
        )

    def _window(self, limit: Window, below: Sequence[Option]) -> None:
        dated = [(o, o.candidate.holding.earned) for o in below if limit.of.fits(o.candidate.holding, self._moment)]
        self._clash(dated, lambda one, other: max(one, other) > limit.end(min(one, other)))

    def _order(self, limit: Order, below: Sequence[Option]) -> None:
        sides = [(o, (0, o.candidate.holding.earned)) for o in below if o.slot.leaf.id in limit.befores]
        sides += [(o, (1, o.candidate.holding.earned)) for o in below if o.slot.leaf.id in limit.afters]
        self._clash(sides, lambda one, other: one[0] != other[0] and min(one, other)[1] > max(one, other)[1])

    def _clash(self, options: Sequence[tuple[Option, _Key]], apart: Callable[[_Key, _Key], bool]) -> None:
        """Options whose keys may not go together forbid each other."""
        keys = list(dict.fromkeys(key for _, key in options))
        clashing = [key for key in keys if any(apart(key, other) for other in keys)]
        first = self._plan.take_bits(len(clashing))
        bits = {key: 1 << first + n for n, key in enumerate(clashing)}
        for option, key in options:
            if key in bits:
                option.mark |= bits[key]
                option.forbid |= sum(bits[other] for other in clashing if apart(key, other))


def _counted(option: Option) -> Counted:
    return option.candidate.counted((option.slot.leaf.id,))


# Where a sum starts, and what a holding adds to it.
_Sum = tuple[Fraction, Callable[[Counted], Fraction]]


def sums(limit: Share | Amount | Gpa, moment: Moment, grain: int) -> list[_Sum]:
    """The sums that must not end below zero, in units of 1/`grain`."""
    none, one = Fraction(0), Fraction(1)
    if isinstance(limit, Gpa):
        floor = Fraction(limit.min)

        def above_mean(each: Counted) -> Fraction:
            points = limit.points(each.holding, moment)
            return none if points is None else (points - floor) * each.amount(limit.measure)

        return [(none, above_mean)]

    def weigh(inside: Fraction, outside: Fraction) -> Callable[[Counted], Fraction]:
        return lambda each: each.amount(limit.measure) * (inside if limit.of.fits(each.holding, moment) else outside)

    least, most = limit.bounds.min, limit.bounds.max
    found: list[_Sum] = []
    if isinstance(limit, Share):
        if least:
            found.append((none, weigh(one - least, -least)))
        if most is not None:
            found.append((none, weigh(most - one, most)))
        return found
    if least:
        found.append((-least * grain, weigh(one, none)))
    if most is not None:
        found.append((most * grain, weigh(-one, none)))
    return found


def lay_gauge(plan: Plan, options: Sequence[Option], start: Fraction, add: Callable[[Option], Fraction]) -> Gauge:
    """A field for a sum, wide enough for any, in which one is the smallest difference that occurs."""
    amounts = [add(option) for option in options]
    scale = lcm(start.denominator, *(amount.denominator for amount in amounts))
    whole = [amount.numerator * (scale // amount.denominator) for amount in amounts]
    span = abs(int(start * scale)) + sum(map(abs, whole)) + 1
    shift = plan.take_bits((2 * span).bit_length() + 1)
    gauge = Gauge(shift, (1 << (2 * span).bit_length()) - 1, span, span + int(start * scale))
    for option, amount in zip(options, whole, strict=True):
        if amount:
            option.gauges += ((shift, amount),)
            option.delta += amount << shift
            option.helps |= amount > 0
    return gauge


def _pairs(plan: Plan, problem: Problem) -> list[Rule]:
    """What each pair of leaves may share, in credits. The walk adds to these gauges itself, as it alone knows what one
    credential is given to."""
    caps: dict[frozenset[str], Fraction] = {}
    for pair in problem.reuse.pairs:
        if pair.max_credits is not None:
            leaves = frozenset(pair.leaves)
            caps[leaves] = min(pair.max_credits, caps.get(leaves, pair.max_credits))
    rules: list[Rule] = []
    for leaves, cap in caps.items():
        amounts = {c.id: c.credits for c in plan.candidates if leaves <= c.worth.keys()}
        # What is whole does not exceed a cap unless it exceeds its whole part.
        most = int(cap * problem.grain)
        span = most + sum(amounts.values()) + 1
        bits = (2 * span).bit_length()
        shift = plan.take_bits(bits + 1)
        plan.sharing[leaves] = (shift, {name: -amount for name, amount in amounts.items()})
        rules.append(Rule(hard=True, gauges=[Gauge(shift, (1 << bits) - 1, span, span + most)]))
    return rules
