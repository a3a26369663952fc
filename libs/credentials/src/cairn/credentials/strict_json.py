"""JSON that every reader understands alike."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias, TypeVar, cast

import orjson

from cairn.credentials.errors import JsonRefused

JsonObject: TypeAlias = dict[str, Any]
T = TypeVar("T")

_MAX_NODES: Final = 100_000
_MAX_INTEGER_BITS: Final = 1_024
_MAX_WHOLE: Final = 2.0**63


def parse_json(
    data: bytes | str, *, max_bytes: int = 1_048_576, max_depth: int = 64, max_nodes: int = _MAX_NODES
) -> Any:
    """Parses JSON, refusing duplicate keys, NaN and infinities, lone surrogates, and what is too large or too deep.

    Raises JsonRefused.
    """
    return parse_written(data, _unseen, max_bytes=max_bytes, max_depth=max_depth, max_nodes=max_nodes)[0]


def parse_written(
    data: bytes | str,
    look: Callable[[Any, bytes], tuple[bool, T | None]],
    *,
    max_bytes: int = 1_048_576,
    max_depth: int = 64,
    max_nodes: int = _MAX_NODES,
) -> tuple[Any, bytes | None, T | None]:
    """As `parse_json`; and the value as orjson writes it, where that is known by then, and what `look` says of that.

    `look` is given a value that orjson has read, and its text, and says first whether it is certain that orjson would
    write the value as that very text, and that it is no deeper than `max_depth`: then this is not found out again.
    """
    if len(data) > max_bytes:
        raise JsonRefused(f"more than {max_bytes} bytes", code="too-large")
    try:
        found = _parse_plain(data, max_depth, look) if len(data) <= max_nodes else None
        if found is not None:
            return found
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except JsonRefused:
        raise
    except UnicodeDecodeError:
        raise JsonRefused("not UTF-8") from None
    except RecursionError:
        raise JsonRefused(f"nested deeper than {max_depth} levels", code="too-deep") from None
    except json.JSONDecodeError as error:
        raise JsonRefused(f"not JSON: {str(error)[:120]}") from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise JsonRefused("an integer is too large", code="too-large") from None
    check_json(value, max_depth=max_depth, max_nodes=max_nodes)
    return value, None, None


_ODD_COLONS: Final = (b'\\":', b" :", b"\t:", b"\n:", b"\r:")


def _unseen(value: Any, raw: bytes) -> tuple[bool, None]:
    return False, None


def _parse_plain(
    data: bytes | str, max_depth: int, look: Callable[[Any, bytes], tuple[bool, T | None]]
) -> tuple[Any, bytes, T | None] | None:
    """By orjson, and what it writes of that; or None where it might not do. Raises JsonRefused for what is too deep.

    What it writes back byte for byte it has read as any other reader does: a key that appears twice it would have
    written once, an integer that it cannot hold as a float. NaN and lone surrogates it does not know. Each value takes
    a byte at least, so that the text's length bounds their number, and its brackets their depth.
    """
    try:
        raw = data if isinstance(data, bytes) else data.encode()
        value = orjson.loads(raw)
        is_known, seen = look(value, raw)
        if is_known:
            return value, raw, seen
        written = orjson.dumps(value)
        if written != raw and not _is_plain(value, raw):
            return None
    except (TypeError, ValueError):
        return None
    # What is left out is told apart by memchr; Python counts single bytes one by one, eight times slower.
    if len(written) - len(written.replace(b"{", b"").replace(b"[", b"")) >= max_depth:
        _check_depth(value, max_depth)
    return value, written, seen if written == raw else None


def _is_plain(value: Any, raw: bytes) -> bool:
    """Whether a text that is not laid out as orjson would has no key twice, and no integer that orjson cannot hold.

    The members are counted in the value and in the text: where no space stands before a colon and no quotation mark of
    a text before one, each has its own `":`.
    """
    if any(odd in raw for odd in _ODD_COLONS):
        return False
    members = 0
    level: list[Any] = [value]
    while level:
        below: list[Any] = []
        for item in level:
            kind: object = item.__class__
            if kind is str:
                continue
            if kind is dict:
                members += len(item)
                below.extend(item.values())
            elif kind is list:
                below.extend(item)
            elif kind is float and abs(item) >= _MAX_WHOLE:
                return False
        level = below
    return members == raw.count(b'":')


def _check_depth(value: Any, limit: int) -> None:
    """As `check_json` counts: an empty object or array is a level like any other value."""
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > limit:
            raise JsonRefused(f"nested deeper than {limit} levels", code="too-deep")
        level = [
            member
            for item in level
            if item and (item.__class__ is dict or item.__class__ is list)
            for member in (item.values() if item.__class__ is dict else item)
        ]


def check_json(value: Any, *, max_depth: int = 64, max_nodes: int = _MAX_NODES) -> None:
    """The same rules for a value parsed elsewhere: JSON types only, finite numbers, bounded. Raises JsonRefused."""
    level = [value]
    depth = nodes = 0
    while level:
        depth += 1
        if depth > max_depth:
            raise JsonRefused(f"nested deeper than {max_depth} levels", code="too-deep")
        below: list[Any] = []
        for item in level:
            kind = cast("type[object]", type(item))
            if kind is str:
                _no_surrogate(item)
            elif kind is dict:
                for key, member in cast("dict[Any, Any]", item).items():
                    if type(key) is not str:
                        raise JsonRefused("a key is not a string")
                    _no_surrogate(key)
                    below.append(member)
            elif kind is list:
                below.extend(cast("list[Any]", item))
            elif kind is float:
                if not math.isfinite(item):
                    raise JsonRefused("a number is not finite", code="number-not-finite")
            elif kind is int:
                if item.bit_length() > _MAX_INTEGER_BITS:
                    raise JsonRefused("an integer is too large", code="too-large")
            elif item is not None and kind is not bool:
                raise JsonRefused(f"{kind.__name__} is not a JSON type")
        nodes += len(below)
        if nodes > max_nodes:
            raise JsonRefused(f"more than {max_nodes} values", code="too-large")
        level = below


def _no_surrogate(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise JsonRefused("a string holds half of a surrogate pair") from None


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonRefused(f"the key {key[:80]!r} appears twice in one object", code="duplicate-key")
            seen.add(key)
    return found


def _no_constant(name: str) -> NoReturn:
    raise JsonRefused(f"{name} is not JSON", code="number-not-finite")
