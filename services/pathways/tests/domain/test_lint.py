"""Frameworks that can be read and make no sense."""

import pytest

from cairn.pathways.domain import Catalogue, lint, lint_catalogue, parse_framework, parse_holding


@pytest.fixture
def codes(make):
    def found(requirement, **more):
        return [(problem.code, problem.path) for problem in lint(parse_framework(make.framework(requirement, **more)))]

    return found


def test_a_sensible_framework_has_no_problems(make, codes):
    assert codes({"id": "root", "atLeast": 2, "of": [make.leaf("a"), make.leaf("b")]}) == []


def test_groups_and_ids(make, codes):
    a = make.leaf("a")
    assert codes({"id": "root", "any": []}) == [("empty-group", "/requirement/any")]
    assert codes({"id": "root", "atLeast": 3, "of": [a, make.leaf("b")]}) == [("n-too-large", "/requirement/atLeast")]
    assert codes({"id": "root", "atLeast": 0, "of": [a]}) == [("n-too-small", "/requirement/atLeast")]
    assert codes({"id": "a", "all": [a]}) == [("duplicate-id", "/requirement/all/0/id")]


def test_bounds_that_nothing_can_meet(codes):
    def leaf(selector=None, **measure):
        return {"id": "a", **measure, "from": selector or {}}

    assert codes(leaf(count={"min": 2, "max": 1})) == [("min-over-max", "/requirement/count")]
    assert codes(leaf(credits={"min": "1"})) == [("no-credit-unit", "/requirement/credits")]
    assert codes(leaf({"tag": []}, count={"min": 1})) == [("empty-list", "/requirement/from")]
    assert codes(leaf({"anyOf": []}, count={"min": 1})) == [("empty-list", "/requirement/from")]
    level = {"not": {"level": {"framework": "EQF", "min": 7, "max": 6}}}
    assert codes(leaf(level, count={"min": 1})) == [("min-over-max", "/requirement/from")]
    span = {"earned": {"after": "2026-02-01", "before": "2026-01-01"}}
    assert codes(leaf(span, count={"min": 1})) == [("empty-span", "/requirement/from")]


def test_more_asked_for_than_can_count(codes):
    leaf = {"id": "a", "count": {"min": 2}, "from": {"achievement": ["a", "b"]}}
    assert codes(leaf) == []
    assert codes(leaf, equivalents=[["a", "b"]]) == [("leaf-unfillable", "/requirement/from")]
    assert codes({**leaf, "count": {"min": 3}}) == [("leaf-unfillable", "/requirement/from")]
    assert codes({**leaf, "count": {"min": 3}}, repeatable=["b"]) == []


def test_the_framework_itself(make, codes):
    a = make.leaf("a")
    assert codes(a, effective={"from": "2026-02-01", "to": "2026-02-01"}) == [("empty-span", "/effective")]
    self_made = {"creditUnit": "ECTS", "conversions": [{"from": "ECTS", "factor": "1"}]}
    assert codes(a, **self_made) == [("self-conversion", "/conversions")]


@pytest.fixture
def against(make):
    def found(requirement, offers=(), qualifications=None, units=(), **more):
        read = parse_framework(make.framework(requirement, **more))
        catalogue = Catalogue([parse_holding(offer) for offer in offers], qualifications or {}, units)
        return [(problem.code, problem.path) for problem in lint_catalogue(read, catalogue)]

    return found


def test_leaves_that_nothing_on_offer_can_fill(make, against):
    offers = [make.holding("a", tag=["x"], credits="4"), make.holding("b", tag=["x"], level={"EQF": 6}, credits="4")]
    assert against(make.leaf("a"), offers) == []
    unknown = [("unknown-achievement", "/requirement/from"), ("leaf-unfillable", "/requirement/from")]
    assert against(make.leaf("z"), offers) == unknown

    def leaf(selector, **measure):
        return {"id": "leaf", **(measure or {"count": {"min": 2}}), "from": selector}

    unfillable = [("leaf-unfillable", "/requirement/from")]
    assert against(leaf({"tag": ["x"]}), offers) == []
    assert against(leaf({"tag": ["x"], "level": {"framework": "EQF", "min": 6}}), offers) == unfillable
    assert against(leaf({"tag": ["x"]}, count={"min": 3}), offers) == unfillable
    assert against(leaf({"tag": ["x"]}, count={"min": 3}), offers, repeatable=["b"]) == []
    assert against(leaf({}, credits={"min": "8"}), offers, creditUnit="ECTS") == []
    assert against(leaf({}, credits={"min": "9"}), offers, creditUnit="ECTS") == unfillable
    assert against(leaf({}, credits={"min": "8"}), offers, creditUnit="US") == unfillable


def test_what_a_learner_brings_may_turn_out_either_way(make, against):
    """Grade, assessment, date and, where the offer is silent, mode and source are not known beforehand."""
    offers = [make.holding("a", mode="online")]

    def leaf(selector):
        return {"id": "leaf", "count": {"min": 1}, "from": selector}

    assert against(leaf({"grade": {"min": "0.9"}}), offers) == []
    assert against(leaf({"not": {"grade": {"min": "0.9"}}}), offers) == []
    assert against(leaf({"not": {"source": ["rpl"]}, "assessment": {"supervised": True}}), offers) == []
    assert against(leaf({"not": {"mode": ["online"]}}), offers) == [("leaf-unfillable", "/requirement/from")]


def test_qualifications_that_rest_on_each_other(make, against):
    whole, nested = "https://uni.example/q/whole", {"id": "n", "qualification": "mini"}
    assert against(nested, qualifications={"mini": []}) == []
    assert against(nested) == [("unknown-qualification", "/requirement/qualification")]
    cycle = [("qualification-cycle", "/requirement/qualification")]
    assert against(nested, qualifications={"mini": ["tiny"], "tiny": ["mini", whole]}) == cycle
    assert against({"id": "n", "qualification": whole}) == cycle


def test_units(make, against):
    assert against(make.leaf("a"), [make.holding("a")], units=["ECTS"], creditUnit="Ects") == [
        ("unknown-unit", "/creditUnit")
    ]
