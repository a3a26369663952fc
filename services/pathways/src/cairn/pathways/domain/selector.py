"""Selectors: which holdings fit. A conjunction of criteria; an absent or null key of the holding matches nothing."""

from abc import ABC, abstractmethod
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final

from cairn.pathways.domain.grades import GradeFloor, GradeTable, read_grade_floor
from cairn.pathways.domain.holding import SOURCES, Holding
from cairn.pathways.domain.reading import DEEPEST, NO_INSTANT, Reader, step


@dataclass(frozen=True, slots=True)
class Moment:
    """When a fit is judged: the instant `s` at which the rules are to hold, and the learner's enrolment if known.
    `counts_as` are the equivalence decisions of that instant: by achievement, what else it may be selected as."""

    at: datetime
    enrolled: datetime | None = None
    counts_as: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


@dataclass(frozen=True, slots=True)
class Terms:
    """What a framework declares that its selectors need to know. `same` gives, for an achievement, all that are
    declared equivalent to it: asking for one asks for any of them."""

    same: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    tables: tuple[GradeTable, ...] = ()


class Criterion(ABC):
    """One key of a selector. `key` is its name in the contract, and the reason given where nothing else stood in the
    way."""

    __slots__ = ()
    key: str

    @abstractmethod
    def fits(self, holding: Holding, moment: Moment) -> bool: ...

    @property
    def timed(self) -> bool:
        """Whether the answer depends on the moment and not on the holding alone."""
        return False


@dataclass(frozen=True, slots=True)
class Selector(Criterion):
    """A conjunction of criteria. `{}` matches all."""

    criteria: tuple[Criterion, ...] = ()
    key = "allOf"

    def fits(self, holding: Holding, moment: Moment) -> bool:
        for criterion in self.criteria:  # noqa: SIM110 - this is the hottest loop of an audit
            if not criterion.fits(holding, moment):
                return False
        return True

    @property
    def timed(self) -> bool:
        return any(criterion.timed for criterion in self.criteria)

    def conjuncts(self) -> Iterator[Criterion]:
        """Every criterion that must hold, those of nested conjunctions included."""
        for criterion in self.criteria:
            if isinstance(criterion, Selector):
                yield from criterion.conjuncts()
            else:
                yield criterion

    def achievements(self) -> frozenset[str] | None:
        """The achievements it is limited to by name, or None if it is not."""
        named: frozenset[str] | None = None
        for criterion in self.conjuncts():
            if isinstance(criterion, Listed) and criterion.key == "achievement":
                named = criterion.values if named is None else named & criterion.values
        return named


ANY_HOLDING: Final = Selector()

# How a holding answers a key whose criterion is a list of strings.
_LISTS: Final[Mapping[str, Callable[[Holding], tuple[str | None, ...]]]] = {
    "achievement": lambda holding: (holding.achievement,),
    "issuer": lambda holding: (holding.issuer,),
    "accreditedBy": attrgetter("accredited_by"),
    "type": attrgetter("type"),
    "tag": attrgetter("tag"),
    "area": attrgetter("area"),
    "skill": attrgetter("skill"),
    "mode": lambda holding: (holding.mode,),
    "source": lambda holding: (holding.source,),
}


@dataclass(frozen=True, slots=True)
class Listed(Criterion):
    """Lists match on overlap."""

    key: str
    values: frozenset[str]

    def fits(self, holding: Holding, moment: Moment) -> bool:
        if not self.values.isdisjoint(_LISTS[self.key](holding)):
            return True
        return self.key == "achievement" and not self.values.isdisjoint(moment.counts_as.get(holding.achievement, ()))


def listed_values(key: str, holding: Holding) -> tuple[str, ...]:
    """What a holding answers to a key whose criterion is a list."""
    return tuple([value for value in _LISTS[key](holding) if value])


LIST_KEYS: Final = tuple(_LISTS)


@dataclass(frozen=True, slots=True)
class LevelRange(Criterion):
    framework: str
    min: int | None
    max: int | None
    key = "level"

    def fits(self, holding: Holding, moment: Moment) -> bool:
        return self.admits(holding.level.get(self.framework))

    def admits(self, level: int | None) -> bool:
        return level is not None and (self.min is None or level >= self.min) and (self.max is None or level <= self.max)


@dataclass(frozen=True, slots=True)
class GradeAtLeast(Criterion):
    floor: GradeFloor
    key = "grade"

    def fits(self, holding: Holding, moment: Moment) -> bool:
        return self.floor.met_by(holding.grade)


@dataclass(frozen=True, slots=True)
class Assessed(Criterion):
    supervised: bool | None
    identity_verified: bool | None
    key = "assessment"

    def fits(self, holding: Holding, moment: Moment) -> bool:
        return (self.supervised is None or holding.supervised is self.supervised) and (
            self.identity_verified is None or holding.identity_verified is self.identity_verified
        )


@dataclass(frozen=True, slots=True)
class EarnedWhen(Criterion):
    """`months` counts back, both ends included, from the moment or from enrolment; [`after`, `before`) is absolute."""

    months: int | None
    from_enrolment: bool
    after: datetime | None
    before: datetime | None
    key = "earned"

    def fits(self, holding: Holding, moment: Moment) -> bool:
        if self.after is not None and holding.earned < self.after:
            return False
        if self.before is not None and holding.earned >= self.before:
            return False
        if self.months is None:
            return True
        origin = moment.enrolled if self.from_enrolment else moment.at
        return origin is not None and add_months(origin, -self.months) <= holding.earned

    @property
    def timed(self) -> bool:
        return self.months is not None and not self.from_enrolment


