"""Apart: what nothing competes for.

Most leaves ask for so many credentials that fit no other. Each of these gets the best of what fits it, and of a choice
between such leaves the best branches count. There is nothing to plan: this is what `matching` and `walk` would find, in
a tenth of the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.outcome import Allocation
from cairn.pathways.domain.outline import Branch, Outline, Slot
from cairn.pathways.domain.plan import Problem


@dataclass(slots=True, eq=False)
class Apart:
    """The leaves that share nothing with another, and what those of them that get anything are `given`; which branches
    are `taken` of the choices between them; how much progress that is, and whether it is all that they ask for."""

    slots: set[Slot] = field(default_factory=set[Slot])
    given: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    taken: set[Branch] = field(default_factory=set[Branch])
    progress: int = 0
    full: bool = True

    def give(self, slot: Slot, best: list[Candidate], asks: int) -> None:
        self.slots.add(slot)
        if best:
            self.given[slot.leaf.id] = tuple(sorted(c.id for c in best))
            self.progress += slot.share(asks) * len(best)

    def allocation(self, outline: Outline) -> Allocation:
        """Where that is all there is."""
        return Allocation(
            {name: self.given[name] for name in outline.slots if name in self.given},
            Fraction(outline.given + self.progress, outline.whole),
            outline.counting(self.taken),
        )


NOTHING: Final = Apart()


def served(problem: Problem, outline: Outline) -> Apart:
    """What can be given without limits, and without looking further."""
    if outline.shared or any(c.holding.components for c in problem.candidates):
        return NOTHING
    found = Apart()
    choosing: dict[Branch, tuple[Slot, list[Candidate]]] = {}
    for name, some in _by_leaf(problem, outline).items():
        slot = outline.slots[name]
        whole = all(c.worth[name] >= slot.need for c in some)
        if not whole and any(c.worth[name] > 1 for c in some):
            continue
        asks = 1 if whole else slot.need
        best = some if slot.most is None else [c for c in some if c.worth[name] <= slot.most]
        if len(best) > asks:
            best = sorted(best, key=_order)[:asks]
        if not slot.guard:
            found.give(slot, best, asks)
            found.full = found.full and len(best) == asks
        elif asks == 1:
            choosing[slot.guard[0]] = slot, best

    def rank(branch: Branch) -> tuple[object, ...]:
        slot, best = choosing[branch]
        return (False, *_order(best[0])) if best else (True, slot.leaf.id)

    for n, branches in outline.plain_choices:
        if all(branch in choosing for branch in branches):
            taken = sorted(branches, key=rank)[:n]
            for branch in branches:
                slot, best = choosing[branch]
                found.give(slot, best if branch in taken else [], 1)
            found.taken.update(taken)
            found.full = found.full and all(choosing[branch][1] for branch in taken)
    return found


def _by_leaf(problem: Problem, outline: Outline) -> dict[str, list[Candidate]]:
    """For each leaf of which no candidate fits another, nor is of one class with another, those that fit it."""
    coming: dict[str, list[Candidate]] = {name: [] for name in outline.slots}
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
