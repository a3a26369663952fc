"""Small frameworks and holdings, drawn so that everything in the contract meets everything else."""

from fractions import Fraction

from hypothesis import strategies as st

from .brute_force import SEVERITY

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
            "achievement": draw(st.sampled_from([*"abcde", "mini"] if crowded else [*ACHIEVEMENTS[:3], *ACHIEVEMENTS])),
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
        turn = draw(st.integers(0, 15 if crowded else 7))
        if turn < 2:
            document["status"] = [
                {"at": draw(st.sampled_from(DATES)), "state": draw(st.sampled_from(SEVERITY))}
                for _ in range(draw(st.integers(0, 2)))
            ]
        if 2 <= turn < 5:
            document["validUntil"] = draw(st.sampled_from(DATES[1:]))
        if found and draw(st.integers(0, 5)) == 0:
            document["attemptOf"] = draw(st.sampled_from([each["id"] for each in found]))
        if found and document["achievement"] == "mini":
            document["components"] = draw(st.lists(st.sampled_from([e["id"] for e in found]), max_size=2, unique=True))
        found.append(document)
    return found


AWARDS = {"q:mini": ("mini",)}


# Half of them crowded: few selectors, many holdings that fit several leaves.
cases = st.booleans().flatmap(lambda crowded: st.tuples(frameworks(crowded), holdings(crowded)))
