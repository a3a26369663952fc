"""`/v1/frameworks/{id}/statement`: the rules in words, for programs (JSON), terminals (text) and people (HTML)."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from string import Template
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response
from fastapi import Request as HttpRequest

from cairn.common.auth import Principal, requires
from cairn.pathways.deps import Deps
from cairn.pathways.domain.statement import Line
from cairn.pathways.http.frameworks import FrameworkPath
from cairn.pathways.http.shared import Model, deps_of
from cairn.pathways.use_cases import reading
from cairn.pathways.use_cases.reading import Read

router = APIRouter(prefix="/v1/frameworks/{framework}/statement", tags=["frameworks"])


class LineShown(Model):
    """`met` is null unless a learner was asked about, or where their audit does not say."""

    id: str
    text: str
    met: bool | None
    children: list[LineShown]


class StatementShown(Model):
    """`text` is all of it, as plain text. `sentence` says to the learner how far they are."""

    qualification: str
    version: str
    title: str
    requirement: LineShown
    limits: list[LineShown]
    notes: list[str]
    text: str
    sentence: str | None


@router.get(
    "",
    summary="Read the rules in words",
    response_model=StatementShown,
    responses={200: {"content": {"text/html": {}, "text/plain": {}}}},
)
async def show(
    request: HttpRequest,
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:read"))],
    learner: Annotated[str | None, Query(description="Say too what this learner meets.", max_length=100)] = None,
) -> StatementShown | Response:
    """JSON; a page where `Accept` asks for `text/html`, plain text where it asks for `text/plain`."""
    read = await reading.read(deps, principal, framework, learner)
    accepted = request.headers.get("accept", "")
    if "text/html" in accepted:
        return Response(_page(read), media_type="text/html", headers=_HEADERS)
    if "text/plain" in accepted:
        return Response(read.statement.text(), media_type="text/plain")
    words = read.statement
    return StatementShown(
        qualification=read.qualification,
        version=words.version,
        title=words.title,
        requirement=_line(words.requirement, read),
        limits=[_line(limit, read) for limit in words.limits],
        notes=list(words.notes),
        text=words.text(),
        sentence=read.sentence,
    )


def _line(line: Line, read: Read) -> LineShown:
    children = [_line(child, read) for child in line.children]
    return LineShown(id=line.id, text=line.text, met=read.met.get(line.id), children=children)


def _page(read: Read) -> str:
    words = read.statement
    limits = "".join(f"<li>{_item(limit, read)}</li>" for limit in words.limits)
    notes = "".join(f"<li>{escape(note)}</li>" for note in words.notes)
    return _PAGE.substitute(
        style=_STYLE,
        title=escape(words.title),
        version=escape(words.version),
        sentence=f'<p class="told">{escape(read.sentence)}</p>' if read.sentence else "",
        tree=f'<ul class="tree"><li>{_item(words.requirement, read)}</li></ul>',
        limits=f"<h2>Beside that</h2><ul>{limits}</ul>" if limits else "",
        notes=f"<h2>Good to know</h2><ul>{notes}</ul>",
    )


def _item(line: Line, read: Read, *, wanted: bool = True) -> str:
    """`wanted` false: what it is a part of is met without it, so that it is not missing."""
    met = read.met.get(line.id)
    if not wanted and not met:
        met = None
    mark = "" if met is None else f'<b class="{"met" if met else "open"}">{"Done" if met else "Missing"}</b> '
    below = "".join(f"<li>{_item(child, read, wanted=wanted and not met)}</li>" for child in line.children)
    return f"{mark}{escape(line.text)}" + (f"<ul>{below}</ul>" if below else "")


_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #55606d; --line: #cfd6dd; --back: #fbfbf9; --met: #1f6f43;
  --open: #9a3b12; --told: #eef4f0 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --soft: #a3aeb9; --line: #37424d; --back: #14191e; --met: #6fcf97; --open: #f2a27e;
    --told: #1d2a24 } }
body { margin: 0 auto; max-width: 46rem; padding: 1.5rem 1rem 3rem; font: 1.05rem/1.55 system-ui, sans-serif;
  color: var(--ink); background: var(--back); overflow-wrap: anywhere }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem }
.version { color: var(--soft); margin: .2rem 0 1.4rem }
.told { background: var(--told); border-radius: .4rem; padding: .8rem 1rem }
ul { margin: .3rem 0; padding-left: 1.2rem } li { margin: .35rem 0 }
.tree, .tree ul { list-style: none; padding-left: 0 }
.tree ul { border-left: 2px solid var(--line); margin-left: .2rem; padding-left: 1rem }
b { font-size: .8rem; font-weight: 600; border: 1px solid; border-radius: 1rem; padding: .1rem .55rem;
  margin-right: .3rem; white-space: nowrap } .met { color: var(--met) } .open { color: var(--open) }
"""
_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<h1>$title</h1>
<p class="version">Version $version</p>
$sentence
<h2>What it asks for</h2>
$tree
$limits
$notes
</main>
</body>
</html>
""")
# Nothing is loaded and nothing runs: the one style that is allowed is known by its hash (S19).
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
