"""Soonest: before which instant the rules certainly do not hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.matching import Matching, Places
from cairn.pathways.domain.nodes import Group, Leaf, Node
from cairn.pathways.domain.reading import NO_INSTANT


def first_full(framework: Framework, arriving: Sequence[tuple[datetime, Candidate]]) -> datetime | None:
    """The first instant at which each leaf that is asked for in any case, and so many branches of a choice between
    leaves, could have as many candidates as they need at least, each its own; None if never. What comes must stay.

    Those that can be placed together are a matroid (`matching`): who finds no place on arrival never will."""
    places, leaves, wanted = _places(framework, [candidate for _, candidate in arriving])
    places.fits = [[leaves[name] for name in candidate.worth if name in leaves] for _, candidate in arriving]
    places.kinds = [
        place if candidate.repeatable else (candidate.kind, tuple(fits))
        for place, ((_, candidate), fits) in enumerate(zip(arriving, places.fits, strict=True))
    ]
    if not wanted:
        return NO_INSTANT
    matching = Matching(places)
    for place, (instant, _) in enumerate(arriving):
        if matching.add(place) and len(matching.at) == wanted:
            return instant
    return None


def _places(framework: Framework, some: Sequence[Candidate]) -> tuple[Places, dict[str, int], int]:
    """The places, the number of each leaf, and how many places there are to fill."""
    sure: list[Leaf] = []
    choices: list[Group] = []

    def enter(node: Node) -> None:
        if isinstance(node, Leaf):
            if node.min:
                sure.append(node)
        elif node.n >= len(node.children):
            for child in node.children:
                enter(child)
        elif all(isinstance(child, Leaf) and child.min for child in node.children):
            choices.append(node)

    enter(framework.root)
    worths: dict[str, list[int]] = {}
    for candidate in some:
        for name, amount in candidate.worth.items():
            worths.setdefault(name, []).append(amount)
    grain = some[0].grain if some else 1
    asks = [_least(leaf.grains(leaf.min, grain), worths.get(leaf.id, [])) for leaf in sure]
    branches = [child.id for choice in choices for child in choice.children]
    leaves = {name: number for number, name in enumerate([*(leaf.id for leaf in sure), *branches])}
    places = Places([*asks, *(1 for _ in branches)])
    for choice in choices:
        places.pool([leaves[child.id] for child in choice.children], choice.n)
    return places, leaves, sum(asks) + sum(choice.n for choice in choices)


def _least(need: int, amounts: Sequence[int]) -> int:
    """How many of some amounts it takes at least; one more than there are if all are too little."""
    for count, amount in enumerate(sorted(amounts, reverse=True)):
        need -= amount
        if need <= 0:
            return count + 1
    return len(amounts) + 1
