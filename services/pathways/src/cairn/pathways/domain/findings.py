"""Findings: what an allocation means for each node, what is left to do, and why a credential did not count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil, lcm
from typing import Final

from cairn.common.instants import format_instant
from cairn.pathways.domain.allocation import allocate, given, judge, judge_all, looked_at_by
from cairn.pathways.domain.candidate import Candidate
from cairn.pathways.domain.eligibility import BEGINNING, Case
from cairn.pathways.domain.holding import LOST, Holding, Standing, State, plain_fraction
from cairn.pathways.domain.limits import Amount as AmountLimit
from cairn.pathways.domain.limits import Counted, Distinct, Judgement, Limit, Share
from cairn.pathways.domain.nodes import Group, Leaf, Node, walk
from cairn.pathways.domain.once import cached_property
from cairn.pathways.domain.outcome import Allocation, Effort
from cairn.pathways.domain.plan import Problem
from cairn.pathways.domain.regime import Regime
from cairn.pathways.domain.results import BUT_FOR, JsonMembers, LimitResult, Name, NodeResult, Remaining, Unused, lost

# What a suggestion is worth in steps: past it, it starts from nothing instead of from what is held.
_SUGGESTION_STEPS: Final = 5_000
_PLACES: Final = Decimal("0.000001")
# Keys that say how good a credential is. Where nothing else stood in the way, the first of them is the reason.
_QUALITIES: Final = ("grade", "level", "assessment", "earned", "mode", "source", "issuer", "accreditedBy", "not")


@dataclass(frozen=True)
class Findings:
    """An allocation of `candidates`, made for the instant `at`, looked at from all sides. `complete` is what came of
    it, and `doubted` that more might have, if what is unknown were valid."""

    case: Case
    at: datetime
    candidates: Sequence[Candidate]
    allocation: Allocation
    complete: bool
    doubted: bool = False

    @cached_property
    def nodes(self) -> tuple[NodeResult, ...]:
        found: list[NodeResult] = []
        needed = {self.case.framework.root.id}
        for node in self.case.framework.nodes:
            name = node.id
            met, needs = self._met[name], None
            if name in needed and not met:
                needs = self._needs(node)
                if isinstance(node, Group):
                    needed.update([child.id for child in node.children])
            found.append(NodeResult(name, met, self._held[name], needs))
        return tuple(found)

    @cached_property
    def progress(self) -> Decimal:
        """From 0 to 1 (STACKING, "Progress"), rounded down to six places: only complete is 1."""

        def of(node: Node) -> tuple[int, int]:
            """A part of a whole: fractions would take three times as long."""
            if self._met[node.id]:
                return 1, 1
            if isinstance(node, Group):
                shares = list(map(of, node.children))
                if node.n < len(shares):
                    shares = sorted(shares, key=lambda share: Fraction(*share), reverse=True)[: node.n]
                common = lcm(*(whole for _, whole in shares))
                return sum(part * (common // whole) for part, whole in shares), common * node.n
            need = self.case.needs[node.id]
            return need - self._missing(node), need

        part, whole = (1, 1) if self.complete else of(self.case.framework.root)
        return (Decimal(part) / whole).quantize(_PLACES, "ROUND_DOWN").normalize()

    @cached_property
    def limits(self) -> tuple[LimitResult, ...]:
        return tuple(self._measure(limit, self.allocation.judged) for limit in self.case.framework.limits)

    @cached_property
    def unused(self) -> tuple[Unused, ...]:
        return tuple(self._why_not(h) for h in self.case.holdings if h.id not in self._leaves_of)

    @cached_property
    def remaining(self) -> Remaining:
        credits_left, _, leaves = self._cheapest(self.case.framework.root)
        by_id = {limit.id: limit for limit in self.case.framework.limits}
        unmet = [result for result in self.limits if not result.met]
        if not (unmet or leaves or self.complete):
            # A branch that is met without holding anything does not count for as long as it breaks a limit.
            everything = replace(self.allocation, counting=self._problem.below[None])
            judged = judge_all(self._problem, everything)
            unmet = [each for limit in by_id.values() if not (each := self._measure(limit, judged)).met]
        if not (unmet or leaves or self.complete):
            # Nor while another one meets a limit in its stead: what is left is what that one lacks.
            counting = (leaf for leaf in self._regime.leaves if leaf.id in self.allocation.counting)
            leaves = [leaf for leaf in counting if not self._met[leaf.id]]
            credits_left = sum((self._cheapest(leaf)[0] for leaf in leaves), Fraction(0))
        suggestions: list[JsonMembers] = [{"node": leaf.id, **self._needs(leaf)} for leaf in leaves]
        for result in unmet:
            more = self._shortage(by_id[result.id])
            suggestions.append({"limit": result.id, "have": result.have, "need": result.need, **more})
            # What meets a leaf may meet a limit too: the larger of the two is what is left at least.
            credits_left = max(credits_left, Fraction(str(more.get("credits", 0))))
        start = self.case.framework.effective_from
        if start is not None and start > self.case.as_of:
            suggestions.append({"node": self.case.framework.root.id, "from": format_instant(start)})
        return Remaining(plain_ceiling(credits_left), tuple(suggestions))

    @cached_property
    def _regime(self) -> Regime:
        return self.case.regime(self.at)

    @cached_property
    def _problem(self) -> Problem:
        return self.case.problem(self.at, self.candidates)

    def _measure(self, limit: Limit, judged: Mapping[str, Judgement]) -> LimitResult:
        # Waived, there is nothing to meet.
        found = judged.get(limit.id) or limit.judge((), self._problem.moment)._replace(met=True, have=None)
        return LimitResult(limit.id, found.met, *found.shown())

    @cached_property
    def _counted(self) -> Sequence[Counted]:
        """What is allocated, as limits look at it."""
        return given(self._problem, self.allocation)

    def _shortage(self, limit: Limit) -> JsonMembers:
        """How much more of what a limit asks for would meet it, where that is enough."""
        moment = self._problem.moment
        looked_at = looked_at_by(limit, self._problem, self._counted)
        if isinstance(limit, Distinct):
            have = {value for each in looked_at for value in limit.values(each.holding, moment)}
            missing = limit.bounds.min - len(have)
            return {"count": int(missing)} if missing > 0 else {}
        if not isinstance(limit, Share | AmountLimit):
            return {}
        grain = self._problem.grain
        inside = sum(c.amount(limit.measure) for c in looked_at if limit.of.fits(c.holding, moment))
        part = Fraction(inside, grain)
        missing = limit.bounds.min - part
        if isinstance(limit, Share):
            total = Fraction(sum(c.amount(limit.measure) for c in looked_at), grain)
            least = limit.bounds.min
            # x more of it raise both the part and the whole: part + x ≥ least · (total + x).
            missing = (least * total - part) / (1 - least) if least < 1 else Fraction(0)
        if missing <= 0:
            return {}
        if limit.measure == "count":
            return {"count": ceil(missing)}
        return {"credits": plain_ceiling(missing), "unit": self.case.framework.credit_unit}

    @cached_property
    def _worths(self) -> Mapping[str, Mapping[str, int]]:
        return self.case.worths(self.at)

    @cached_property
    def _by_id(self) -> Mapping[str, Holding]:
        return {holding.id: holding for holding in self.case.holdings}

    @cached_property
    def _leaves_of(self) -> Mapping[str, tuple[Leaf, ...]]:
        """The leaves that each allocated holding fills."""
        found: dict[str, tuple[Leaf, ...]] = {}
        for leaf in self.case.framework.leaves:
            for name in self.allocation.by_leaf.get(leaf.id, ()):
                found[name] = (*found.get(name, ()), leaf)
        return found

    @cached_property
    def _parted(self) -> Mapping[str, list[str]]:
        """For a component the allocated awards that it is part of."""
        found: dict[str, list[str]] = {}
        for award in self._leaves_of:
            for part in self._by_id[award].components:
                found.setdefault(part, []).append(award)
        return found

    @cached_property
    def _have(self) -> Mapping[str, int]:
        return {leaf.id: self._amount(leaf, self.allocation) for leaf in self.case.framework.leaves}

    def _amount(self, leaf: Leaf, allocation: Allocation) -> int:
        held = allocation.by_leaf.get(leaf.id, ())
        return len(held) if leaf.measure == "count" else sum(self.case.credits[name] or 0 for name in held)

    @cached_property
    def _met(self) -> Mapping[str, bool]:
        met: dict[str, bool] = {}
        have, needs, waived = self._have, self.case.needs, self._regime.waived
        for node in reversed(self.case.framework.nodes):
            if node.id in waived:
                met[node.id] = True
            elif isinstance(node, Leaf):
                met[node.id] = have[node.id] >= needs[node.id]
            else:
                met[node.id] = [met[child.id] for child in node.children].count(True) >= node.n
        return met

    @cached_property
    def _held(self) -> Mapping[str, tuple[str, ...]]:
        """What is allocated at or below each node, sorted."""
        held: dict[str, tuple[str, ...]] = {}
        for node in reversed(self.case.framework.nodes):
            if isinstance(node, Leaf):
                held[node.id] = self.allocation.by_leaf.get(node.id, ())
            else:
                held[node.id] = tuple(sorted(set[str]().union(*[held[child.id] for child in node.children])))
        return held

    def _needs(self, node: Node) -> JsonMembers:
        if isinstance(node, Group):
            unmet = [child.id for child in node.children if not self._met[child.id]]
            return {"atLeast": node.n - (len(node.children) - len(unmet)), "of": unmet}
        missing = self._missing(node)
        needs: dict[str, object]
        if node.measure == "count":
            needs = {"count": missing}
        else:
            credits_ = plain_ceiling(Fraction(missing, self.case.grain))
            needs = {"credits": credits_, "unit": self.case.framework.credit_unit}
        if node.qualification is not None:
            needs["qualification"] = node.qualification
        if node.grade is not None:
            needs["grade"] = node.grade.to_json()
        if achievements := self._open_achievements(node):
            needs["achievements"] = achievements
        return needs

    def _missing(self, leaf: Leaf) -> int:
        return max(self.case.needs[leaf.id] - self._alternatives.get(leaf.id, self._have[leaf.id]), 0)

    def _open_achievements(self, leaf: Leaf) -> list[str]:
        """The achievements that a leaf names, without those already counted somewhere and not repeatable."""
        named = leaf.selector.achievements() or frozenset()
        return sorted(named - self._counted_achievements)

    @cached_property
    def _counted_achievements(self) -> frozenset[str]:
        counted = {self._by_id[name].achievement for name in self._leaves_of} - self.case.framework.repeatable
        for alike in self.case.framework.equivalents:
            if alike & counted:
                counted |= alike
        return frozenset(counted)

    @cached_property
    def _alternatives(self) -> Mapping[str, int]:
        """What the leaves of branches that hold nothing would have if they were taken up: what is free goes to them."""
        have: dict[str, int] = {}
        for group in self.case.framework.nodes:
            if isinstance(group, Leaf) or self._met[group.id] or group.n >= len(group.children):
                continue
            # One branch instead of another sets free what the other holds; one more beside others does not.
            kept = set(self._leaves_of) - (set(self._held[group.id]) if group.n == 1 else set())
            free = self._compatible(kept)
            for branch in group.children:
                if self._met[branch.id] or self._held[branch.id]:
                    continue
                problem = replace(self._problem, root=branch, candidates=free, limits=())
                given = allocate(problem, Effort(_SUGGESTION_STEPS), complete=False).allocation
                for leaf in walk(branch):
                    if isinstance(leaf, Leaf) and given is not None:
                        have[leaf.id] = self._amount(leaf, given)
        return have

    def _compatible(self, kept: set[str]) -> list[Candidate]:
        """The candidates that may still be allocated beside those kept."""
        taken = [c for c in self.candidates if c.id in kept]
        kinds = {c.kind for c in taken if not c.repeatable}
        parts = {part for c in taken for part in c.holding.components}
        return [
            c
            for c in self._problem.candidates
            if c.id not in kept
            and (c.repeatable or c.kind not in kinds)
            and c.id not in parts
            and kept.isdisjoint(c.holding.components)
        ]

    def _cheapest(self, node: Node) -> tuple[Fraction, int, list[Leaf]]:
        """The least still missing to meet a node: credits, credentials, and the leaves where."""
        if self._met[node.id]:
            return Fraction(0), 0, []
        if isinstance(node, Leaf):
            missing = self._missing(node)
            credits_ = Fraction(missing, self.case.grain)
            return (credits_, 0, [node]) if node.measure == "credits" else (Fraction(0), missing, [node])
        unmet = [self._cheapest(child) for child in node.children if not self._met[child.id]]
        fewest = node.n - (len(node.children) - len(unmet))
        chosen = sorted(range(len(unmet)), key=lambda place: (*unmet[place][:2], place))[:fewest]
        ways = [unmet[place] for place in sorted(chosen)]
        leaves = [leaf for way in ways for leaf in way[2]]
        return sum((way[0] for way in ways), Fraction(0)), sum(way[1] for way in ways), leaves

    def _why_not(self, holding: Holding) -> Unused:
        name, case = Name(holding.achievement or holding.id), self.case

        def why(reason: str, *sentence: str) -> Unused:
            return Unused(holding.id, reason, sentence)

        if holding.earned > case.as_of:
            return why("not-yet-earned", name, f" is dated {holding.earned.date()}.")
        if (state := self._state(holding)) is not None:
            if self.doubted and state.state is State.EXPIRED and self._once_unknown(holding):
                return why("unknown", "Whether ", name, " was valid before it expired is not known.")
            return why(state.state.value, *lost(name, state))
        worth = self._worths[holding.id]
        if not worth:
            if (nearest := self._nearest(holding)) is not None:
                return why(nearest[0], name, f" would fit {nearest[1]} but for {BUT_FOR[nearest[0]]}.")
            now = self._problem.moment, self._regime
            if waived := [leaf.id for leaf in case.framework.leaves if case.fits(holding, leaf, *now)]:
                return why("waived", name, f" fits only {', '.join(waived)}, which is waived.")
            return why("no-match", name, " fits no part of this qualification.")
        if holding.id in case.spent:
            return why("spent", name, " was spent on another qualification.")
        for other in case.classes[holding.id]:
            counts = other.id != holding.id and other.id in self._leaves_of
            if counts and not {holding.achievement, other.achievement} & case.framework.repeatable:
                where = self._leaves_of[other.id][0].id
                return why("already-allocated", "Another attempt or equivalent of ", name, f" counts for {where}.")
        for award in self._parted.get(holding.id, ()):
            if not all(leaf.spendable for leaf in self._leaves_of[award]):
                return why("component", name, " is part of ", Name(self._by_id[award].achievement), ", which counts.")
        for part in holding.components:
            if part in self._leaves_of:
                other = Name(self._by_id[part].achievement)
                return why("component", name, " rests on ", other, ", which counts by itself.")
        if BEGINNING < self.at < holding.earned:
            return why("not-needed", name, " was earned after the rest was complete.")
        fitting = [leaf for leaf in case.framework.leaves if leaf.id in worth]
        unmet = [leaf for leaf in fitting if not self._met[leaf.id]]
        for leaf in unmet:
            most = None if leaf.max is None else leaf.grains(leaf.max, case.grain)
            if most is not None and self._have[leaf.id] + worth[leaf.id] > most:
                return why("max", name, f" would take {leaf.id} past its maximum of {leaf.max}.")
        for leaf in unmet:
            if (broken := self._broken_by(holding, leaf)) is not None:
                return why("limit", name, f" would break the limit {broken.id}.")
        leaves = ", ".join(leaf.id for leaf in fitting)
        if any(self._met[leaf.id] and (self._have[leaf.id] or not leaf.min) for leaf in fitting):
            return why("not-needed", name, f" fits, but {leaves} had enough without it.")
        return why("branch", name, f" fits only {leaves}, and another branch counts.")

    def _state(self, holding: Holding) -> Standing | None:
        """The state that keeps a holding from counting, now or at the instant in question; None if none does."""
        # What is recognised for a time is not for longer, even where expiry does not matter.
        expiring = self.case.framework.validity != "never" or holding.id in self.case.recognised
        now, then = self.case.standings[holding.id], holding.standing(self.at, expiring=expiring)
        if now.state in LOST:
            return now
        return then if then.state is not State.VALID and holding.earned <= self.at else None

    @staticmethod
    def _once_unknown(holding: Holding) -> bool:
        return holding.valid_periods(trusting=True) != holding.valid_periods(trusting=False)

    def _broken_by(self, holding: Holding, leaf: Leaf) -> Limit | None:
        """A hard limit that would be broken if a holding were given to a leaf as well."""
        moment = self._problem.moment
        # What a hard limit does not look at cannot break it.
        hard = [limit for limit in self._regime.limits if not limit.judged and limit.of.fits(holding, moment)]
        if not hard:
            return None
        credits_ = self.case.credits[holding.id] or 0
        more = [*self._counted, Counted(holding, credits_, self.case.grain, (leaf.id,))]
        counting = self.allocation.counting | {leaf.id}
        return next((limit for limit in hard if not judge(limit, self._problem, more, counting).met), None)

    def _nearest(self, holding: Holding) -> tuple[str, str] | None:
        """The one thing that kept a holding out of the leaf it came closest to, and that leaf."""
        moment = self._problem.moment
        nearest: tuple[int, str, str] | None = None
        for leaf in self._regime.leaves:
            awards = self.case.awards.get(leaf.qualification or "", ())
            if leaf.qualification is not None and holding.achievement not in awards:
                continue
            failed: list[str] = []
            if (holding.id, leaf.id) not in self._regime.granted:
                failed = [c.key for c in leaf.selector.conjuncts() if not c.fits(holding, moment)]
                if leaf.grade is not None and not leaf.grade.met_by(holding.grade):
                    failed.insert(0, "grade")
                if holding.id in self.case.recognised or any(key not in _QUALITIES for key in failed):
                    continue
            if not failed:
                failed.append("unit")
            if nearest is None or len(failed) < nearest[0]:
                nearest = (len(failed), failed[0], leaf.id)
        return nearest and nearest[1:]


def plain_ceiling(value: Fraction) -> str:
    """A need as a decimal: exactly if it is one, else rounded up to 4 places."""
    exact = value.denominator
    for prime in (2, 5):
        while exact % prime == 0:
            exact //= prime
    return plain_fraction(value if exact == 1 else Fraction(ceil(value * 10_000), 10_000))
