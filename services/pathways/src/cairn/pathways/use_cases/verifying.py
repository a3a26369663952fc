"""Whether decisions in the database are those that were made: each chain by itself, and against its head on the bus.

A chain shows what was altered or taken out between others. What was cut off at its end, or taken away whole, shows only
outside of the database: there the head of each chain was said, with a seal that its owner cannot make (S28, ADR 17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cairn.common.bus import Bus
from cairn.common.bus.whole import recall
from cairn.common.db import EVERY_TENANT
from cairn.common.events import Event
from cairn.common.events.models import DecisionsSealed
from cairn.pathways.deps import Deps
from cairn.pathways.store import decisions

Heads = Mapping[tuple[str, str], DecisionsSealed]
"""By tenant and learner, the furthest head of the chain that was ever said."""

_PAGE = 500


@dataclass(slots=True)
class Verified:
    """`amiss` are the chains (tenant, learner) that are not as they were made, and why."""

    chains: int = 0
    entries: int = 0
    amiss: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])


async def heads(bus: Bus) -> Heads:
    """What the log says. Raises whatever the bus raises."""
    found: dict[tuple[str, str], DecisionsSealed] = {}

    def take(event: Event, fact: DecisionsSealed) -> None:
        place = event.tenant, fact.learner
        found[place] = max(found.get(place, fact), fact, key=lambda each: each.entries)

    await recall(bus, "qualifications", "pathways-verify", "decisions.sealed.v1", DecisionsSealed, take)
    return found


async def verify(deps: Deps, said: Heads) -> Verified:
    """Every chain of every tenant."""
    done = Verified()
    seen: set[tuple[str, str]] = set()
    async with deps.database.transaction(EVERY_TENANT) as tx:
        page = await decisions.places(tx, ("", ""), _PAGE)
        while page:
            found = await decisions.chains(tx, deps.vault, {who for _, who in page if who}, {of for of, _ in page})
            for place in page:
                chain = found.get(place, decisions.Chain())
                done.chains, done.entries = done.chains + 1, done.entries + len(chain.entries)
                if (why := _amiss(chain, said.get(place))) is not None:
                    done.amiss.append((*place, why))
            seen.update(page)
            page = await decisions.places(tx, page[-1], _PAGE)
    done.amiss += [(*place, "it is gone") for place in sorted(said.keys() - seen)]
    return done


def _amiss(chain: decisions.Chain, head: DecisionsSealed | None) -> str | None:
    if not chain.intact:
        return "an entry was altered, moved or taken out"
    if head is None:
        return None
    if len(chain.entries) < head.entries:
        return f"{head.entries - len(chain.entries)} of the newest of {head.entries} entries are gone"
    if chain.entries[head.entries - 1].seal.hex() != head.seal:
        return f"entry {head.entries} is not the one that was made"
    return None
