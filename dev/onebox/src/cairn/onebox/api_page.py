"""An API's pages, made from its OpenAPI document. They work without the internet, which Swagger's own do not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from cairn.onebox.page import document

_METHODS: Final = ("get", "post", "put", "patch", "delete")

_SAYS_NOTHING: Final = frozenset({"Successful Response", "Validation Error", ""})

Spec = Mapping[str, Any]


def api_page(prefix: str, spec: Spec) -> str:
    """HTML. Each route folds open to what it takes and what it answers."""
    groups: dict[str, list[str]] = {}
    for path, operations in spec.get("paths", {}).items():
        for method in _METHODS:
            if method in operations:
                operation = operations[method]
                group = (operation.get("tags") or ["other"])[0]
                groups.setdefault(group, []).append(_operation(spec, prefix + path, method, operation))
    info = spec.get("info", {})
    title = str(info.get("title", prefix[1:]))
    order = sorted(groups, key=lambda group: group == "health")
    body = "".join(f"<h3>{escape(group)}</h3>{''.join(groups[group])}" for group in order)
    return document(
        title,
        f'<p><a href="/">Cairn on this machine</a> <a href="{escape(prefix)}/openapi.json">OpenAPI</a></p>'
        f'<h1>{escape(title)}</h1><p class="soft">{escape(str(info.get("description", "")))}</p>{body}',
    )


def _operation(spec: Spec, path: str, method: str, operation: Spec) -> str:
    token = "" if operation.get("security") else ' <span class="soft">No token is needed.</span>'
    parts = [
        f"<p>{escape(str(operation.get('description', '')))}{token}</p>",
        _fields("Parameters", list(_parameters(operation))),
        *_bodies(spec, operation),
        _fields("Answers", list(_answers(spec, operation))),
    ]
    summary = escape(str(operation.get("summary", "")))
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> {summary}</summary>"
        f"{''.join(parts)}</details>"
    )


def _parameters(operation: Spec) -> Iterator[tuple[str, str]]:
    for parameter in operation.get("parameters", []):
        need = "required" if parameter.get("required") else "optional"
        text = str(parameter.get("description") or parameter.get("schema", {}).get("description") or "")
        yield str(parameter["name"]), f"{parameter['in']}, {need}. {text}"


def _answers(spec: Spec, operation: Spec) -> Iterator[tuple[str, str]]:
    for code, answer in operation.get("responses", {}).items():
        if (text := str(_resolved(spec, answer).get("description", ""))) not in _SAYS_NOTHING:
            yield code, text


def _bodies(spec: Spec, operation: Spec) -> Iterator[str]:
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(spec, content.get("schema", {}))
        required = set(schema.get("required", ()))
        rows = [
            (name, f"{_type(spec, field)}{', required' if name in required else ''}. {field.get('description', '')}")
            for name, field in schema.get("properties", {}).items()
        ]
        yield _fields(f"Body: {media}", rows) if rows else f"<h4>Body: {escape(str(media))}</h4>"
        if (example := _example(content, schema)) is not None:
            yield f"<pre>{escape(json.dumps(example, indent=1, ensure_ascii=False))}</pre>"


def _example(content: Spec, schema: Spec) -> Any:
    named = [example.get("value") for example in content.get("examples", {}).values()]
    found = [*named, content.get("example"), *schema.get("examples", ())]
    return next((example for example in found if example is not None), None)


def _type(spec: Spec, field: Spec) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(spec, each) for each in field["anyOf"]))
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[-1]
    if field.get("type") == "array":
        return f"list of {_type(spec, field.get('items', {}))}"
    return str(field.get("format") or field.get("type") or "any")


def _resolved(spec: Spec, part: Spec) -> Spec:
    """The part, or what it refers to: `#/components/<kind>/<name>`."""
    if "$ref" not in part:
        return part
    _, _, kind, name = str(part["$ref"]).split("/")
    return spec.get("components", {}).get(kind, {}).get(name, {})


def _fields(title: str, rows: list[tuple[str, str]]) -> str:
    shown = "".join(f"<dt><code>{escape(name)}</code></dt><dd>{escape(text)}</dd>" for name, text in rows)
    return f"<h4>{escape(title)}</h4><dl>{shown}</dl>" if rows else ""
