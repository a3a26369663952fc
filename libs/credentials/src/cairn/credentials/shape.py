"""Type guards for parsed JSON, whose static type is Any."""

from __future__ import annotations

import re
from typing import Any, Final, TypeGuard

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def listed(value: Any) -> list[Any]:
    """JSON-LD writes a set of one without brackets: the value as a list, and nothing as an empty one."""
    if is_list(value):
        return value
    return [] if value is None else [value]


def text_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def id_of(value: Any) -> str | None:
    """The id of a node that may be written as its bare id."""
    return text_of(value.get("id")) if is_object(value) else text_of(value)


def types_of(value: Any) -> tuple[str, ...]:
    """The `type` of a node, as written."""
    if not is_object(value):
        return ()
    kinds = value.get("type")
    return (kinds,) if isinstance(kinds, str) else tuple([kind for kind in listed(kinds) if isinstance(kind, str)])


def is_url(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _URL.fullmatch(value) is not None


def is_small(value: Any, limit: int) -> bool:
    """Whether there are at most `limit` values in it, at any depth."""
    pending: list[Any] = [value]
    seen = 0
    while pending and seen <= limit:
        item = pending.pop()
        seen += 1
        if is_object(item):
            pending.extend(item.values())
        elif is_list(item):
            pending.extend(item)
    return seen <= limit


def names_in(value: Any) -> tuple[set[str], list[Any]]:
    """Every key of the objects in it, at any depth, and what stands under each `@context`, which is not gone into."""
    keys: set[str] = set()
    contexts: list[Any] = []
    pending: list[Any] = [value]
    for item in pending:  # which grows, so that all are met, the outer before the inner
        kind: object = item.__class__
        if kind is str:
            continue
        if kind is dict or is_object(item):
            keys.update(item)
            if "@context" in item:
                contexts.append(item["@context"])
                pending += [item[key] for key in item if key != "@context"]
            else:
                pending += item.values()
        elif kind is list or is_list(item):
            pending += item
    return keys, contexts
