"""The search for the best set under limits, against trying every set; and what it rests on, each by itself."""

import random
from itertools import combinations, product

import pytest

from cairn.pathways.domain.crowd import placed
from cairn.pathways.domain.demands import Aims, Demands, Sum, Variety
from cairn.pathways.domain.matching import Matching, Places, levels
from cairn.pathways.domain.mixture import Mixture
from cairn.pathways.domain.outcome import Effort
from cairn.pathways.domain.selection import Exhausted, Selection


class Slot:
    """What a board knows of a leaf: whether there is room beyond what it asks for."""

    guard = ()

    def __init__(self, most):
        self.most = most


class Table(Places):
    """A board, drawn."""

    complete = True

    def __init__(self, draw, size):
        leaves = draw.randint(2, 4)
        super().__init__(draw.choice([1, 1, 2]) for _ in range(leaves))
        self.leaves = [f"l{leaf}" for leaf in range(leaves)]
        self.slots = [Slot(draw.choice([None, None, 1])) for _ in range(leaves)]
        self.wanted = sum(self.caps)
        if leaves > 2 and draw.random() < 0.4:
            self.wanted -= sum(self.caps[:2]) - 1
            self.caps[:2] = 1, 1
            self.pool([0, 1], 1)
            # Branches beyond those asked for count too, so that one is full only where it has no room at all.
            self.slots[:2] = Slot(None), Slot(None)
        self.names = [f"h{place}" for place in range(size)]
        self.fits = [sorted(draw.sample(range(leaves), draw.randint(1, leaves))) for _ in range(size)]
        self.loose = [any(self.slots[leaf].most is None for leaf in fits) for fits in self.fits]
        classes = [draw.randrange(size) if draw.random() < 0.3 else place for place in range(size)]
        self.kinds = [(one, tuple(fits)) for one, fits in zip(classes, self.fits, strict=True)]
        self.apart = {}
        for one, other in product(range(size), repeat=2):
            if classes[one] == classes[other] and self.kinds[one] != self.kinds[other]:
                self.apart.setdefault(one, []).append(other)


def problem(seed):
    """A board, demands and aims that are hard to meet."""
    draw = random.Random(seed)
    size = draw.randint(4, 9)
    board = Table(draw, size)
    sums = [
        Sum(draw.randint(-4, 2), [draw.randint(-5, 5) for _ in range(size)])
        for _ in range(draw.choice([0, 1, 1, 2, 3]))
    ]
    varieties = []
    if draw.random() < 0.3:
        least = draw.randint(0, 3)
        most = draw.choice([None, least, least + 1])
        varieties.append(Variety([draw.choice([0, 1, 2, 3, 4, 5]) for _ in range(size)], least, most))
    apart = [0] * size
    for _ in range(draw.choice([0, 0, 1, 3])):
        one, other = draw.sample(range(size), 2)
        apart[one] |= 1 << other
        apart[other] |= 1 << one
    dates = [draw.randrange(4) for _ in range(size)]
    outside = [draw.choice([0, 0, 1]) for _ in range(size)]
    passed_over = [draw.choice([0, 0, 0, 1, 2]) for _ in range(size)]
    order = sorted(range(size), key=lambda one: (outside[one], passed_over[one], dates[one], one))
    groups = [sum(1 << one for one in range(size) if dates[one] == date) for date in sorted(set(dates))]
    return board, Demands(sums, varieties, apart), Aims(outside, passed_over, groups, order), draw.random() < 0.6


def placements(board, some, spare):
    """Every way to give each of some a leaf, with all places filled that are asked for, and more only where there is
    room for more."""
    for at in product(*(board.fits[one] for one in some)):
        used = [at.count(leaf) for leaf in range(len(board.leaves))]
        asked = [min(count, cap) for count, cap in zip(used, board.caps, strict=False)]
        over = any(
            count > cap and board.slots[leaf].most is not None
            for leaf, (count, cap) in enumerate(zip(used, board.caps, strict=False))
        )
        filled = sum(asked)
        for pool in range(len(board.leaves), len(board.caps)):
            filled -= max(0, sum(asked[leaf] for leaf in board.below[pool]) - board.caps[pool])
        beyond = len(some) - filled
        if over or filled < board.wanted or (beyond and not spare):
            continue
        # What fills no place must be somewhere where there is room for any number.
        tight = sum(1 for leaf in at if board.slots[leaf].most is not None)
        room = sum(asked[leaf] for leaf in range(len(board.leaves)) if board.slots[leaf].most is not None)
        if tight <= room:
            yield at


def value(board, demands, aims, some):
    bits = sum(1 << one for one in some)
    for one, other in combinations(some, 2):
        if (
            demands.apart[one] >> other & 1
            or other in board.apart.get(one, ())
            or board.kinds[one] == board.kinds[other]
        ):
            return None
    if any(each.start + sum(each.adds[one] for one in some) < 0 for each in demands.sums):
        return None
    for variety in demands.varieties:
        union = 0
        for one in some:
            union |= variety.values[one]
        count = union.bit_count()
        if count < variety.min or (variety.max is not None and count > variety.max):
            return None
    outside, passed = sum(aims.outside[one] for one in some), sum(aims.passed_over[one] for one in some)
    return outside, len(some), passed, [-(group & bits).bit_count() for group in aims.dates], list(some)


