"""JSON in one form only (RFC 8785), for digests. The documents of this service hold no floating-point numbers."""

import json
from hashlib import sha256
from typing import Final, cast

import orjson

from cairn.pathways.domain.reading import JsonObject

# From here on the order of UTF-16 code units is another than that of code points.
_ASTRAL: Final = "\ud800"


def canonical(value: object) -> bytes:
    """RFC 8785 of a document of objects, lists, strings, whole numbers below 2^53, booleans and nulls. Raises TypeError
    for anything else."""
    if _plain(value):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return _text(value).encode()


def _plain(value: object) -> bool:
    """Whether orjson writes it the same way: it sorts keys by code points, and takes more than these documents hold."""
    if value is None or isinstance(value, str):
        return True
    if isinstance(value, int):
        return abs(value) < 2**53
    if isinstance(value, dict):
        members = cast("JsonObject", value)
        return all(map(_plain, members.values())) and all(max(key, default="") < _ASTRAL for key in members)
    if isinstance(value, list | tuple):
        return all(map(_plain, cast("list[object]", value)))
    return False


def digest(parts: dict[str, bytes]) -> str:
    """SHA-256, in hexadecimal, of the RFC 8785 form of an object whose members are in that form already."""
    members = (f'"{key}":'.encode() + parts[key] for key in sorted(parts))
    return sha256(b"{" + b",".join(members) + b"}").hexdigest()


def array(elements: list[bytes]) -> bytes:
    """The RFC 8785 form of a list whose elements are in that form already."""
    return b"[" + b",".join(elements) + b"]"


def _text(value: object) -> str:
    match value:
        case dict():
            # Keys sort by UTF-16 code units, not by code points: the two differ above U+D7FF.
            keys = sorted(cast("JsonObject", value), key=lambda key: key.encode("utf-16-be"))
            members = (f"{_text(key)}:{_text(cast('JsonObject', value)[key])}" for key in keys)
            return "{" + ",".join(members) + "}"
        case list() | tuple():
            return "[" + ",".join(_text(element) for element in cast("list[object]", value)) + "]"
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int() if abs(value) < 2**53:
            return str(value)
        case _:
            raise TypeError(f"{type(value).__name__} {value!r} has no place in these documents")
