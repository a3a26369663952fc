"""The plan of an allocation: what competes for what, in which order to decide it, and what each choice costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import lcm

from cairn.pathways.domain.framework import Group, Leaf, Node
from cairn.pathways.domain.holding import Grade

# Counts are whole and many; credits are fractions.
Amount = Fraction | int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A holding that may be allocated at the instant in question.

    `worth` is what it adds to each leaf it fits: 1, or its credits. Of the candidates of one `kind` (its class) at most
    one is allocated, except that `repeatable` ones do not count against it. `components` are holdings not to be
    allocated with it, unless its leaf is spendable. `outside` means recognised from elsewhere (RPL, external).
    """

    id: str
    kind: str
    worth: Mapping[str, Amount]
    earned: datetime
    repeatable: bool = False
    outside: bool = False
    grade: Grade | None = None
    components: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Choice:
    """A group of which exactly `n` branches count, and the field of the state that tells how many were chosen so
    far."""

    n: int
    undecided: int
    shift: int = 0
    mask: int = 0


@dataclass(slots=True, eq=False)
class Branch:
    """A child of a choice; its `bit` of the state says that it counts. It hangs on the branches in `guard`, the
    outermost first. `bonus` is the share of progress that it gives for leaves that ask nothing."""

    choice: Choice
    guard: "tuple[Branch, ...]"
    bit: int = 0
    bonus: Fraction = Fraction(0)
    decided: bool = False


@dataclass(slots=True, eq=False)
class Slot:
    """A leaf as a field of the state: how much it has in units of 1/`scale`, kept at `need` once it is met. `unit` is
    the progress that one such unit gives, in units of 1/`whole` of the plan."""

    leaf: Leaf
    weight: Fraction
    guard: tuple[Branch, ...]
    scale: int = 1
    need: int = 0
    most: int | None = None
    shift: int = 0
    mask: int = 0
    unit: int = 0
    supply: int = 0
    items: "list[Item]" = field(default_factory=list["Item"])


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One member of a class given to one leaf. It needs the bits `forbid` of the state to be clear, and sets `mark`:
    that is how an award and its components keep out of each other's way."""

    slot: Slot
    inc: int
    candidate: Candidate
    cost: int
    forbid: int
    mark: int


@dataclass(slots=True, eq=False)
class Item:
    """A class of candidates, of which at most one is allocated: what the walk decides on as one."""

    options: list[Option]
    rank: int
    slots: list[Slot]
    done: bool = False


class Ranks:
    """The objective below progress as one whole number per candidate, to be added up and kept small. From the top:
    recognised from elsewhere; how many; better grades passed over within the class; how early earned; ids; leaf ids.

    "Sorted `earned`" of two allocations of one size compare as do the counts at each date, the earliest first, more
    being better; so a date is a digit, in a base that no count reaches. Ids likewise. Leaf ids are digits in the order
    of ids.
    """

    def __init__(self, candidates: Sequence[Candidate], leaf_ids: Iterable[str]) -> None:
        digit = len(candidates).bit_length() + 1
        dates = {date: place for place, date in enumerate(sorted({c.earned for c in candidates}, reverse=True))}
        self._leaf_rank = {name: rank for rank, name in enumerate(sorted(leaf_ids))}
        leaf_digit = len(self._leaf_rank).bit_length()
        ids = sorted((c.id for c in candidates), reverse=True)
        self._leaf_shift = {name: place * leaf_digit for place, name in enumerate(ids)}
        id_base = len(ids) * leaf_digit + 1
        date_base = id_base + len(ids) + 1
        grade_base = date_base + len(dates) * digit + 1
        count_base = grade_base + 2 * digit
        outside_base = count_base + digit
        self.above = outside_base + digit + 1
        grades: dict[str, list[Grade]] = {}
        for c in candidates:
            if c.grade is not None:
                grades.setdefault(c.kind, []).append(c.grade)
        places = {name: place for place, name in enumerate(ids)}
        self._base: dict[str, int] = {}
        for c in candidates:
            passed_over = sum(_better(other, c.grade) for other in grades.get(c.kind, ())) if c.grade else 0
            self._base[c.id] = (
                (c.outside << outside_base)
                + (1 << count_base)
                + (passed_over << grade_base)
                - (1 << (date_base + dates[c.earned] * digit))
                - (1 << (id_base + places[c.id]))
            )

    def base(self, candidate: Candidate) -> int:
        """Its cost wherever it goes. No two candidates have the same."""
        return self._base[candidate.id]

    def cost(self, candidate: Candidate, leaf: Leaf) -> int:
        return self._base[candidate.id] + (self._leaf_rank[leaf.id] << self._leaf_shift[candidate.id])


def _better(one: Grade, other: Grade) -> bool:
    return one.scale == other.scale and one.value > other.value