def brute(board, demands, aims, spare):
    """The best set, and the first of its placements."""
    best = None
    for count in range(len(board.names) + 1):
        for some in combinations(range(len(board.names)), count):
            worth = value(board, demands, aims, some)
            if worth is None or (best is not None and best[0] <= worth):
                continue
            at = min(placements(board, some, spare), default=None)
            if at is not None:
                best = worth, dict(zip(some, at, strict=True))
    return best and {board.names[one]: board.leaves[leaf] for one, leaf in best[1].items()}


def solve(board, demands, aims, spare, effort=None):
    selection = Selection(board, demands, aims, effort or Effort(1_000_000), size=board.wanted, spare=spare)
    found = selection.best()
    return found and placed(found, board)


@pytest.mark.parametrize("block", range(8))
def test_the_best_set_is_found_and_a_no_is_one(block):
    for seed in range(block * 100, block * 100 + 100):
        board, demands, aims, spare = problem(seed)
        assert solve(board, demands, aims, spare) == brute(board, demands, aims, spare), seed


@pytest.mark.parametrize("block", range(4))
def test_so_it_is_where_exchanges_do_not_help(block, monkeypatch):
    """The same without the step that finds most answers, so that questions are split to the end."""
    monkeypatch.setattr(
        Selection, "_mended", lambda self, way, inside, outside: None if self._lack(way.bits, way.sums) else way
    )
    for seed in range(1000 + block * 50, 1050 + block * 50):
        board, demands, aims, spare = problem(seed)
        assert solve(board, demands, aims, spare) == brute(board, demands, aims, spare), seed


def test_past_its_bound_the_search_says_so_and_nothing_else():
    exhausted = 0
    for seed in range(100):
        board, demands, aims, spare = problem(seed)
        effort = Effort(1_000_000)
        full = solve(board, demands, aims, spare, effort)
        assert solve(board, demands, aims, spare, Effort(effort.spent)) == full
        with pytest.raises(Exhausted):
            solve(board, demands, aims, spare, Effort(effort.spent - 1))
        exhausted += 1
    assert exhausted == 100


def test_a_mixture_meets_two_sums_where_a_pair_of_ways_does():
    draw = random.Random(1)
    outcomes = set()
    for _ in range(300):
        ways = [(draw.randint(-9, 4), draw.randint(-9, 4)) for _ in range(draw.randint(1, 5))]
        mixture, enough = Mixture(ways[0], 10), None
        while enough is None:
            assert min(mixture.weights) >= 0
            value, way = max((sum(w * x for w, x in zip(mixture.weights, way, strict=True)), way) for way in ways)
            if value < 0 or mixture.enough:
                enough = value >= 0
            else:
                mixture.add(way)
        # Between two ways the sums are those of a point on the line from one to the other.
        expected = any(
            max(a[0], b[0]) >= 0 and max(a[1], b[1]) >= 0 and (min(a) >= 0 or min(b) >= 0 or crosses(a, b))
            for a, b in product(ways, repeat=2)
        )
        assert enough == expected, ways
        outcomes.add(expected)
    assert outcomes == {True, False}


def crosses(a, b):
    """Whether the line from one point to another, each with one coordinate below zero, meets the quadrant above it."""
    if a[0] > b[0]:
        a, b = b, a
    return a[0] < 0 <= b[0] and a[1] * b[0] - a[0] * b[1] >= 0


def test_swaps_are_those_after_which_all_the_others_are_placed_still():
    draw = random.Random(2)
    for _ in range(200):
        board = Table(draw, 7)
        matching = Matching(board)
        for one in draw.sample(range(7), 7):
            before = dict(matching.at)
            if matching.add(one):
                assert matching.at.keys() == before.keys() | {one}
                continue
            for out in matching.rivals(one):
                other = matching.copy()
                other.swap(one, out)
                assert other.at.keys() == before.keys() - {out} | {one}
                assert all(board.fits[placed].count(leaf) for placed, leaf in other.at.items())
            assert matching.at == before


def test_levels_are_all_ways_to_fill_places_from_the_most_progress_down():
    draw = random.Random(11)
    for _ in range(200):
        weights = sorted(draw.sample(range(1, 9), draw.randint(0, 3)), reverse=True)
        most = [draw.randint(0, 3) for _ in weights]
        heavier = [sum(most[: place + 1]) for place in range(len(most))]
        found = {}
        for ways in product(*(range(sum(most) + 1) for _ in weights)):
            # No more of the heaviest ones, for any number of them, than can be filled.
            if all(sum(ways[: place + 1]) <= least for place, least in enumerate(heavier)):
                progress = sum(weight * count for weight, count in zip(weights, ways, strict=True))
                found.setdefault(progress, []).append(list(ways))
        listed = list(levels(weights, most))
        assert [progress for progress, _ in listed] == sorted(found, reverse=True)
        assert {progress: sorted(ways) for progress, ways in listed} == {p: sorted(ways) for p, ways in found.items()}
