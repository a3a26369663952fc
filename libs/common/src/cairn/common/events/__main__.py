"""`python -m cairn.common.events check | freeze`: events of today against the schemas that were frozen.

Old and new writers and readers run side by side, and a replay reads what was written years ago (R11). So an event type
may only gain optional fields; anything else is a new type with the next major version.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cairn.common.events.envelope import MalformedEvent, decode
from cairn.common.events.models import MODELS, Fact, fact_of
from cairn.common.events.topics import topics

GOLDEN: Final = Path(__file__).parent / "golden"
Schema = Mapping[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# What a schema says to people only.
_PROSE: Final = frozenset({"$schema", "$defs", "title", "description"})
_STRUCTURE: Final = frozenset({"properties", "required", "items", "additionalProperties", "anyOf", "enum", "const"})


def schema_of(event_type: str, model: type[Fact]) -> dict[str, Any]:
    """The JSON Schema of the data of an event type."""
    return {"$schema": _DIALECT, **model.model_json_schema(by_alias=True), "title": event_type}


def incompatibilities(frozen: Schema, current: Schema) -> list[str]:
    """Why readers and writers of the two schemas would not understand each other; empty where they would."""
    return list(_compare(_inline(frozen), _inline(current), "data"))


def check(golden: Path = GOLDEN, models: Mapping[str, type[Fact]] = MODELS) -> list[str]:
    """Everything that is amiss, one sentence each."""
    return list(_check(golden, models))


def freeze(golden: Path = GOLDEN, models: Mapping[str, type[Fact]] = MODELS) -> list[str]:
    """Write the schemas that are missing or have grown. What would be incompatible is left, and returned."""
    refused: list[str] = []
    golden.mkdir(exist_ok=True)
    for event_type, model in models.items():
        current = schema_of(event_type, model)
        frozen = _read(golden / f"{event_type}.schema.json")
        reasons = incompatibilities(frozen, current) if frozen else []
        refused += [f"{event_type}: {reason}" for reason in reasons]
        if not reasons and frozen != current:
            _schema_file(golden, event_type).write_text(json.dumps(current, indent=2) + "\n", "utf-8")
    return refused


def _check(golden: Path, models: Mapping[str, type[Fact]]) -> Iterator[str]:
    listed = {event_type for topic in topics().values() for event_type in topic.types}
    for event_type in sorted(listed ^ models.keys()):
        yield f"{event_type}: " + (
            "a topic lists it, but it has no model" if event_type in listed else "no topic lists it"
        )
    for file in sorted(golden.glob("*.json")):
        event_type = file.name.removesuffix(".schema.json").removesuffix(".example.json")
        if event_type not in models:
            yield f"{event_type}: {file.name} is frozen, but the type is gone; readers of old events need it"
    for event_type, model in models.items():
        frozen = _read(_schema_file(golden, event_type))
        if frozen is None:
            yield f"{event_type}: its schema is not frozen; run `python -m cairn.common.events freeze`"
            continue
        current = schema_of(event_type, model)
        reasons = incompatibilities(frozen, current)
        yield from (f"{event_type}: {reason}" for reason in reasons)
        if not reasons and frozen != current:
            yield f"{event_type}: it differs from what was frozen, compatibly; run the command `freeze`"
        yield from (f"{event_type}: {reason}" for reason in _example(golden, event_type))


def _example(golden: Path, event_type: str) -> Iterator[str]:
    file = golden / f"{event_type}.example.json"
    if not file.exists():
        yield f"{file.name} is missing"
        return
    try:
        event = decode(file.read_bytes())
        if event.type != event_type:
            yield f"{file.name} is of the type {event.type}"
        elif fact_of(event).to_json() != event.data:
            yield f"{file.name} does not come out as it went in"
    except MalformedEvent as error:
        yield f"{file.name}: {error}"


def _compare(frozen: Schema, current: Schema, path: str) -> Iterator[str]:
    old: Mapping[str, Schema] = frozen.get("properties", {})
    new: Mapping[str, Schema] = current.get("properties", {})
    for name in sorted(old.keys() - new.keys()):
        yield f"{path}.{name} was removed or renamed: older readers, and newer readers of older events, lose it"
    was, required = set(frozen.get("required", ())), set(current.get("required", ()))
    for name in sorted(required - was):
        yield f"{path}.{name} is now required: older events lack it"
    for name in sorted(was - required):
        yield f"{path}.{name} is no longer required: older readers refuse events without it"
    for name in sorted(old.keys() & new.keys()):
        yield from _compare(old[name], new[name], f"{path}.{name}")
    yield from _compare_values(frozen, current, path)
    for keyword in sorted((frozen.keys() | current.keys()) - _STRUCTURE - _PROSE):
        if frozen.get(keyword) != current.get(keyword):
            yield f"{path}: {keyword} was {_show(frozen, keyword)} and is now {_show(current, keyword)}"
    for keyword in ("items", "additionalProperties"):
        one, other = frozen.get(keyword), current.get(keyword)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _compare(one, other, f"{path}[]")  # pyright: ignore[reportUnknownArgumentType]
        elif one != other:
            yield f"{path}: {keyword} was {_show(frozen, keyword)} and is now {_show(current, keyword)}"
    one, other = frozen.get("anyOf", ()), current.get("anyOf", ())
    if len(one) != len(other):
        yield f"{path} takes other kinds of values than before"
    for before, after in zip(one, other, strict=False):
        yield from _compare(before, after, path)


def _compare_values(frozen: Schema, current: Schema, path: str) -> Iterator[str]:
    was, now = _values(frozen), _values(current)
    if was is None or now is None:
        if was != now:
            yield f"{path} {'no longer' if now is None else 'now'} takes one of a list of values"
        return
    for value in sorted(was - now):
        yield f"{path} no longer takes {value}: older events carry it"
    for value in sorted(now - was):
        yield f"{path} now takes {value}: older readers refuse it"


def _values(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {json.dumps(schema["const"])}
    return {json.dumps(value) for value in schema["enum"]} if "enum" in schema else None


def _inline(schema: Schema) -> dict[str, Any]:
    """The schema with its `$ref` replaced by what they point to. Ours are never recursive."""
    definitions: Mapping[str, Any] = schema.get("$defs", {})

    def walk(node: Any) -> Any:
        match node:
            case {"$ref": str(reference), **rest}:
                return {**walk(definitions[reference.removeprefix("#/$defs/")]), **walk(rest)}
            case dict():
                return {key: walk(value) for key, value in node.items()}  # pyright: ignore[reportUnknownVariableType]
            case list():
                return [walk(item) for item in node]  # pyright: ignore[reportUnknownVariableType]
            case _:
                return node

    return walk({key: value for key, value in schema.items() if key != "$defs"})


def _show(schema: Schema, keyword: str) -> str:
    return json.dumps(schema[keyword]) if keyword in schema else "absent"


def _schema_file(golden: Path, event_type: str) -> Path:
    return golden / f"{event_type}.schema.json"


def _read(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text("utf-8")) if file.exists() else None


def main(arguments: Sequence[str]) -> int:
    commands: dict[str, Callable[[], list[str]]] = {"check": check, "freeze": freeze}
    if len(arguments) != 1 or arguments[0] not in commands:
        sys.stderr.write("usage: python -m cairn.common.events check | freeze\n")
        return 2
    amiss = commands[arguments[0]]()
    for sentence in amiss:
        sys.stderr.write(sentence + "\n")
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
