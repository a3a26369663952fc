"""Selecting part of a JSON-LD document by JSON pointers, statement by statement.

The selective disclosure functions of Data Integrity ECDSA Cryptosuites 1.0 §3.4, with one difference in the means: the
cells of an ordered list, which have no place of their own in JSON, are named by whose list it is and by their position,
because naming them as nodes, as §3.4.5 reads, would make the lists of Open Badges (`allowedValue`) malformed. What a
verifier sees is the same. A list is disclosed whole, or not at all.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Any, Final

from cairn.credentials import base64url
from cairn.credentials.canonicalize import quads as quads_of
from cairn.credentials.canonicalize import rdfc
from cairn.credentials.canonicalize.compact_form import json_terms
from cairn.credentials.canonicalize.rdfc import Quad, canonical_labels, canonical_nquads, relabelled
from cairn.credentials.canonicalize.terms import RDF
from cairn.credentials.errors import DocumentRefused
from cairn.credentials.shape import is_list, is_object

_SKOLEM: Final = "urn:bnid:"
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9]\d{0,8}")
_MAX_POINTERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Group:
    """What one list of pointers selects."""

    quads: list[Quad]
    """Its statements, with the labels of the whole document's blank nodes."""
    matching: list[int]
    """Their positions among the whole document's lines."""


@dataclass(frozen=True, slots=True)
class Grouped:
    lines: list[str]
    """The whole document's statements in order, each blank node under its replacement label."""
    label_map: dict[str, str]
    """Blank node -> replacement label."""
    groups: dict[str, Group]


def canonicalize_and_group(
    document: dict[str, Any], hmac_key: bytes, group_definitions: Mapping[str, Sequence[str]]
) -> Grouped:
    """§3.4.17, the labels being those of §3.4.4. Raises DocumentRefused, also where a selection would say other things.

    A selection must be a part of what is signed (S1): a part of an ordered list, for instance, is another list.
    """
    skolemized = skolemize_compact_json_ld(document)
    quads = to_deskolemized_quads(skolemized)
    if canonical_nquads(quads).encode() != rdfc(document):
        raise DocumentRefused("the document has parts that pointers cannot select", code="not-selectable")
    label_map = create_hmac_id_label_map(hmac_key, canonical_labels(quads))
    lines = relabelled(quads, label_map)
    places = {line: place for place, line in enumerate(lines)}
    groups: dict[str, Group] = {}
    for name, pointers in group_definitions.items():
        selection = select_json_ld(skolemized, pointers)
        selected = [] if selection is None else to_deskolemized_quads(selection)
        try:
            matching = sorted(places[line] for line in relabelled(selected, label_map))
        except KeyError:
            raise DocumentRefused(
                f"the {name} pointers select part of what is only said as a whole", code="pointer-refused"
            ) from None
        groups[name] = Group(selected, matching)
    return Grouped(lines, label_map, groups)


def create_hmac_id_label_map(key: bytes, canonical_id_map: Mapping[str, str]) -> dict[str, str]:
    """§3.4.4: blank node -> `_:u` and the HMAC-SHA-256 of its canonical label, in base64url."""
    return {
        node: "_:u" + base64url.encode(hmac.digest(key, label.removeprefix("_:").encode(), "sha256"))
        for node, label in canonical_id_map.items()
    }


def skolemize_compact_json_ld(document: dict[str, Any]) -> dict[str, Any]:
    """§3.4.8, on the compact form itself: every node without an id gets one, so that a part of it keeps it."""
    numbers = count()

    def visit(value: Any) -> Any:
        if is_list(value):
            return [visit(item) for item in value]
        if isinstance(value, str) and value.startswith(_SKOLEM):
            raise DocumentRefused(f"ids of {_SKOLEM} are for the proof's own use", code="not-selectable")
        if not is_object(value) or "@value" in value:
            return value
        plain = ("@context", *json_terms())
        copy = {key: member if key in plain else visit(member) for key, member in value.items()}
        return copy if "id" in copy else {"id": f"{_SKOLEM}b{next(numbers)}"} | copy

    return visit(document)


