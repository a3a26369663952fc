"""Crowds: the parts of an allocation that matching can do, without limits and under them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations, product
from operator import itemgetter

from cairn.pathways.domain.apart import NOTHING, Apart
from cairn.pathways.domain.demands import Aims, Demands, aims_of, demands_of
from cairn.pathways.domain.goal import Goal
from cairn.pathways.domain.limits import Limit
from cairn.pathways.domain.matching import Board, Matching, fill, levels
from cairn.pathways.domain.once import cached_property
from cairn.pathways.domain.outcome import Allocation, Effort, Outcome
from cairn.pathways.domain.outline import Choice
from cairn.pathways.domain.plan import Part, Plan, Problem
from cairn.pathways.domain.selection import Selected, Selection


class Crowd:
    """Parts of a plan in which each credential counts for one, beside what was given `apart` from it."""

    def __init__(self, plan: Plan, some: Sequence[Part], apart: Apart = NOTHING) -> None:
        self.board = Board(some, complete=plan.complete)
        self._outline = plan.outline
        self._ranks = plan.ranks
        self._generous = plan.generous
        self._given: dict[str, tuple[str, ...]] = dict(apart.given)
        self._progress = apart.progress
        self._taken = set(apart.taken)
        self.full = True
        self.competing = sum(len(fits) > 1 for fits in self.board.fits)
        """How many fit several leaves."""

    @cached_property
    def _aims(self) -> Aims:
        return aims_of(self.board.candidates, self._ranks)

    def fill(self, effort: Effort) -> None:
        """The parts as well as can be, without limits. Raises Exhausted."""
        board = self.board
        if board.apart:
            whole = Selection(board, Demands(), self._aims, effort, size=board.wanted) if board.complete else None
            found = whole.best() if whole else self._furthest([[Demands()]], effort)
            self.full = self.full and found is not None
            self._place({} if found is None else placed(found, board))
            return
        matching = fill(board, self._ranks.order(board.candidates))
        self.full = self.full and len(matching.at) == board.wanted
        matching.settle()
        self._place({board.names[one]: board.leaves[leaf] for one, leaf in matching.at.items()})

    def _place(self, found: Mapping[str, str]) -> None:
        shares = dict(zip(self.board.leaves, zip(self.board.shares, self.board.caps, strict=False), strict=True))
        places: dict[str, list[str]] = {}
        for name, leaf in found.items():
            places.setdefault(leaf, []).append(name)
        for leaf, names in places.items():
            share, asks = shares[leaf]
            self._progress += share * min(len(names), asks)
            self._given[leaf] = tuple(sorted(names))

    def selected(self, problem: Problem, limits: Sequence[Limit], effort: Effort, *, whichever: bool) -> Outcome | None:
        """The best that is complete and meets some limits. None if that is not to be told here: what a limit asks for
        besides has room only in a branch that is taken. Raises Exhausted."""
        demands = demands_of(limits, problem, self.board) or Demands()
        wanted = self.board.wanted
        selection = Selection(self.board, demands, self._aims, effort, size=wanted, spare=self._generous)
        found = selection.any() if whichever else selection.best()
        if found is None:
            return Outcome(None, exact=True)
        return self._outcome(found, Allocation({}, Fraction(1)), best=not whichever)

    def nearest(self, problem: Problem, limits: Sequence[Limit], effort: Effort, goal: Goal) -> Outcome | None:
        """The best of those that go as far as can be, and that miss no more limits than the goal allows. None if that
        is not to be told here: what a limit asks for besides has room only in a branch that does not count. Raises
        Exhausted."""
        board, given = self.board, Fraction(self._outline.given, self._outline.whole)
        asked = [
            [demands_of(each, problem, board) or Demands() for each in some] for some in _fewer(limits, goal.missed)
        ]
        least = int(goal.least * self._outline.whole) - self._outline.given
        best = self._furthest(asked, effort, least if goal.least else None)
        if best is None:
            return Outcome(None, exact=True)
        return self._outcome(best, Allocation({}, given))

    def _outcome(self, found: Selected, rest: Allocation, *, best: bool = True) -> Outcome | None:
        where = placed(found, self.board)
        if len(where) < len(found.members):
            return None
        self._place(where)
        return Outcome(self.joined(rest), exact=True, best=best)

    def _furthest(
        self, asked: Sequence[Sequence[Demands]], effort: Effort, least: int | None = None
    ) -> Selected | None:
        """The best set of those that go furthest, or as far as is asked for: among those that meet one of the first
        demands if there are any, else of the second, and so on. Leaves the board with what that asks of it."""
        board = self.board
        pools = [pool for _, pool in sorted(board.weights.items(), reverse=True)]
        fill(board, self._ranks.order(board.candidates))
        weights, most = sorted(board.weights, reverse=True), [board.caps[pool] for pool in pools]
        for progress, ways in levels(weights, most):
            if least is not None and progress != least:
                if progress < least:
                    break
                continue
            for some in asked:
                found: list[tuple[int, Sequence[int], Selected]] = []
                for caps, demands in product(ways, some):
                    for pool, cap in zip(pools, caps, strict=True):
                        board.caps[pool] = cap
                    selection = Selection(board, demands, self._aims, effort, size=sum(caps), spare=self._generous)
                    if (choice := selection.best()) is not None:
                        cost = sum(self._ranks.base(board.candidates[one]) for one in choice.members)
                        found.append((cost, caps, choice))
                if found:
                    _, caps, choice = min(found, key=itemgetter(0))
                    for pool, cap in zip(pools, caps, strict=True):
                        board.caps[pool] = cap
                    return choice
        return None

    def joined(self, rest: Allocation) -> Allocation:
        """With what is allocated besides."""
        guards = self._outline.guards
        by_leaf = {**rest.by_leaf, **self._given}
        taken = set(self._taken)
        chosen: dict[Choice, int] = {}
        # Where fewer branches hold something than are to count, the first of the others do.
        for slot in sorted(self.board.slots, key=lambda slot: slot.leaf.id not in by_leaf):
            for branch in slot.guard:
                count = chosen.setdefault(branch.choice, 0)
                if count < branch.choice.n or slot.leaf.id in by_leaf:
                    chosen[branch.choice] += 1
                    taken.add(branch)
        return Allocation(
            {leaf: by_leaf[leaf] for leaf in guards if leaf in by_leaf},
            rest.progress + Fraction(self._progress, self._outline.whole),
            # With a branch count its leaves that ask for nothing, which are not on the board.
            rest.counting | self._outline.counting(taken),
        )


def _fewer(limits: Sequence[Limit], missed: int) -> Iterator[list[Sequence[Limit]]]:
    """All of them, then all but one of those that are judged in each way, and so on: `missed` at most."""
    hard = [limit for limit in limits if not limit.judged]
    soft = [limit for limit in limits if limit.judged]
    for count in range(len(soft), max(len(soft) - missed, 0) - 1, -1):
        yield [[*hard, *some] for some in combinations(soft, count)]


def placed(choice: Selected, board: Board) -> dict[str, str]:
    """Who goes where: in the order of candidates, each to the first leaf that leaves room for the others. There may be
    no room for some in a branch, who are left out."""
    matching = choice.matching
    members = choice.members
    if len(members) == len(matching.at):
        matching.settle()
        return {board.names[one]: board.leaves[leaf] for one, leaf in sorted(matching.at.items())}
    found: dict[int, int] = {}
    for one in members:
        for leaf in board.fits[one]:
            if _possible(board, members, {**found, one: leaf}, len(matching.at)):
                found[one] = leaf
                break
    return {board.names[one]: board.leaves[leaf] for one, leaf in found.items()}


def _possible(board: Board, members: Sequence[int], given: dict[int, int], size: int) -> bool:
    """Whether some can be placed as given, and the others so that as many places as asked for are filled."""
    matching = Matching(board)
    more: set[int] = set()
    for one, leaf in given.items():
        if matching.add_at(one, leaf):
            continue
        slot, taken = board.slots[leaf], leaf in matching.at.values()
        # A branch beyond those that are asked for counts where all is complete.
        beyond = slot.guard and not taken
        if (beyond and not board.complete) or (slot.most is not None and (not beyond or leaf in more)):
            return False
        more.add(leaf)
    for one in sorted(members, key=lambda one: board.loose[one]):
        if one not in given and not matching.add(one) and not board.loose[one]:
            return False
    return len(matching.at) == size
