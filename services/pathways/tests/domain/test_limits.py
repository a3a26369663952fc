"""Limits: a test for each sentence of STACKING about them."""

import pytest

from cairn.pathways.domain import audit, parse_decision, parse_framework, parse_holdings


@pytest.fixture
def limited(make):
    """Audits a framework of one open leaf, or of another requirement, under some limits."""

    def run(holdings, *limits, need=2, requirement=None, **more):
        whole = requirement or {"id": "all", "count": {"min": need}, "from": {"tag": ["x"]}}
        options = {key: more.pop(key) for key in ("decisions", "enrolled", "spent") if key in more}
        found = [{"id": f"l{place}", **limit} for place, limit in enumerate(limits)]
        rules = make.framework(whole, creditUnit="ECTS", limits=found, **more)
        return make.run(rules, [{"tag": ["x"], **holding} for holding in holdings], **options)

    return run


def graded(make, name, points, credits="5", **more):  # noqa: A002
    return make.holding(name, credits=credits, grade={"points": points, "scale": "us-4.0"}, tag=["x"], **more)


def test_a_limit_looks_at_what_is_allocated_and_not_at_all_that_is_held(make, limited):
    """A third credential from elsewhere is left out, and harms nothing."""
    home = {"issuer": ["did:web:uni.example"]}
    held = [make.holding("a", credits="5"), make.holding("b", credits="5", issuer="elsewhere")]
    held.append(make.holding("c", credits="50", issuer="elsewhere"))
    answer = limited(held, {"share": {"min": "0.5"}, "of": home})
    assert (answer.status, answer.allocation) == ("complete", {"all": ("a", "b")})
    assert [(each.have, each.need) for each in answer.limits] == [("0.5", "0.5")]


def test_share_compares_exactly_and_shows_rounded_down(make, limited):
    held = [make.holding("a", credits="1", source="rpl"), make.holding("b", credits="2")]
    of = {"source": ["rpl"]}
    assert limited(held, {"share": {"min": "0.333333333333"}, "of": of}).status == "complete"
    answer = limited(held, {"share": {"min": "0.333333333334"}, "of": of})
    assert (answer.status, answer.limits[0].have, answer.limits[0].met) == ("incomplete", "0.3333", False)


def test_share_of_nothing_is_met_and_has_nothing(make, limited):
    answer = limited([make.holding("a"), make.holding("b")], {"share": {"min": "1"}, "of": {"tag": ["none"]}})
    assert (answer.status, answer.limits[0].have) == ("complete", None)


def test_measure_is_credits_unless_it_is_count_and_no_credits_is_zero(make, limited):
    held = [make.holding("a"), make.holding("b", credits="6")]
    six = {"amount": {"min": "6"}}
    assert limited(held, six).status == "complete"
    assert limited(held, {**six, "measure": "count"}).status == "incomplete"
    assert limited(held, {"amount": {"min": "2"}, "measure": "count"}).status == "complete"
    assert limited(held, {"amount": {"min": 2}, "measure": "count"}).limits[0].need == "2"


def test_an_amount_may_be_capped(make, limited):
    """RPL beyond the cap is not allocated; another choice completes it."""
    cap = {"amount": {"max": "10"}, "of": {"source": ["rpl"]}}
    held = [make.holding(name, credits="6", source="rpl") for name in "ab"]
    answer = limited(held, cap)
    assert (answer.status, answer.allocation) == ("incomplete", {"all": ("a",)})
    assert [(each.holding, each.reason) for each in answer.unused] == [("b", "limit")]
    assert limited([*held, make.holding("c", credits="6")], cap).allocation == {"all": ("a", "c")}


def test_holdings_beyond_the_minimum_may_be_allocated_for_a_limit(make, limited):
    held = [make.holding("a", credits="1"), make.holding("b", credits="1"), make.holding("c", credits="4")]
    assert limited(held, {"amount": {"min": "6"}}).allocation == {"all": ("a", "b", "c")}
    assert limited(held, {"amount": {"min": "5"}}).allocation == {"all": ("a", "c")}
    bounded = {"id": "all", "count": {"min": 2, "max": 2}, "from": {}}
    assert limited(held, {"amount": {"min": "6"}}, requirement=bounded).status == "incomplete"


