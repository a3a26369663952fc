"""Frameworks: one immutable published version of the rules of a qualification, as values that the engine works on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from cairn.pathways.domain.selector import GradeFloor, Selector

OnLoss = Literal["revoke", "suspend", "review"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node that credentials are allocated to: so many of them, or so many credits, from those that fit.

    `qualification` is set on a leaf filled by an award of that qualification; it then counts one.
    `spendable` lets that award's own components be allocated elsewhere as well.
    """

    id: str
    path: str
    measure: Literal["count", "credits"]
    min: Decimal
    max: Decimal | None
    selector: Selector
    grade: GradeFloor | None = None
    qualification: str | None = None
    spendable: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A node met when at least `n` of its children are. `all` asks for every child and `any` for one."""

    id: str
    path: str
    kind: Literal["all", "any", "atLeast"]
    n: int
    children: "tuple[Node, ...]"


Node = Group | Leaf


@dataclass(frozen=True, slots=True)
class LossPolicy:
    """What becomes of an award whose rules hold no longer. `grace_days` delays a suspension only."""

    on_loss: OnLoss = "review"
    grace_days: int = 0


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework, read. `document` is the JSON it was read from. Selectors already know the declared equivalents."""

    qualification: str
    version: str
    root: Node
    title: str | None = None
    award: str | None = None
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    credit_unit: str | None = None
    conversions: Mapping[str, Fraction] = field(default_factory=dict[str, Fraction])
    equivalents: tuple[frozenset[str], ...] = ()
    repeatable: frozenset[str] = frozenset()
    loss: LossPolicy = LossPolicy()
    document: Mapping[str, object] = field(default_factory=dict[str, object], compare=False, repr=False)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, parents before children, in the order written."""
        raise NotImplementedError

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every leaf, in the order written."""
        raise NotImplementedError


def parse_framework(document: object, path: str = "") -> Framework:
    """A framework from its JSON. Raises Refused for malformed documents (kind `shape`) and for what the contract allows
    and this version does not do (kind `unsupported`). Structure is judged by `lint`, so that a draft can be kept."""
    raise NotImplementedError
