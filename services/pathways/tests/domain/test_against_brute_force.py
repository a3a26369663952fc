"""The engine against a second one, written from the contract with no thought for speed: it tries everything."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.pathways.domain import audit, lint, parse_framework, parse_holdings

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


DAYS = ["2026-01-31", "2026-03-01", "2026-03-31", "2026-05-01", "2026-08-01"]
DATES = [f"{day}T00:00:00+00:00" for day in DAYS]
ACHIEVEMENTS = ["a", "b", "c", "mini"]


def selectors():
    names = st.lists(st.sampled_from(ACHIEVEMENTS[:3]), min_size=1, max_size=2, unique=True)
    simple = st.one_of(
        names.map(lambda each: {"achievement": each}),
        names.map(lambda each: {"achievement": each}),
        st.sampled_from(["x", "y"]).map(lambda tag: {"tag": [tag]}),
        st.just({}),
        st.sampled_from([1, 3]).map(lambda n: {"earned": {"withinMonths": n}}),
        st.just({"level": {"framework": "EQF", "min": 6}}),
        st.just({"source": ["lms"]}),
    )
    return st.one_of(
        simple,
        simple,
        simple,
        simple.map(lambda each: {"not": each}),
        st.lists(simple, min_size=1, max_size=2).map(lambda each: {"anyOf": each}),
        st.lists(simple, min_size=1, max_size=2).map(lambda each: {"allOf": each}),
    )


def wide_selectors():
    """Selectors that compete for the same few holdings."""
    return st.sampled_from(
        [{}, {"tag": ["x"]}, {"tag": ["y"]}, {"achievement": ["a", "b"]}, {"achievement": ["b", "c"]}]
    )


@st.composite
def leaves(draw, crowded):
    if draw(st.integers(0, 7)) == 0:
        return {"qualification": "q:mini"} | draw(st.sampled_from([{}, {"spendable": True}]))
    if draw(st.booleans()):
        least = draw(st.sampled_from([0, 1, 1, 1, 2]))
        measure = {"count": {"min": least}}
        if least == 0 or draw(st.integers(0, 4)) == 0:
            measure["count"]["max"] = least + draw(st.integers(0, 1))
    else:
        least = draw(st.sampled_from(["0", "2", "3.5", "5", "6"]))
        measure = {"credits": {"min": least}}
        if least == "0" or draw(st.booleans()):
            measure["credits"]["max"] = str(Fraction(least) // 1 + draw(st.integers(1, 2)))
    grade = {"grade": {"min": "0.7"}} if draw(st.integers(0, 4)) == 0 else {}
    return {**measure, "from": draw(wide_selectors() if crowded else selectors()), **({} if crowded else grade)}


@st.composite
def frameworks(draw, crowded=False):
    counter = iter(range(100))

    def node(depth):
        if depth == 0 or (draw(st.integers(0, 3)) == 0 and not (crowded and depth == 2)):
            return {"id": f"n{next(counter)}", **draw(leaves(crowded))}
        children = [node(depth - 1) for _ in range(draw(st.integers(1 + crowded, 3 if depth == 2 else 2)))]
        kind = draw(st.sampled_from(["all", "all", "any", "atLeast"]))
        if kind == "atLeast":
            return {"id": f"n{next(counter)}", "atLeast": draw(st.integers(1, len(children))), "of": children}
        return {"id": f"n{next(counter)}", kind: children}

    document = {
        "qualification": "q:whole",
        "version": "1",
        "creditUnit": "ECTS",
        "requirement": node(2),
        "equivalents": draw(st.sampled_from([[], [], [["a", "b"]]])),
        "repeatable": draw(st.sampled_from([[], [], ["a"], ["c"]])),
        "conversions": draw(st.sampled_from([[], [{"from": "US", "factor": "2"}]])),
    }
    if draw(st.integers(0, 3)) == 0:
        document["effective"] = {"from": DATES[2]}
    return document


@st.composite
def holdings(draw, crowded=False):
    found = []
    for place in range(draw(st.integers(3 if crowded else 0, 5))):
        earned = draw(st.sampled_from(DATES))
        document = {
            "id": f"h{place}",
            "achievement": draw(st.sampled_from([*ACHIEVEMENTS[:3], *ACHIEVEMENTS])),
            "issuer": "i",
            "earned": earned,
            "tag": draw(st.sampled_from([["x", "y"], ["x"], ["y"], []])),
            "source": draw(st.sampled_from(["lms", "lms", "rpl", "external"])),
            "status": [{"at": earned, "state": "valid"}],
        }
        if crowded or draw(st.booleans()):
            unit = draw(st.sampled_from(["ECTS", "ECTS", "US"]))
            document["credits"] = {"value": draw(st.sampled_from(["1", "1.5", "2", "3"])), "unit": unit}
        if draw(st.booleans()):
            document["grade"] = {"score": draw(st.sampled_from(["0.5", "0.7", "0.9"]))}
        if draw(st.booleans()):
            document["level"] = {"EQF": draw(st.integers(5, 7))}
        turn = draw(st.integers(0, 31 if crowded else 7))
        if turn < 3:
            document["status"] = [
                {"at": draw(st.sampled_from(DATES)), "state": draw(st.sampled_from(SEVERITY))}
                for _ in range(draw(st.integers(0, 2)))
            ]
        if turn == 3:
            document["validUntil"] = draw(st.sampled_from(DATES))
        if found and draw(st.integers(0, 5)) == 0:
            document["attemptOf"] = draw(st.sampled_from([each["id"] for each in found]))
        if found and document["achievement"] == "mini":
            document["components"] = draw(st.lists(st.sampled_from([e["id"] for e in found]), max_size=2, unique=True))
        found.append(document)
    return found


AWARDS = {"q:mini": ("mini",)}


def engine(framework, documents, **options):
    read = parse_framework(framework)
    assert lint(read) == [] or all(problem.code == "leaf-unfillable" for problem in lint(read)), lint(read)
    return audit(
        read, parse_holdings(documents), [], datetime.fromisoformat(AS_OF).astimezone(UTC), awards=AWARDS, **options
    )


def result(answer):
    return answer.status, answer.earned_at, {leaf: list(ids) for leaf, ids in answer.allocation.items()}


cases = st.booleans().flatmap(lambda crowded: st.tuples(frameworks(crowded), holdings(crowded)))
relaxed = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(cases)
def test_equals_brute_force(case):
    framework, documents = case
    brute = Brute(framework, documents, AWARDS)
    status, earned, allocation = brute.audit()
    asks_nothing = not allocation and "effective" not in framework
    expected = (status, brute.as_of if status == "complete" and asks_nothing else earned, allocation)
    answer = engine(framework, documents)
    assert result(answer) == expected
    assert not answer.exhausted


quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(cases, st.randoms(use_true_random=False))
def test_order_and_duplication_do_not_matter(case, random):
    framework, documents = case
    shuffled = documents + random.sample(documents, k=len(documents) // 2)
    random.shuffle(shuffled)
    shuffled = [{**d, "tag": d["tag"][::-1], "mode": None, "status": d["status"][::-1]} for d in shuffled]
    assert engine(framework, shuffled) == engine(framework, documents)


@quick
@given(cases, st.sampled_from([["x", "y"], []]), st.sampled_from(DATES))
def test_adding_a_valid_credential_never_loses_completion(case, tags, earned):
    framework, documents = case
    new = {"id": "new", "achievement": "c", "issuer": "i", "earned": earned, "tag": tags, "source": "lms"}
    new["status"] = [{"at": earned, "state": "valid"}]
    before, after = engine(framework, documents), engine(framework, [*documents, new])
    if before.status == "complete":
        assert after.status == "complete"
        assert after.earned_at <= before.earned_at or not after.allocation
    if after.status == "incomplete":
        assert before.status == "incomplete"


@quick
@given(cases, st.sampled_from(LOST))
def test_losing_a_credential_equals_never_having_had_it(case, lost):
    framework, documents = case
    for place, gone in enumerate(documents):
        # One that others are attempts of still ties them to each other.
        if any(other.get("attemptOf") == gone["id"] for other in documents) or gone.get("attemptOf"):
            continue
        rest = documents[:place] + documents[place + 1 :]
        if any(gone["achievement"] == other["achievement"] for other in rest) and framework["repeatable"]:
            continue
        taken = {**gone, "status": [*gone["status"], {"at": AS_OF, "state": lost}]}
        without, revoked = engine(framework, rest), engine(framework, [*rest, taken])
        assert result(revoked) == result(without)
        assert revoked.nodes == without.nodes


@quick
@given(cases)
def test_renaming_ids_changes_nothing_but_ids(case):
    framework, documents = case

    def renamed(value):
        if isinstance(value, dict):
            return {key: renamed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [renamed(each) for each in value]
        known = {each["id"] for each in documents} | {node.id for node in parse_framework(framework).nodes}
        return f"urn:x:{value}" if isinstance(value, str) and value in known else value

    before, after = engine(framework, documents), engine(renamed(framework), renamed(documents))
    assert result(after)[:2] == result(before)[:2]
    assert after.to_json()["allocation"] == {
        f"urn:x:{leaf}": [f"urn:x:{name}" for name in names] for leaf, names in before.allocation.items()
    }
    assert [(n.met, n.needs and n.needs.get("count")) for n in after.nodes] == [
        (n.met, n.needs and n.needs.get("count")) for n in before.nodes
    ]


@quick
@given(cases, st.integers(1, 60))
def test_a_bound_gives_undetermined_and_never_a_wrong_answer(case, steps):
    framework, documents = case
    full, bounded = engine(framework, documents), engine(framework, documents, steps=steps)
    if bounded.status != full.status:
        assert bounded.status == "undetermined"
        assert bounded.exhausted
    if bounded.status == "complete":
        assert bounded.earned_at >= full.earned_at


@relaxed
@given(cases)
def test_every_holding_is_either_allocated_or_explained(case):
    framework, documents = case
    answer = engine(framework, documents)
    allocated = [name for names in answer.allocation.values() for name in names]
    explained = [entry.holding for entry in answer.unused]
    assert sorted(allocated + explained) == sorted(d["id"] for d in documents)
    assert all(entry.detail.endswith(".") for entry in answer.unused)
    if answer.status == "complete":
        assert answer.remaining.credits == "0"
        assert answer.remaining.suggestions == ()
        assert all(node.needs is None for node in answer.nodes)
    elif answer.status == "incomplete":
        assert answer.remaining.suggestions
