"""Lint: what is wrong with a framework that can be read."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from cairn.pathways.domain.classes import attempt_classes
from cairn.pathways.domain.errors import Problem
from cairn.pathways.domain.framework import Framework
from cairn.pathways.domain.holding import Holding, plain_fraction
from cairn.pathways.domain.limits import Amount, Distinct, Limit, Order, Share
from cairn.pathways.domain.nodes import Group, Leaf
from cairn.pathways.domain.reading import step
from cairn.pathways.domain.selector import (
    AnyOf,
    Assessed,
    Criterion,
    EarnedWhen,
    GradeAtLeast,
    LevelRange,
    Listed,
    Not,
    Selector,
    listed_values,
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What lint needs to know of what is on offer.

    `offers`: a holding per achievement, as a learner would get it; its grade, date and assessment are not looked at,
    and an absent mode, source or accreditation may turn out to be any. `qualifications`: for each one that has a
    published framework, the qualifications that its leaves name. `units`: the units of credit in use; any, if empty.
    """

    offers: Sequence[Holding] = ()
    qualifications: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])
    units: Collection[str] = ()


def lint(framework: Framework) -> list[Problem]:
    """Problems that show without a catalogue, in document order. Of kind `structure`: empty groups, `n` larger than its
    children, ids used twice or not at all; with such, no audit has a meaning. Of kind `sense`: bounds that contradict
    each other, units that nothing says, leaves and limits that nothing could meet; no registrar means to publish such,
    though an audit says no more than that they are not met."""
    return [*_structure(framework), *_limits(framework)]


def _structure(framework: Framework) -> Iterator[Problem]:
    base = framework.root.path.removesuffix("/requirement")
    if framework.effective_from and framework.effective_to and framework.effective_from >= framework.effective_to:
        yield _senseless("empty-span", f"{base}/effective", "It ends before it begins.", "Put `to` after `from`.")
    if framework.credit_unit is not None and framework.credit_unit in framework.conversions:
        yield _senseless(
            "self-conversion", f"{base}/conversions", "The framework's own unit needs no conversion.", "Remove it."
        )
    seen: set[str] = set()
    for node in framework.nodes:
        if node.id in seen:
            at = step(node.path, "id")
            yield _structural("duplicate-id", at, f"The id {node.id!r} is used twice.", "Give each node its own id.")
        seen.add(node.id)
        if isinstance(node, Group):
            yield from _group(node)
        else:
            yield from _leaf(framework, node)


def _structural(code: str, path: str, detail: str, fix: str) -> Problem:
    return Problem("structure", code, path, detail, fix)


def _senseless(code: str, path: str, detail: str, fix: str) -> Problem:
    return Problem("sense", code, path, detail, fix)


def _group(group: Group) -> Iterator[Problem]:
    listed = step(group.path, "of" if group.kind == "atLeast" else group.kind)
    if not group.children:
        yield _structural("empty-group", listed, "A group has at least one child.", "Give it one, or remove the group.")
    elif group.n > len(group.children):
        detail = f"{group.n} are asked for, of {len(group.children)}."
        yield _structural("n-too-large", step(group.path, "atLeast"), detail, f"Ask for at most {len(group.children)}.")
    elif group.n < 1:
        yield _structural("n-too-small", step(group.path, "atLeast"), "It asks for nothing.", "Ask for at least 1.")