def test_more_branches_than_asked_for_may_count_if_each_is_met(make, limited):
    either = {"id": "root", "any": [make.leaf("a"), make.leaf("b")]}
    held = [make.holding("a", credits="5"), make.holding("b", credits="5", area=["q"])]
    assert limited(held, {"amount": {"min": "10"}}, requirement=either).allocation == {"a": ("a",), "b": ("b",)}
    unmet = {"id": "root", "any": [make.leaf("a"), {"id": "b", "count": {"min": 2}, "from": {"area": ["q"]}}]}
    answer = limited(held, {"amount": {"min": "10"}}, requirement=unmet)
    assert (answer.status, answer.allocation) == ("incomplete", {"a": ("a",)})


def test_a_limit_whose_scope_does_not_count_is_met(make, limited):
    either = {"id": "root", "any": [make.leaf("a"), make.leaf("b")]}
    scoped = {"amount": {"min": "10"}, "scope": "b"}
    assert limited([make.holding("a", credits="1")], scoped, requirement=either).status == "complete"
    assert limited([make.holding("b", credits="1")], scoped, requirement=either).status == "incomplete"


def test_a_limit_looks_at_a_leaf_that_asks_for_nothing_in_a_branch_that_counts(make, limited):
    """The branch counts as its other leaf is met; then so does this one, and has none of what the limit asks for."""
    branch = [
        {"id": "asks", "count": {"min": 1}, "from": {"tag": ["x"]}},
        {"id": "free", "credits": {"min": "0", "max": "1"}, "from": {"tag": ["x"]}},
    ]
    either = {
        "id": "r",
        "any": [{"id": "branch", "all": branch}, {"id": "other", "count": {"min": 1}, "from": {"tag": ["y"]}}],
    }
    answer = limited([make.holding("a", credits="1")], {"amount": {"min": "2"}, "scope": "free"}, requirement=either)
    assert answer.status == "incomplete"


def test_a_scope_narrows_a_limit_to_what_is_below_it(make, limited):
    both = {"id": "root", "all": [make.leaf("a"), make.leaf("b")]}
    held = [make.holding("a", area=["p"]), make.holding("b", area=["q"])]
    two = {"distinct": {"min": 2}, "by": "area"}
    assert limited(held, two, requirement=both).status == "complete"
    assert limited(held, {**two, "scope": "b"}, requirement=both).status == "incomplete"


def test_distinct_counts_the_union_and_one_may_give_several(make, limited):
    held = [make.holding("a", area=["p", "q"]), make.holding("b", area=["q", "r"])]
    by = {"by": "area"}
    assert limited(held, {"distinct": {"min": 3}, **by}).limits[0].have == "3"
    assert limited(held, {"distinct": {"min": 4}, **by}).status == "incomplete"
    assert limited(held, {"distinct": {"min": 3}, **by, "among": ["p", "q", "z"]}).status == "incomplete"
    assert limited(held, {"distinct": {"min": 3}, **by, "of": {"achievement": ["a"]}}).status == "incomplete"
    assert limited(held, {"distinct": {"max": 2}, **by}).status == "incomplete"
    assert limited([*held, make.holding("c", area=["p"])], {"distinct": {"max": 2}, **by}).allocation == {
        "all": ("a", "c")
    }


def test_gpa_is_the_mean_weighed_by_credits(make, limited):
    held = [graded(make, "a", "4.0", "1"), graded(make, "b", "3.0", "3")]
    answer = limited(held, {"gpa": {"min": "3.25", "scale": "us-4.0"}})
    assert (answer.status, answer.limits[0].have, answer.limits[0].need) == ("complete", "3.25", "3.25")
    assert limited(held, {"gpa": {"min": "3.26", "scale": "us-4.0"}}).status == "incomplete"
    assert limited(held, {"gpa": {"min": "3.5", "scale": "us-4.0"}, "measure": "count"}).status == "complete"


def test_gpa_leaves_out_what_has_no_grade_on_the_scale(make, limited):
    held = [graded(make, "a", "3.0"), make.holding("b", credits="5", grade={"score": "0.95"})]
    asked = {"gpa": {"min": "3.4", "scale": "us-4.0"}}
    assert limited(held, asked).status == "incomplete"
    table = {"from": "score", "to": "us-4.0", "rows": [["0.8", "3.0"], ["0.9", "4.0"]]}
    assert limited(held, asked, gradeTables=[table]).limits[0].have == "3.5"
    assert limited([make.holding("a"), make.holding("b")], asked).limits[0].have is None
    assert limited([make.holding("a"), make.holding("b")], asked).status == "complete"


