"""Selection: the best set of credentials that fills a board and meets limits.

Which sets fill the board is a matroid (`matching`), and has a quick method. What limits ask for besides has none: sums
that must not end below zero, credentials that may not go together, and how many different values there are. So it is
tried out, with care for the order of trying:

- The objective is settled from its head down, each part by asking whether there is a set at all that does better so
  far. That is a question of yes or no, and most answers are at hand: a yes by the set that the last answer found, or by
  one exchange in it.
- A no is proven by weights on the sums under which even the heaviest set, which a matching finds, comes out below zero
  (`mixture`).
- Where neither settles it, sets are exchanged step by step towards what they lack; where that fails too, one credential
  is put in and left out in turn.

Every answer is exact. Effort is counted, and past its bound `Exhausted` is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cairn.pathways.domain.demands import FINE, Aims, Demands, Sum
from cairn.pathways.domain.matching import Board, Matching
from cairn.pathways.domain.mixture import Mixture
from cairn.pathways.domain.outcome import Effort

# How many ways are mixed before the question is split.
_MIXED: Final = 40


class Exhausted(Exception):
    """The effort is spent, and the answer not known."""


@dataclass(slots=True)
class Selected:
    """A set that fills the board, as bits: those placed in `matching`, and others beyond what leaves ask for."""

    matching: Matching
    bits: int
    sums: list[int] = field(default_factory=list[int])

    @property
    def members(self) -> list[int]:
        return _members(self.bits)


class Selection:
    """`size` is how many places there are to fill. `spare`: more may be placed than leaves ask for. That is of use to
    meet a limit, and for nothing else."""

    def __init__(
        self, board: Board, demands: Demands, aims: Aims, effort: Effort, *, size: int, spare: bool = False
    ) -> None:
        self._board = board
        self._aims = aims
        self._effort = effort
        self._size = size
        self._spare = spare
        self._sums = list(demands.sums)
        self._varieties = demands.varieties
        self._everyone = range(len(board.names))
        self._apart = list(demands.apart) or [0] * len(board.names)
        for one, others in board.apart.items():
            self._apart[one] |= _mask(others)
        self._clashing = any(self._apart)
        mates: dict[object, int] = {}
        for one, kind in enumerate(board.kinds):
            mates[kind] = mates.get(kind, 0) | 1 << one
        self._mates = [mates[kind] & ~(1 << one) for one, kind in enumerate(board.kinds)]
        self._rank = {one: rank for rank, one in enumerate(aims.order)}
        self._weights: list[int] = []

    def any(self) -> Selected | None:
        """Some set that meets the demands; None if there is none."""
        # What is best without demands is near what is best with them.
        way = self._heaviest([0] * len(self._sums), 0, 0)
        return way and (self._mended(way, 0, 0) or self._meeting(0, 0))

    def best(self) -> Selected | None:
        """The best set that meets the demands; None if there is none."""
        found = self.any()
        if found is None:
            return None
        inside = outside = 0
        found, gone = self._least(found, self._aims.outside, 0, outside)
        outside |= gone
        if self._spare:
            found, gone = self._least(found, [1] * len(self._everyone), self._size, outside)
            self._spare = found.bits.bit_count() > self._size
        found, gone = self._least(found, self._aims.passed_over, 0, outside)
        outside |= gone
        for group in self._aims.dates:
            if inside == found.bits:
                return found
            found, inside, outside = self._most(found, group & ~outside, inside, outside)
        for one in self._everyone:
            if inside == found.bits:
                break
            if not (inside | outside) >> one & 1:
                found, inside, outside = self._most(found, 1 << one, inside, outside)
        return found

    def _least(self, found: Selected, each: Sequence[int], least: int, outside: int) -> tuple[Selected, int]:
        """Keep small the sum of what each adds, which is `least` or more, from here on. Returns also who adds to it if
        nobody may."""
        most = sum(each[one] for one in _members(found.bits))
        while least < most:
            # The least there could be is often enough: it is tried first.
            limit = least
            better = self._with(Sum(limit, [-value for value in each]), 0, outside)
            if better is None:
                least = limit + 1
            else:
                found, most = better, sum(each[one] for one in _members(better.bits))
        if most == 0:
            return found, _mask(one for one in self._everyone if each[one])
        if most < sum(each):
            self._keep(found, Sum(most, [-value for value in each]))
        return found, 0

    def _most(self, found: Selected, group: int, inside: int, outside: int) -> tuple[Selected, int, int]:
        """Have as many of a group in as can be, beside those inside. Returns also who is inside and outside then."""
        least, most = (group & found.bits).bit_count(), group.bit_count()
        while least < most:
            better = self._exchanged(found, group & ~found.bits, inside | (group & found.bits), outside)
            if better is None and most == 1:
                better = self._meeting(inside | group, outside)
            elif better is None:
                better = self._with(Sum(-least - 1, [group >> one & 1 for one in self._everyone]), inside, outside)
            if better is None:
                break
            found, least = better, (group & better.bits).bit_count()
        if least == most:
            return found, inside | group, outside
        if least == 0:
            return found, inside, outside | group
        self._keep(found, Sum(-least, [group >> one & 1 for one in self._everyone]))
        return found, inside, outside

    def _with(self, more: Sum, inside: int, outside: int) -> Selected | None:
        """Some set that meets one more demand."""
        self._sums.append(more)
        try:
            found = self._meeting(inside, outside)
        finally:
            self._sums.pop()
        return found and Selected(found.matching, found.bits, self._added(found.bits))

    def _keep(self, found: Selected, more: Sum) -> None:
        self._sums.append(more)
        found.sums = self._added(found.bits)

    def _exchanged(self, found: Selected, some: int, inside: int, outside: int) -> Selected | None:
        """With one of some more, in the stead of one that is not inside, if that is all it takes."""
        if self._spare:
            return None
        for one in _members(some & ~outside):
            self._spend(1)
            for out in found.matching.rivals(one):
                if inside >> out & 1:
                    continue
                bits = found.bits ^ 1 << one ^ 1 << out
                sums = self._moved(found.sums, one, out)
                if not self._lack(bits, sums):
                    matching = found.matching.copy()
                    matching.swap(one, out)
                    return Selected(matching, bits, sums)
        return None

    def _meeting(self, inside: int, outside: int) -> Selected | None:
        """Some set that meets the demands, with all that are inside and none that is outside."""
        for one in _members(inside):
            outside |= self._mates[one] | self._apart[one]
        for variety in self._varieties:
            given = _union(variety.values, inside)
            if variety.max is not None and given.bit_count() >= variety.max:
                outside |= _mask(one for one in self._everyone if variety.values[one] & ~given)
            if _union(variety.values, _mask(self._everyone) & ~outside).bit_count() < variety.min:
                return None
            if variety.max is not None and given.bit_count() > variety.max:
                return None
        if inside & outside:
            return None
        ways: list[Selected] = []
        mixture: Mixture | None = None
        tightest: tuple[int, Sequence[int], Selected] | None = None
        weights = [*self._weights, *[0] * len(self._sums)][: len(self._sums)]
        while len(ways) < _MIXED and (mixture is None or not mixture.enough):
            way = self._heaviest(weights, inside, outside)
            if way is None:
                return None
            value = sum(weight * value for weight, value in zip(weights, way.sums, strict=True))
            if value < 0:
                self._weights = weights
                return None
            if not self._lack(way.bits, way.sums):
                return way
            ways.append(way)
            tightest = value, weights, way
            if min(way.sums, default=0) >= 0:
                break
            if mixture is None:
                mixture = Mixture(way.sums, 1 + max(abs(s.start) + sum(map(abs, s.adds)) for s in self._sums))
            else:
                mixture.add(way.sums)
            weights = mixture.weights
        found = self._mended(min(ways, key=self._lacking), inside, outside)
        if found is None and tightest is not None:
            within, without = self._forced(*tightest, inside, outside)
            if within | without:
                return self._meeting(inside | within, outside | without)
            return self._split(ways, mixture, inside, outside)
        return found

    def _forced(self, value: int, weights: Sequence[int], way: Selected, inside: int, outside: int) -> tuple[int, int]:
        """Who must be in, and who must not: without them, or with them, even the heaviest set, which weighs `value`, is
        too light. What the best exchange costs is what it is the lighter for."""
        each = self._each(weights)
        own, free = self._own(each, inside)
        within = without = 0
        lost: dict[int, int] = {}
        placed = way.matching.at
        self._spend(len(each))
        for one in self._everyone:
            if outside >> one & 1 or one in placed:
                continue
            least = -each[one] if free[one] else None
            for out in way.matching.rivals(one):
                loss = own[out] - own[one]
                lost[out] = min(loss, lost.get(out, loss))
                if not inside >> out & 1 and (least is None or loss < least):
                    least = loss
            if self._mates[one] or inside >> one & 1:
                continue
            if least is None or least > value:
                without |= 1 << one
            elif free[one] and each[one] > value:
                within |= 1 << one
        for one in placed:
            if not (inside >> one & 1 or self._mates[one]):
                more = max(0, each[one]) if free[one] else 0
                if one not in lost or lost[one] + more > value:
                    within |= 1 << one
        return within, without

    def _split(self, ways: Sequence[Selected], mixture: Mixture | None, inside: int, outside: int) -> Selected | None:
        """Try with one in, and with it out: one of which the best mixture has a part, or that clashes."""
        near = min(ways, key=self._lacking)
        undecided = _mask(self._everyone) & ~inside & ~outside
        if not undecided:
            return None
        some = _mask(one for one in _members(near.bits) if self._apart[one] & near.bits)
        if not some & undecided and mixture is not None:
            mixed = [ways[number].bits for number in mixture.mixed]
            for bits in mixed:
                some |= bits ^ mixed[0]
        some = some & undecided or near.bits & undecided or undecided
        one = 1 << min(_members(some), key=self._rank.__getitem__)
        return self._meeting(inside | one, outside) or self._meeting(inside, outside | one)

    def _heaviest(self, weights: Sequence[int], inside: int, outside: int) -> Selected | None:
        """Of all sets that fill the board the one whose sums weigh most, with all inside and none outside; of equals
        the best by the aims. None if there is no such set."""
        board, rank = self._board, self._rank
        each = self._each(weights)
        own, free = self._own(each, inside)
        some = [one for one in self._everyone if not outside >> one & 1]
        must = [one for one in some if inside >> one & 1 and not free[one]]

        def first(one: int) -> tuple[bool, int, int, int]:
            return not (inside >> one & 1 and not free[one]), -own[one], -each[one], rank[one]

        some.sort(key=first)
        self._spend(len(some))
        matching = Matching(board)
        for place, one in enumerate(some):
            if not matching.add(one):
                if place < len(must):
                    return None
            elif len(matching.at) == self._size and place >= len(must):
                break
        if len(matching.at) < self._size:
            return None
        bits = _mask(matching.at)
        if self._spare:
            for one in sorted(some, key=lambda one: -each[one]):
                wanted = inside >> one & 1 or each[one] > 0
                if wanted and free[one] and not bits & (1 << one | self._mates[one]):
                    bits |= 1 << one
        return Selected(matching, bits, self._added(bits))

    def _each(self, weights: Sequence[int]) -> list[int]:
        """What each weighs."""
        each = [0] * len(self._everyone)
        for weight, row in zip(weights, self._sums, strict=True):
            if weight:
                each = [value + weight * add for value, add in zip(each, row.adds, strict=True)]
        return each

    def _own(self, each: Sequence[int], inside: int) -> tuple[list[int], list[bool]]:
        """What each is worth in a place, and who may be placed in any case. That costs the places only what it takes
        away."""
        free = [self._spare and loose for loose in self._board.loose]
        own = [(0 if inside >> one & 1 else min(0, value)) if free[one] else value for one, value in enumerate(each)]
        return own, free

    def _mended(self, way: Selected, inside: int, outside: int) -> Selected | None:
        """Exchange one at a time, each the one that leaves least to lack, until nothing lacks, or nothing helps."""
        matching, bits, sums = way.matching.copy(), way.bits, way.sums
        lack, rank = self._lack(bits, sums), self._rank
        while lack:
            self._spend(len(self._everyone))
            best: tuple[int, int] | None = None
            move: tuple[int | None, int | None] = None, None
            placed = _mask(matching.at)
            for one in self._everyone:
                moves: list[tuple[int | None, int | None]] = []
                if bits >> one & 1:
                    if not (placed | inside) >> one & 1:
                        moves = [(None, one)]
                elif not outside >> one & 1 and not self._mates[one] & bits & ~placed:
                    moves = [(one, out) for out in matching.rivals(one) if not inside >> out & 1]
                    if self._spare and self._board.loose[one] and not self._mates[one] & bits:
                        moves.append((one, None))
                for enters, leaves in moves:
                    after = bits ^ _bit(enters) ^ _bit(leaves)
                    left = self._lack(after, self._moved(sums, enters, leaves))
                    cost = (0 if enters is None else rank[enters]) - (0 if leaves is None else rank[leaves])
                    if left < lack and (best is None or (left, cost) < best):
                        best, move = (left, cost), (enters, leaves)
            if best is None:
                return None
            enters, leaves = move
            if enters is not None and leaves is not None:
                matching.swap(enters, leaves)
            bits, sums, lack = bits ^ _bit(enters) ^ _bit(leaves), self._moved(sums, enters, leaves), best[0]
        return Selected(matching, bits, sums)

    def _lacking(self, way: Selected) -> int:
        return self._lack(way.bits, way.sums)

    def _lack(self, bits: int, sums: Sequence[int]) -> int:
        """How far a set is from meeting the demands, in some unit; 0 if it does."""
        lack = 0
        for value, row in zip(sums, self._sums, strict=True):
            if value < 0:
                lack -= value * row.weight
        if self._clashing:
            lack += FINE * sum((self._apart[one] & bits).bit_count() for one in _members(bits))
        for variety in self._varieties:
            count = _union(variety.values, bits).bit_count()
            lack += FINE * max(0, variety.min - count, count - (count if variety.max is None else variety.max))
        return lack

    def _added(self, bits: int) -> list[int]:
        members = _members(bits)
        return [row.start + sum(row.adds[one] for one in members) for row in self._sums]

    def _moved(self, sums: Sequence[int], enters: int | None, leaves: int | None) -> list[int]:
        return [
            value + (0 if enters is None else row.adds[enters]) - (0 if leaves is None else row.adds[leaves])
            for value, row in zip(sums, self._sums, strict=True)
        ]

    def _spend(self, steps: int) -> None:
        self._effort.spent += steps
        if self._effort.spent > self._effort.limit:
            raise Exhausted


def _bit(one: int | None) -> int:
    return 0 if one is None else 1 << one


def _mask(some: Iterable[int]) -> int:
    bits = 0
    for one in some:
        bits |= 1 << one
    return bits


def _members(bits: int) -> list[int]:
    members: list[int] = []
    while bits:
        low = bits & -bits
        members.append(low.bit_length() - 1)
        bits ^= low
    return members


def _union(values: Sequence[int], bits: int) -> int:
    union = 0
    for one in _members(bits):
        union |= values[one]
    return union