@dataclass(frozen=True, slots=True)
class AnyOf(Criterion):
    selectors: tuple[Selector, ...]
    key = "anyOf"

    def fits(self, holding: Holding, moment: Moment) -> bool:
        return any(selector.fits(holding, moment) for selector in self.selectors)

    @property
    def timed(self) -> bool:
        return any(selector.timed for selector in self.selectors)


@dataclass(frozen=True, slots=True)
class Not(Criterion):
    selector: Selector
    key = "not"

    def fits(self, holding: Holding, moment: Moment) -> bool:
        return not self.selector.fits(holding, moment)

    @property
    def timed(self) -> bool:
        return self.selector.timed


_END: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


def add_months(instant: datetime, months: int) -> datetime:
    """So many months later, or earlier, in UTC, the day clamped to the month. Past an end of the calendar it is that
    end."""
    year, month = divmod(instant.year * 12 + instant.month - 1 + months, 12)
    if year > _END.year:
        return _END
    if year < 1:
        return NO_INSTANT
    return instant.replace(year=year, month=month + 1, day=min(instant.day, monthrange(year, month + 1)[1]))


def months_pass(earned: datetime, months: int) -> Iterator[datetime]:
    """The instants at which counting so many months back starts or ceases to reach `earned`. It may more than once:
    from each of the last days of March one month back is the last day of February, at the same time of day."""
    last = add_months(earned, months)
    if last >= _END:
        return
    if last.day < earned.day:
        # All days until the month ends are clamped to none that is later.
        yield add_months(last.replace(day=1, hour=0, minute=0, second=0, microsecond=0), 1)
        return
    yield last + _TICK
    if earned.day == monthrange(earned.year, earned.month)[1]:
        for day in range(last.day + 1, monthrange(last.year, last.month)[1] + 1):
            yield last.replace(day=day, hour=0, minute=0, second=0, microsecond=0)
            yield last.replace(day=day) + _TICK


def add_days(instant: datetime, days: int) -> datetime:
    """So many days later. Past the calendar's end it is the calendar's end."""
    return _END if days > (_END - instant).days else instant + timedelta(days=days)


_KEYS: Final = (*LIST_KEYS, "level", "grade", "assessment", "earned", "allOf", "anyOf", "not")


def read_selector(reader: Reader, document: object, path: str, terms: Terms, depth: int = 0) -> Selector:
    """A selector from its JSON."""
    if depth > DEEPEST:
        reader.refuse("too-deep", path, f"Selectors nest at most {DEEPEST} deep.", "Make it flatter.")
        return Selector()
    members = reader.members(document, path, _KEYS)

    def nested(value: object, place: str) -> Selector:
        return read_selector(reader, value, place, terms, depth + 1)

    criteria: list[Criterion] = []
    for key, value in members.items():
        place = step(path, key)
        match key:
            case "level":
                criteria.append(_read_level(reader, value, place))
            case "grade":
                criteria.append(GradeAtLeast(read_grade_floor(reader, value, place, terms.tables)))
            case "assessment":
                flags = reader.members(value, place, ("supervised", "identityVerified"))
                read = {name: reader.flag(flag, step(place, name)) for name, flag in flags.items()}
                criteria.append(Assessed(read.get("supervised"), read.get("identityVerified")))
            case "earned":
                criteria.append(_read_earned(reader, value, place))
            case "allOf":
                criteria.extend(nested(each, at) for each, at in reader.each(value, place))
            case "anyOf":
                criteria.append(AnyOf(tuple(nested(each, at) for each, at in reader.each(value, place))))
            case "not":
                criteria.append(Not(nested(value, place)))
            case _:
                values = frozenset(reader.texts(value, place))
                if key == "source":
                    for source, at in reader.each(value, place):
                        reader.choice(source, at, SOURCES)
                if key == "achievement":
                    values = frozenset(each for value in values for each in terms.same.get(value, (value,)))
                criteria.append(Listed(key, values))
    return Selector(tuple(criteria))


def _read_level(reader: Reader, document: object, path: str) -> LevelRange:
    members = reader.members(document, path, ("framework", "min", "max"), ("framework",))
    if members and "min" not in members and "max" not in members:
        reader.refuse("missing-key", path, "A level has a min, a max or both.", "Give one of them.")
    bounds = {key: reader.integer(members[key], step(path, key)) for key in ("min", "max") if key in members}
    framework = reader.text(members.get("framework", "-"), step(path, "framework"))
    return LevelRange(framework, bounds.get("min"), bounds.get("max"))


def _read_earned(reader: Reader, document: object, path: str) -> EarnedWhen:
    members = reader.members(document, path, ("withinMonths", "origin", "after", "before"))
    if not members.keys() - {"origin"}:
        reader.refuse("missing-key", path, "Earned has withinMonths, after or before.", "Give one of them.")
    months = reader.integer(members["withinMonths"], step(path, "withinMonths")) if "withinMonths" in members else None
    if "origin" in members:
        reader.choice(members["origin"], step(path, "origin"), ("enrolment",))
        if months is None:
            reader.refuse(
                "missing-key",
                step(path, "withinMonths"),
                "Origin is where withinMonths counts from.",
                "Add it, or leave origin out.",
            )
    after, before = (
        reader.instant(members[key], step(path, key)) if key in members else None for key in ("after", "before")
    )
    return EarnedWhen(months, "origin" in members, after, before)
