"""Soonest: before which instant the rules certainly do not hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.matching import Matching, Places
from cairn.pathways.domain.nodes import Leaf
from cairn.pathways.domain.reading import NO_INSTANT


def first_full(framework: Framework, arriving: Sequence[tuple[datetime, Candidate]]) -> datetime | None:
    """The first instant at which each leaf that is asked for in any case, and so many branches of a choice between
    leaves, could have as many candidates as they need at least, each its own; None if never. What comes must stay.

    Those that can be placed together are a matroid (`matching`): who finds no place on arrival never will. Where
    nothing competes, the leaves one by one tell as much, and it is the beginning of time."""
    if all(len(c.worth) == 1 for _, c in arriving) and len({c.kind for _, c in arriving}) == len(arriving):
        return NO_INSTANT
    sure, choices = framework.asked
    asks = _asks(sure, [candidate for _, candidate in arriving])
    wanted = sum(asks) + sum(choice.n for choice in choices)
    if not wanted:
        return NO_INSTANT
    branches = [child.id for choice in choices for child in choice.children]
    leaves = {name: number for number, name in enumerate([*(leaf.id for leaf in sure), *branches])}
    places = Places([*asks, *(1 for _ in branches)])
    for choice in choices:
        places.pool([leaves[child.id] for child in choice.children], choice.n)
    places.fits = [[leaves[name] for name in candidate.worth if name in leaves] for _, candidate in arriving]
    places.kinds = [
        place if candidate.repeatable else (candidate.kind, tuple(fits))
        for place, ((_, candidate), fits) in enumerate(zip(arriving, places.fits, strict=True))
    ]
    matching = Matching(places)
    for place, (instant, _) in enumerate(arriving):
        if matching.add(place) and len(matching.at) == wanted:
            return instant
    return None


def _asks(leaves: Sequence[Leaf], some: Sequence[Candidate]) -> list[int]:
    """How many candidates each leaf takes at least; one more than there are if all are too little."""
    grain = some[0].grain if some else 1
    worths: dict[str, list[int]] = {leaf.id: [] for leaf in leaves}
    for candidate in some:
        for name, amount in candidate.worth.items():
            if name in worths:
                worths[name].append(amount)
    found: list[int] = []
    for leaf in leaves:
        need, amounts = leaf.grains(leaf.min, grain), worths[leaf.id]
        if leaf.measure == "count":
            found.append(min(need, len(amounts) + 1))
            continue
        reached = accumulate(sorted(amounts, reverse=True))
        found.append(1 + sum(each < need for each in reached))
    return found
