"""The one character that PostgreSQL cannot store in a text, nor in JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast


def places_of_nul(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where in a JSON value texts hold it; of a name, the object that has it."""
    if isinstance(value, str):
        if "\0" in value:
            yield path
    elif isinstance(value, dict):
        for key, member in cast("dict[str, Any]", value).items():
            if "\0" in key:
                yield path
            yield from places_of_nul(member, (*path, key))
    elif isinstance(value, list | tuple):
        for place, member in enumerate(cast("list[Any]", value)):
            yield from places_of_nul(member, (*path, place))
