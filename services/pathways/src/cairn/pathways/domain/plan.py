"""The plan of an allocation: what competes for what, in which order to decide it, and what each choice costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.framework import NO_REUSE, Reuse
from cairn.pathways.domain.limits import Limit
from cairn.pathways.domain.nodes import Group, Leaf, Node
from cairn.pathways.domain.ranks import Ranks
from cairn.pathways.domain.selector import Moment


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be allocated to what, as of a moment. Nothing goes below the nodes in `waived`, which are met; `below`
    gives the unwaived leaves below each node, and those below the root also under None. `limits` are those in force;
    those over `held` look at the candidates `held`. Candidates in `barred` are not allocated. Credits are in units of
    1/`grain`. Leaf ids are unique."""

    root: Node
    candidates: Sequence[Candidate]
    moment: Moment
    below: Mapping[str | None, frozenset[str]]
    held: Sequence[Candidate] = ()
    waived: frozenset[str] = frozenset()
    limits: Sequence[Limit] = ()
    reuse: Reuse = NO_REUSE
    barred: frozenset[str] = frozenset()
    grain: int = 1


@dataclass(slots=True, eq=False)
class Choice:
    """A group of which `n` branches count, and the fields of the state that tell how many were chosen so far: to count,
    and to be scored for progress where that is another question (`Plan.split`)."""

    n: int
    shift: int = 0
    mask: int = 0
    score_shift: int = 0


@dataclass(slots=True, eq=False)
class Branch:
    """A child of a choice; its `bit` of the state says that it counts, and `score` that its progress does. It hangs on
    the branches in `guard`, the outermost first. `bonus` is the share of progress that it gives for what asks nothing,
    `idle` the share that it gives if it holds nothing at all. `marks` are set when it counts."""

    choice: Choice
    guard: "tuple[Branch, ...]"
    idle: Fraction
    bit: int = 0
    score: int = 0
    bonus: Fraction = Fraction(0)
    marks: int = 0
    decided: bool = False


@dataclass(slots=True, eq=False)
class Slot:
    """A leaf as a field of the state: how much it has, in whole numbers. Once it has `need` and nothing depends on how
    much more, it is kept there. `unit` is the progress that each one gives, in units of 1/`whole` of the plan."""

    leaf: Leaf
    weight: Fraction
    guard: tuple[Branch, ...]
    need: int = 0
    most: int | None = None
    exact: bool = False
    shift: int = 0
    mask: int = 0
    unit: int = 0
    share: Fraction = Fraction(0)
    """The progress that one credential gives, where each counts for one."""
    supply: int = 0
    items: "list[Item]" = field(default_factory=list["Item"])


@dataclass(slots=True, eq=False)
class Option:
    """One member of a class given to one leaf. It needs the bits `forbid` of the state to be clear, and sets `mark`:
    that is how what excludes each other keeps out of each other's way. `gauges` holds what it adds to the field of each
    limit, and `helps` says whether any of them is the better for it."""

    slot: Slot
    inc: int
    candidate: Candidate
    cost: int
    forbid: int = 0
    mark: int = 0
    gauges: tuple[tuple[int, int], ...] = ()
    helps: bool = False

    @property
    def delta(self) -> int:
        return sum(amount << shift for shift, amount in self.gauges)


@dataclass(slots=True, eq=False)
class Item:
    """A class of candidates, of which at most one is allocated: what the walk decides on as one."""

    options: list[Option]
    rank: int
    slots: list[Slot]
    done: bool = False


@dataclass(slots=True, eq=False)
class Part:
    """Leaves tied to each other by classes or choices, with what may fill them. `asks` is how many credentials each
    leaf takes at most: what it needs."""

    slots: list[Slot]
    items: list[Item]
    asks: dict[str, int] = field(default_factory=dict[str, int])


