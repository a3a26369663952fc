"""A second engine, written from the contract with no thought for elegance of method: it tries everything. What follows
from one credential, or from the rules alone, it works out once, for however many sets of credentials it is asked."""

from calendar import monthrange
from copy import copy
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache, wraps
from itertools import chain, combinations, product

AS_OF = "2026-12-01T00:00:00Z"
LOST = ("revoked", "suspended", "superseded")
SEVERITY = ("revoked", "suspended", "superseded", "expired", "unknown", "valid")
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@cache
def instant(text):
    return datetime.fromisoformat(text)


def months_later(at, months):
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    if year < 1:
        return BEGINNING
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


@cache
def number(text):
    """In thousandths, so that all sums are of whole numbers. What is drawn has no finer ones."""
    found = Fraction(text) * 1000
    assert found.denominator == 1
    return int(found)


def remembered(method):
    """For what depends on its arguments and the rules alone. Nodes, limits and holdings go by their ids."""

    @wraps(method)
    def ask(self, *args):
        key = (method, *(each["id"] if isinstance(each, dict) else each for each in args))
        if key not in self.known:
            self.known[key] = method(self, *args)
        return self.known[key]

    return ask


def subsets(things):
    return chain.from_iterable(combinations(things, size) for size in range(len(things) + 1))


def acts(decision, s):
    """Decisions act on [at, validUntil)."""
    since, until = decision.get("at"), decision.get("validUntil")
    return (not since or instant(since) <= s) and (not until or s < instant(until))


