"""What is refused when documents are read, with which code, and where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.pathways.domain import (
    Framework,
    FrameworkRef,
    Refused,
    audit,
    parse_audit_request,
    parse_framework,
    parse_holding,
)

LEAF = {"id": "a", "count": {"min": 1}, "from": {"achievement": ["a"]}}


def problems(read, document):
    with pytest.raises(Refused) as refused:
        read(document)
    return [(problem.kind, problem.code, problem.path) for problem in refused.value.problems]


def framework(**more):
    return {"qualification": "q", "version": "1", "requirement": LEAF, **more}


def test_the_framework_of_the_contract_is_read():
    document = {
        "qualification": "https://uni.example/q/pgcert-data",
        "version": "2026-27",
        "title": "Postgraduate Certificate in Data",
        "award": {"achievement": "https://uni.example/a/pgcert-data"},
        "effective": {"from": "2026-09-01", "to": None},
        "creditUnit": "ECTS",
        "requirement": {
            "id": "root",
            "all": [
                {"id": "ml", "count": {"min": 1}, "from": {"achievement": ["a/ml"]}, "grade": {"min": "0.7"}},
                {
                    "id": "electives",
                    "credits": {"min": "12", "max": "20"},
                    "from": {"allOf": [{"tag": ["data"]}, {"level": {"framework": "EQF", "min": 6}}]},
                },
                {"id": "project", "atLeast": 1, "of": [LEAF, {"id": "p3", "qualification": "q/mini"}]},
            ],
        },
        "limits": [
            {
                "id": "residency",
                "share": {"min": "0.5"},
                "measure": "credits",
                "of": {"issuer": ["did:web:uni.example"]},
            },
            {"id": "rpl-cap", "amount": {"max": "10"}, "measure": "credits", "of": {"source": ["rpl"]}},
            {"id": "breadth", "distinct": {"min": 3}, "by": "area", "scope": "electives"},
            {"id": "gpa", "gpa": {"min": "3.00", "scale": "us-4.0", "over": "allocated"}},
            {"id": "antireq", "exclude": ["a/ml", "a/ml-lite"]},
            {"id": "sequence", "order": {"before": "ml", "after": "project"}},
            {"id": "span", "window": {"months": 60}},
        ],
        "reuse": {"scope": "none", "across": "any"},
        "validity": "award",
        "onLoss": "review",
        "graceDays": 30,
        "conversions": [{"from": "US", "factor": "2"}],
        "gradeTables": [{"from": "score", "to": "us-4.0", "rows": [["0.9", "4.0"]]}],
        "equivalents": [["a/thesis", "a/dissertation"]],
        "repeatable": [],
    }
    read = parse_framework(document)
    assert (read.award, read.loss.grace_days, len(read.leaves)) == ("https://uni.example/a/pgcert-data", 30, 4)
    assert [type(limit).__name__ for limit in read.limits] == [
        *("Share", "Amount", "Distinct", "Gpa", "Exclude", "Order", "Window"),
    ]


@pytest.mark.parametrize(
    ("node", "code", "path"),
    [
        ({**LEAF, "colour": 1}, "unknown-key", "/colour"),
        ({**LEAF, "any": [LEAF]}, "bad-node", ""),
        ({"id": "a"}, "bad-node", ""),
        ({**LEAF, "of": [LEAF]}, "unknown-key", "/of"),
        ({"id": "a", "count": {"min": "1"}, "from": {}}, "bad-integer", "/count/min"),
        ({"id": "a", "count": {"min": True}, "from": {}}, "bad-integer", "/count/min"),
        ({"id": "a", "count": {}, "from": {}}, "missing-key", "/count"),
        ({"id": "a", "count": {"min": 1}}, "missing-key", "/from"),
        ({"id": "a", "credits": {"min": 12}, "from": {}}, "bad-decimal", "/credits/min"),
        ({"id": "a", "credits": {"min": "1e3"}, "from": {}}, "bad-decimal", "/credits/min"),
        ({"id": "a", "credits": {"min": "-1"}, "from": {}}, "bad-decimal", "/credits/min"),
        ({"id": "a", "atLeast": 1}, "missing-key", "/of"),
        ({"count": {"min": 1}, "from": {}}, "missing-key", "/id"),
        ({**LEAF, "from": {"colour": ["red"]}}, "unknown-key", "/from/colour"),
        ({**LEAF, "from": {"tag": "data"}}, "wrong-type", "/from/tag"),
        ({**LEAF, "from": {"allOf": [{}, {"tag": [1]}]}}, "wrong-type", "/from/allOf/1/tag/0"),
        ({**LEAF, "from": {"not": {"level": {"framework": "EQF"}}}}, "missing-key", "/from/not/level"),
        ({**LEAF, "from": {"source": ["home"]}}, "unknown-value", "/from/source/0"),
        ({**LEAF, "from": {"earned": {"after": "yesterday"}}}, "bad-instant", "/from/earned/after"),
        ({**LEAF, "from": {"earned": {"origin": "enrolment"}}}, "missing-key", "/from/earned"),
        ({**LEAF, "grade": {"min": 0.7}}, "bad-decimal", "/grade/min"),
        ({**LEAF, "grade": {"min": "3.0"}}, "bad-grade", "/grade/min"),
        ({"id": "a", "all": {}}, "wrong-type", "/all"),
    ],
)
def test_malformed_nodes_are_refused_with_their_path(node, code, path):
    found = problems(parse_framework, framework(requirement={"id": "root", "all": [LEAF, node]}))
    assert ("shape", code, f"/requirement/all/1{path}") in found


def test_every_problem_is_told_at_once():
    found = problems(parse_framework, {"version": 1, "requirement": {**LEAF, "x": 1, "count": {"min": -1}}, "y~/": 2})
    assert {path for _, _, path in found} == {
        *("/y~0~1", "/qualification", "/version", "/requirement/x", "/requirement/count/min")
    }


def test_endless_nesting_is_refused():
    node, selector = LEAF, {}
    for place in range(200):
        node = {"id": f"n{place}", "all": [node]}
        selector = {"not": selector}
    assert problems(parse_framework, framework(requirement=node))[0][1] == "too-deep"
    assert problems(parse_framework, framework(requirement={**LEAF, "from": selector}))[0][1] == "too-deep"


HOLDING = {"id": "h", "achievement": "a", "issuer": "i", "earned": "2026-03-01"}


@pytest.mark.parametrize(
    ("more", "code", "path"),
    [
        ({"name": "Ada"}, "unknown-key", "/name"),
        ({"credits": {"value": 5, "unit": "ECTS"}}, "bad-decimal", "/credits/value"),
        ({"credits": {"value": "5"}}, "missing-key", "/credits/unit"),
        ({"grade": {"score": "1.1"}}, "bad-grade", "/grade/score"),
        ({"grade": {"score": "0.5", "points": "3"}}, "bad-grade", "/grade"),
        ({"grade": {"points": "3"}}, "bad-grade", "/grade"),
        ({"level": {"EQF": "7"}}, "bad-integer", "/level/EQF"),
        ({"status": [{"at": "2026-03-01", "state": "fine"}]}, "unknown-value", "/status/0/state"),
        ({"status": [{"state": "valid"}]}, "missing-key", "/status/0/at"),
        ({"earned": "2026-02-30"}, "bad-instant", "/earned"),
        ({"earned": "2026-03-01T00:00:00"}, "bad-instant", "/earned"),
        ({"achievement": ""}, "wrong-type", "/achievement"),
        ({"assessment": {"supervised": "yes"}}, "wrong-type", "/assessment/supervised"),
        ({"tag": ["\ud800"]}, "wrong-type", "/tag/0"),
    ],
)
def test_malformed_holdings_are_refused_with_their_path(more, code, path):
    assert ("shape", code, path) in problems(parse_holding, {**HOLDING, **more})


def test_a_holding_survives_its_normal_form():
    whole = {
        **HOLDING,
        "type": ["MicroCredential"],
        "credits": {"value": "5.50", "unit": "ECTS"},
        "level": {"EQF": 7},
        "grade": {"points": "3.70", "scale": "us-4.0"},
        "area": ["statistics"],
        "tag": ["b", "a"],
        "skill": ["s"],
        "assessment": {"supervised": True, "identityVerified": False},
        "mode": "online",
        "source": "lms",
        "accreditedBy": [],
        "validUntil": "2027-03-01T01:00:00+01:00",
        "attemptOf": None,
        "components": ["c"],
        "status": [{"at": "2026-03-01", "state": "valid"}],
    }
    normal = parse_holding(whole).to_json()
    assert normal["credits"] == {"value": "5.5", "unit": "ECTS"}
    assert normal["validUntil"] == "2027-03-01T00:00:00Z"
    assert normal["tag"] == ["a", "b"]
    assert normal["assessment"] == {"supervised": True, "identityVerified": False}
    assert not {"attemptOf", "accreditedBy"} & normal.keys()
    assert parse_holding(normal).to_json() == normal


def test_a_request_is_read_whole():
    read = parse_audit_request(
        {
            "framework": framework(),
            "asOf": "2026-11-01T00:00:00Z",
            "enrolled": "2026-09-01",
            "awards": {"q/mini": ["a/mini"]},
            "spent": [{"holding": "h7", "qualification": "q/other"}],
            "holdings": [HOLDING, HOLDING],
            "decisions": [],
        }
    )
    assert isinstance(read.framework, Framework)
    assert len(read.holdings) == 1
    assert read.awards == {"q/mini": ("a/mini",)}
    assert read.enrolled.isoformat() == "2026-09-01T00:00:00+00:00"
    named = parse_audit_request({"framework": {"qualification": "q", "version": "1"}, "holdings": []})
    assert named.framework == FrameworkRef("q", "1")
    assert named.as_of is None


def test_a_request_tells_shape_from_structure():
    empty = framework(requirement={"id": "root", "all": []})
    assert problems(parse_audit_request, {"framework": empty, "holdings": []}) == [
        ("structure", "empty-group", "/framework/requirement/all")
    ]
    found = problems(
        parse_audit_request, {"framework": framework(title=5), "holdings": [{**HOLDING, "x": 1}], "when": 1}
    )
    assert {kind for kind, _, _ in found} == {"shape"}
    assert {path for _, _, path in found} == {"/framework/title", "/holdings/0/x", "/when"}
    decision = {"framework": framework(), "holdings": [], "decisions": [{"id": "d1", "kind": "waiver", "target": "a"}]}
    assert problems(parse_audit_request, decision) == [("structure", "root-waived", "/decisions/0/target")]
    assert problems(parse_audit_request, []) == [("shape", "wrong-type", "")]
    assert problems(parse_audit_request, {}) == [
        ("shape", "missing-key", "/framework"),
        ("shape", "missing-key", "/holdings"),
    ]


WHOLE = {
    "framework": framework(
        creditUnit="ECTS",
        requirement={
            "id": "root",
            "atLeast": 1,
            "of": [
                LEAF,
                {"id": "n", "qualification": "q/mini", "spendable": True},
                {
                    "id": "c",
                    "credits": {"min": "3", "max": "9"},
                    "grade": {"min": "3.0", "scale": "us-4.0"},
                    "from": {
                        "anyOf": [{"tag": ["x"]}, {"level": {"framework": "EQF", "min": 6}}],
                        "not": {"earned": {"withinMonths": 6, "origin": "enrolment"}},
                        "assessment": {"supervised": True},
                    },
                },
            ],
        },
        award={"achievement": "a/whole"},
        effective={"from": "2026-01-01", "to": None},
        conversions=[{"from": "US", "factor": "2"}],
        equivalents=[["a", "b"]],
        repeatable=["a"],
        reuse={"scope": "none"},
    ),
    "asOf": "2026-11-01",
    "awards": {"q/mini": ["a/mini"]},
    "holdings": [
        {
            **HOLDING,
            "credits": {"value": "5", "unit": "ECTS"},
            "grade": {"score": "0.8"},
            "level": {"EQF": 7},
            "status": [{"at": "2026-03-01", "state": "valid"}],
        }
    ],
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1", "2026-01-01", "valid"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["id", "min"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def put(value, path, new):
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


@given(st.sampled_from(list(places(WHOLE))), anything)
def test_whatever_is_put_anywhere_is_read_and_audited_or_refused_with_a_place(path, new):
    """Nothing that a stranger can write ends in another error."""
    try:
        read, found = parse_audit_request(put(WHOLE, path, new)), ()
    except Refused as refused:
        read, found = None, refused.problems
    assert all(problem.detail and (not problem.path or problem.path[0] == "/") for problem in found)
    if read is not None and isinstance(read.framework, Framework) and read.as_of is not None:
        audit(read.framework, read.holdings, read.decisions, read.as_of, awards=read.awards).to_json()
