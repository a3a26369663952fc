"""The outline of a plan: what of it follows from the rules alone. It is kept with them (`Regime.outline`), and nothing
of it changes."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from cairn.pathways.domain.nodes import Leaf, Node
from cairn.pathways.domain.once import cached_property


@dataclass(slots=True, eq=False)
class Choice:
    """A group of which `n` branches count, and the fields of the state that tell how many were chosen so far: to count,
    and to be scored for progress where that is another question (`Outline.split`)."""

    n: int
    shift: int = 0
    mask: int = 0
    score_shift: int = 0


@dataclass(slots=True, eq=False)
class Branch:
    """A child of a choice; its `bit` of the state says that it counts, and `score` that its progress does. It hangs on
    the branches in `guard`, the outermost first. `bonus` is the share of progress that it gives for what asks nothing,
    `idle` the share that it gives if it holds nothing at all."""

    choice: Choice
    guard: tuple[Branch, ...]
    idle: Fraction
    bit: int = 0
    score: int = 0
    bonus: Fraction = Fraction(0)


@dataclass(slots=True, eq=False)
class Slot:
    """A leaf as a field of the state: how much it has, in whole numbers. Once it has `need` and nothing depends on how
    much more, it is kept there. `unit` is the progress that each one gives, in units of 1/`whole` of the outline. `on`
    has the bits of the branches in `guard`, `scores` those of their scores."""

    leaf: Leaf
    weight: Fraction
    guard: tuple[Branch, ...]
    need: int = 0
    most: int | None = None
    exact: bool = False
    shift: int = 0
    mask: int = 0
    unit: int = 0
    on: int = 0
    scores: int = 0

    def share(self, asks: int) -> int:
        """The progress that each of so many credentials gives that together are all it needs."""
        return self.unit * (self.need // asks)


class Outline:
    """The leaves to fill and the choices to make below `root`, as fields of a state of `width` bits. `whole` is all the
    progress there is, `given` the part of it that comes of itself.

    `complete` is for allocations that meet the root: progress is then the same for all. `generous` lets leaves have
    more than they need, and more than `n` branches count, as a limit may be met only so; where credentials are
    `shared`, the order of leaf ids may want as many. `split` then keeps apart which branches count and whose progress
    does: the best `n` need not be those that hold something for a limit's sake, or that hold what other leaves hold
    already.
    """

    def __init__(
        self, root: Node, waived: Set[str], grain: int, *, shared: bool, complete: bool, generous: bool
    ) -> None:
        self.complete = complete
        self.generous = generous
        self.shared = shared
        self._waived = waived
        self.width = 0
        self.guards: dict[str, tuple[Branch, ...]] = {}
        """For each leaf that is not waived, the branches that it hangs on."""
        self.slots: dict[str, Slot] = {}
        self.branches: list[Branch] = []
        self._free = Fraction(0)
        self._enter(root, Fraction(1), ())
        self.split = (generous or shared) and not complete and any(branch.idle for branch in self.branches)
        self.leaf_rank: Mapping[str, int] = {name: rank for rank, name in enumerate(sorted(self.slots))}
        self.whole = 1
        self._lay_out(grain)
        self.given = int(self._free * self.whole)

    @cached_property
    def choices(self) -> list[list[Slot]]:
        """The leaves that hang on each choice."""
        found: dict[Choice, list[Slot]] = {}
        for slot in self.slots.values():
            for branch in slot.guard:
                found.setdefault(branch.choice, []).append(slot)
        return list(found.values())

    @cached_property
    def plain_choices(self) -> list[tuple[int, list[Branch]]]:
        """How many of which branches count, where each branch is one leaf that asks for something, and no more."""
        found: list[tuple[int, list[Branch]]] = []
        for slots in self.choices:
            choice = slots[0].guard[0].choice
            branches = [branch for branch in self.branches if branch.choice is choice]
            if [slot.guard for slot in slots] == [(branch,) for branch in branches if not branch.bonus]:
                found.append((choice.n, branches))
        return found

    @cached_property
    def plain(self) -> bool:
        """Whether all choices are."""
        return len(self.branches) == sum(len(branches) for _, branches in self.plain_choices)

    def counting(self, taken: set[Branch]) -> frozenset[str]:
        """The leaves that count if some branches do."""
        return frozenset([name for name, guard in self.guards.items() if taken.issuperset(guard)])

    def take_bits(self, count: int) -> int:
        """So many bits of the state; returns the place of the first."""
        self.width += count
        return self.width - count

    def _enter(self, node: Node, weight: Fraction, guard: tuple[Branch, ...]) -> None:
        """Walk the requirement: what share of all progress each leaf can give, and which branches it hangs on."""
        if node.id in self._waived:
            self._give(weight, guard)
        elif isinstance(node, Leaf):
            self.guards[node.id] = guard
            if node.min or self.generous or self.shared:
                self.slots[node.id] = Slot(node, weight, guard)
            if not node.min:
                self._give(weight, guard)
        elif node.n == 0:
            self._give(weight, guard)
        elif node.n >= len(node.children):
            for child in node.children:
                self._enter(child, weight if self.complete else weight / node.n, guard)
        else:
            choice = Choice(node.n)
            share = weight if self.complete else weight / node.n
            for child in node.children:
                branch = Branch(choice, guard, Fraction(0) if self.complete else share * self._idle(child))
                self.branches.append(branch)
                self._enter(child, share, (*guard, branch))

    def _give(self, weight: Fraction, guard: tuple[Branch, ...]) -> None:
        if self.complete:
            return
        if guard:
            guard[-1].bonus += weight
        else:
            self._free += weight

    def _idle(self, node: Node) -> Fraction:
        """The progress of a node that holds nothing."""
        if node.id in self._waived:
            return Fraction(1)
        if isinstance(node, Leaf):
            return Fraction(not node.min)
        best = sorted(map(self._idle, node.children), reverse=True)[: node.n]
        return sum(best, Fraction(0)) / node.n if node.n else Fraction(1)

    def _lay_out(self, grain: int) -> None:
        """Give every branch, choice and leaf its bits of the state."""
        for branch in self.branches:
            choice = branch.choice
            branch.bit = branch.score = 1 << self.take_bits(1)
            if not choice.mask:
                choice.mask = (1 << choice.n.bit_length()) - 1
                choice.shift = self.take_bits(choice.n.bit_length())
                choice.score_shift = self.take_bits(choice.n.bit_length()) if self.split else choice.shift
            if self.split:
                branch.score = 1 << self.take_bits(1)
        if not self.complete:
            shares = (share.denominator for branch in self.branches for share in (branch.bonus, branch.idle))
            self.whole = lcm(self._free.denominator, *shares)
        for slot in self.slots.values():
            leaf = slot.leaf
            slot.need = leaf.grains(leaf.min, grain)
            slot.most = None if leaf.max is None else leaf.grains(leaf.max, grain)
            # Where a leaf may get more than it needs, its maximum can still stop it.
            slot.exact = slot.most is not None and (self.generous or self.shared)
            bits = (slot.most if slot.exact and slot.most is not None else slot.need).bit_length()
            slot.shift, slot.mask = self.take_bits(bits), (1 << bits) - 1
            slot.on = sum(branch.bit for branch in slot.guard)
            slot.scores = sum(branch.score for branch in slot.guard)
            if not self.complete and slot.need:
                self.whole = lcm(self.whole, slot.weight.denominator * slot.need)
        for slot in self.slots.values() if not self.complete else ():
            slot.unit = int(self.whole * slot.weight / slot.need) if slot.need else 0
