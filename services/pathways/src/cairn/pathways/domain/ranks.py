"""Ranks: the objective of the contract below progress and limits, as numbers."""

from collections.abc import Mapping, Sequence
from operator import attrgetter

from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.grades import GradeTable, better
from cairn.pathways.domain.holding import Grade


class Ranks:
    """The objective below progress and limits as one whole number per candidate, to be added up and kept small. From
    the top: recognised from elsewhere; how many; better grades passed over within the class; how early earned; ids;
    leaf ids.

    "Sorted `earned`" of two allocations of one size compare as do the counts at each date, the earliest first, more
    being better; so a date is a digit, in a base that no count reaches. Ids likewise. Leaf ids are digits in the order
    of ids.

    `every` are all that fit, of which only `candidates` can be of use. `leaf_rank` gives the place of each leaf in the
    order of ids. `tables` make grades of two scales comparable.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        every: Sequence[Candidate],
        leaf_rank: Mapping[str, int],
        tables: Sequence[GradeTable] = (),
        *,
        shared: bool,
    ) -> None:
        digit = len(candidates).bit_length() + 1
        dates = {d: place for place, d in enumerate(sorted({c.holding.earned for c in candidates}, reverse=True))}
        self.leaf_rank = leaf_rank
        leaf_digit = len(self.leaf_rank) + 1 if shared else len(self.leaf_rank).bit_length()
        id_base = len(candidates) * leaf_digit + 1
        date_base = id_base + len(candidates) + 1
        grade_base = date_base + len(dates) * digit + 1
        count_base = grade_base + 2 * digit
        outside_base = count_base + digit
        self.above = outside_base + digit + 1
        # From here on it is numbers of credentials; below are dates and ids.
        self.coarse = grade_base
        self.count = count_base
        self.lists = id_base
        grades: dict[str, list[Grade]] = {}
        for c in every:
            if c.holding.grade is not None:
                grades.setdefault(c.kind, []).append(c.holding.grade)
        self.leaf_shift: dict[str, int] = {}
        self.passed_over: dict[str, int] = {}
        """How many better grades are in its class."""
        self._base: dict[str, int] = {}
        for place, c in enumerate(sorted(candidates, key=attrgetter("id"), reverse=True)):
            grade = c.holding.grade
            others = grades[c.kind] if grade is not None else ()
            passed_over = sum(better(other, grade, tables) for other in others) if grade and len(others) > 1 else 0
            self.leaf_shift[c.id] = place * leaf_digit
            self.passed_over[c.id] = passed_over
            self._base[c.id] = (
                (c.outside << outside_base)
                + (1 << count_base)
                + (passed_over << grade_base)
                - (1 << (date_base + dates[c.holding.earned] * digit))
                - (1 << (id_base + place))
            )

    def base(self, candidate: Candidate) -> int:
        """Its cost wherever it goes. No two candidates have the same."""
        return self._base[candidate.id]

    def order(self, some: Sequence[Candidate]) -> list[int]:
        """The places of some candidates, the cheapest first."""
        return sorted(range(len(some)), key=lambda place: self._base[some[place].id])

    def cost(self, candidate: Candidate, leaf: str) -> int:
        return self._base[candidate.id] + (self.leaf_rank[leaf] << self.leaf_shift[candidate.id])