def _leaf(framework: Framework, leaf: Leaf) -> Iterator[Problem]:
    bounds = step(leaf.path, leaf.measure)
    if leaf.max is not None and leaf.max < leaf.min:
        yield _senseless(
            "min-over-max", bounds, f"The minimum {leaf.min} is above the maximum {leaf.max}.", "Lower it."
        )
    if leaf.measure == "credits" and framework.credit_unit is None:
        yield _senseless("no-credit-unit", bounds, "Credits of which unit?", 'Give the framework a "creditUnit".')
    at = step(leaf.path, "from")
    yield from _criterion(leaf.selector, at)
    named = leaf.selector.achievements()
    if named is None or leaf.measure != "count" or leaf.qualification is not None or named & framework.repeatable:
        return
    different = {min(next((alike for alike in framework.equivalents if name in alike), {name})) for name in named}
    if len(different) < leaf.min:
        detail = f"It asks for {leaf.min} of {len(different)} achievements, each of which counts once."
        yield _senseless("leaf-unfillable", at, detail, 'Ask for fewer, or list what may count again as "repeatable".')


def _limits(framework: Framework) -> Iterator[Problem]:
    nodes = {node.id for node in framework.nodes}
    leaves = {leaf.id for leaf in framework.leaves}
    ids = set(nodes)
    for limit in framework.limits:
        if limit.id in ids:
            at = step(limit.path, "id")
            yield _structural("duplicate-id", at, f"The id {limit.id!r} is used twice.", "Nodes and limits share ids.")
        ids.add(limit.id)
        named = {"scope": limit.scope}
        if isinstance(limit, Order):
            named = {"order/before": limit.before, "order/after": limit.after}
        for key, name in named.items():
            if name is not None and name not in nodes:
                yield _structural(
                    "unknown-id", f"{limit.path}/{key}", f"There is no node {name!r}.", "Name one that there is."
                )
        yield from _limit(framework, limit)
        yield from _criterion(limit.of, step(limit.path, "of"))
    for pair in framework.reuse.pairs:
        for place, name in enumerate(pair.leaves):
            if name not in leaves:
                at = step(step(pair.path, "leaves"), place)
                yield _structural("unknown-id", at, f"There is no leaf {name!r}.", "Name one that there is.")


def _limit(framework: Framework, limit: Limit) -> Iterator[Problem]:
    if limit.measured and framework.credit_unit is None:
        yield _senseless("no-credit-unit", limit.path, "Credits of which unit?", 'Give the framework a "creditUnit".')
    if not isinstance(limit, Share | Amount | Distinct):
        return
    most = limit.bounds.max
    if isinstance(limit, Share):
        most = Fraction(1)
    elif isinstance(limit, Distinct) and limit.among is not None:
        most = min(Fraction(len(limit.among)), most or Fraction(len(limit.among)))
    if most is not None and limit.bounds.min > most:
        detail = f"The minimum {plain_fraction(limit.bounds.min)} is above {plain_fraction(most)}."
        yield _senseless("limit-unsatisfiable", limit.path, detail, "Ask for less.")


def _criterion(criterion: Criterion, path: str) -> Iterator[Problem]:
    match criterion:
        case Listed(key=key, values=values) if not values:
            yield _senseless(
                "empty-list", path, f"Nothing matches an empty list of {key!r}.", "List one, or leave it out."
            )
        case LevelRange(min=int(least), max=int(most)) if least > most:
            yield _senseless(
                "min-over-max", path, f"No level is at least {least} and at most {most}.", "Lower the minimum."
            )
        case EarnedWhen(after=after, before=before) if after is not None and before is not None and after >= before:
            yield _senseless("empty-span", path, "It ends before it begins.", "Let `after` be the earlier one.")
        case AnyOf(selectors=()):
            yield _senseless(
                "empty-list", path, "Nothing matches an empty list of alternatives.", "List one, or leave it out."
            )
        case Selector(criteria=parts) | AnyOf(selectors=parts):
            for part in parts:
                yield from _criterion(part, path)
        case Not(selector=inner):
            yield from _criterion(inner, path)
        case _:
            pass


def lint_catalogue(framework: Framework, catalogue: Catalogue) -> list[Problem]:
    """Problems that show only against what is on offer (kind `catalogue`): leaves that no achievement can fill, unknown
    achievements, units and qualifications, and cycles between qualifications."""
    return list(_against(framework, catalogue))


