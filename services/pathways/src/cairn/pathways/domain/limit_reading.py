"""Limits from their JSON."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Final, cast

from cairn.pathways.domain.grades import SCORE
from cairn.pathways.domain.limits import (
    Amount,
    Bounds,
    Distinct,
    Exclude,
    Gpa,
    Limit,
    Measure,
    Order,
    Share,
    Window,
)
from cairn.pathways.domain.reading import JsonObject, Reader, step
from cairn.pathways.domain.selector import LIST_KEYS, Selector, Terms, read_selector

# What makes a limit one of its seven kinds, and the keys that go with it.
_FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "share": ("measure", "of", "scope"),
    "amount": ("measure", "of", "scope"),
    "distinct": ("by", "of", "among", "scope"),
    "gpa": ("measure", "of", "scope"),
    "exclude": ("scope",),
    "order": (),
    "window": ("of", "scope"),
}
_KEYS: Final = ("id", *_FORMS, *dict.fromkeys(key for keys in _FORMS.values() for key in keys))


def read_limits(reader: Reader, document: object, path: str, terms: Terms) -> tuple[Limit, ...]:
    limits = [_read_limit(reader, entry, place, terms) for entry, place in reader.each(document, path)]
    return tuple(limit for limit in limits if limit is not None)


def _read_limit(reader: Reader, document: object, path: str, terms: Terms) -> Limit | None:
    members = reader.members(document, path, _KEYS, ("id",))
    forms = [form for form in _FORMS if form in members]
    if len(forms) != 1:
        found = "has none of them" if not forms else f"has {' and '.join(forms)}"
        reader.refuse(
            "bad-limit", path, f"A limit is exactly one of {', '.join(_FORMS)}; this one {found}.", "Choose one."
        )
        return None
    form = forms[0]
    for key in members.keys() - {"id", form, *_FORMS[form]}:
        reader.refuse("unknown-key", step(path, key), f"{key!r} means nothing beside {form!r}.", "Remove it.")
    place = step(path, form)
    name = reader.text(members.get("id", "-"), step(path, "id"))
    scope = reader.text(members["scope"], step(path, "scope")) if "scope" in members else None
    of = read_selector(reader, members.get("of", {}), step(path, "of"), terms)
    measure = cast(
        "Measure", reader.choice(members.get("measure", "credits"), step(path, "measure"), ("credits", "count"))
    )
    match form:
        case "share":
            return Share(name, path, scope, _read_bounds(reader, members[form], place, reader.decimal), measure, of=of)
        case "amount":
            number = partial(_count, reader) if measure == "count" else reader.decimal
            return Amount(name, path, scope, _read_bounds(reader, members[form], place, number), measure, of=of)
        case "distinct":
            return _read_distinct(reader, members, name, path, scope, of)
        case "gpa":
            return _read_gpa(reader, members[form], name, path, scope, measure, of, terms)
        case "exclude":
            return Exclude(name, path, scope, frozenset(reader.texts(members[form], place)))
        case "order":
            sides = reader.members(members[form], place, ("before", "after"), ("before", "after"))
            before, after = (reader.text(sides.get(key, "-"), step(place, key)) for key in ("before", "after"))
            return Order(name, path, None, before, after)
        case _:
            months = reader.members(members[form], place, ("months",), ("months",)).get("months", 0)
            return Window(name, path, scope, reader.integer(months, step(place, "months")), of=of)


def _count(reader: Reader, document: object, path: str) -> int | Decimal:
    """Counts are whole numbers, and were taken as decimals too."""
    return reader.integer(document, path) if isinstance(document, int) else reader.decimal(document, path)


def _read_bounds(reader: Reader, document: object, path: str, number: Callable[[object, str], int | Decimal]) -> Bounds:
    """Bounds of which each is read as a `number`."""
    members = reader.members(document, path, ("min", "max"))
    if not members:
        reader.refuse("missing-key", path, "A bound has a min, a max or both.", "Give one of them.")
    bounds = {key: Fraction(number(bound, step(path, key))) for key, bound in members.items()}
    return replace(Bounds(), **bounds)


def _read_distinct(
    reader: Reader, members: JsonObject, name: str, path: str, scope: str | None, of: Selector
) -> Distinct:
    bounds = _read_bounds(reader, members["distinct"], step(path, "distinct"), reader.integer)
    if "by" not in members:
        reader.refuse("missing-key", step(path, "by"), "'by' is required.", f"One of {', '.join(LIST_KEYS)}.")
    by = reader.choice(members.get("by", LIST_KEYS[0]), step(path, "by"), LIST_KEYS)
    among = frozenset(reader.texts(members["among"], step(path, "among"))) if "among" in members else None
    return Distinct(name, path, scope, bounds, by, among, of=of)


def _read_gpa(
    reader: Reader,
    document: object,
    name: str,
    path: str,
    scope: str | None,
    measure: Measure,
    of: Selector,
    terms: Terms,
) -> Gpa:
    place = step(path, "gpa")
    members = reader.members(document, place, ("min", "scale", "over"), ("min", "scale"))
    least = reader.decimal(members["min"], step(place, "min")) if "min" in members else Decimal(0)
    scale = reader.text(members.get("scale", SCORE), step(place, "scale"))
    over = reader.choice(members.get("over", "allocated"), step(place, "over"), ("allocated", "held"))
    on = None if scale == SCORE else scale
    return Gpa(name, path, scope, least, on, over == "held", measure, terms.tables, of=of)
