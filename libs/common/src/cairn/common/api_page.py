"""An API's page, made from its OpenAPI document. It loads nothing else, and has no script (S19); Swagger's own is code
of a host on the internet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from string import Template
from typing import Any, Final

_METHODS: Final = ("get", "post", "put", "patch", "delete")

_SAYS_NOTHING: Final = frozenset({"Successful Response", "Validation Error", ""})

PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Spec = Mapping[str, Any]


def api_page(prefix: str, spec: Spec) -> str:
    """HTML. Each route folds open to what it takes and what it answers. `prefix` is the gateway's, or empty."""
    groups: dict[str, list[str]] = {}
    for path, operations in spec.get("paths", {}).items():
        for method in _METHODS:
            if method in operations:
                operation = operations[method]
                group = (operation.get("tags") or ["other"])[0]
                groups.setdefault(group, []).append(_operation(spec, prefix + path, method, operation))
    info = spec.get("info", {})
    title = str(info.get("title", ""))
    order = sorted(groups, key=lambda group: group == "health")
    body = "".join(f"<h3>{escape(group)}</h3>{''.join(groups[group])}" for group in order)
    return document(
        title,
        f'<p><a href="{escape(prefix)}/openapi.json">OpenAPI</a></p>'
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


def document(title: str, body: str) -> str:
    """A whole HTML document around `body`, which is HTML already."""
    return _DOCUMENT.substitute(title=escape(title), body=body)


_DOCUMENT: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1d2733; --soft: #55606d; --line: #d5dbe1; --back: #fbfbf9; --card: #fff;
  --link: #0b5a8a; --ok: #1f6f43; --away: #a03a12 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --soft: #a3aeb9; --line: #37424d; --back: #14191e; --card: #1c2329; --link: #7cc4f0;
    --ok: #6fcf97; --away: #f2a27e } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 3rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--back) }
h1 { font-size: 1.6rem; margin: 0 0 .25rem } h2 { font-size: 1.1rem; margin: 0 } h3 { margin: 2rem 0 .5rem }
p { margin: .4rem 0 } .soft { color: var(--soft) }
a { color: var(--link); display: inline-block; padding: .35rem .6rem .35rem 0 }
code { font: .9rem ui-monospace, monospace; overflow-wrap: anywhere }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); margin-top: 1.5rem }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem }
ul { list-style: none; margin: 0; padding: 0; columns: 15rem } li { padding: .15rem 0 }
summary { padding: .4rem 0; overflow-wrap: anywhere; cursor: pointer } h4 { margin: .8rem 0 .2rem }
details { border-bottom: 1px solid var(--line) } dl { margin: 0 0 .6rem } dd { margin: 0 0 .3rem 1rem }
pre { font: .85rem/1.35 ui-monospace, monospace; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; padding: .75rem; overflow-x: auto }
li::before { content: "\\25CF"; margin-right: .5rem } .ok::before { color: var(--ok) } .away { color: var(--away) }
</style>
</head>
<body>
<main>
$body
</main>
</body>
</html>
""")
