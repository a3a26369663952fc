"""The gateway's page: what runs here, and where to look next."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template
from typing import Final

from cairn.common.api_page import document

_ABOUT: Final = {
    "issuance": "Universities, achievements, learners, completions, credentials, status lists.",
    "pathways": "Qualification frameworks, holdings, audits, awards.",
    "verification": "Verifies any credential, from here or from elsewhere.",
}


def page(address: str, access: str, routes: Mapping[str, str], states: Mapping[str, str]) -> str:
    """HTML. `address` is the gateway's own, `access` the file with the tokens; `states` says of each part `ok`, or why
    it is not ready."""
    cards = "".join(_card(prefix, origin) for prefix, origin in routes.items())
    parts = "".join(_state(name, state) for name, state in states.items())
    ready = all(state == "ok" for state in states.values())
    summary = "Everything is ready." if ready else "Some parts are not ready yet: load this page again."
    body = _FRONT.substitute(address=escape(address), access=escape(access), cards=cards, parts=parts, summary=summary)
    return document("Cairn on this machine", body)


def _card(prefix: str, origin: str) -> str:
    name = prefix[1:]
    return (
        f"<section><h2>{escape(name)}</h2><p>{escape(_ABOUT.get(name, ''))}</p>"
        f'<p><a href="{escape(prefix)}/docs">API pages</a> <a href="{escape(prefix)}/openapi.json">OpenAPI</a></p>'
        f"<p><code>{escape(origin)}</code></p></section>"
    )


def _state(name: str, state: str) -> str:
    kind = "ok" if state == "ok" else "away"
    return f'<li class="{kind}"><b>{escape(name)}</b> {"is ready" if kind == "ok" else escape(state)}</li>'


_FRONT: Final = Template("""<h1>Cairn on this machine</h1>
<p class="soft">Universities issue micro-credentials, anyone verifies them, and a learner&rsquo;s stack completes a
qualification. This is the gateway, <code>$address</code>.</p>
<div class="cards">$cards</div>
<h3>Parts</h3>
<p>$summary</p>
<ul>$parts</ul>
<h3>Calling the APIs</h3>
<p>Access tokens, the operator&rsquo;s and each university&rsquo;s, are in <code>$access</code>, which only you can
read. Send one as <code>Authorization: Bearer &hellip;</code>. Verifying a credential and asking a what-if audit
need none.</p>
<p class="soft"><a href="/readyz">/readyz</a> <a href="/livez">/livez</a></p>
""")
