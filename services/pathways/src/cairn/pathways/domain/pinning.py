"""Which versions of a qualification a learner may be judged by: the catalogue year, and the instants that move time."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from cairn.pathways.domain.holding import Holding
from cairn.pathways.domain.selector import months_pass


@dataclass(frozen=True, slots=True)
class Span:
    """When learners may come under a version: [start, end), either of which may be open (None)."""

    start: datetime | None
    end: datetime | None

    def covers(self, at: datetime) -> bool:
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)


def allowed(spans: Mapping[str, Span], first: datetime) -> frozenset[str]:
    """The versions, by name, in force when a learner enrolled or earned a first component (`first`).

    Where none was, those that came into force next: what was earned before a qualification existed counts under its
    first rules. None where the last version had closed before.
    """
    if now := frozenset(name for name, span in spans.items() if span.covers(first)):
        return now
    later = {name: span.start for name, span in spans.items() if span.start is not None and span.start > first}
    return frozenset(name for name, start in later.items() if start == min(later.values()))


def months_counted(document: object) -> frozenset[int]:
    """Every `withinMonths` of a framework's JSON that counts back from the instant at which the rules are to hold."""
    return frozenset(_months(document))


def _months(value: object) -> Iterator[int]:
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        months = members.get("withinMonths")
        if isinstance(months, int) and members.get("origin") is None:
            yield months
        for member in members.values():
            yield from _months(member)
    elif isinstance(value, list):
        for element in cast("list[object]", value):
            yield from _months(element)


def strings(value: object) -> Iterator[str]:
    """Every string in a JSON document that is not a key."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in cast("dict[str, object]", value).values():
            yield from strings(member)
    elif isinstance(value, list):
        for element in cast("list[object]", value):
            yield from strings(element)


def turning_points(holdings: Iterable[Holding], months: Collection[int]) -> Iterator[datetime]:
    """Instants at which holdings turn by time alone: when one expires, and when one comes to be too long after it was
    earned for `withinMonths`."""
    for holding in holdings:
        if holding.valid_until is not None:
            yield holding.valid_until
        for count in months:
            yield from months_pass(holding.earned, count)
