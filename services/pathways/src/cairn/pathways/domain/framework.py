"""Frameworks: one immutable published version of the rules of a qualification, as values that the engine works on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Final, Literal, cast

from cairn.pathways.domain.canonical import canonical
from cairn.pathways.domain.grades import GradeFloor, GradeTable, read_grade_floor, read_grade_tables
from cairn.pathways.domain.limit_reading import read_limits
from cairn.pathways.domain.limits import Limit, Order
from cairn.pathways.domain.nodes import Group, Leaf, Node, walk
from cairn.pathways.domain.once import cached_property
from cairn.pathways.domain.reading import DEEPEST, JsonObject, Reader, step
from cairn.pathways.domain.regime import Regime
from cairn.pathways.domain.selector import Selector, Terms, read_selector

OnLoss = Literal["revoke", "suspend", "review"]
Validity = Literal["award", "always", "never"]


@dataclass(frozen=True, slots=True)
class LossPolicy:
    """What becomes of an award whose rules hold no longer. `grace_days` delays a suspension."""

    on_loss: OnLoss = "review"
    grace_days: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two leaves that one credential may serve both, `path` saying where. What so counts twice is at most `max_credits`
    in the framework's unit (None: any amount)."""

    leaves: tuple[str, str]
    max_credits: Fraction | None
    path: str


@dataclass(frozen=True, slots=True)
class Reuse:
    """How many leaves one credential may serve: one (`none`), every one it fits (`framework`), or those listed in
    `pairs`. `across` is whether holdings spent on another qualification may be used here."""

    scope: Literal["none", "framework", "pairs"] = "none"
    across: bool = True
    pairs: tuple[Pair, ...] = ()


NO_REUSE: Final = Reuse()


@dataclass(frozen=True)
class Framework:
    """A framework, read. `document` is the JSON it was read from. Selectors already know the declared equivalents and
    grade tables."""

    qualification: str
    version: str
    root: Node
    title: str | None = None
    award: str | None = None
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    credit_unit: str | None = None
    conversions: Mapping[str, Fraction] = field(default_factory=dict[str, Fraction])
    tables: tuple[GradeTable, ...] = ()
    equivalents: tuple[frozenset[str], ...] = ()
    repeatable: frozenset[str] = frozenset()
    limits: tuple[Limit, ...] = ()
    reuse: Reuse = NO_REUSE
    validity: Validity = "award"
    loss: LossPolicy = LossPolicy()
    document: Mapping[str, object] = field(default_factory=dict[str, object], compare=False, repr=False)

    @cached_property
    def canonical(self) -> bytes:
        """The document in RFC 8785, for digests."""
        return canonical(self.document)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, parents before children, in the order written."""
        return tuple(walk(self.root))

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every leaf, in the order written."""
        return tuple(node for node in walk(self.root) if isinstance(node, Leaf))

    @cached_property
    def asked(self) -> tuple[Sequence[Leaf], Sequence[Group]]:
        """The leaves that are asked for in any case, and the choices between leaves that each ask for something."""
        leaves: list[Leaf] = []
        choices: list[Group] = []

        def enter(node: Node) -> None:
            if isinstance(node, Leaf):
                if node.min:
                    leaves.append(node)
            elif node.n >= len(node.children):
                for child in node.children:
                    enter(child)
            elif all(isinstance(child, Leaf) and child.min for child in node.children):
                choices.append(node)

        enter(self.root)
        return leaves, choices

    @cached_property
    def timed_leaves(self) -> bool:
        """Whether what a leaf takes depends on the instant at which the rules are to hold."""
        return any(leaf.selector.timed for leaf in self.leaves)

    @cached_property
    def timed(self) -> tuple[Selector, ...]:
        """Selectors that count months back from the instant at which the rules are to hold, those of limits too."""
        limits = (limit.of for limit in self.limits if limit.of.timed)
        return (*(leaf.selector for leaf in self.leaves if leaf.selector.timed), *limits)

    @cached_property
    def plain(self) -> Regime:
        """The rules as they are where nothing was decided."""
        return Regime(self, ())

    @cached_property
    def grain(self) -> int:
        """The bounds of all leaves are whole in units of 1/`grain` of a credit."""
        bounds = [bound for leaf in self.leaves if leaf.measure == "credits" for bound in (leaf.min, leaf.max)]
        return lcm(*(bound.as_integer_ratio()[1] for bound in bounds if bound is not None))

    def factor(self, unit: str) -> Fraction | None:
        """What one credit of a unit is worth in the framework's own, or None without a declared conversion."""
        return Fraction(1) if unit == self.credit_unit else self.conversions.get(unit)

    @cached_property
    def factors(self) -> Mapping[str, tuple[int, int]]:
        """For each unit that converts, what one credit of it is worth in the framework's own: a ratio."""
        known = {unit: factor.as_integer_ratio() for unit, factor in self.conversions.items()}
        return known if self.credit_unit is None else {**known, self.credit_unit: (1, 1)}


