"""The plan of an allocation: what competes for what, in which order to decide it, and what each choice costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.framework import Reuse
from cairn.pathways.domain.limits import Limit
from cairn.pathways.domain.nodes import Group, Node
from cairn.pathways.domain.outline import Branch, Slot
from cairn.pathways.domain.ranks import Ranks
from cairn.pathways.domain.regime import Regime
from cairn.pathways.domain.selector import Moment


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be allocated to what below `root`, under the rules as decided, as of a moment. `limits` are those in
    force; those over `held` look at the candidates `held`. Candidates in `barred` are not allocated. Credits are in
    units of 1/`grain`."""

    regime: Regime
    root: Node
    candidates: Sequence[Candidate]
    moment: Moment
    grain: int
    limits: Sequence[Limit] = ()
    held: Sequence[Candidate] = ()
    barred: frozenset[str] = frozenset()

    @property
    def below(self) -> Mapping[str | None, frozenset[str]]:
        return self.regime.below

    @property
    def reuse(self) -> Reuse:
        return self.regime.framework.reuse


@dataclass(slots=True, eq=False)
class Option:
    """One member of a class given to one leaf. It needs the bits `forbid` of the state to be clear, and sets `mark`:
    that is how what excludes each other keeps out of each other's way. `gauges` holds what it adds to the field of each
    limit, `delta` the same as a number to be added to the state, and `helps` says whether any of them is the better for
    it."""

    slot: Slot
    inc: int
    candidate: Candidate
    cost: int
    forbid: int = 0
    mark: int = 0
    gauges: tuple[tuple[int, int], ...] = ()
    delta: int = 0
    helps: bool = False


@dataclass(slots=True, eq=False)
class Item:
    """A class of candidates, of which at most one is allocated: what the walk decides on as one. `slots` has the leaves
    that it can go to, and the most that it adds to each."""

    options: list[Option]
    rank: int
    slots: dict[Slot, int]

    @property
    def single(self) -> bool:
        """Whether it has one member only. Options come member by member."""
        return self.options[0].candidate is self.options[-1].candidate

    def only(self, names: Set[str]) -> Item:
        """Less the members that are not among some, of which one is at most."""
        options = [option for option in self.options if option.candidate.id in names]
        return Item(options, self.rank, {option.slot: option.inc for option in options})


@dataclass(slots=True, eq=False)
class Part:
    """Leaves tied to each other by classes or choices, with what may fill them. `asks` is how many credentials each
    leaf takes at most: what it needs."""

    slots: list[Slot]
    items: list[Item]
    asks: dict[Slot, int] = field(default_factory=dict[Slot, int])


