"""The nodes of a requirement: groups of others, and leaves that credentials are allocated to."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from cairn.pathways.domain.grades import GradeFloor
from cairn.pathways.domain.selector import ANY_HOLDING, Selector


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node that credentials are allocated to: so many of them, or so many credits, from those that fit.

    `qualification` is set on a leaf filled by one award of that qualification (then `count` 1, at most 1).
    `spendable` lets that award's own components be allocated elsewhere as well.
    """

    id: str
    path: str
    measure: Literal["count", "credits"]
    min: Decimal
    max: Decimal | None
    selector: Selector = ANY_HOLDING
    grade: GradeFloor | None = None
    qualification: str | None = None
    spendable: bool = False

    def grains(self, bound: Decimal, grain: int) -> int:
        """A bound of it in units of 1/`grain` of a credit, or as a count. Such units are whole (`Case.grain`)."""
        if self.measure == "count":
            return int(bound)
        numerator, denominator = bound.as_integer_ratio()
        return numerator * grain // denominator


@dataclass(frozen=True, slots=True)
class Group:
    """A node met when at least `n` of its children are: `all` asks for every child, `any` for one."""

    id: str
    path: str
    kind: Literal["all", "any", "atLeast"]
    n: int
    children: "tuple[Node, ...]"


Node = Group | Leaf


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, parents before children, in the order written."""
    yield node
    if isinstance(node, Group):
        for child in node.children:
            yield from walk(child)