_KEYS: Final = (
    *("qualification", "version", "title", "award", "effective", "creditUnit", "requirement", "limits", "reuse"),
    *("validity", "onLoss", "graceDays", "conversions", "gradeTables", "equivalents", "repeatable"),
)
_NODE_KEYS: Final = (
    *("id", "all", "any", "atLeast", "of", "count", "credits", "from", "grade"),
    *("qualification", "spendable"),
)
# What makes a node one of its six kinds, and the keys that go with it.
_FORMS: Final[Mapping[str, Sequence[str]]] = {
    "all": (),
    "any": (),
    "atLeast": ("of",),
    "count": ("from", "grade"),
    "credits": ("from", "grade"),
    "qualification": ("spendable", "grade"),
}


def parse_framework(document: object, path: str = "") -> Framework:
    """A framework from its JSON. Raises Refused for malformed documents (kind `shape`). Structure is judged by `lint`,
    so that a draft can be kept."""
    reader = Reader()
    framework = read_framework(reader, document, path)
    reader.settle()
    return framework


def read_framework(reader: Reader, document: object, path: str) -> Framework:
    """As `parse_framework`, collecting problems in `reader`."""
    members = reader.members(document, path, _KEYS, ("qualification", "version", "requirement"))

    def text(key: str) -> str | None:
        return reader.text(members[key], step(path, key)) if key in members else None

    equivalents = _read_equivalents(reader, members.get("equivalents", []), step(path, "equivalents"))
    tables = read_grade_tables(reader, members.get("gradeTables", []), step(path, "gradeTables"))
    terms = Terms({achievement: alike for alike in equivalents for achievement in alike}, tables)
    award = step(path, "award")
    awarded = reader.members(members["award"], award, ("achievement",), ("achievement",)) if "award" in members else {}
    effective = reader.members(members.get("effective", {}), step(path, "effective"), ("from", "to"))
    span = {key: reader.instant(value, step(step(path, "effective"), key)) for key, value in effective.items()}
    requirement = members.get("requirement")
    root: Node = Group("", path, "all", 0, ())
    if requirement is not None:
        root = _read_node(reader, requirement, step(path, "requirement"), terms, 0)
    limits = read_limits(reader, members.get("limits", []), step(path, "limits"), terms)
    validity = reader.choice(members.get("validity", "award"), step(path, "validity"), ("award", "always", "never"))
    on_loss = reader.choice(members.get("onLoss", "review"), step(path, "onLoss"), ("review", "revoke", "suspend"))
    return Framework(
        qualification=text("qualification") or "",
        version=text("version") or "",
        root=root,
        title=text("title"),
        award=reader.text(awarded["achievement"], step(award, "achievement")) if "achievement" in awarded else None,
        effective_from=span.get("from"),
        effective_to=span.get("to"),
        credit_unit=text("creditUnit"),
        conversions=_read_conversions(reader, members.get("conversions", []), step(path, "conversions")),
        tables=tables,
        equivalents=equivalents,
        repeatable=frozenset(reader.texts(members.get("repeatable", []), step(path, "repeatable"))),
        limits=tuple(_placed(limit, root) for limit in limits),
        reuse=_read_reuse(reader, members.get("reuse", {}), step(path, "reuse")),
        validity=cast("Validity", validity),
        loss=LossPolicy(cast("OnLoss", on_loss), reader.integer(members.get("graceDays", 0), step(path, "graceDays"))),
        document=cast("JsonObject", document) if isinstance(document, dict) else {},
    )


def _placed(limit: Limit, root: Node) -> Limit:
    """An `order` knows the leaves of its sides."""
    if not isinstance(limit, Order):
        return limit
    below = {node.id: frozenset(leaf.id for leaf in walk(node) if isinstance(leaf, Leaf)) for node in walk(root)}
    return replace(limit, befores=below.get(limit.before, frozenset()), afters=below.get(limit.after, frozenset()))


def _read_reuse(reader: Reader, document: object, path: str) -> Reuse:
    members = reader.members(document, path, ("scope", "across", "pairs"))
    unsaid = "pairs" if "pairs" in members else "none"
    scope = reader.choice(members.get("scope", unsaid), step(path, "scope"), ("none", "framework", "pairs"))
    across = reader.choice(members.get("across", "any"), step(path, "across"), ("any", "none"))
    pairs: list[Pair] = []
    if (scope == "pairs") != ("pairs" in members):
        reader.refuse(
            "missing-key",
            step(path, "pairs"),
            'The scope "pairs" and the list of pairs go together.',
            "Give both, or neither.",
        )
    for entry, place in reader.each(members.get("pairs", []), step(path, "pairs")):
        pair = reader.members(entry, place, ("leaves", "maxCredits"), ("leaves",))
        leaves = reader.texts(pair.get("leaves", []), step(place, "leaves"))
        if len(set(leaves)) != 2 or len(leaves) != 2:
            reader.refuse("bad-pair", step(place, "leaves"), "A pair names two different leaves.", "Name two.")
            continue
        most = reader.decimal(pair["maxCredits"], step(place, "maxCredits")) if "maxCredits" in pair else None
        pairs.append(Pair((leaves[0], leaves[1]), None if most is None else Fraction(most), place))
    return Reuse(cast('Literal["none", "framework", "pairs"]', scope), across == "any", tuple(pairs))