class Brute:
    def __init__(self, framework, holdings, awards, decisions=(), spent=(), enrolled=None):
        self.framework, self.awards, self.decisions, self.enrolled = framework, awards, decisions, enrolled
        self.rpl = {d["id"]: d for d in decisions if d["kind"] == "rpl"}
        self.holdings = [*holdings, *map(self.recognised, self.rpl.values())]
        self.by_id = {h["id"]: h for h in self.holdings}
        barred = framework.get("reuse", {}).get("across") == "none"
        self.spent = {s["holding"] for s in spent if s["qualification"] != framework["qualification"] and barred}
        self.validity = framework.get("validity", "award")
        self.nodes = list(self.walk(framework["requirement"]))
        self.leaves = [node for node in self.nodes if self.children(node) is None]
        self.as_of = instant(AS_OF)
        self.timed = "withinMonths" in str(framework)
        self.known, self.seen = {}, {}

    def among(self, names):
        """The same of some of the holdings only. Those by decision stay."""
        other = copy(self)
        other.holdings = [h for h in self.holdings if h["id"] in names or h["id"] in self.rpl]
        other.by_id = {h["id"]: h for h in other.holdings}
        other.seen = {}
        return other

    @staticmethod
    def recognised(decision):
        at = decision.get("at", BEGINNING.isoformat())
        stated = {k: v for k, v in decision.items() if k in ("credits", "area", "tag", "grade")}
        status = [{"at": at, "state": "valid"}]
        return {**stated, "id": decision["id"], "source": "rpl", "earned": at, "status": status} | (
            {"validUntil": decision["validUntil"]} if decision.get("validUntil") else {}
        )

    @staticmethod
    def children(node):
        return node.get("all") or node.get("any") or node.get("of")

    def walk(self, node):
        yield node
        for child in self.children(node) or []:
            yield from self.walk(child)

    @remembered
    def below(self, name):
        """The leaves below a node."""
        node = next(node for node in self.nodes if node["id"] == name) if name else self.framework["requirement"]
        return [each["id"] for each in self.walk(node) if self.children(each) is None]

    # What is decided at an instant.

    @remembered
    def waived(self, s):
        return {d["target"] for d in self.decisions if d["kind"] == "waiver" and acts(d, s)}

    @remembered
    def unwaived(self, s):
        gone = {leaf for name in self.waived(s) if name in {n["id"] for n in self.nodes} for leaf in self.below(name)}
        return {leaf["id"] for leaf in self.leaves} - gone

    @remembered
    def limits(self, s):
        return [limit for limit in self.framework.get("limits", []) if limit["id"] not in self.waived(s)]

    # The state of a holding.

    @remembered
    def state(self, holding, at):
        """ "State at t is the last entry by `at` <= t ..."."""
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
        if self.validity == "never" and holding["id"] not in self.rpl:
            return "valid" if found == "expired" else found
        until = holding.get("validUntil")
        if until and instant(until) <= at:
            found = min(found, "expired", key=SEVERITY.index)
        return found

    @remembered
    def usable(self, holding, s, trusting):
        lost = self.state(holding, self.as_of) in (("revoked",) if self.validity == "always" else LOST)
        good = ("valid", "unknown") if trusting else ("valid",)
        return instant(holding["earned"]) <= s and self.state(holding, s) in good and not lost

    # Fit.

    @remembered
    def same(self, name):
        alike = {name}
        for _ in self.framework["equivalents"]:
            for group in self.framework["equivalents"]:
                if alike & set(group):
                    alike |= set(group)
        return alike

    def points(self, holding, scale):
        """On a scale; by a table if it must be."""
        grade = holding.get("grade")
        if not grade:
            return None
        own = grade.get("scale", "score")
        value = number(grade.get("points", grade.get("score")))
        if own == scale:
            return value
        for table in self.framework.get("gradeTables", []):
            if (table["from"], table["to"]) == (own, scale):
                rows = [(number(a), number(b)) for a, b in table["rows"]]
                return max((row for row in rows if row[0] <= value), default=(0, None))[1]
        return None

    def selects(self, selector, holding, s):
        for key, value in selector.items():
            match key:
                case "achievement":
                    also = {
                        d["countsAs"]
                        for d in self.decisions
                        if d["kind"] == "equivalence" and acts(d, s) and d["achievement"] == holding.get("achievement")
                    }
                    ok = any(self.same(name) & ({holding.get("achievement")} | also) for name in value)
                case "tag" | "area":
                    ok = bool(set(value) & set(holding.get(key, [])))
                case "source":
                    ok = holding.get("source") in value
                case "level":
                    level = holding.get("level", {}).get(value["framework"])
                    ok = level is not None and value.get("min", 0) <= level <= value.get("max", 99)
                case "grade":
                    points = self.points(holding, value.get("scale", "score"))
                    ok = points is not None and points >= number(value["min"])
                case "earned":
                    start = self.enrolled if value.get("origin") else s
                    ok = start is not None and months_later(start, -value["withinMonths"]) <= instant(holding["earned"])
                case "not":
                    ok = not self.selects(value, holding, s)
                case "anyOf":
                    ok = any(self.selects(each, holding, s) for each in value)
                case "allOf":
                    ok = all(self.selects(each, holding, s) for each in value)
            if not ok:
                return False
        return True

    @remembered
    def credits_of(self, holding):
        """In the framework's unit; None without a conversion."""
        if "credits" not in holding:
            return 0
        unit = holding["credits"]["unit"]
        factors = {"ECTS": 1} | {c["from"]: int(c["factor"]) for c in self.framework["conversions"]}
        return number(holding["credits"]["value"]) * factors[unit] if unit in factors else None

    def amount(self, leaf, holding):
        return self.credits_of(holding) if "credits" in leaf else number(1)

    @remembered
    def places(self, holding, s):
        return [leaf["id"] for leaf in self.leaves if self.fits(leaf, holding, s)]

    def fits(self, leaf, holding, s):
        measured = "credits" in leaf or any(
            ("gpa" in limit or (("share" in limit or "amount" in limit) and limit.get("measure") != "count"))
            and leaf["id"] in self.below(limit.get("scope"))
            for limit in self.limits(s)
        )
        if leaf["id"] not in self.unwaived(s) or (measured and self.credits_of(holding) is None):
            return False
        if holding["id"] in self.rpl:
            return self.rpl[holding["id"]]["target"] == leaf["id"]
        for d in self.decisions:
            if (
                d["kind"] == "substitution"
                and acts(d, s)
                and (d["holding"], d["target"]) == (holding["id"], leaf["id"])
            ):
                return True
        if "qualification" in leaf:
            return holding["achievement"] in self.awards.get(leaf["qualification"], ())
        if leaf.get("grade") and not self.selects({"grade": leaf["grade"]}, holding, s):
            return False
        return self.selects(leaf["from"], holding, s)

    @remembered
    def bounds(self, leaf):
        bounds = {"min": 1, "max": 1} if "qualification" in leaf else leaf.get("count") or leaf["credits"]
        return number(bounds.get("min", 0)), number(bounds["max"]) if "max" in bounds else None

    # Limits.

    @staticmethod
    def hard(limit):
        """Those that dropping a holding cannot break."""
        if "amount" in limit or "distinct" in limit:
            return not number(limit.get("amount", limit.get("distinct")).get("min", 0))
        return "share" not in limit and "gpa" not in limit

    def limit_met(self, limit, given, counting, usable, fits, s):
        """`given` maps each allocated holding to its leaves, `counting` are the leaves that count."""
        scope = set(self.below(limit.get("scope")))
        if "order" in limit:
            before, after = (
                [instant(self.by_id[n]["earned"]) for n, at in given.items() if set(at) & set(self.below(side))]
                for side in (limit["order"]["before"], limit["order"]["after"])
            )
            return not before or not after or max(before) <= min(after)
        if not scope & counting:
            return True
        inside = [self.by_id[name] for name, at in given.items() if scope & set(at)]
        if "gpa" in limit and limit["gpa"].get("over") == "held":
            inside = [h for h in usable if scope & set(fits[h["id"]])]
        chosen = [h for h in inside if self.taken(limit, h, s)]

        def total(holdings):
            return sum((number(1) if limit.get("measure") == "count" else self.credits_of(h)) for h in holdings)

        def within(value, bounds, of=1):
            """Whether value / of is."""
            least, most = number(bounds.get("min", 0)), number(bounds["max"]) if "max" in bounds else None
            return least * of <= value and (most is None or value <= most * of)

        if "share" in limit:
            return within(total(chosen) * number(1), limit["share"], total(inside))
        if "amount" in limit:
            return within(total(chosen), limit["amount"])
        if "distinct" in limit:
            values = {v for h in chosen for v in self.listed(h, limit["by"])}
            return within(number(len(values & set(limit.get("among", values)))), limit["distinct"])
        if "gpa" in limit:
            graded = [h for h in chosen if self.points(h, limit["gpa"]["scale"]) is not None]
            summed = sum(self.points(h, limit["gpa"]["scale"]) * total([h]) for h in graded)
            return summed >= number(limit["gpa"]["min"]) * total(graded)
        if "exclude" in limit:
            return len({h.get("achievement") for h in inside} & set(limit["exclude"])) <= 1
        dates = [instant(h["earned"]) for h in chosen]
        return not dates or max(dates) <= months_later(min(dates), limit["window"]["months"])

    @remembered
    def taken(self, limit, holding, s):
        return self.selects(limit.get("of", {}), holding, s)

    @staticmethod
    def listed(holding, key):
        value = holding.get(key, [])
        return [value] if isinstance(value, str) else value

    # Allocation.

    def classes(self):
        """Closure of same achievement, attemptOf and equivalents, by merging until nothing changes."""
        groups = [{h["id"]} | ({h["attemptOf"]} if h.get("attemptOf") else set()) for h in self.holdings]
        named = [h for h in self.holdings if "achievement" in h]
        groups += [{h["id"] for h in named if h["achievement"] in self.same(g["achievement"])} for g in named]
        merged = True
        while merged:
            merged = False
            for one, two in product(range(len(groups)), repeat=2):
                if one < two and groups[one] & groups[two]:
                    groups[one] |= groups.pop(two)
                    merged = True
                    break
        return [[self.by_id[name] for name in group if name in self.by_id] for group in groups]

    def shares(self, at):
        """Sets of leaves that one holding may fill, of those that it fits."""
        reuse = self.framework.get("reuse", {})
        scope = reuse.get("scope", "none")
        pairs = [set(pair["leaves"]) for pair in reuse.get("pairs", [])]
        for some in subsets(sorted(at)):
            if (
                len(some) <= 1
                or scope == "framework"
                or (scope == "pairs" and all({a, b} in pairs for a, b in combinations(some, 2)))
            ):
                yield some

    def best(self, s, trusting, complete):
        usable = [h for h in self.holdings if self.usable(h, s, trusting)]
        fits = {h["id"]: self.places(h, s) for h in usable}
        # All that matters of an instant beside who is usable then.
        when = (complete, *(acts(d, s) for d in self.decisions), s if self.timed else None)
        key = (tuple(fits), when)
        if key not in self.seen:
            self.seen[key] = min(self.allocations(usable, fits, s, when), default=None)
        return self.seen[key]

    def legal(self, given, leaves):
        repeatable = self.framework["repeatable"]
        for group in self.groups:
            if sum(h["id"] in given and h.get("achievement") not in repeatable for h in group) > 1:
                return False
        for name, at in given.items():
            parts = set(self.by_id[name].get("components", [])) & given.keys() - {name}
            if parts and not all(leaves[leaf].get("spendable") for leaf in at):
                return False
        for pair in self.framework.get("reuse", {}).get("pairs", []):
            both = [self.credits_of(self.by_id[n]) for n, at in given.items() if set(pair["leaves"]) <= set(at)]
            if "maxCredits" in pair and sum(value or 0 for value in both) > number(pair["maxCredits"]):
                return False
        return True

    def allocations(self, usable, fits, s, when):
        """Every legal allocation with its objective in front of it."""
        leaves = {leaf["id"]: leaf for leaf in self.leaves}
        self.groups = [group for group in self.classes() if len(group) > 1]
        names = sorted(name for name in fits if name not in self.spent)
        everyone = tuple(fits) if "held" in str(self.limits(s)) else None
        for choice in product(*(list(self.shares(fits[name])) for name in names)):
            given = {name: at for name, at in zip(names, choice, strict=True) if at}
            if not self.legal(given, leaves):
                continue
            key = (tuple(given.items()), everyone, when)
            if key not in self.known:
                self.known[key] = list(self.weighed(given, leaves, usable, fits, s, complete=when[0]))
            for above, below in self.known[key]:
                yield (*above, sum(self.passed_over(name, fits) for name in given), *below)

    def weighed(self, given, leaves, usable, fits, s, complete):
        """The objective of an allocation, for each way to have branches count: what is above and below grades."""
        held = dict.fromkeys(leaves, 0)
        for name, at in given.items():
            for leaf in at:
                held[leaf] += self.amount(leaves[leaf], self.by_id[name])
        if not all(self.bounds(leaf)[1] is None or held[name] <= self.bounds(leaf)[1] for name, leaf in leaves.items()):
            return
        root, limits, waived = self.framework["requirement"], self.limits(s), self.waived(s)
        taken = {leaf for at in given.values() for leaf in at}
        until = min((self.until(name) for name in given), default=FOREVER)
        for counting in set(map(frozenset, self.counted(root, held, taken, waived, complete))):
            met = [self.limit_met(limit, given, counting, usable, fits, s) for limit in limits]
            if any(not ok and (complete or self.hard(limit)) for ok, limit in zip(met, limits, strict=True)):
                continue
            above = (
                FOREVER - until if complete and self.validity == "always" else timedelta(0),
                -self.progress(root, held, waived),
                -sum(met),
                sum(self.by_id[name].get("source") in ("rpl", "external") for name in given),
                len(given),
            )
            earned = sorted(self.by_id[name]["earned"] for name in given)
            yield above, (earned, sorted(given), [given[name] for name in sorted(given)])

    def until(self, name):
        until = self.by_id[name].get("validUntil")
        return instant(until) if until else FOREVER

    def passed_over(self, name, fits):
        """Members of the class with a higher comparable grade that fit somewhere too."""
        own = self.by_id[name].get("grade", {})
        others = [h for group in self.groups if self.by_id[name] in group for h in group]
        return sum(
            bool(fits.get(h["id"])) and h["id"] not in self.spent and self.higher(h.get("grade", {}), own)
            for h in others
        )

    def higher(self, one, other):
        """On the scale of the other, or else on its own."""
        if not one or not other:
            return False
        value, own = (number(each.get("points", each.get("score"))) for each in (one, other))
        there = self.points({"grade": one}, other.get("scale", "score"))
        here = self.points({"grade": other}, one.get("scale", "score"))
        return there > own if there is not None else here is not None and value > here

    def n(self, node):
        return len(node["all"]) if "all" in node else 1 if "any" in node else node["atLeast"]

    def holds(self, node, taken):
        return node["id"] in taken or any(self.holds(child, taken) for child in self.children(node) or [])

    def counted(self, node, held, taken, waived, complete):
        """The sets of leaves that may count below a node that does. Where all is to be complete, what counts is met;
        otherwise exactly n branches count. The rest hold nothing, and nor does what is waived."""
        if node["id"] in waived:
            if not self.holds(node, taken):
                yield set()
            return
        children = self.children(node)
        if children is None:
            if not complete or held[node["id"]] >= self.bounds(node)[0]:
                yield {node["id"]}
            return
        n, holding = self.n(node), {place for place, child in enumerate(children) if self.holds(child, taken)}
        sizes = range(n, len(children) + 1) if complete else (n,)
        for some in chain.from_iterable(combinations(range(len(children)), size) for size in sizes):
            if not holding <= set(some):
                continue
            each = [list(self.counted(children[place], held, taken, waived, complete)) for place in some]
            for sets in product(*each):
                yield set().union(*sets)

    def progress(self, node, held, waived):
        if node["id"] in waived:
            return Fraction(1)
        children = self.children(node)
        if children is None:
            least = self.bounds(node)[0]
            return Fraction(held[node["id"]], least) if held[node["id"]] < least else Fraction(1)
        each = sorted((self.progress(child, held, waived) for child in children), reverse=True)[: self.n(node)]
        return Fraction(sum(each), self.n(node))

    # The answer.

    def instants(self):
        """What holds changes only at these and just after them."""
        turns = {self.as_of}
        for h in self.holdings:
            turns |= {instant(h["earned"]), *(instant(e["at"]) for e in h["status"])}
            turns |= {instant(h["validUntil"])} if h.get("validUntil") else set()
            if self.timed:
                # What is drawn is earned at midnight, and no month is more than three days longer than another.
                past = [months_later(instant(h["earned"]), m) + timedelta(d) for m in (1, 3) for d in range(5)]
                turns |= {each + tick for each in past for tick in (timedelta(0), timedelta(microseconds=1))}
        for d in self.decisions:
            turns |= {instant(d[key]) for key in ("at", "validUntil") if d.get(key)}
        start = instant(self.framework["effective"]["from"]) if self.framework.get("effective") else BEGINNING
        turns |= {start}
        return sorted(s for s in turns if start <= s <= self.as_of)

    def audit(self):
        """Status, award date, allocation."""
        if self.validity == "always":
            return self.audit_now()
        for s in self.instants():
            if found := self.best(s, trusting=False, complete=True):
                return "complete", self.as_of if s == BEGINNING else s, self.allocation(found)
        return self.audit_missing(any(self.best(s, trusting=True, complete=True) for s in self.instants()))

    def audit_now(self):
        """`always`: s is the instant of the audit, and the award date starts the unbroken run up to it."""
        turns = self.instants()
        found = self.best(self.as_of, trusting=False, complete=True) if turns else None
        if not found:
            return self.audit_missing(bool(turns and self.best(self.as_of, trusting=True, complete=True)))
        since = self.as_of
        for s in reversed(turns):
            if not self.best(s, trusting=False, complete=True):
                break
            since = s
        return "complete", self.as_of if since == BEGINNING else since, self.allocation(found)

    def audit_missing(self, possible):
        shown = self.best(self.as_of, trusting=False, complete=False)
        return "undetermined" if possible else "incomplete", None, self.allocation(shown)

    @staticmethod
    def allocation(found):
        given = {}
        for name, leaves in zip(found[-2], found[-1], strict=True):
            for leaf in leaves:
                given.setdefault(leaf, []).append(name)
        return given
