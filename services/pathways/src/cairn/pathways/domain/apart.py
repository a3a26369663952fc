"""Apart: what nothing competes for.

Most leaves ask for so many credentials that fit no other. Each of these gets the best of what fits it, and there is
nothing to plan: this is what `matching` and `walk` would find, in a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.outline import Outline
from cairn.pathways.domain.plan import Problem


@dataclass(frozen=True, slots=True)
class Apart:
    """The `leaves` that share nothing with another and hang on no choice, and what each of them gets; how much progress
    that is; and whether it is all that they need."""

    leaves: Set[str]
    given: Mapping[str, tuple[str, ...]]
    progress: int
    full: bool


NOTHING: Final = Apart(frozenset(), {}, 0, full=True)


def served(problem: Problem, outline: Outline) -> Apart:
    """What can be given without limits, and without looking further."""
    if outline.shared or any(c.holding.components for c in problem.candidates):
        return NOTHING
    given: dict[str, tuple[str, ...]] = {}
    leaves: set[str] = set()
    progress, full = 0, True
    for name, some in _by_leaf(problem, outline).items():
        slot = outline.slots[name]
        whole = all(c.worth[name] >= slot.need for c in some)
        if not whole and any(c.worth[name] > 1 for c in some):
            continue
        leaves.add(name)
        asks = 1 if whole else slot.need
        best = some if slot.most is None else [c for c in some if c.worth[name] <= slot.most]
        if len(best) > asks:
            best = sorted(best, key=_order)[:asks]
        if best:
            given[name] = tuple(sorted(c.id for c in best))
            progress += slot.share(asks) * len(best)
        full = full and len(best) == asks
    return Apart(leaves, given, progress, full)


def _by_leaf(problem: Problem, outline: Outline) -> dict[str, list[Candidate]]:
    """For each leaf of which no candidate fits another, nor is of one class with another, those that fit it."""
    coming: dict[str, list[Candidate]] = {name: [] for name, slot in outline.slots.items() if not slot.guard}
    kinds: dict[str, list[str]] = {}
    for c in problem.candidates:
        fits = [name for name, amount in c.worth.items() if amount and name in outline.slots]
        kin = kinds.setdefault(c.kind, fits)
        if len(fits) > 1 or kin is not fits:
            for name in (*fits, *kin):
                coming.pop(name, None)
        elif fits and fits[0] in coming and c.id not in problem.barred:
            coming[fits[0]].append(c)
    return coming


def _order(candidate: Candidate) -> tuple[bool, object, str]:
    """The objective, where each credential is the only one of its class: see `ranks`."""
    return candidate.outside, candidate.holding.earned, candidate.id