class Plan:
    """The fields of the state, the items, and the order in which to take them. `whole` is complete progress, `given`
    the part of it that comes of itself."""

    def __init__(self, root: Node, candidates: Sequence[Candidate]) -> None:
        self.slots: dict[str, Slot] = {}
        self.branches: list[Branch] = []
        self.free = Fraction(0)
        self._enter(root, Fraction(1), ())
        useful = [c for c in candidates if not self.slots.keys().isdisjoint(c.worth)]
        self.ranks = Ranks(useful, self.slots)
        self.whole = 1
        width = self._lay_out(useful)
        self.given = int(self.free * self.whole)
        self._make_items(useful, width)

    def _enter(self, node: Node, weight: Fraction, guard: tuple[Branch, ...]) -> None:
        """Walk the requirement: what share of all progress each leaf can give, and which branches it hangs on."""
        if isinstance(node, Leaf) and node.min:
            self.slots[node.id] = Slot(node, weight, guard)
        elif isinstance(node, Leaf) or node.n == 0:
            if guard:
                guard[-1].bonus += weight
            else:
                self.free += weight
        elif node.n >= len(node.children):
            for child in node.children:
                self._enter(child, weight / node.n, guard)
        else:
            choice = Choice(node.n, len(node.children))
            for child in node.children:
                branch = Branch(choice, guard)
                self.branches.append(branch)
                self._enter(child, weight / node.n, (*guard, branch))

    def _lay_out(self, useful: Sequence[Candidate]) -> int:
        """Give every branch, choice and leaf its bits of the state; returns the first that is free."""
        shift = 0
        for branch in self.branches:
            branch.bit = 1 << shift
            shift += 1
            choice = branch.choice
            if not choice.mask:
                choice.shift, choice.mask = shift, (1 << choice.n.bit_length()) - 1
                shift += choice.n.bit_length()
        self.whole = lcm(self.free.denominator, *(branch.bonus.denominator for branch in self.branches))
        for name, slot in self.slots.items():
            least = Fraction(slot.leaf.min)
            most = None if slot.leaf.max is None else Fraction(slot.leaf.max)
            amounts: list[Amount] = [least, most or least, *(c.worth[name] for c in useful if name in c.worth)]
            slot.scale = lcm(*(amount.denominator for amount in amounts))
            slot.need = int(least * slot.scale)
            slot.most = None if most is None else int(most * slot.scale)
            slot.shift, slot.mask = shift, (1 << slot.need.bit_length()) - 1
            shift += slot.need.bit_length()
            self.whole = lcm(self.whole, slot.weight.denominator * slot.need)
        for slot in self.slots.values():
            slot.unit = int(self.whole * slot.weight / slot.need)
        return shift

    def _make_items(self, useful: Sequence[Candidate], width: int) -> None:
        bits = _award_bits(self.slots, useful, width)
        classes: dict[tuple[str, str], list[Candidate]] = {}
        for c in sorted(useful, key=self.ranks.base):
            classes.setdefault((c.kind, c.id if c.repeatable else ""), []).append(c)
        alike: dict[object, list[Item]] = {}
        for members in classes.values():
            # A member that does no more for a leaf than a cheaper one of its class can never be of use there.
            best: dict[tuple[str, int, int, int], Option] = {}
            for c in members:
                for name, worth in c.worth.items():
                    if (slot := self.slots.get(name)) is None:
                        continue
                    forbid, mark = bits.get((c.id, slot.leaf.spendable), (0, 0))
                    inc = int(worth * slot.scale)
                    if (key := (name, inc, forbid, mark)) not in best:
                        best[key] = Option(slot, inc, c, self.ranks.cost(c, slot.leaf), forbid, mark)
            options = list(best.values())
            item = Item(options, self.ranks.base(members[0]), list({o.slot.leaf.id: o.slot for o in options}.values()))
            lone = all(option.candidate is options[0].candidate for option in options)
            alike.setdefault(frozenset(best) if lone else item, []).append(item)
        for group in alike.values():
            # Of classes that can do exactly the same, the cheapest are used, and no more than all their leaves need.
            enough = sum(-(-option.slot.need // option.inc) for option in group[0].options)
            for item in sorted(group, key=lambda item: item.rank)[:enough]:
                for slot in item.slots:
                    slot.items.append(item)
                    slot.supply += max(option.inc for option in item.options if option.slot is slot)

    def reachable(self, node: Node) -> bool:
        """Whether a node could be met if nothing else competed for what fits it: a quick and certain no."""
        if isinstance(node, Group):
            return sum(map(self.reachable, node.children)) >= node.n
        slot = self.slots.get(node.id)
        return slot is None or slot.supply >= slot.need

    def matchable(self) -> bool:
        """Whether the leaves that hang on no choice could at least get as many candidates as each needs, one to a
        class. A matching says so in no time, where there is much competition; no is certain."""
        holder: dict[Item, Slot] = {}
        for slot in self.slots.values():
            if slot.guard:
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


def _award_bits(
    slots: Mapping[str, Slot], useful: Sequence[Candidate], width: int
) -> dict[tuple[str, bool], tuple[int, int]]:
    """For a candidate given to a leaf that is or is not spendable: the bits that forbid it and the bits it sets. Each
    award has two bits, from `width` on: it was used itself, or one of its components was."""
    present = {c.id for c in useful}
    forbid: dict[tuple[str, bool], int] = {}
    mark: dict[tuple[str, bool], int] = {}
    for award in sorted(useful, key=lambda c: c.id):
        parts = present.intersection(award.components) - {award.id}
        if not parts or all(slots[name].leaf.spendable for name in award.worth if name in slots):
            continue
        used, broken = 1 << width, 2 << width
        width += 2
        forbid[award.id, False] = forbid.get((award.id, False), 0) | broken
        mark[award.id, False] = mark.get((award.id, False), 0) | used
        for part in parts:
            for spendable in (False, True):
                forbid[part, spendable] = forbid.get((part, spendable), 0) | used
                mark[part, spendable] = mark.get((part, spendable), 0) | broken
    return {key: (forbid[key], mark[key]) for key in forbid}


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
