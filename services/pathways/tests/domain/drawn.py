"""Small frameworks and holdings, drawn so that everything in the contract meets everything else."""

from fractions import Fraction

from hypothesis import strategies as st

from .brute_force import SEVERITY

DAYS = ["2026-01-31", "2026-02-28", "2026-03-31", "2026-05-01", "2026-08-01"]
DATES = [f"{day}T00:00:00+00:00" for day in DAYS]
LATER = "2027-06-01T00:00:00+00:00"
ACHIEVEMENTS = ["a", "b", "c", "mini"]


GRADES = [{"min": "0.7"}, {"min": "3.0", "scale": "us-4.0"}]
TABLE = {"from": "score", "to": "us-4.0", "rows": [["0.7", "3.0"], ["0.9", "4.0"]]}


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
        st.just({"area": ["p"]}),
        st.just({"grade": GRADES[1]}),
        st.just({"earned": {"withinMonths": 3, "origin": "enrolment"}}),
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
    grade = {"grade": draw(st.sampled_from(GRADES))} if draw(st.integers(0, 4)) == 0 else {}
    return {**measure, "from": draw(wide_selectors() if crowded else selectors()), **({} if crowded else grade)}


@st.composite
def limits(draw, nodes):
    """One to three limits over a requirement. Some have no scope, which means all of it."""
    found = []
    for place in range(draw(st.integers(1, 3))):
        some = draw(st.sampled_from([*nodes, None, None, None]))
        scope = {"scope": some} if some else {}
        measure = draw(st.sampled_from([{}, {}, {"measure": "count"}]))
        of = draw(st.sampled_from([{"tag": ["x"]}, {"source": ["lms"]}, {"achievement": ["a"]}, {"area": ["p"]}, {}]))
        kind = draw(st.sampled_from(["share", "amount", "distinct", "gpa", "gpa", "exclude", "order", "window"]))
        match kind:
            case "share":
                bound = draw(
                    st.sampled_from([{"min": "0.5"}, {"min": "0.7"}, {"max": "0.4"}, {"min": "0.2", "max": "0.6"}])
                )
                limit = {kind: bound, "of": of, **measure, **scope}
            case "amount":
                bound = draw(st.sampled_from([{"min": "2"}, {"min": "3.5"}, {"max": "2"}, {"min": "1", "max": "3"}]))
                limit = {kind: bound, "of": of, **measure, **scope}
            case "distinct":
                bound = draw(st.sampled_from([{"min": 2}, {"min": 1}, {"max": 1}, {"min": 1, "max": 1}]))
                by = draw(st.sampled_from(["area", "tag", "achievement", "source"]))
                limit = {kind: bound, "by": by, "of": draw(st.sampled_from([{}, of])), **scope}
                if draw(st.integers(0, 3)) == 0:
                    limit["among"] = ["p", "x", "a", "lms"]
            case "gpa":
                over = draw(st.sampled_from([{}, {}, {"over": "held"}, {"over": "allocated"}]))
                limit = {kind: {"min": draw(st.sampled_from(["2.5", "3.20", "3.6"])), "scale": "us-4.0", **over}}
                limit |= {**measure, **scope}
            case "exclude":
                limit = {kind: draw(st.sampled_from([["a", "b"], ["b", "c"], ["a", "b", "c"]])), **scope}
            case "order":
                limit = {kind: {"before": draw(st.sampled_from(nodes)), "after": draw(st.sampled_from(nodes))}}
            case "window":
                limit = {
                    kind: {"months": draw(st.sampled_from([0, 1, 2, 3]))},
                    "of": draw(st.sampled_from([{}, of])),
                    **scope,
                }
        found.append({"id": f"l{place}", **limit})
    return found


@st.composite
def frameworks(draw, crowded=False, rich=False):
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
        "requirement": node(draw(st.integers(1, 2)) if rich else 2),
        "equivalents": draw(st.sampled_from([[], [], [["a", "b"]]])),
        "repeatable": draw(st.sampled_from([[], [], ["a"], ["c"]])),
        "conversions": draw(st.sampled_from([[], [{"from": "US", "factor": "2"}]])),
        "gradeTables": draw(st.sampled_from([[], [TABLE], [TABLE]])),
    }
    if draw(st.integers(0, 3)) == 0:
        document["effective"] = {"from": DATES[2]}
    if not rich:
        return document
    nodes = list(walk(document["requirement"]))
    ids, leaf_ids = [n["id"] for n in nodes], [n["id"] for n in nodes if not children(n)]
    if draw(st.integers(0, 3)):
        document["limits"] = draw(limits(ids))
    document["validity"] = draw(st.sampled_from(["award", "award", "award", "always", "always", "never"]))
    if len(leaf_ids) <= 4 and draw(st.integers(0, 3)) == 0:
        document["reuse"] = {"scope": draw(st.sampled_from(["framework", "pairs"]))}
        if document["reuse"]["scope"] == "pairs":
            some = st.lists(st.sampled_from(leaf_ids), min_size=2, max_size=2, unique=True)
            caps = st.sampled_from([{}, {"maxCredits": "2"}, {"maxCredits": "3.5"}])
            count = draw(st.integers(1, 2)) if len(leaf_ids) > 1 else 0
            document["reuse"]["pairs"] = [{"leaves": draw(some), **draw(caps)} for _ in range(count)]
    if draw(st.integers(0, 5)) == 0:
        document["reuse"] = {**document.get("reuse", {}), "across": "none"}
    return document


def children(node):
    return node.get("all") or node.get("any") or node.get("of")


def walk(node):
    yield node
    for child in children(node) or []:
        yield from walk(child)


