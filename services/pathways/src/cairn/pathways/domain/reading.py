"""Reading JSON that strangers wrote: every problem is collected with its place, and nothing unknown is let through."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Protocol, TypeGuard, TypeVar, cast

from cairn.common.instants import parse_instant
from cairn.pathways.domain.errors import Kind, Problem, Refused
from cairn.pathways.domain.once import cached_property

DEEPEST: Final = 32
LARGEST: Final = 1_000_000
_WHEN: Final = 'Write a date such as "2026-03-01", or a date-time such as "2026-03-01T09:30:00Z".'
NO_INSTANT: Final = datetime(1, 1, 1, tzinfo=UTC)
_DECIMAL: Final = re.compile(r"(0|[1-9]\d{0,11})(\.\d{1,12})?")

JsonObject = dict[str, object]


def step(path: str, key: str | int) -> str:
    """The JSON pointer one step further down."""
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"


class Reader:
    """Collects problems while a document is read. A value that cannot be read comes back as a harmless stand-in, so
    that reading goes on and the author sees all problems at once; `settle` then refuses the whole."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, code: str, path: str, detail: str, fix: str, kind: Kind = "shape") -> None:
        self.problems.append(Problem(kind, code, path, detail, fix))

    def settle(self) -> None:
        """Raises Refused if anything was wrong."""
        if self.problems:
            raise Refused(self.problems)

    def members(self, value: object, path: str, known: Collection[str], required: Sequence[str] = ()) -> JsonObject:
        """The object's non-null members; null is the same as absent."""
        if not isinstance(value, dict):
            self.refuse("wrong-type", path, f"Expected an object, found {_kind(value)}.", "Write {…}.")
            return {}
        members = cast("JsonObject", value)
        wanted = frozenset(known)
        for key in members:
            if key not in wanted:
                self.refuse(
                    "unknown-key", step(path, key), f"{key!r} means nothing here.", f"Known: {', '.join(known)}."
                )
        for key in required:
            if members.get(key) is None:
                self.refuse("missing-key", step(path, key), f"{key!r} is required.", "Add this field.")
        return {key: member for key, member in members.items() if member is not None and key in wanted}

    def each(self, value: object, path: str) -> Iterator[tuple[object, str]]:
        """Each element with its path."""
        if not isinstance(value, list | tuple):
            self.refuse("wrong-type", path, f"Expected a list, found {_kind(value)}.", "Write […].")
            return
        for place, element in enumerate(cast("Sequence[object]", value)):
            yield element, step(path, place)

    def text(self, value: object, path: str) -> str:
        if _is_text(value):
            return value
        if isinstance(value, str) and value:
            self.refuse("wrong-type", path, "The string holds half of a surrogate pair.", "Correct the text.")
        else:
            self.refuse("wrong-type", path, f"Expected a non-empty string, found {_kind(value)}.", "Write a text.")
        return ""

    def texts(self, value: object, path: str) -> tuple[str, ...]:
        if isinstance(value, list):
            elements = cast("list[object]", value)
            if all(map(_is_text, elements)):
                return tuple(cast("list[str]", elements))
        return tuple(self.text(element, place) for element, place in self.each(cast("object", value), path))

    def choice(self, value: object, path: str, known: Sequence[str]) -> str:
        if not isinstance(value, str) or value not in known:
            self.refuse(
                "unknown-value",
                path,
                f"Expected one of {', '.join(known)}, found {_kind(value)}.",
                "Write one of them.",
            )
            return known[0]
        return value

    def flag(self, value: object, path: str) -> bool:
        if not isinstance(value, bool):
            self.refuse("wrong-type", path, f"Expected true or false, found {_kind(value)}.", "Write one of the two.")
            return False
        return value

    def integer(self, value: object, path: str, least: int = 0) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST:
            self.refuse(
                "bad-integer",
                path,
                f"Expected a whole number from {least} to {LARGEST}, found {_kind(value)}.",
                "Write one.",
            )
            return least
        return value

    def decimal(self, value: object, path: str) -> Decimal:
        if not isinstance(value, str) or not is_decimal(value):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            fix = f'Write "{value}".' if number else "Write a decimal as a string."
            self.refuse(
                "bad-decimal", path, f'Expected a decimal as a string, such as "7.5", found {_kind(value)}.', fix
            )
            return Decimal(0)
        return Decimal(value)

    def instant(self, value: object, path: str) -> datetime:
        """A date-time of RFC 3339, or a date, which is 00:00Z."""
        if not isinstance(value, str):
            self.refuse(
                "bad-instant", path, f"Expected a date or a date-time as a string, found {_kind(value)}.", _WHEN
            )
            return NO_INSTANT
        try:
            return parse_instant(value)
        except ValueError as error:
            self.refuse("bad-instant", path, f"{error}.", _WHEN)
            return NO_INSTANT


class _Identified(Protocol):
    @property
    def id(self) -> str: ...
    @cached_property
    def canonical(self) -> bytes: ...


_Known = TypeVar("_Known", bound=_Identified)


def merged(some: Iterable[_Known], path: str, what: str) -> tuple[_Known, ...]:
    """Those by id. Equal duplicates are one; unequal ones are refused with the path of the second."""
    reader = Reader()
    by_id: dict[str, _Known] = {}
    for place, one in enumerate(some):
        known = by_id.setdefault(one.id, one)
        if known is not one and known.canonical != one.canonical:
            detail = f"Two different {what} have the id {one.id!r}."
            fix = "Keep one, or give it another id."
            reader.refuse("conflicting-duplicate", step(path, place), detail, fix, kind="structure")
    reader.settle()
    return tuple(by_id[key] for key in sorted(by_id))


def is_decimal(text: str) -> bool:
    return _DECIMAL.fullmatch(text) is not None


def _is_text(value: object) -> TypeGuard[str]:
    return (
        isinstance(value, str)
        and value != ""
        and (value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value))
    )


def _kind(value: object) -> str:
    """A short, safe description of a JSON value: what it is, never a long echo of it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value[:40]}"' if value else "an empty string"
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            return f"the number {str(value)[:40]}"