class Plan:
    """The items, and the order in which to decide on them, the leaves and the choices of an outline, but for what is
    `done`. What is `width` bits further on in the state belongs to limits (`gauges`)."""

    def __init__(self, problem: Problem, *, complete: bool, generous: bool, done: Set[Slot] = frozenset()) -> None:
        self.outline = outline = problem.regime.outline(
            problem.root, problem.grain, complete=complete, generous=generous
        )
        self.complete = complete
        self.generous = generous
        self.shared = outline.shared
        self.reuse = problem.reuse
        self._waived = problem.regime.waived
        self.width = outline.width
        self.marks: dict[Branch, int] = {}
        """The bits that a branch sets besides its own when it counts."""
        self.sharing: dict[frozenset[str], tuple[int, dict[str, int]]] = {}
        """For pairs of leaves with a cap: the place of its field, and what a candidate given to both adds to it."""
        self.slots: Mapping[str, Slot] = outline.slots
        self.branches: Sequence[Branch] = outline.branches
        self.items: Sequence[Item] = ()
        self.leave_out(done)
        self.candidates = [c for c in problem.candidates if self._useful(c.worth)]
        tables = problem.regime.framework.tables
        self.ranks = Ranks(self.candidates, problem.candidates, outline.leaf_rank, tables, shared=self.shared)
        self.items = self._make_items([c for c in self.candidates if c.id not in problem.barred])
        self.items_of: dict[Slot, list[Item]] = {}

    def _useful(self, worth: Mapping[str, int]) -> bool:
        for name, amount in worth.items():  # noqa: SIM110 - a loop is twice as fast as any()
            if name in self.slots and (amount or self.generous or self.shared):
                return True
        return False

    def take_bits(self, count: int) -> int:
        """So many bits of the state; returns the place of the first."""
        self.width += count
        return self.width - count

    def _make_items(self, useful: Sequence[Candidate]) -> list[Item]:
        ranks, slots, any_amount = self.ranks, self.slots, self.generous or self.shared
        classes: dict[tuple[str, str], list[Candidate]] = {}
        for c in sorted(useful, key=ranks.base):
            classes.setdefault((c.kind, c.id if c.repeatable else ""), []).append(c)
        items: list[Item] = []
        for members in classes.values():
            options: list[Option] = []
            reached: dict[Slot, int] = {}
            for c in members:
                for name, amount in c.worth.items():
                    slot = slots.get(name)
                    # What exceeds a leaf's maximum by itself is no option there.
                    if slot is not None and (amount or any_amount) and (slot.most is None or amount <= slot.most):
                        options.append(Option(slot, amount, c, ranks.cost(c, name)))
                        reached[slot] = max(amount, reached.get(slot, 0))
            if options:
                items.append(Item(options, ranks.base(members[0]), reached))
        return items

    def settle(self) -> None:
        """Once options have their bits: leave out what can never be of use, and tell the leaves what may come to them.

        A member that does no more for a leaf than a cheaper one of its class is of no use there. Of classes that can do
        exactly the same the cheapest are used, and no more than all their leaves need, unless more may be wanted."""
        alike: dict[object, list[Item]] = {}
        for item in self.items:
            key: object = item
            if not self.shared and not (self.generous and item.single):
                best: dict[object, Option] = {}
                for o in item.options:
                    best.setdefault((o.slot, o.inc, o.forbid, o.mark, o.gauges), o)
                item.options = list(best.values())
                if not self.generous and item.single:
                    key = tuple(best)
            alike.setdefault(key, []).append(item)
        kept: list[Item] = []
        for same in alike.values():
            enough = 1
            if len(same) > 1:
                enough = sum(-(-option.slot.need // option.inc) for option in same[0].options)
            kept.extend(sorted(same, key=lambda item: item.rank)[:enough])
        self.items = kept
        self.items_of = {slot: [] for slot in self.slots.values()}
        for item in kept:
            for slot in item.slots:
                self.items_of[slot].append(item)

    def use(self, items: Iterable[Item]) -> None:
        """Only some items, and as much of them."""
        self.items = [item for item in items if item.options]
        self.items_of = {slot: [item for item in self.items if slot in item.slots] for slot in self.slots.values()}

    def leave_out(self, done: Set[Slot]) -> None:
        """Leaves that are done otherwise, with the choices between them."""
        hang = {branch for slot in done for branch in slot.guard}
        self.branches = [branch for branch in self.branches if branch not in hang]
        self.slots = {name: slot for name, slot in self.slots.items() if slot not in done}
        self.items = [item for item in self.items if done.isdisjoint(item.slots)]

    def reachable(self, node: Node) -> bool:
        """Whether a node could be met if nothing else competed for what fits it: a quick and certain no."""
        if node.id in self._waived:
            return True
        if isinstance(node, Group):
            return sum(map(self.reachable, node.children)) >= node.n
        slot = self.slots.get(node.id)
        return slot is None or sum(item.slots[slot] for item in self.items_of[slot]) >= slot.need

    def matchable(self) -> bool:
        """Whether the leaves that hang on no choice could at least get as many candidates as each needs, one to a
        class. A matching says so in no time, where there is much competition; no is certain."""
        holder: dict[Item, Slot] = {}
        for slot in self.slots.values():
            if slot.guard or self.shared:
                continue
            missing = slot.need
            for inc in sorted((item.slots[slot] for item in self.items_of[slot]), reverse=True):
                if missing > 0 and not self._augment(slot, holder):
                    return False
                missing -= inc
        return True

    def _augment(self, start: Slot, holder: dict[Item, Slot]) -> bool:
        """Get a leaf one more item, moving others' items along the shortest chain that ends at a free one."""
        wanted_by: dict[Item, Slot] = {}
        gives: dict[Slot, Item] = {}
        queue = [start]
        for slot in queue:
            for item in self.items_of[slot]:
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

    def order(self) -> list[Slot | Item | Branch]:
        """What to decide, in turn: leaves that share candidates stay together, the scarcest first; a branch comes
        before its first leaf, and a leaf is closed (its slot listed) as soon as nothing more can go to it."""
        # A dictionary, as what was decided once is not again.
        turns: dict[Slot | Item | Branch, None] = {}
        left = {slot: len(self.items_of[slot]) for slot in self.slots.values()}
        for some in tied(left, (item.slots for item in self.items)):
            for slot in sorted(some, key=left.__getitem__):
                for branch in slot.guard:
                    turns[branch] = None
                if not left[slot]:
                    turns[slot] = None
                for item in sorted(self.items_of[slot], key=lambda item: (len(item.slots), item.rank)):
                    if item in turns:
                        continue
                    for touched in item.slots:
                        for branch in touched.guard:
                            turns[branch] = None
                    turns[item] = None
                    for touched in item.slots:
                        left[touched] -= 1
                        if not left[touched]:
                            turns[touched] = None
        return [*turns, *(branch for branch in self.branches if branch not in turns)]


def tied(slots: Iterable[Slot], ties: Iterable[Iterable[Slot]]) -> list[list[Slot]]:
    """Slots in groups: those of one tie are in one group. Their order is kept."""
    group = {slot: [slot] for slot in slots}
    for tie in ties:
        first: list[Slot] | None = None
        for slot in tie:
            mine = group[slot]
            if first is None:
                first = mine
            elif mine is not first:
                first.extend(mine)
                for moved in mine:
                    group[moved] = first
    found: dict[int, list[Slot]] = {}
    for slot, some in group.items():
        found.setdefault(id(some), []).append(slot)
    return list(found.values())