def test_gpa_over_held_takes_every_attempt_that_fits(make, limited):
    """A failed attempt counts in the mean, though the better one is allocated."""
    held = [graded(make, "a1", "4.0", achievement="a"), graded(make, "a2", "2.0", achievement="a")]
    asked = {"gpa": {"min": "3.5", "scale": "us-4.0"}}
    assert limited(held, asked, need=1).status == "complete"
    answer = limited(held, {"gpa": {**asked["gpa"], "over": "held"}}, need=1)
    assert (answer.status, answer.limits[0].have) == ("incomplete", "3")


def test_gpa_chooses_the_better_even_if_later(make, limited):
    held = [graded(make, "early", "2.0", earned="2026-01-01"), graded(make, "late", "4.0", earned="2026-05-01")]
    assert limited(held, need=1).allocation == {"all": ("early",)}
    assert limited(held, {"gpa": {"min": "3.0", "scale": "us-4.0"}}, need=1).allocation == {"all": ("late",)}


def test_at_most_one_excluded_achievement_is_allocated(make, limited):
    held = [make.holding("ml"), make.holding("lite")]
    assert limited(held, {"exclude": ["ml", "lite"]}).status == "incomplete"
    assert limited([*held, make.holding("z")], {"exclude": ["ml", "lite"]}).allocation == {"all": ("lite", "z")}
    twice = [make.holding("m1", "ml"), make.holding("m2", "ml")]
    assert limited(twice, {"exclude": ["ml", "lite"]}, repeatable=["ml"]).status == "complete"


def test_order_compares_the_latest_before_with_the_earliest_after(make, limited):
    both = {"id": "root", "all": [make.leaf("core"), make.leaf("capstone")]}
    order = {"order": {"before": "core", "after": "capstone"}}

    def status(core, capstone):
        held = [make.holding("core", earned=core), make.holding("capstone", earned=capstone)]
        return limited(held, order, requirement=both).status

    assert status("2026-03-01", "2026-03-01") == "complete"
    assert status("2026-03-02", "2026-03-01") == "incomplete"
    # A later attempt puts it right.
    late = [make.holding("core", earned="2026-03-02"), make.holding("early", "capstone", earned="2026-03-01")]
    again = limited([*late, make.holding("again", "capstone", earned="2026-04-01")], order, requirement=both)
    assert again.allocation == {"core": ("core",), "capstone": ("again",)}
    assert limited(late[:1], order, requirement=both).limits[0].met


def test_window_is_of_months_with_the_day_clamped(make, limited):
    def status(one, other, months=1):
        held = [make.holding("a", earned=one), make.holding("b", earned=other)]
        return limited(held, {"window": {"months": months}}).status

    assert status("2026-01-31", "2026-02-28") == "complete"
    assert status("2026-01-31", "2026-03-01") == "incomplete"
    assert status("2026-01-31", "2026-03-31", 2) == "complete"


def test_a_unit_without_a_conversion_fits_no_leaf_below_a_limit_that_measures_credits(make, limited):
    foreign = [make.holding(name) | {"credits": {"value": "3", "unit": "US"}} for name in "ab"]
    assert limited(foreign).status == "complete"
    for limit in ({"amount": {"max": "100"}}, {"gpa": {"min": "1", "scale": "us-4.0"}}, {"share": {"max": "1"}}):
        answer = limited(foreign, limit)
        assert answer.status == "incomplete"
        assert {each.reason for each in answer.unused} == {"unit"}
    assert limited(foreign, {"amount": {"max": "100"}, "measure": "count"}).status == "complete"
    assert (
        limited(foreign, {"amount": {"max": "100"}}, conversions=[{"from": "US", "factor": "2"}]).status == "complete"
    )
    both = {"id": "root", "all": [make.leaf("a"), make.leaf("b")]}
    answer = limited(foreign, {"amount": {"max": "100"}, "scope": "b"}, requirement=both)
    assert answer.allocation == {"a": ("a",)}


def test_a_limit_sees_a_shared_holding_once(make, limited):
    both = {"id": "root", "all": [make.leaf("a", "h"), make.leaf("b", "h")]}
    answer = limited(
        [make.holding("h", credits="5")], {"amount": {"max": "5"}}, requirement=both, reuse={"scope": "framework"}
    )
    assert (answer.status, answer.limits[0].have) == ("complete", "5")


