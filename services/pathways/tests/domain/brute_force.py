"""A second engine, written from the contract with no thought for speed: it tries everything."""

from calendar import monthrange
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import product

AS_OF = "2026-12-01T00:00:00Z"
LOST = ("revoked", "suspended", "superseded")
SEVERITY = ("revoked", "suspended", "superseded", "expired", "unknown", "valid")


def instant(text):
    return datetime.fromisoformat(text)


def months_later(at, months):
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


def state(holding, at):
    """STACKING, Exact meanings: "State at t is the last entry by `at` <= t ..."."""
    entries = [(instant(entry["at"]), entry["state"]) for entry in holding["status"]]
    past = [entry for entry in entries if entry[0] <= at]
    if any(name == "revoked" for _, name in past):
        return "revoked"
    first = [name for when, name in entries if when == min(when for when, _ in entries)]
    found = "unknown"
    if past:
        last = max(when for when, _ in past)
        found = min((name for when, name in past if when == last), key=SEVERITY.index)
    elif first and set(first) == {"valid"}:
        found = "valid"
    until = holding.get("validUntil")
    if until and instant(until) <= at:
        found = min(found, "expired", key=SEVERITY.index)
    return found


def fits_selector(selector, holding, s, same):
    for key, value in selector.items():
        match key:
            case "achievement":
                ok = any(holding["achievement"] in same(name) for name in value)
            case "tag":
                ok = bool(set(value) & set(holding.get("tag", [])))
            case "source":
                ok = holding.get("source") in value
            case "level":
                level = holding.get("level", {}).get(value["framework"])
                ok = level is not None and value.get("min", 0) <= level <= value.get("max", 99)
            case "grade":
                ok = "grade" in holding and Fraction(holding["grade"]["score"]) >= Fraction(value["min"])
            case "earned":
                ok = months_later(instant(holding["earned"]), value["withinMonths"]) >= s
            case "not":
                ok = not fits_selector(value, holding, s, same)
            case "anyOf":
                ok = any(fits_selector(each, holding, s, same) for each in value)
            case "allOf":
                ok = all(fits_selector(each, holding, s, same) for each in value)
        if not ok:
            return False
    return True


