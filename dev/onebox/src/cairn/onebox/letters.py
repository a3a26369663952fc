"""`python -m cairn.onebox letters`: what needs somebody's hand, of every institution: dead letters and stuck awards.

With `replay`, each is given once more to who refused it, or said again. It goes through the public APIs, with tokens
that the operator's key signs: one for each institution, since nobody sees another's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from joserfc.jwk import OKPKey
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cairn.common.auth import mint
from cairn.common.db import PLATFORM
from cairn.onebox.home import SERVICES
from cairn.onebox.story.api import Access, Api

_SCOPES: Final = ["dead-letters:read", "dead-letters:write", "platform:admin"]
_VALID: Final = timedelta(minutes=15)


@dataclass(slots=True)
class Kind:
    """What has the same tenant, place, code and type; `settled` of them were just repaired."""

    many: int = 0
    oldest: str = "~"
    detail: str = ""
    refusals: Counter[str] = field(default_factory=Counter[str])
    settled: int = 0


async def show(address: str, key: OKPKey, console: Console, *, replay: bool = False) -> int:
    """Print them, and repair them if asked to; how many are left. Raises StoryFailed where an API does not answer."""
    tokens = {PLATFORM: mint(key, "operator", PLATFORM, _SCOPES, valid=_VALID)}
    async with Api(Access(address, tokens)) as api:
        known = await api.get("/issuance/v1/institutions", by=PLATFORM)
        for institution in known:
            tenant = institution["institution"]["id"]
            tokens[tenant] = mint(key, "operator", tenant, _SCOPES[:2], valid=_VALID)
        kinds: dict[tuple[str, ...], Kind] = {}
        for tenant in tokens:
            await _gather(api, tenant, kinds, replay=replay)
    console.print(_table(kinds, replay=replay) if kinds else "No dead letters, and no stuck awards.")
    return sum(kind.many - kind.settled for kind in kinds.values())


async def _gather(api: Api, tenant: str, kinds: dict[tuple[str, ...], Kind], *, replay: bool) -> None:
    for service in SERVICES:
        before = ""
        while True:
            path = f"/{service}/v1/dead-letters"
            page = await api.get(f"{path}?unsettled=true&limit=500{before}", by=tenant)
            for letter in page:
                kind = kinds.setdefault((tenant, service, letter["code"], letter["eventType"] or "?"), Kind())
                _count(kind, letter["at"], letter["detail"])
                if replay:
                    await _settle(api, tenant, f"{path}/{letter['id']}/replay", kind)
            if len(page) < 500:
                break
            before = f"&before={page[-1]['at']}"
    stuck = await api.get("/pathways/v1/stuck-awards?limit=500", by=tenant)
    for award in stuck["awards"]:
        kind = kinds.setdefault((tenant, "pathways", "stuck-award", award["qualification"]), Kind())
        _count(kind, award["changedAt"], "awarded, and no credential has come")
        if replay:
            await _settle(api, tenant, f"/pathways/v1/stuck-awards/{award['id']}/repair", kind)


def _count(kind: Kind, at: str, detail: str) -> None:
    kind.many += 1
    kind.oldest = min(kind.oldest, at)
    kind.detail = kind.detail or detail


async def _settle(api: Api, tenant: str, path: str, kind: Kind) -> None:
    answer = await api.call("POST", path, by=tenant, accept=range(400, 500))
    if answer.status < 300:
        kind.settled += 1
    else:
        body: Any = answer.body
        kind.refusals[body["detail"]] += 1


def _table(kinds: dict[tuple[str, ...], Kind], *, replay: bool) -> Table:
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for head in ("institution", "service", "code", "about", "many", "oldest", *(["settled"] if replay else []), "why"):
        folds = head in {"about", "why"}
        justify = "right" if head in {"many", "settled"} else "left"
        shown.add_column(head, justify=justify, overflow="fold", no_wrap=not folds)
    for (tenant, service, code, about), kind in sorted(kinds.items()):
        # What it is refused for now says more than what it was refused for then.
        why = next(iter(kind.refusals), kind.detail)
        settled = [str(kind.settled)] if replay else []
        shown.add_row(tenant, service, code, about, str(kind.many), kind.oldest[:16] + "Z", *settled, why)
    return shown