def test_of_incomplete_allocations_the_one_that_meets_most_limits_is_shown_after_progress(make, limited):
    held = [make.holding("a", earned="2026-01-01", source="lms"), make.holding("b", area=["p"])]
    breadth = {"distinct": {"min": 1}, "by": "area"}
    assert limited(held, breadth, need=1).allocation == {"all": ("b",)}
    one_of_three = {"id": "all", "count": {"min": 3, "max": 3}, "from": {"tag": ["x"]}}
    answer = limited(held, {"distinct": {"min": 2}, "by": "area"}, requirement=one_of_three)
    assert answer.allocation == {"all": ("a", "b")}


def test_what_would_meet_a_limit_is_suggested(make, limited):
    home = {"issuer": ["did:web:uni.example"]}
    held = [make.holding("a", credits="2"), make.holding("b", credits="10", issuer="elsewhere")]
    answer = limited(
        held, {"share": {"min": "0.5"}, "of": home}, {"amount": {"min": "15"}}, {"distinct": {"min": 2}, "by": "area"}
    )
    share, amount, distinct = answer.remaining.suggestions
    assert (share["limit"], share["credits"]) == ("l0", "8")
    assert (amount["limit"], amount["have"], amount["need"], amount["credits"]) == ("l1", "12", "15", "3")
    assert (distinct["limit"], distinct["count"]) == ("l2", 2)
    assert answer.remaining.credits == "8"


def test_the_sentence_names_the_limit(make):
    rules = make.framework(make.leaf("a"), creditUnit="ECTS", limits=[{"id": "volume", "amount": {"min": "10"}}])
    held = [make.holding("a", credits="4")]
    assert make.said(rules, held) == "whole: not complete. You still need: volume (4 instead of 10)."
    assert parse_framework(rules).limits[0].id == "volume"


def test_a_branch_that_asks_nothing_does_not_hide_the_limit_that_it_breaks(make):
    free = {"id": "free", "credits": {"min": "0"}, "from": {"tag": ["x"]}}
    rules = make.framework({"id": "root", "any": [make.leaf("a"), free]}, creditUnit="ECTS")
    rules["limits"] = [{"id": "some", "amount": {"min": "2"}, "of": {"tag": ["x"]}, "scope": "free"}]
    answer = make.run(rules, [])
    assert answer.status == "incomplete"
    assert [entry["limit"] for entry in answer.remaining.suggestions] == ["some"]
    assert make.said(rules, []) == "whole: not complete. You still need: some (0 instead of 2)."
    assert answer.remaining.credits == "2"


def test_what_counts_for_a_limits_sake_is_what_is_left_to_do(make):
    """The branch that asks nothing is met; but only the other one can hold what the limit asks for."""
    ways = [{"id": "free", "count": {"min": 0}, "from": {"tag": ["x"]}}, make.leaf("two", "a", count={"min": 2})]
    rules = make.framework({"id": "root", "any": ways}, repeatable=["a"])
    rules["limits"] = [{"id": "some", "amount": {"min": "1"}, "measure": "count"}]
    answer = make.run(rules, [make.holding("a")])
    assert (answer.status, answer.allocation) == ("incomplete", {"two": ("a",)})
    assert answer.remaining.suggestions == ({"node": "two", "count": 1, "achievements": ["a"]},)
    assert make.said(rules, [make.holding("a")]) == "whole: not complete. You still need: a."


def test_what_a_credential_does_not_say_is_no_value_to_be_distinct(make):
    """Neither is the achievement of what was recognised, or the issuer of what names none."""
    told = {key: value for key, value in make.holding("a").items() if key != "issuer"}
    known = {"id": "d1", "kind": "rpl", "target": "b", "at": "2026-03-01"}
    for by, have in {"issuer": "0", "achievement": "1"}.items():
        limit = {"id": "l", "distinct": {"min": 2}, "by": by}
        rules = make.framework({"id": "root", "all": [make.leaf("a"), make.leaf("b")]}, limits=[limit])
        answer = audit(parse_framework(rules), parse_holdings([told]), [parse_decision(known)], make.as_of)
        assert (answer.status, answer.limits[0].have) == ("incomplete", have)


def test_a_holding_without_an_issuer_matches_none(make):
    told = {**make.holding("a"), "issuer": None}
    for of, share in (({"issuer": ["i"]}, "0"), ({"not": {"issuer": ["i"]}}, "1")):
        limit = {"id": "l", "share": {"min": "0"}, "measure": "count", "of": of}
        assert make.run(make.framework(make.leaf("a"), limits=[limit]), [told]).limits[0].have == share