class Brute:
    def __init__(self, framework, holdings, awards):
        self.framework, self.holdings, self.awards = framework, holdings, awards
        self.leaves, self.groups = [], []
        self.collect(framework["requirement"])
        self.as_of = instant(AS_OF)
        self.seen = {}

    def collect(self, node):
        children = self.children(node)
        if children is None:
            self.leaves.append(node)
        for child in children or []:
            self.collect(child)

    @staticmethod
    def children(node):
        return node.get("all") or node.get("any") or node.get("of")

    def same(self, name):
        alike = {name}
        for _ in self.framework["equivalents"]:
            for group in self.framework["equivalents"]:
                if alike & set(group):
                    alike |= set(group)
        return alike

    def classes(self):
        """Closure of same achievement, attemptOf and equivalents, by merging until nothing changes."""
        groups = [{h["id"]} | ({h["attemptOf"]} if h.get("attemptOf") else set()) for h in self.holdings]
        by_id = {h["id"]: h for h in self.holdings}
        tie = [
            {h["id"] for h in self.holdings if h["achievement"] in self.same(g["achievement"])} for g in by_id.values()
        ]
        groups += tie
        merged = True
        while merged:
            merged = False
            for one, two in product(range(len(groups)), repeat=2):
                if one < two and groups[one] & groups[two]:
                    groups[one] |= groups.pop(two)
                    merged = True
                    break
        return [[by_id[name] for name in group if name in by_id] for group in groups]

    def amount(self, leaf, holding):
        if "credits" not in leaf:
            return Fraction(1)
        if "credits" not in holding:
            return Fraction(0)
        unit = holding["credits"]["unit"]
        factors = {"ECTS": Fraction(1)} | {c["from"]: Fraction(c["factor"]) for c in self.framework["conversions"]}
        return Fraction(holding["credits"]["value"]) * factors[unit] if unit in factors else None

    def bounds(self, leaf):
        if "qualification" in leaf:
            return Fraction(1), Fraction(1)
        bounds = leaf.get("count") or leaf["credits"]
        return Fraction(bounds.get("min", 0)), Fraction(bounds["max"]) if "max" in bounds else None

    def fits(self, leaf, holding, s):
        if "qualification" in leaf:
            return holding["achievement"] in self.awards.get(leaf["qualification"], ())
        if leaf.get("grade") and not fits_selector({"grade": leaf["grade"]}, holding, s, self.same):
            return False
        return self.amount(leaf, holding) is not None and fits_selector(leaf["from"], holding, s, self.same)

    def usable(self, s, trusting):
        good = ("valid", "unknown") if trusting else ("valid",)
        for h in self.holdings:
            if instant(h["earned"]) <= s and state(h, s) in good and state(h, self.as_of) not in LOST:
                yield h

    def best(self, s, trusting, complete):
        fits = {
            h["id"]: [leaf["id"] for leaf in self.leaves if self.fits(leaf, h, s)] for h in self.usable(s, trusting)
        }
        key = (repr(fits), complete)
        if key not in self.seen:
            self.seen[key] = min(self.allocations(fits, complete), default=None)
        return self.seen[key]

    def allocations(self, fits, complete):
        """Every legal allocation with its objective in front of it."""
        by_id = {h["id"]: h for h in self.holdings}
        classes, leaves = self.classes(), {leaf["id"]: leaf for leaf in self.leaves}
        repeatable = self.framework["repeatable"]
        useful = {name for name, at in fits.items() if any(self.bounds(leaves[leaf])[0] for leaf in at)}
        useful = {
            name
            for name in useful
            if any(self.bounds(leaves[at])[0] and self.amount(leaves[at], by_id[name]) for at in fits[name])
        }
        for choice in product(*([None, *fits[name]] for name in sorted(fits))):
            given = {name: leaf for name, leaf in zip(sorted(fits), choice, strict=True) if leaf}
            if any(
                sum(h["id"] in given and h["achievement"] not in repeatable for h in group) > 1 for group in classes
            ):
                continue
            if any(
                part in given and not leaves[given[name]].get("spendable")
                for name in given
                for part in by_id[name].get("components", [])
                if part != name
            ):
                continue
            held = {
                leaf["id"]: sum(
                    (self.amount(leaf, by_id[n]) for n, at in given.items() if at == leaf["id"]), Fraction(0)
                )
                for leaf in self.leaves
            }
            if any(
                self.bounds(leaf)[1] is not None and held[leaf["id"]] > self.bounds(leaf)[1] for leaf in self.leaves
            ):
                continue
            taken = set(given.values())
            if not (self.completes if complete else self.counts)(self.framework["requirement"], held, taken):
                continue
            passed_over = sum(
                by_id[other]["grade"]["score"] > by_id[name]["grade"]["score"]
                for name in given
                for group in classes
                if by_id[name] in group
                for other in (h["id"] for h in group)
                if other in useful and "grade" in by_id[name] and "grade" in by_id[other]
            )
            yield (
                -self.progress(self.framework["requirement"], held),
                sum(by_id[name].get("source") in ("rpl", "external") for name in given),
                len(given),
                passed_over,
                sorted(by_id[name]["earned"] for name in given),
                sorted(given),
                [given[name] for name in sorted(given)],
            )

    def n(self, node):
        return len(node["all"]) if "all" in node else 1 if "any" in node else node["atLeast"]

    def holds(self, node, taken):
        return node["id"] in taken or any(self.holds(child, taken) for child in self.children(node) or [])

    def completes(self, node, held, taken):
        """Met, with every branch that does not count holding nothing."""
        children = self.children(node)
        if children is None:
            return held[node["id"]] >= self.bounds(node)[0]
        met = [self.completes(child, held, taken) for child in children]
        return sum(met) >= self.n(node) and all(
            ok or not self.holds(child, taken) for child, ok in zip(children, met, strict=True)
        )

    def counts(self, node, held, taken):
        """An incomplete audit counts exactly n branches; the rest hold nothing."""
        children = self.children(node) or []
        return not children or (
            sum(self.holds(child, taken) for child in children) <= self.n(node)
            and all(self.counts(child, held, taken) for child in children)
        )

    def progress(self, node, held):
        children = self.children(node)
        if children is None:
            least = self.bounds(node)[0]
            return min(held[node["id"]] / least, Fraction(1)) if least else Fraction(1)
        each = sorted((self.progress(child, held) for child in children), reverse=True)[: self.n(node)]
        return Fraction(sum(each), self.n(node))

    def instants(self):
        """What holds changes only at these and just after them."""
        turns = {self.as_of}
        for h in self.holdings:
            turns |= {instant(h["earned"]), *(instant(e["at"]) for e in h["status"])}
            turns |= {instant(h["validUntil"])} if h.get("validUntil") else set()
            turns |= {months_later(instant(h["earned"]), m) for m in (1, 3)}
        start = instant(self.framework["effective"]["from"]) if self.framework.get("effective") else None
        turns |= {start} if start else set()
        turns |= {turn + timedelta(microseconds=1) for turn in turns}
        return sorted(s for s in turns if s <= self.as_of and (start is None or s >= start))

    def audit(self):
        """Status, award date, allocation."""
        for s in self.instants():
            if found := self.best(s, trusting=False, complete=True):
                return "complete", s, self.allocation(found)
        possible = any(self.best(s, trusting=True, complete=True) for s in self.instants())
        shown = self.best(self.as_of, trusting=False, complete=False)
        return "undetermined" if possible else "incomplete", None, self.allocation(shown)

    @staticmethod
    def allocation(found):
        given = {}
        for name, leaf in zip(found[5], found[6], strict=True):
            given.setdefault(leaf, []).append(name)
        return given
