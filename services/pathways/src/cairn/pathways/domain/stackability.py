"""Does this count, and towards what?"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.holding import Holding, plain_fraction
from cairn.pathways.domain.lint import may_fit
from cairn.pathways.domain.nodes import Leaf


@dataclass(frozen=True, slots=True)
class Place:
    """A leaf that a credential may fill. `certain`: every learner's copy does, whatever its grade, date or assessment.
    `amount` is what it adds: one, or credits in the framework's unit (null where it has none that convert)."""

    leaf: str
    certain: bool
    amount: str | None


def places(framework: Framework, offer: Holding, awards: Mapping[str, Collection[str]]) -> Iterator[Place]:
    """Where an achievement that is on offer can count. `awards` as for `audit`."""
    for leaf in framework.leaves:
        if leaf.qualification is not None:
            if offer.achievement in awards.get(leaf.qualification, ()):
                yield Place(leaf.id, leaf.grade is None, "1")
            continue
        may, must = may_fit(leaf.selector, offer)
        if may:
            yield Place(leaf.id, must and leaf.grade is None, _amount(framework, leaf, offer))


def _amount(framework: Framework, leaf: Leaf, offer: Holding) -> str | None:
    if leaf.measure == "count":
        return "1"
    factor = framework.factor(offer.credits.unit) if offer.credits else None
    return plain_fraction(Fraction(offer.credits.value) * factor) if offer.credits and factor else None