@st.composite
def holdings(draw, crowded=False, most=5):
    found = []
    for place in range(draw(st.integers(min(3, most) if crowded else 0, most))):
        earned = draw(st.sampled_from(DATES))
        document = {
            "id": f"h{place}",
            "achievement": draw(st.sampled_from([*"abcde", "mini"] if crowded else [*ACHIEVEMENTS[:3], *ACHIEVEMENTS])),
            "issuer": "i",
            "earned": earned,
            "tag": draw(st.sampled_from([["x", "y"], ["x"], ["y"], []])),
            "area": draw(st.sampled_from([["p"], ["q"], ["p", "q"], []])),
            "source": draw(st.sampled_from(["lms", "lms", "rpl", "external"])),
            "status": [{"at": earned, "state": "valid"}],
        }
        if crowded or draw(st.booleans()):
            unit = draw(st.sampled_from(["ECTS", "ECTS", "US"]))
            document["credits"] = {"value": draw(st.sampled_from(["1", "1.5", "2", "3"])), "unit": unit}
        if draw(st.booleans()):
            scores = [{"score": "0.5"}, {"score": "0.7"}, {"score": "0.9"}]
            document["grade"] = draw(st.sampled_from([*scores, {"points": "2.7", "scale": "us-4.0"}]))
        if draw(st.booleans()):
            document["level"] = {"EQF": draw(st.integers(5, 7))}
        turn = draw(st.integers(0, 15 if crowded else 7))
        if turn < 2:
            document["status"] = [
                {"at": draw(st.sampled_from(DATES)), "state": draw(st.sampled_from(SEVERITY))}
                for _ in range(draw(st.integers(0, 2)))
            ]
        if 2 <= turn < 5:
            document["validUntil"] = draw(st.sampled_from([*DATES[1:], LATER, LATER]))
        if found and draw(st.integers(0, 5)) == 0:
            document["attemptOf"] = draw(st.sampled_from([each["id"] for each in found]))
        if found and document["achievement"] == "mini":
            document["components"] = draw(st.lists(st.sampled_from([e["id"] for e in found]), max_size=2, unique=True))
        found.append(document)
    return found


@st.composite
def decisions(draw, framework, documents):
    nodes = list(walk(framework["requirement"]))
    leaf_ids = [node["id"] for node in nodes if not children(node)]
    waivable = [n["id"] for n in nodes[1:]] + [limit["id"] for limit in framework.get("limits", [])]
    found = []
    for place in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        kind = draw(st.sampled_from(["waiver", "substitution", "equivalence", "rpl"]))
        match kind:
            case "waiver" if waivable:
                decision = {"target": draw(st.sampled_from(waivable))}
            case "substitution" if documents:
                holding = draw(st.sampled_from([d["id"] for d in documents]))
                decision = {"target": draw(st.sampled_from(leaf_ids)), "holding": holding}
            case "rpl":
                decision = {"target": draw(st.sampled_from(leaf_ids))}
                if draw(st.booleans()):
                    decision["credits"] = {"value": draw(st.sampled_from(["1", "2", "3"])), "unit": "ECTS"}
                if draw(st.booleans()):
                    decision["area"] = ["p"]
            case _:
                kind = "equivalence"
                decision = {"achievement": draw(st.sampled_from("abc")), "countsAs": draw(st.sampled_from("abc"))}
        decision |= {"id": f"d{place}", "kind": kind}
        if draw(st.integers(0, 3)):
            decision["at"] = draw(st.sampled_from(DATES))
        if draw(st.integers(0, 3)) == 0:
            decision["validUntil"] = draw(st.sampled_from([*DATES[2:], LATER]))
        found.append(decision)
    return found


AWARDS = {"q:mini": ("mini",)}


@st.composite
def every_rule(draw):
    """A framework, holdings, and what else goes into an audit: the whole contract."""
    crowded = draw(st.booleans())
    framework = draw(frameworks(crowded, rich=True))
    shared = framework.get("reuse", {}).get("scope", "none") != "none"
    documents = draw(holdings(crowded, most=3 if shared else 4))
    spent = []
    if documents and draw(st.integers(0, 2)) == 0:
        qualification = draw(st.sampled_from(["q:other", "q:other", "q:whole"]))
        spent = [{"holding": draw(st.sampled_from([d["id"] for d in documents])), "qualification": qualification}]
    more = {"decisions": draw(decisions(framework, documents)), "spent": spent}
    more["enrolled"] = draw(st.sampled_from([None, *DATES]))
    return framework, documents, more


@st.composite
def reusing(draw):
    """Likewise, with credentials reused, in the framework or in up to four pairs of leaves."""
    crowded = draw(st.booleans())
    framework = draw(frameworks(crowded, rich=True).filter(lambda each: len(_leaf_ids(each)) <= 5))
    ids = _leaf_ids(framework)
    framework["reuse"] = {"scope": "framework"}
    if len(ids) > 1 and draw(st.integers(0, 2)) == 0:
        some = st.lists(st.sampled_from(ids), min_size=2, max_size=2, unique=True)
        caps = st.sampled_from([{}, {}, {"maxCredits": "2"}, {"maxCredits": "3.5"}])
        pairs = [{"leaves": draw(some), **draw(caps)} for _ in range(draw(st.integers(1, 4)))]
        framework["reuse"] = {"scope": "pairs", "pairs": pairs}
    documents = draw(holdings(crowded, most=3 if len(ids) > 3 else 4))
    return framework, documents, {"decisions": draw(decisions(framework, documents))}


def _leaf_ids(framework):
    return [node["id"] for node in walk(framework["requirement"]) if not children(node)]


# Half of them crowded: few selectors, many holdings that fit several leaves.
cases = st.booleans().flatmap(lambda crowded: st.tuples(frameworks(crowded), holdings(crowded)))
