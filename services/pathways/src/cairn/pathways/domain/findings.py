"""Findings: what an allocation means for each node, what is left to do, and why a credential did not count."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from typing import Final

from cairn.pathways.domain.allocation import Allocation, Effort, allocate
from cairn.pathways.domain.eligibility import Case
from cairn.pathways.domain.framework import Group, Leaf, Node, walk
from cairn.pathways.domain.holding import LOST, Holding, State, plain_fraction
from cairn.pathways.domain.plan import Amount, Candidate
from cairn.pathways.domain.selector import Moment

JsonMembers = Mapping[str, object]
# What a suggestion is worth in steps: past it, it starts from nothing instead of from what is held.
_SUGGESTION_STEPS: Final = 5_000
# Keys that say how good a credential is. Where nothing else stood in the way, the first of them is the reason.
_QUALITIES: Final = ("grade", "level", "assessment", "earned", "mode", "source", "issuer", "accreditedBy", "not")


@dataclass(frozen=True, slots=True)
class NodeResult:
    """`allocated` of a group is all that its leaves hold. `needs` is None where nothing is needed: the node is met, or
    one above it is. Otherwise, of a leaf: `count`, or `credits` and `unit`, that are missing, with `achievements` where
    the framework names them, `qualification` and `grade` where it asks for them; of a group: `atLeast` so many more
    `of` its children. A branch that does not count yet is judged by what would be free for it."""

    id: str
    met: bool
    allocated: tuple[str, ...]
    needs: JsonMembers | None

    def to_json(self) -> dict[str, object]:
        return {"id": self.id, "met": self.met, "allocated": list(self.allocated), "needs": self.needs}


@dataclass(frozen=True, slots=True)
class Unused:
    """Why a holding did not count. `reason` is one of

    - its state: `revoked`, `suspended`, `superseded`, `expired`, `unknown`; `not-yet-earned`
    - `no-match`; or it would fit a leaf but for `unit`, `credits`, `grade`, `level`, `assessment`, `earned`, `mode`,
      `source`, `issuer`, `accreditedBy`, `not`
    - `already-allocated` (another of its class), `component` (of an award that counts, or such an award), `max`,
      `branch` (fits only branches that do not count), `not-needed`.
    """

    holding: str
    reason: str
    detail: str

    def to_json(self) -> dict[str, object]:
        return {"holding": self.holding, "reason": self.reason, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left in all by the cheapest way (fewest credits, then fewest credentials): the credits as a decimal
    string, and for each leaf still open on that way its `node` and needs."""

    credits: str
    suggestions: tuple[JsonMembers, ...]

    def to_json(self) -> dict[str, object]:
        return {"credits": self.credits, "suggestions": [dict(each) for each in self.suggestions]}