def _read_node(reader: Reader, document: object, path: str, terms: Terms, depth: int) -> Node:
    nothing = Group("", path, "all", 0, ())
    if depth > DEEPEST:
        reader.refuse("too-deep", path, f"Requirements nest at most {DEEPEST} deep.", "Make it flatter.")
        return nothing
    members = reader.members(document, path, _NODE_KEYS, ("id",))
    forms = [form for form in _FORMS if form in members]
    if len(forms) != 1:
        found = "has none of them" if not forms else f"has {' and '.join(forms)}"
        reader.refuse(
            "bad-node", path, f"A node is exactly one of {', '.join(_FORMS)}; this one {found}.", "Choose one."
        )
        return nothing
    form = forms[0]
    for key in members.keys() - {"id", form, *_FORMS[form]}:
        reader.refuse("unknown-key", step(path, key), f"{key!r} means nothing beside {form!r}.", "Remove it.")
    name = reader.text(members.get("id", "-"), step(path, "id"))
    match form:
        case "all" | "any" | "atLeast":
            listed = "of" if form == "atLeast" else form
            if listed not in members:
                reader.refuse("missing-key", step(path, listed), f"{listed!r} is required.", "List the children there.")
            children = tuple(
                _read_node(reader, child, place, terms, depth + 1)
                for child, place in reader.each(members.get(listed, []), step(path, listed))
            )
            n = len(children) if form == "all" else 1
            if form == "atLeast":
                n = reader.integer(members[form], step(path, form))
            return Group(name, path, form, n, children)
        case "count" | "credits":
            return _read_leaf(reader, members, path, terms, form, name)
        case _:
            spendable = reader.flag(members.get("spendable", False), step(path, "spendable"))
            grade = _read_floor(reader, members, path, terms)
            of = reader.text(members[form], step(path, form))
            one = Decimal(1)
            return Leaf(name, path, "count", one, one, grade=grade, qualification=of, spendable=spendable)


def _read_leaf(
    reader: Reader,
    members: JsonObject,
    path: str,
    terms: Terms,
    measure: Literal["count", "credits"],
    name: str,
) -> Leaf:
    place = step(path, measure)
    bounds = reader.members(members[measure], place, ("min", "max"))
    if not bounds:
        reader.refuse("missing-key", place, "A bound has a min, a max or both.", "Give one of them.")
    read = {
        key: Decimal(reader.integer(bound, step(place, key)))
        if measure == "count"
        else reader.decimal(bound, step(place, key))
        for key, bound in bounds.items()
    }
    if "from" not in members:
        reader.refuse("missing-key", step(path, "from"), "'from' is required.", "Write {} to take anything.")
    selector = read_selector(reader, members.get("from", {}), step(path, "from"), terms)
    grade = (
        read_grade_floor(reader, members["grade"], step(path, "grade"), terms.tables) if "grade" in members else None
    )
    return Leaf(name, path, measure, read.get("min", Decimal(0)), read.get("max"), selector, grade)


def _read_floor(reader: Reader, members: JsonObject, path: str, terms: Terms) -> GradeFloor | None:
    at = step(path, "grade")
    return read_grade_floor(reader, members["grade"], at, terms.tables) if "grade" in members else None


def _read_conversions(reader: Reader, document: object, path: str) -> dict[str, Fraction]:
    conversions: dict[str, Fraction] = {}
    for entry, place in reader.each(document, path):
        members = reader.members(entry, place, ("from", "factor"), ("from", "factor"))
        unit = reader.text(members.get("from", "-"), step(place, "from"))
        factor = Fraction(reader.decimal(members.get("factor", "1"), step(place, "factor")))
        if unit in conversions:
            reader.refuse("duplicate-conversion", place, f"{unit!r} is converted twice.", "Keep one.", kind="structure")
        if not factor:
            reader.refuse(
                "bad-factor",
                step(place, "factor"),
                "A factor is more than zero.",
                "Write what one unit counts.",
                kind="structure",
            )
        conversions[unit] = factor
    return conversions


def _read_equivalents(reader: Reader, document: object, path: str) -> tuple[frozenset[str], ...]:
    """Sets of achievements that are one another's equivalents, closed: no two sets share a member."""
    closed: list[frozenset[str]] = []
    for entry, place in reader.each(document, path):
        alike = frozenset(reader.texts(entry, place))
        for other in [known for known in closed if known & alike]:
            closed.remove(other)
            alike |= other
        closed.append(alike)
    return tuple(closed)