def to_deskolemized_quads(skolemized: dict[str, Any]) -> list[Quad]:
    """§3.4.9: the statements, nodes that had no id being blank again. The same node has the same label in any part."""
    quads = quads_of(skolemized)
    cells = dict(_list_cells(quads))

    def named(term: str) -> str:
        if term.startswith(f"<{_SKOLEM}"):
            return f"_:{term[len(_SKOLEM) + 1 : -1]}"
        if term.startswith("_:"):
            if term not in cells:
                raise DocumentRefused("the document has parts that pointers cannot select", code="not-selectable")
            return cells[term]
        return term

    return [(named(s), p, named(o), named(g)) for s, p, o, g in quads]


def _list_cells(quads: Sequence[Quad]) -> Iterator[tuple[str, str]]:
    """Each list cell and its name, by whose list it is and its position."""
    # Of all nodes, only those cells are still blank.
    rest = {s: o for s, p, o, _ in quads if p == f"<{RDF}rest>" and s.startswith("_:")}
    for subject, predicate, head, _ in quads:
        if predicate != f"<{RDF}rest>":
            cell, position = head, 0
            while cell in rest:
                place = f"{subject} {predicate} {position}"
                yield cell, f"_:l{sha256(place.encode()).hexdigest()}"
                cell, position = rest[cell], position + 1


def json_pointer_to_paths(pointer: str) -> list[str]:
    """§3.4.10. Raises DocumentRefused for what is no pointer of RFC 6901."""
    if len(pointer) > 2_000 or not _POINTER.fullmatch(pointer):
        raise DocumentRefused(f"{pointer[:120]!r} is not a JSON pointer", code="pointer-refused")
    return [path.replace("~1", "/").replace("~0", "~") for path in pointer.split("/")[1:]]


def create_initial_selection(source: Any) -> dict[str, Any]:
    """§3.4.11: whoever is on the way to what is selected is named, and so are their types."""
    return {name: source[name] for name in ("id", "type") if name in source} if is_object(source) else {}


def select_json_ld(document: dict[str, Any], pointers: Sequence[str]) -> dict[str, Any] | None:
    """§3.4.13: the part of a compact document under `pointers`; None without any. Raises DocumentRefused."""
    if not pointers:
        return None
    if len(pointers) > _MAX_POINTERS:
        raise DocumentRefused(f"more than {_MAX_POINTERS} pointers", code="too-complex")
    selection = create_initial_selection(document)
    if "@context" in document:
        selection["@context"] = document["@context"]
    for pointer in pointers:
        paths = json_pointer_to_paths(pointer)
        if not paths:
            return deepcopy(document)
        select_paths(document, paths, selection, pointer)
    return _dense(selection)


class _Sparse(dict[int, Any]):
    """An array of which some items are selected, by their index in the document."""


def select_paths(document: dict[str, Any], paths: Sequence[str], selection: dict[str, Any], pointer: str) -> None:
    """§3.4.12. Raises DocumentRefused for a pointer to nothing."""
    value: Any = document
    parent: Any = selection
    for depth, path in enumerate(paths, start=1):
        key, value = _member(value, path, pointer)
        if depth == len(paths):
            parent[key] = deepcopy(value)
        elif is_list(parent):
            parent = parent[int(key)]
        else:
            if key not in parent:
                parent[key] = _Sparse() if is_list(value) else create_initial_selection(value)
            parent = parent[key]


def _member(value: Any, path: str, pointer: str) -> tuple[str | int, Any]:
    if is_object(value) and path in value:
        return path, value[path]
    if is_list(value) and _INDEX.fullmatch(path) and int(path) < len(value):
        return int(path), value[int(path)]
    raise DocumentRefused(f"the document has nothing at {pointer[:120]}", code="pointer-refused", pointer=pointer)


def _dense(value: Any) -> Any:
    if isinstance(value, _Sparse):
        return [_dense(value[index]) for index in sorted(value)]
    if is_object(value):
        return {key: _dense(member) for key, member in value.items()}
    return value