def _against(framework: Framework, catalogue: Catalogue) -> Iterator[Problem]:
    base = framework.root.path.removesuffix("/requirement")
    if catalogue.units and framework.credit_unit is not None and framework.credit_unit not in catalogue.units:
        detail = f"{framework.credit_unit!r} is not a known unit of credit."
        yield Problem(
            "catalogue",
            "unknown-unit",
            f"{base}/creditUnit",
            detail,
            "Correct its spelling, or publish what carries it.",
        )
    known = {offer.achievement for offer in catalogue.offers}
    for leaf in framework.leaves:
        if leaf.qualification is not None:
            yield from _nested(framework, leaf, leaf.qualification, catalogue)
            continue
        at = step(leaf.path, "from")
        for name in sorted((leaf.selector.achievements() or frozenset()) - known):
            yield Problem(
                "catalogue",
                "unknown-achievement",
                at,
                f"No achievement {name!r} is on offer.",
                "Publish it, or correct it.",
            )
        if leaf.min and not _fillable(framework, leaf, catalogue.offers):
            detail = f"What is on offer cannot fill {leaf.id!r}."
            yield Problem("catalogue", "leaf-unfillable", at, detail, "Widen the selector, or ask for less.")


def _nested(framework: Framework, leaf: Leaf, qualification: str, catalogue: Catalogue) -> Iterator[Problem]:
    at = step(leaf.path, "qualification")
    if qualification not in catalogue.qualifications and qualification != framework.qualification:
        yield Problem(
            "catalogue",
            "unknown-qualification",
            at,
            f"No framework of {qualification!r} is published.",
            "Publish one first.",
        )
    waiting, seen = [qualification], set[str]()
    while waiting:
        name = waiting.pop()
        if name == framework.qualification:
            detail = f"{qualification!r} itself rests on {framework.qualification!r}."
            yield Problem("catalogue", "qualification-cycle", at, detail, "Ask for its components.")
            return
        if name not in seen:
            seen.add(name)
            waiting.extend(catalogue.qualifications.get(name, ()))


def _fillable(framework: Framework, leaf: Leaf, offers: Sequence[Holding]) -> bool:
    fitting = [offer for offer in offers if may_fit(leaf.selector, offer)[0]]
    classes = attempt_classes(fitting, framework.equivalents)
    most: dict[str, Fraction] = {}
    for offer in fitting:
        amount = Fraction(1)
        if leaf.measure == "credits":
            factor = framework.factor(offer.credits.unit) if offer.credits else None
            amount = Fraction(offer.credits.value) * factor if offer.credits and factor else Fraction(0)
        if amount and offer.achievement in framework.repeatable:
            return True
        name = classes[offer.id][0].id
        most[name] = max(amount, most.get(name, Fraction(0)))
    return sum(most.values()) >= leaf.min


def may_fit(criterion: Criterion, offer: Holding) -> tuple[bool, bool]:
    """Whether a learner's copy of what is on offer may fit, and whether it must."""
    match criterion:
        case Selector(criteria=parts):
            each = [may_fit(part, offer) for part in parts]
            return all(may for may, _ in each), all(must for _, must in each)
        case AnyOf(selectors=parts):
            each = [may_fit(part, offer) for part in parts]
            return any(may for may, _ in each), any(must for _, must in each)
        case Not(selector=inner):
            may, must = may_fit(inner, offer)
            return not must, not may
        case GradeAtLeast() | Assessed() | EarnedWhen():
            return True, False
        case Listed(key=key, values=values):
            answers = listed_values(key, offer)
            if not answers and key in ("mode", "source", "accreditedBy"):
                return True, False
            fits = not values.isdisjoint(answers)
            return fits, fits
        case LevelRange():
            fits = criterion.admits(offer.level.get(criterion.framework))
            return fits, fits
        case _:
            raise TypeError(f"unknown criterion {criterion!r}")
