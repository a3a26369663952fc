"""Matching: the parts of an allocation in which every credential counts for one.

Where each leaf asks for so many credentials, or for credits that any one of its credentials has, the sets of
credentials that can be placed together are the independent sets of a matroid. Taking them in the order of their cost,
each that still can be placed beside those before it, therefore ends with the best set (Rado, Edmonds), whatever the
leaves compete for; and a set of leaves and a set of credentials that can each be served can be served together
(Mendelsohn and Dulmage, 1958), so that progress may be settled first. The dynamic programme of `allocation` would need
a state for each set of leaves that are open at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final

from cairn.pathways.domain.plan import Item, Option, Part, Plan, Slot

# Parts with fewer leaves have few states.
SMALL: Final = 6


def parts(plan: Plan) -> list[Part]:
    """The independent parts of a plan."""
    group: dict[str, list[Slot]] = {name: [slot] for name, slot in plan.slots.items()}

    def tie(slots: Iterable[Slot]) -> None:
        first: list[Slot] | None = None
        for slot in slots:
            mine = group[slot.leaf.id]
            if first is not None and first is not mine:
                first.extend(mine)
                for moved in mine:
                    group[moved.leaf.id] = first
            first = group[slot.leaf.id]

    for item in plan.items:
        tie(item.slots)
    by_choice: dict[int, list[Slot]] = {}
    for slot in plan.slots.values():
        for branch in slot.guard:
            by_choice.setdefault(id(branch.choice), []).append(slot)
    for tied in by_choice.values():
        tie(tied)
    found = {id(some): some for some in group.values()}
    items: dict[int, list[Item]] = {}
    for item in plan.items:
        if item.slots:
            items.setdefault(id(group[item.slots[0].leaf.id]), []).append(item)
    return [Part(some, items.get(key, [])) for key, some in found.items()]


def matchable(part: Part, plan: Plan) -> bool:
    """Whether every credential counts for one in a part, and each choice is between leaves that ask for one."""
    options: dict[str, list[Option]] = {slot.leaf.id: [] for slot in part.slots}
    for option in (option for item in part.items for option in item.options):
        if option.forbid or option.mark:
            return False
        options[option.slot.leaf.id].append(option)
    for slot in part.slots:
        whole = all(option.inc >= slot.need for option in options[slot.leaf.id])
        if not (whole or all(option.inc == 1 for option in options[slot.leaf.id])):
            return False
        part.asks[slot.leaf.id] = 1 if whole else slot.need
        slot.share = slot.weight / part.asks[slot.leaf.id]
        if len(slot.guard) > 1 or (slot.guard and (part.asks[slot.leaf.id] > 1 or slot.guard[0].bonus)):
            return False
    alone = [slot.guard[0] for slot in part.slots if slot.guard]
    choices = {id(branch.choice) for branch in alone}
    siblings = [branch for branch in plan.branches if id(branch.choice) in choices]
    return len(set(alone)) == len(alone) == len(siblings)


class Network:
    """Credentials flow to leaves; from there, where a choice limits them, to the choice; then to the weight that the
    leaf has in progress, and to the end. An edge has a capacity and, next to it, one back for what flows. What is
    placed stays placed, though perhaps elsewhere."""

    def __init__(self, some: Sequence[Part], *, complete: bool) -> None:
        self._complete = complete
        self._to: list[int] = []
        self._room: list[int] = []
        self._edges: list[list[int]] = [[]]
        self.options: dict[str, dict[str, Option]] = {}
        self.kind: dict[str, int] = {}
        for place, item in enumerate(item for part in some for item in part.items):
            for option in item.options:
                if option.slot.most is None or option.inc <= option.slot.most:
                    self.options.setdefault(option.candidate.id, {}).setdefault(option.slot.leaf.id, option)
                    self.kind[option.candidate.id] = place
        self.wanted = 0
        self.placed: set[str] = set()
        self._kinds: set[int] = set()
        self._after: dict[str, list[int]] = {}
        self._weights: dict[Fraction, int] = {}
        self._leaves = self._lay_out([(slot, part.asks[slot.leaf.id]) for part in some for slot in part.slots])
        self._node = {name: self._add_node() for name in sorted(self.options)}
        self._name = {node: name for name, node in self._node.items()}
        self._edge = {
            (name, leaf): self._join(self._node[name], self._leaves[leaf], 1)
            for name, leaves in sorted(self.options.items())
            for leaf in sorted(leaves)
        }

    def _add_node(self) -> int:
        self._edges.append([])
        return len(self._edges) - 1

    def _join(self, one: int, other: int, room: int) -> int:
        edge = len(self._to)
        self._to += [other, one]
        self._room += [room, 0]
        self._edges[one].append(edge)
        self._edges[other].append(edge + 1)
        return edge

    def _lay_out(self, asks: Sequence[tuple[Slot, int]]) -> dict[str, int]:
        """The leaves and what follows them; node 0 is the end."""
        choices: dict[int, tuple[int, int]] = {}
        weights: dict[Fraction, tuple[int, int]] = {}
        leaves: dict[str, int] = {}
        for slot, count in asks:
            weight = Fraction(0) if self._complete else slot.share
            if weight not in weights:
                node = self._add_node()
                weights[weight] = (node, self._join(node, 0, len(self.options)))
                self._weights[weight] = weights[weight][1]
            leaf = leaves[slot.leaf.id] = self._add_node()
            if not slot.guard:
                self.wanted += count
                self._after[slot.leaf.id] = [self._join(leaf, weights[weight][0], count), weights[weight][1]]
                continue
            choice = slot.guard[0].choice
            if id(choice) not in choices:
                node = self._add_node()
                choices[id(choice)] = (node, self._join(node, weights[weight][0], choice.n))
                self.wanted += choice.n
            node, edge = choices[id(choice)]
            self._after[slot.leaf.id] = [self._join(leaf, node, count), edge, weights[weight][1]]
        return leaves

    def fill(self, costs: Mapping[str, int]) -> bool:
        """Place the best credentials of all sets that fill most. Returns whether they fill all that is asked for."""
        order = sorted(self.options, key=costs.__getitem__)
        if not self._complete:
            # The weightiest leaves first; then each weight may have as many as it got, and no more.
            caps: dict[Fraction, int] = {}
            for edge in self._weights.values():
                self._room[edge] = 0
            for weight in sorted(self._weights, reverse=True):
                before = len(self.placed)
                self._room[self._weights[weight]] = len(order)
                for name in order:
                    self._place(name)
                caps[weight] = len(self.placed) - before
            for edge in range(0, len(self._to), 2):
                self._room[edge] += self._room[edge + 1]
                self._room[edge + 1] = 0
            for weight, edge in self._weights.items():
                self._room[edge] = caps[weight]
            self.placed.clear()
            self._kinds.clear()
        for name in order:
            self._place(name)
        return len(self.placed) == self.wanted

    def _place(self, name: str) -> None:
        if name in self.placed or self.kind[name] in self._kinds:
            return
        if self._push(self._node[name]):
            self.placed.add(name)
            self._kinds.add(self.kind[name])

    def _push(self, start: int) -> bool:
        """Send one more from a node to the end, along the shortest way there is."""
        came = self._reach(start)
        if 0 not in came:
            return False
        self._follow(came, 0, start)
        return True

    def _reach(self, start: int) -> dict[int, int]:
        """The nodes that one more could come to, each with the edge by which; the search stops at the end."""
        came: dict[int, int] = {start: -1}
        queue = deque([start])
        to, room, edges = self._to, self._room, self._edges
        while queue:
            for edge in edges[queue.popleft()]:
                if room[edge] and to[edge] not in came:
                    came[to[edge]] = edge
                    if to[edge] == 0:
                        return came
                    queue.append(to[edge])
        return came

    def _follow(self, came: Mapping[int, int], end: int, start: int) -> None:
        while end != start:
            edge = came[end]
            self._room[edge] -= 1
            self._room[edge ^ 1] += 1
            end = self._to[edge ^ 1]

    def swaps(self, name: str) -> list[str]:
        """The placed credentials in whose stead another could be placed."""
        if self.kind[name] in self._kinds:
            return []
        return [
            self._name[node]
            for node in self._reach(self._node[name])
            if node in self._name and node != self._node[name]
        ]

    def swap(self, name: str, out: str) -> None:
        self._follow(self._reach(self._node[name]), self._node[out], self._node[name])
        self.placed.remove(out)
        self.placed.add(name)
        self._kinds.remove(self.kind[out])
        self._kinds.add(self.kind[name])

    def leaves(self) -> dict[str, str]:
        """Who goes where: in the order of credentials, each to the first leaf that leaves room for the others."""
        found: dict[str, str] = {}
        before = self._room[:]
        for name in sorted(self.placed):
            own = {leaf: self._edge[name, leaf] for leaf in sorted(self.options[name])}
            now = next(leaf for leaf, edge in own.items() if not self._room[edge])
            for leaf, edge in own.items():
                if leaf == now or self._moved(own[now], now, edge, leaf):
                    found[name] = leaf
                    # It stays: there is no way back through it.
                    self._room[edge] = self._room[edge ^ 1] = 0
                    break
            for leaf, edge in own.items():
                if leaf != found[name]:
                    self._room[edge] = 0
        self._room = before
        return found

    def _moved(self, old: int, now: str, new: int, leaf: str) -> bool:
        """Move a credential from one leaf to another, if the others can make room."""
        taken = [old, *self._after[now]]
        for edge in taken:
            self._room[edge] += 1
            self._room[edge ^ 1] -= 1
        if self._push(self._leaves[leaf]):
            self._room[new] -= 1
            self._room[new ^ 1] += 1
            return True
        for edge in taken:
            self._room[edge] -= 1
            self._room[edge ^ 1] += 1
        return False