@dataclass(frozen=True)
class Findings:
    """An allocation of `candidates`, made for the instant `at`, looked at from all sides."""

    case: Case
    at: datetime
    candidates: Sequence[Candidate]
    allocation: Allocation

    @cached_property
    def nodes(self) -> tuple[NodeResult, ...]:
        return tuple(self._judge(self.case.framework.root, needed=True))

    @cached_property
    def unused(self) -> tuple[Unused, ...]:
        return tuple(self._why_not(h) for h in self.case.holdings if h.id not in self._leaf_of)

    @cached_property
    def remaining(self) -> Remaining:
        credits_left, _, leaves = self._cheapest(self.case.framework.root)
        suggestions = tuple({"node": leaf.id, **self._needs(leaf)} for leaf in leaves)
        return Remaining(plain_fraction(credits_left), suggestions)

    @cached_property
    def _by_id(self) -> Mapping[str, Holding]:
        return {holding.id: holding for holding in self.case.holdings}

    @cached_property
    def _leaf_of(self) -> Mapping[str, Leaf]:
        leaves = {leaf.id: leaf for leaf in self.case.framework.leaves}
        return {name: leaves[leaf] for leaf, names in self.allocation.by_leaf.items() for name in names}

    @cached_property
    def _have(self) -> Mapping[str, Amount]:
        return {leaf.id: self._amount(leaf, self.allocation) for leaf in self.case.framework.leaves}

    def _amount(self, leaf: Leaf, allocation: Allocation) -> Amount:
        held = allocation.by_leaf.get(leaf.id, ())
        return sum(self.case.amount(self._by_id[name], leaf) or 0 for name in held)

    @cached_property
    def _met(self) -> Mapping[str, bool]:
        met: dict[str, bool] = {}
        for node in reversed(self.case.framework.nodes):
            if isinstance(node, Leaf):
                met[node.id] = self._have[node.id] >= node.min
            else:
                met[node.id] = sum(met[child.id] for child in node.children) >= node.n
        return met

    def _judge(self, node: Node, *, needed: bool) -> Iterator[NodeResult]:
        met = self._met[node.id]
        needed = needed and not met
        yield NodeResult(node.id, met, self._held_below(node), self._needs(node) if needed else None)
        if isinstance(node, Group):
            for child in node.children:
                yield from self._judge(child, needed=needed)

    def _held_below(self, node: Node) -> tuple[str, ...]:
        return tuple(sorted(name for each in walk(node) for name in self.allocation.by_leaf.get(each.id, ())))

    def _needs(self, node: Node) -> JsonMembers:
        if isinstance(node, Group):
            unmet = [child.id for child in node.children if not self._met[child.id]]
            return {"atLeast": node.n - (len(node.children) - len(unmet)), "of": unmet}
        missing = self._missing(node)
        needs: dict[str, object]
        if node.measure == "count":
            needs = {"count": int(missing)}
        else:
            needs = {"credits": plain_fraction(missing), "unit": self.case.framework.credit_unit}
        if node.qualification is not None:
            needs["qualification"] = node.qualification
        if node.grade is not None:
            needs["grade"] = node.grade.to_json()
        if achievements := self._open_achievements(node):
            needs["achievements"] = achievements
        return needs

    def _missing(self, leaf: Leaf) -> Fraction:
        return max(Fraction(leaf.min) - self._alternatives.get(leaf.id, self._have[leaf.id]), Fraction(0))

    def _open_achievements(self, leaf: Leaf) -> list[str]:
        """The achievements that a leaf names, without those already counted somewhere and not repeatable."""
        named = leaf.selector.achievements() or frozenset()
        return sorted(named - self._counted_achievements)

    @cached_property
    def _counted_achievements(self) -> frozenset[str]:
        counted = {self._by_id[name].achievement for name in self._leaf_of} - self.case.framework.repeatable
        for alike in self.case.framework.equivalents:
            if alike & counted:
                counted |= alike
        return frozenset(counted)

    @cached_property
    def _alternatives(self) -> Mapping[str, Amount]:
        """What the leaves of branches that hold nothing would have if they were taken up: what is free goes to them."""
        have: dict[str, Amount] = {}
        for group in self.case.framework.nodes:
            if isinstance(group, Leaf) or self._met[group.id] or group.n >= len(group.children):
                continue
            # One branch instead of another sets free what the other holds; one more beside others does not.
            kept = set(self._leaf_of) - (set(self._held_below(group)) if group.n == 1 else set())
            free = self._compatible(kept)
            for branch in group.children:
                if self._met[branch.id] or self._held_below(branch):
                    continue
                given = allocate(branch, free, Effort(_SUGGESTION_STEPS), complete=False).allocation
                for leaf in walk(branch):
                    if isinstance(leaf, Leaf) and given is not None:
                        have[leaf.id] = self._amount(leaf, given)
        return have

    def _compatible(self, kept: set[str]) -> list[Candidate]:
        """The candidates that may still be allocated beside those kept."""
        taken = [c for c in self.candidates if c.id in kept]
        kinds = {c.kind for c in taken if not c.repeatable}
        parts = {part for c in taken for part in c.components}
        return [
            c
            for c in self.candidates
            if c.id not in kept
            and (c.repeatable or c.kind not in kinds)
            and c.id not in parts
            and kept.isdisjoint(c.components)
        ]

    def _cheapest(self, node: Node) -> tuple[Fraction, int, list[Leaf]]:
        """The least still missing to meet a node: credits, credentials, and the leaves where."""
        if self._met[node.id]:
            return Fraction(0), 0, []
        if isinstance(node, Leaf):
            missing = self._missing(node)
            return (missing, 0, [node]) if node.measure == "credits" else (Fraction(0), int(missing), [node])
        unmet = [self._cheapest(child) for child in node.children if not self._met[child.id]]
        fewest = node.n - (len(node.children) - len(unmet))
        chosen = sorted(range(len(unmet)), key=lambda place: (*unmet[place][:2], place))[:fewest]
        ways = [unmet[place] for place in sorted(chosen)]
        leaves = [leaf for way in ways for leaf in way[2]]
        return sum((way[0] for way in ways), Fraction(0)), sum(way[1] for way in ways), leaves

    def _why_not(self, holding: Holding) -> Unused:
        reason, detail = self._reason(holding)
        return Unused(holding.id, reason, detail)

    def _reason(self, holding: Holding) -> tuple[str, str]:
        name, case = label(holding.achievement), self.case
        now, then = case.standings[holding.id], holding.standing(self.at)
        if holding.earned > case.as_of:
            return "not-yet-earned", f"{name} is dated {holding.earned.date()}."
        if now.state in LOST:
            return _state_reason(name, now.state, now.since)
        if holding.earned > self.at:
            return "not-needed", f"{name} was earned after the rest was complete."
        if then.state is not State.VALID:
            return _state_reason(name, then.state, then.since)
        worth = case.worth(holding, self.at)
        if not worth:
            return self._misfit(holding)
        for other in case.classes[holding.id]:
            counts = other.id != holding.id and other.id in self._leaf_of
            if counts and not {holding.achievement, other.achievement} & case.framework.repeatable:
                return (
                    "already-allocated",
                    f"Another attempt or equivalent of {name} counts for {self._where(other.id)}.",
                )
        for award, leaf in self._leaf_of.items():
            if holding.id in self._by_id[award].components and not leaf.spendable:
                return "component", f"{name} is part of {label(self._by_id[award].achievement)}, which counts."
        if part := next((part for part in holding.components if part in self._leaf_of), None):
            return "component", f"{name} rests on {label(self._by_id[part].achievement)}, which counts by itself."
        fitting = [leaf for leaf in case.framework.leaves if leaf.id in worth]
        for leaf in fitting:
            if not self._met[leaf.id] and leaf.max is not None and self._have[leaf.id] + worth[leaf.id] > leaf.max:
                return "max", f"{name} would take {leaf.id} past its maximum of {leaf.max}."
        if any(self._met[leaf.id] and (self._have[leaf.id] or not leaf.min) for leaf in fitting):
            return "not-needed", f"{name} fits, but {', '.join(leaf.id for leaf in fitting)} had enough without it."
        return "branch", f"{name} fits only {', '.join(leaf.id for leaf in fitting)}, and another branch counts."

    def _where(self, name: str) -> str:
        return self._leaf_of[name].id

    def _misfit(self, holding: Holding) -> tuple[str, str]:
        """The one thing that kept a holding out of the leaf it came closest to."""
        moment, name = Moment(self.at, self.case.enrolled), label(holding.achievement)
        nearest: tuple[int, str, str] | None = None
        for leaf in self.case.framework.leaves:
            if leaf.qualification is not None and holding.achievement not in self.case.awards.get(
                leaf.qualification, ()
            ):
                continue
            failed = [c.key for c in leaf.selector.conjuncts() if not c.fits(holding, moment)]
            if leaf.grade is not None and not leaf.grade.met_by(holding.grade):
                failed.insert(0, "grade")
            if any(key not in _QUALITIES for key in failed):
                continue
            if not failed:
                failed.append("unit" if self.case.amount(holding, leaf) is None else "credits")
            if nearest is None or len(failed) < nearest[0]:
                nearest = (len(failed), failed[0], leaf.id)
        if nearest is None:
            return "no-match", f"{name} fits no part of this qualification."
        _, reason, leaf_id = nearest
        return reason, f"{name} would fit {leaf_id} but for {_BUT_FOR[reason]}."


_BUT_FOR: Final = {
    "grade": "its grade",
    "level": "its level",
    "assessment": "how it was assessed",
    "earned": "when it was earned",
    "mode": "its mode",
    "source": "where it came from",
    "issuer": "its issuer",
    "accreditedBy": "its accreditation",
    "not": "what is excluded there",
    "unit": "its credits being in a unit without a conversion",
    "credits": "having no credits",
}


def _state_reason(name: str, state: State, since: datetime | None) -> tuple[str, str]:
    on = f" on {since.date()}" if since is not None else ""
    if state is State.UNKNOWN:
        return state.value, f"Whether {name} is valid is not known."
    verb = "expired" if state is State.EXPIRED else f"was {state.value}"
    return state.value, f"{name} {verb}{on}."


def label(iri: str) -> str:
    """A short name for an identifier: its last part."""
    return iri.rstrip("/#").replace("#", "/").rsplit("/", 1)[-1] or iri
