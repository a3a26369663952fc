"""Mixtures: whether sums can be met on average, which is the best bound on whether they can be met at all.

Given ways to choose, each with the sums that it ends with, no way meets all sums if there are weights under which even
the best way comes out below zero. Those weights, and a mixture of ways that meets the sums on average, are the two
sides of a linear programme (a matrix game, von Neumann), which is solved here by the simplex method in whole numbers
(Edmonds), one row for each sum. Ways are brought in one at a time, each the best answer to the present weights, so that
nobody has to list them all (Dantzig and Wolfe, 1960).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# Never needed so far; a weight that is not the best one is still a weight.
_PIVOTS: Final = 64


class Mixture:
    """The game after the ways `add`ed so far. All sums of all ways lie above -`low`."""

    def __init__(self, first: Sequence[int], low: int) -> None:
        rows = range(len(first))
        self._low = low
        # Ways are shifted to be positive, so that the programme is: the least total with 1 or more in each row. The
        # basis has the way in one row and what is over in the others; its inverse is kept times the determinant.
        least = min(rows, key=lambda row: first[row])
        shifted = [value + low for value in first]
        self._scale = shifted[least]
        self._inverse = [[-self._scale * (row == other) for other in rows] for row in rows]
        for row in rows:
            self._inverse[row][least] = 1 if row == least else shifted[row]
        self._ways: list[int | None] = [0 if row == least else None for row in rows]
        self._count = 1

    @property
    def _prices(self) -> list[int]:
        used = [row for row, way in enumerate(self._ways) if way is not None]
        return [sum(self._inverse[row][column] for row in used) for column in range(len(self._ways))]

    @property
    def weights(self) -> list[int]:
        """Of the rows: those under which the present mixture is worst. Not below zero, and not all zero."""
        return [max(0, price) for price in self._prices]

    @property
    def enough(self) -> bool:
        """Whether a mixture of the ways meets all sums: its value, less the shift, is not below zero."""
        return self._scale >= self._low * sum(self._prices)

    @property
    def mixed(self) -> list[int]:
        """The numbers of the ways in the present mixture, in the order in which they were added."""
        parts = ((way, sum(row)) for way, row in zip(self._ways, self._inverse, strict=True))
        return sorted(way for way, part in parts if way is not None and part)

    def add(self, sums: Sequence[int]) -> None:
        """Bring in another way, and mix anew."""
        self._enter([value + self._low for value in sums], self._count)
        self._count += 1
        for _ in range(_PIVOTS):
            row = next((row for row, weight in enumerate(self._prices) if weight < 0), None)
            if row is None:
                break
            # What is over in a row may grow.
            self._enter([-(other == row) for other in range(len(sums))], None)

    def _enter(self, column: Sequence[int], way: int | None) -> None:
        inverse, scale = self._inverse, self._scale
        enters = [sum(a * b for a, b in zip(row, column, strict=True)) for row in inverse]
        cost = scale if way is not None else 0
        if cost - sum(each for each, own in zip(enters, self._ways, strict=True) if own is not None) >= 0:
            return
        held = [sum(row) for row in inverse]
        out = -1
        for row, each in enumerate(enters):
            if each > 0 and (out < 0 or held[row] * enters[out] < held[out] * each):
                out = row
        pivot = enters[out]
        for row, each in enumerate(enters):
            if row != out:
                inverse[row] = [
                    (pivot * a - each * b) // scale for a, b in zip(inverse[row], inverse[out], strict=True)
                ]
        self._scale = pivot
        self._ways[out] = way