class Plan:
    """The fields of the state, the items, and the order in which to take them. `whole` is complete progress, `given`
    the part of it that comes of itself.

    `complete` plans for allocations that meet the root: progress is then the same for all. `generous` lets leaves have
    more than they need, and more than `n` branches count, as a limit may be met only so. `split` then keeps apart which
    branches count and whose progress does: the best `n` need not be those that hold something for a limit's sake.
    """

    def __init__(self, problem: Problem, *, complete: bool, generous: bool) -> None:
        self.complete = complete
        self.generous = generous
        self.reuse = problem.reuse
        self.grain = problem.grain
        self.shared = problem.reuse.scope != "none"
        self._waived = problem.waived
        self.width = 0
        self.guards: dict[str, tuple[Branch, ...]] = {}
        """For each leaf that is not waived, the branches that it hangs on."""
        self.sharing: dict[frozenset[str], tuple[int, dict[str, int]]] = {}
        """For pairs of leaves with a cap: the place of its field, and what a candidate given to both adds to it."""
        self.slots: dict[str, Slot] = {}
        self.branches: list[Branch] = []
        self.free = Fraction(0)
        self._enter(problem.root, Fraction(1), ())
        useful = [c for c in problem.candidates if self._useful(c)]
        self.split = generous and not complete and any(branch.idle for branch in self.branches)
        self.ranks = Ranks(useful, problem.candidates, self.slots, shared=self.shared)
        self.candidates = useful
        self.whole = 1
        self._lay_out()
        self.given = int(self.free * self.whole)
        self.items = self._make_items([c for c in useful if c.id not in problem.barred])

    def _useful(self, candidate: Candidate) -> bool:
        if self.generous or self.shared:
            return not self.slots.keys().isdisjoint(candidate.worth)
        return any(amount and name in self.slots for name, amount in candidate.worth.items())

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
            self.free += weight

    def _idle(self, node: Node) -> Fraction:
        """The progress of a node that holds nothing."""
        if node.id in self._waived:
            return Fraction(1)
        if isinstance(node, Leaf):
            return Fraction(not node.min)
        best = sorted(map(self._idle, node.children), reverse=True)[: node.n]
        return sum(best, Fraction(0)) / node.n if node.n else Fraction(1)

    def _lay_out(self) -> None:
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
            self.whole = lcm(self.free.denominator, *shares)
        for slot in self.slots.values():
            leaf = slot.leaf
            slot.need = leaf.grains(leaf.min, self.grain)
            slot.most = None if leaf.max is None else leaf.grains(leaf.max, self.grain)
            # Where a leaf may get more than it needs, its maximum can still stop it.
            slot.exact = slot.most is not None and (self.generous or self.shared)
            bits = (slot.most if slot.exact and slot.most is not None else slot.need).bit_length()
            slot.shift, slot.mask = self.take_bits(bits), (1 << bits) - 1
            if not self.complete and slot.need:
                self.whole = lcm(self.whole, slot.weight.denominator * slot.need)
        if not self.complete:
            for slot in self.slots.values():
                slot.unit = int(self.whole * slot.weight / slot.need) if slot.need else 0

    def _make_items(self, useful: Sequence[Candidate]) -> list[Item]:
        classes: dict[tuple[str, str], list[Candidate]] = {}
        for c in sorted(useful, key=self.ranks.base):
            classes.setdefault((c.kind, c.id if c.repeatable else ""), []).append(c)
        items: list[Item] = []
        for members in classes.values():
            options = [
                Option(slot, worth, c, self.ranks.cost(c, slot.leaf))
                for c in members
                for name, worth in c.worth.items()
                if (slot := self.slots.get(name)) is not None and (worth or self.generous or self.shared)
            ]
            slots = list({option.slot.leaf.id: option.slot for option in options}.values())
            items.append(Item(options, self.ranks.base(members[0]), slots))
        return items

    def settle(self) -> None:
        """Once options have their bits: leave out what can never be of use, and tell the leaves what may come to them.

        A member that does no more for a leaf than a cheaper one of its class is of no use there. Of classes that can do
        exactly the same the cheapest are used, and no more than all their leaves need, unless more may be wanted."""
        alike: dict[object, list[Item]] = {}
        for item in self.items:
            if not self.shared:
                best: dict[object, Option] = {}
                for o in item.options:
                    best.setdefault((o.slot.leaf.id, o.inc, o.forbid, o.mark, o.gauges), o)
                item.options = list(best.values())
                if not self.generous and all(o.candidate is item.options[0].candidate for o in item.options):
                    alike.setdefault(frozenset(best), []).append(item)
                    continue
            alike.setdefault(item, []).append(item)
        kept: list[Item] = []
        for same in alike.values():
            enough = len(same)
            if enough > 1:
                enough = sum(-(-option.slot.need // option.inc) for option in same[0].options)
            kept.extend(sorted(same, key=lambda item: item.rank)[:enough])
        for item in kept:
            for slot in item.slots:
                slot.items.append(item)
                slot.supply += max(option.inc for option in item.options if option.slot is slot)
        self.items = kept

    def leave_out(self, some: Iterable[Part]) -> None:
        """Parts that are done otherwise."""
        for part in some:
            gone = {id(branch) for slot in part.slots for branch in slot.guard}
            self.branches = [branch for branch in self.branches if id(branch) not in gone]
            for slot in part.slots:
                del self.slots[slot.leaf.id]

    def reachable(self, node: Node) -> bool:
        """Whether a node could be met if nothing else competed for what fits it: a quick and certain no."""
        if node.id in self._waived:
            return True
        if isinstance(node, Group):
            return sum(map(self.reachable, node.children)) >= node.n
        slot = self.slots.get(node.id)
        return slot is None or slot.supply >= slot.need

    def matchable(self) -> bool:
        """Whether the leaves that hang on no choice could at least get as many candidates as each needs, one to a
        class. A matching says so in no time, where there is much competition; no is certain."""
        holder: dict[Item, Slot] = {}
        for slot in self.slots.values():
            if slot.guard or self.shared:
                continue
            incs = sorted((max(o.inc for o in item.options if o.slot is slot) for item in slot.items), reverse=True)
            missing = slot.need
            for inc in incs:
                if missing > 0 and not _augment(slot, holder):
                    return False
                missing -= inc
        return True

    def order(self) -> list[Slot | Item | Branch]:
        """What to decide, in turn: leaves that share candidates stay together, the scarcest first; a branch comes
        before its first leaf, and a leaf is closed (its slot listed) as soon as nothing more can go to it."""
        turns: list[Slot | Item | Branch] = []
        left = {name: len(slot.items) for name, slot in self.slots.items()}

        def decide(slot: Slot) -> None:
            for branch in slot.guard:
                if not branch.decided:
                    branch.decided = True
                    turns.append(branch)

        for slot in _together(list(self.slots.values())):
            decide(slot)
            if not slot.items:
                turns.append(slot)
            for item in sorted(slot.items, key=lambda item: (len(item.slots), item.rank)):
                if item.done:
                    continue
                item.done = True
                for touched in item.slots:
                    decide(touched)
                turns.append(item)
                for touched in item.slots:
                    left[touched.leaf.id] -= 1
                    if not left[touched.leaf.id]:
                        turns.append(touched)
        turns.extend(branch for branch in self.branches if not branch.decided)
        return turns


def _augment(start: Slot, holder: dict[Item, Slot]) -> bool:
    """Get a leaf one more item, moving others' items along the shortest chain that ends at a free one."""
    wanted_by: dict[Item, Slot] = {}
    gives: dict[Slot, Item] = {}
    queue = [start]
    for slot in queue:
        for item in slot.items:
            if item in wanted_by:
                continue
            wanted_by[item] = slot
            owner = holder.get(item)
            if owner is None:
                moved = item
                while (taker := wanted_by[moved]) is not start:
                    holder[moved] = taker
                    moved = gives[taker]
                holder[moved] = start
                return True
            if owner is not start and owner not in gives:
                gives[owner] = item
                queue.append(owner)
    return False


def _together(slots: Sequence[Slot]) -> list[Slot]:
    """Leaves in the order written, except that those tied by a common item follow each other, the scarcest first."""
    group = {slot.leaf.id: [slot] for slot in slots}
    for slot in slots:
        for item in slot.items:
            mine, other = group[item.slots[0].leaf.id], group[slot.leaf.id]
            if mine is not other:
                mine.extend(other)
                for moved in other:
                    group[moved.leaf.id] = mine
    places = {slot.leaf.id: place for place, slot in enumerate(slots)}
    ordered: dict[int, list[Slot]] = {}
    for slot in slots:
        ordered.setdefault(id(group[slot.leaf.id]), group[slot.leaf.id])
    return [
        slot
        for tied in ordered.values()
        for slot in sorted(tied, key=lambda slot: (len(slot.items), places[slot.leaf.id]))
    ]
