"""Apart: the allocation where nothing competes.

Most rules ask for so many of these and so many of those, and no credential fits two of them. Then each leaf gets the
best of what fits it, and there is nothing to plan: this is what `matching` and `walk` would find, in a tenth of the
time.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.outcome import Allocation, Outcome
from cairn.pathways.domain.plan import Problem


def alone(problem: Problem, *, complete: bool) -> Outcome | None:
    """As `allocation.allocate`; None where it is not so simple."""
    if problem.limits:
        return None
    outline = problem.regime.outline(problem.root, problem.grain, complete=complete, generous=False)
    if outline.branches or outline.shared:
        return None
    coming = _by_leaf(problem, outline.slots)
    if coming is None:
        return None
    by_leaf: dict[str, tuple[str, ...]] = {}
    progress = outline.given
    for name, slot in outline.slots.items():
        some = coming[name]
        whole = all(inc >= slot.need for inc, _ in some)
        if not whole and any(inc > 1 for inc, _ in some):
            return None
        asks = 1 if whole else slot.need
        best = [c for inc, c in some if slot.most is None or inc <= slot.most]
        if len(best) > asks:
            best = sorted(best, key=_order)[:asks]
        if complete and len(best) < asks:
            return Outcome(None, exact=True)
        if best:
            by_leaf[name] = tuple(sorted(c.id for c in best))
            progress += slot.share(asks) * len(best)
    return Outcome(Allocation(by_leaf, Fraction(progress, outline.whole), frozenset(outline.guards)), exact=True)


def _by_leaf(problem: Problem, slots: Iterable[str]) -> dict[str, list[tuple[int, Candidate]]] | None:
    """For each leaf the candidates that fit it, and no other, with what they add to it; None where one fits several, or
    excludes another."""
    coming: dict[str, list[tuple[int, Candidate]]] = {name: [] for name in slots}
    kinds: set[str] = set()
    for c in problem.candidates:
        if c.holding.components or c.kind in kinds:
            return None
        kinds.add(c.kind)
        useful = [(name, amount) for name, amount in c.worth.items() if amount and name in coming]
        if len(useful) > 1:
            return None
        if useful and c.id not in problem.barred:
            coming[useful[0][0]].append((useful[0][1], c))
    return coming


def _order(candidate: Candidate) -> tuple[bool, object, str]:
    """The objective, where each credential is the only one of its class: see `ranks`."""
    return candidate.outside, candidate.holding.earned, candidate.id
