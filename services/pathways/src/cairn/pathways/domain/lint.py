"""Lint: what is wrong with a framework that can be read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cairn.pathways.domain.errors import Problem
from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.holding import Holding


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What lint needs to know of what is on offer.

    `offers`: one holding per achievement as a learner would get it; what is left None is taken as possible.
    `qualifications`: for every qualification with a published framework, the qualifications its leaves name.
    """

    offers: Sequence[Holding] = ()
    qualifications: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])


def lint(framework: Framework) -> list[Problem]:
    """Structural problems (kind `structure`), in document order: empty groups, `n` larger than its children, ids used
    twice, bounds that contradict each other, leaves that no allocation can fill. Needs no catalogue."""
    raise NotImplementedError


def lint_catalogue(framework: Framework, catalogue: Catalogue) -> list[Problem]:
    """Problems that show only against what is on offer (kind `catalogue`): leaves that no achievement can fill,
    unknown qualifications, cycles between qualifications."""
    raise NotImplementedError
