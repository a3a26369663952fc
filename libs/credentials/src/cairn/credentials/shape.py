"""Type guards for parsed JSON, whose static type is Any."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

BLANKS: Final = r"\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What `\\s` means, written out: a class of characters and no categories is looked up in a table, twice as fast."""
_URL: Final = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:[^{BLANKS}<>\"{{}}|\\^`]+")
_MAX_SAFE_INTEGER: Final = 2**53 - 1


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


@dataclass(slots=True)
class Survey:
    """What one look at everything in a value tells. What stands under `@context` is not gone into."""

    names: set[Any]
    """Every key of the objects in it."""
    contexts: list[Any]
    """What stands under each `@context`, the outer before the inner."""
    is_plain: bool
    """Whether there are only types of JSON in it, contexts by name, and numbers that all writers write alike."""
    letters: str
    """The names in a row, so that one look tells which letters there are. Of those that are no text, nothing."""
    is_compact: bool = field(default=False, compare=False)
    """Whether the names and contexts alone were found to tell that no term is re-keyed."""

    def context_names(self) -> tuple[str, ...]:
        """Every context that is named by URL, once."""
        return named_contexts(self.contexts)


def named_contexts(contexts: list[Any]) -> tuple[str, ...]:
    """Those that are named by URL, each once."""
    return tuple(dict.fromkeys([name for one in contexts for name in listed(one) if isinstance(name, str)]))


def survey(value: Any) -> Survey:
    objects: list[dict[Any, Any]] = []
    contexts: list[Any] = []
    is_plain = True
    pending: list[Any] = [value]
    for item in pending:  # which grows, so that all are met
        kind: object = item.__class__
        if kind is str:
            continue
        if kind is dict:
            objects.append(item)
            if "@context" in item:
                members = item.copy()
                contexts.append(members.pop("@context"))
                pending += members.values()
            else:
                pending += item.values()
        elif kind is list:
            pending += item
        elif kind is int:
            if not -_MAX_SAFE_INTEGER <= item <= _MAX_SAFE_INTEGER:
                is_plain = False
        elif kind is float:
            if item.is_integer() or not 1e-3 <= abs(item) < 1e15:
                is_plain = False
        elif kind is not bool and item is not None:
            is_plain = False
            if is_object(item):
                pending.append(dict(item))
            elif is_list(item):
                pending.append(list(item))
    for named in contexts:
        if named.__class__ is not str and any(one.__class__ is not str for one in listed(named)):
            is_plain = False
    names: set[Any] = set()
    names.update(*objects)
    try:
        letters = "".join(names)
    except TypeError:
        letters, is_plain = "".join([one for one in names if isinstance(one, str)]), False
    return Survey(names, contexts, is_plain, letters)
