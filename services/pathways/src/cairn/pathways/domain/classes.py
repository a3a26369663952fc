"""Classes of attempts: retakes and declared equivalents, of which one counts."""

from collections.abc import Iterable, Mapping, Sequence

from cairn.pathways.domain.holding import Holding


def attempt_classes(
    holdings: Sequence[Holding], equivalents: Iterable[frozenset[str]] = ()
) -> Mapping[str, tuple[Holding, ...]]:
    """For each holding id the members of its class, itself included: the closure of same achievement, `attemptOf` and
    declared equivalents. Two attempts of a holding that is not among these belong together all the same. What was
    recognised without naming an achievement stands alone."""
    equivalents = tuple(equivalents)
    if not equivalents and all(holding.attempt_of is None for holding in holdings):
        named: dict[str, list[Holding]] = {}
        for holding in holdings:
            named.setdefault(holding.achievement, []).append(holding)
        alone = [(holding,) for holding in named.pop("", ())]
        return {holding.id: group for group in (*alone, *map(tuple, named.values())) for holding in group}
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def find(name: tuple[str, str]) -> tuple[str, str]:
        while (up := parent.setdefault(name, name)) != name:
            parent[name] = parent[up]
            name = parent[name]
        return name

    for alike in equivalents:
        first, *rest = sorted(alike) or [""]
        for other in rest:
            parent[find(("achievement", other))] = find(("achievement", first))
    for holding in holdings:
        own = ("holding", holding.id)
        if holding.achievement:
            parent[find(own)] = find(("achievement", holding.achievement))
        if holding.attempt_of is not None:
            parent[find(own)] = find(("holding", holding.attempt_of))
    members: dict[tuple[str, str], list[Holding]] = {}
    for holding in holdings:
        members.setdefault(find(("holding", holding.id)), []).append(holding)
    return {holding.id: tuple(group) for group in members.values() for holding in group}
