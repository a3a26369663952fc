"""The gateway's pages: what runs here, and where to look next. They load nothing else, and have no script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template
from typing import Final

_ABOUT: Final = {
    "issuance": "Universities, achievements, learners, completions, credentials, status lists.",
    "pathways": "Qualification frameworks, holdings, audits, awards.",
    "verification": "Verifies any credential, from here or from elsewhere.",
}


def page(address: str, routes: Mapping[str, str], states: Mapping[str, str]) -> str:
    """HTML. `address` is the gateway's own; `states` says of each part `ok`, or why it is not ready."""
    cards = "".join(_card(prefix, origin) for prefix, origin in routes.items())
    parts = "".join(_state(name, state) for name, state in states.items())
    ready = all(state == "ok" for state in states.values())
    summary = "Everything is ready." if ready else "Some parts are not ready yet: load this page again."
    body = _FRONT.substitute(address=escape(address), cards=cards, parts=parts, summary=summary)
    return document("Cairn on this machine", body)


def document(title: str, body: str) -> str:
    """A whole HTML document around `body`, which is HTML already."""
    return _DOCUMENT.substitute(title=escape(title), body=body)


def _card(prefix: str, origin: str) -> str:
    name = prefix[1:]
    return (
        f"<section><h2>{escape(name)}</h2><p>{escape(_ABOUT.get(name, ''))}</p>"
        f'<p><a href="/apis{escape(prefix)}">API pages</a> <a href="{escape(prefix)}/openapi.json">OpenAPI</a></p>'
        f"<p><code>{escape(origin)}</code></p></section>"
    )


def _state(name: str, state: str) -> str:
    kind = "ok" if state == "ok" else "away"
    return f'<li class="{kind}"><b>{escape(name)}</b> {"is ready" if kind == "ok" else escape(state)}</li>'


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

_FRONT: Final = Template("""<h1>Cairn on this machine</h1>
<p class="soft">Universities issue micro-credentials, anyone verifies them, and a learner&rsquo;s stack completes a
qualification. This is the gateway, <code>$address</code>.</p>
<div class="cards">$cards</div>
<h3>Parts</h3>
<p>$summary</p>
<ul>$parts</ul>
<h3>Calling the APIs</h3>
<p>Access tokens, the operator&rsquo;s and each university&rsquo;s, are in <code>.cairn/access.json</code>, which only
you can read. Send one as <code>Authorization: Bearer &hellip;</code>. Verifying a credential and asking a what-if audit
need none.</p>
<p class="soft"><a href="/readyz">/readyz</a> <a href="/livez">/livez</a></p>
""")
