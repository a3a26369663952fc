"""The rules as decisions leave them: what is waived, granted and equivalent, and who may fit what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cairn.pathways.domain.decisions import Decision, Equivalence, Rpl, Substitution, Waiver
from cairn.pathways.domain.limits import Limit
from cairn.pathways.domain.nodes import Group, Leaf, Node, walk
from cairn.pathways.domain.once import cached_property
from cairn.pathways.domain.outline import Outline
from cairn.pathways.domain.selector import Listed

if TYPE_CHECKING:
    from cairn.pathways.domain.framework import Framework


# How many outlines are kept: a framework's own need a handful. Only odd credits ask for more.
_KEPT: Final = 32


@dataclass(frozen=True, slots=True)
class Fit:
    """A leaf that a holding may fill. `counts`: each is one there, whatever its credits. `measured`: one in a unit
    without a conversion does not. `certain`: its achievement is all that is asked."""

    leaf: Leaf
    counts: bool
    measured: bool
    certain: bool


@dataclass(frozen=True)
class Regime:
    """The decisions that act at an instant, and what follows from them under a framework."""

    framework: Framework
    decisions: tuple[Decision, ...]
    _outlines: dict[object, Outline] = field(default_factory=dict[object, Outline], compare=False, repr=False)

    @cached_property
    def waived(self) -> frozenset[str]:
        """Nodes that are met and limits that are dropped."""
        return frozenset(each.target for each in self.decisions if isinstance(each, Waiver))

    @cached_property
    def counts_as(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for each in self.decisions:
            if isinstance(each, Equivalence):
                found.setdefault(each.achievement, set()).add(each.counts_as)
        return {achievement: frozenset(others) for achievement, others in found.items()}

    @cached_property
    def granted(self) -> frozenset[tuple[str, str]]:
        """Pairs of a holding and a leaf that it fits by decision."""
        return frozenset((d.holding, d.target) for d in self.decisions if isinstance(d, Substitution)) | frozenset(
            (d.id, d.target) for d in self.decisions if isinstance(d, Rpl)
        )

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        return tuple(limit for limit in self.framework.limits if limit.id not in self.waived)

    @cached_property
    def below(self) -> Mapping[str | None, frozenset[str]]:
        """The unwaived leaves below each node; those below the root also under None."""
        found: dict[str | None, frozenset[str]] = {}

        def gather(node: Node) -> frozenset[str]:
            own: frozenset[str] = frozenset({node.id} if isinstance(node, Leaf) else ())
            for child in node.children if isinstance(node, Group) else ():
                own |= gather(child)
            found[node.id] = frozenset() if node.id in self.waived else own
            return found[node.id]

        found[None] = gather(self.framework.root)
        # What lies below a waived node is waived with it.
        for node in self.framework.nodes if self.waived else ():
            if node.id in self.waived:
                found.update((each.id, frozenset()) for each in walk(node))
        return found

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        return tuple(leaf for leaf in self.framework.leaves if leaf.id in self.below[None])

    def outline(self, root: Node, grain: int, *, complete: bool, generous: bool) -> Outline:
        """Of a plan for what is below `root`, credits being in units of 1/`grain`."""
        key = root.id, grain, complete, generous
        found = self._outlines.get(key)
        if found is None:
            if len(self._outlines) >= _KEPT:
                self._outlines.clear()
            shared = self.framework.reuse.scope != "none"
            found = Outline(root, self.waived, grain, shared=shared, complete=complete, generous=generous)
            self._outlines[key] = found
        return found

    @cached_property
    def measured(self) -> frozenset[str]:
        """Leaves that take no credits in a unit without a conversion: those of credits, and those below a limit that
        measures them."""
        below = (self.below[limit.scope] for limit in self.limits if limit.measured)
        return frozenset(leaf.id for leaf in self.leaves if leaf.measure == "credits").union(*below)

    @cached_property
    def fits(self) -> Mapping[str | None, tuple[Fit, ...]]:
        """For an achievement all leaves that it may fit, in the order written; under None those that name none, which
        are all where it is named nowhere. Where something was decided, all leaves are under None."""
        named = {} if self.decisions else {leaf.id: _achievements(leaf) for leaf in self.leaves}
        names = {name for some in named.values() for name in some or ()}
        by_name: dict[str | None, list[Fit]] = {name: [] for name in (None, *names)}
        for leaf in self.leaves:
            own = named.get(leaf.id)
            certain = own is not None and leaf.grade is None and all(map(_is_name, leaf.selector.conjuncts()))
            fit = Fit(leaf, leaf.measure == "count", leaf.id in self.measured, certain)
            for name in by_name if own is None else own:
                by_name[name].append(fit)
        return {name: tuple(fits) for name, fits in by_name.items()}


def _achievements(leaf: Leaf) -> frozenset[str] | None:
    return leaf.selector.achievements() if leaf.qualification is None else None


def _is_name(criterion: object) -> bool:
    return isinstance(criterion, Listed) and criterion.key == "achievement"
