"""Single rules of the contract, each where it bites."""

import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
import rfc8785

from cairn.pathways.domain import Refused, Spent, audit, explain, parse_framework, parse_holding, parse_holdings


def reasons(answer):
    return {entry.holding: entry.reason for entry in answer.unused}


def test_allocation_is_optimal_not_greedy(make):
    """The first holding fits both leaves and the second only the first leaf."""
    rules = make.framework(
        {"id": "root", "all": [make.leaf("one", "a", "b"), make.leaf("two", "a")]},
    )
    answer = make.run(rules, [make.holding("h1", "a"), make.holding("h2", "b", earned="2026-04-01")])
    assert answer.allocation == {"one": ("h2",), "two": ("h1",)}


def test_credits_are_indivisible(make):
    """8 + 7 credits are enough for 10 + 5 only if one credential were split."""
    tagged = {"tag": ["data"]}
    parts = [{"id": name, "credits": {"min": least}, "from": tagged} for name, least in (("ten", "10"), ("five", "5"))]
    rules = make.framework({"id": "root", "all": parts}, creditUnit="ECTS")
    held = [make.holding("h1", credits="8", **tagged), make.holding("h2", credits="7", **tagged)]
    assert make.run(rules, held).status == "incomplete"
    assert make.run(rules, [*held, make.holding("h3", credits="2", **tagged)]).status == "complete"


def test_max_is_never_truncated(make):
    rules = make.framework({"id": "e", "credits": {"min": "10", "max": "12"}, "from": {}}, creditUnit="ECTS")
    held = [make.holding("h1", credits="8"), make.holding("h2", credits="9")]
    answer = make.run(rules, held)
    assert answer.status == "incomplete"
    assert answer.allocation == {"e": ("h2",)}
    assert reasons(answer) == {"h1": "max"}
    assert answer.remaining.credits == "1"
    assert make.run(rules, [*held, make.holding("h3", credits="3")]).allocation == {"e": ("h1", "h3")}


def test_what_exceeds_a_maximum_by_itself_does_not_hide_what_else_its_class_could_do(make):
    """Two attempts fit both leaves by their selectors, one of them by its credits too."""
    small = {"id": "small", "credits": {"min": "2", "max": "5"}, "from": {"tag": ["x"]}}
    large = {"id": "large", "credits": {"min": "5"}, "from": {"tag": ["x"]}}
    rules = make.framework({"id": "root", "all": [small, large]}, creditUnit="ECTS")
    held = [make.holding("h1", "a", credits="8", tag=["x"]), make.holding("h2", "a", credits="5", tag=["x"])]
    assert make.run(rules, held).allocation == {"large": ("h1",)}


def test_branches_that_do_not_count_consume_nothing(make):
    """`a` is wanted by a branch that cannot be met and by a leaf that can."""
    choice = {
        "id": "choice",
        "any": [{"id": "both", "all": [make.leaf("x", "a"), make.leaf("y", "z")]}, make.leaf("b")],
    }
    rules = make.framework({"id": "root", "all": [choice, make.leaf("core", "a")]})
    answer = make.run(rules, [make.holding("h1", "a"), make.holding("h2", "b")])
    assert answer.status == "complete"
    assert answer.allocation == {"b": ("h2",), "core": ("h1",)}


def test_an_incomplete_audit_counts_exactly_n_branches(make):
    parts = [{"id": name, "count": {"min": 2}, "from": {"tag": [name]}} for name in "abc"]
    rules = make.framework({"id": "two", "atLeast": 2, "of": parts})
    held = [make.holding(f"{name}1", tag=[name]) for name in "abc"]
    answer = make.run(rules, held)
    assert len(answer.allocation) == 2
    assert list(reasons(answer).values()) == ["branch"]
    assert make.said(rules, held).endswith("2 of these: 1 more for a, 1 more for b, 1 more for c.")


def test_one_attempt_of_a_class_counts(make):
    two = make.framework({"id": "two", "count": {"min": 2}, "from": {"tag": ["x"]}})
    retakes = [make.holding("h1", "a", tag=["x"]), make.holding("h2", "a", tag=["x"], earned="2026-04-01")]
    assert make.run(two, retakes).status == "incomplete"
    assert reasons(make.run(two, retakes)) == {"h2": "already-allocated"}
    assert make.run({**two, "repeatable": ["a"]}, retakes).status == "complete"
    linked = [make.holding("h1", "a", tag=["x"]), make.holding("h2", "b", tag=["x"], attemptOf="h1")]
    assert make.run(two, linked).status == "incomplete"
    assert make.run(two, [linked[0], {**linked[1], "attemptOf": None}]).status == "complete"
    equal = {**two, "equivalents": [["a", "b"]]}
    assert make.run(equal, [linked[0], {**linked[1], "attemptOf": None}]).status == "incomplete"


def test_what_did_not_count_is_named_by_its_title_where_there_is_one(make):
    rules = make.framework(make.leaf("a", "urn:a/m1"))
    answer = make.run(rules, [make.holding("h1", "urn:a/m1"), make.holding("h2", "urn:a/m1")])
    (entry,) = answer.unused
    assert entry.detail() == "Another attempt or equivalent of m1 counts for a."
    (shown,) = answer.to_json({"urn:a/m1": "Maths"})["unused"]
    assert shown["detail"] == "Another attempt or equivalent of Maths counts for a."


def test_the_better_attempt_counts_even_if_it_came_later(make):
    rules = make.framework(make.leaf("a"))
    held = [make.holding("h1", "a", grade={"score": "0.7"})]
    held.append(make.holding("h2", "a", grade={"score": "0.9"}, earned="2026-03-01"))
    assert make.run(rules, held).allocation == {"a": ("h2",)}
    # Earlier completion comes before a better grade.
    later = [held[0], {**held[1], "earned": "2026-04-01"}]
    assert make.run(rules, later).allocation == {"a": ("h1",)}


def test_an_equivalent_fills_a_leaf_that_names_the_other(make):
    rules = make.framework(make.leaf("thesis"), equivalents=[["thesis", "dissertation"]])
    assert make.run(rules, [make.holding("h1", "dissertation")]).status == "complete"


def test_units_are_never_added_without_a_conversion(make):
    rules = make.framework({"id": "e", "credits": {"min": "6"}, "from": {}}, creditUnit="ECTS")
    us = [make.holding("h1", "a") | {"credits": {"value": "3", "unit": "US"}}]
    answer = make.run(rules, us)
    assert answer.status == "incomplete"
    assert reasons(answer) == {"h1": "unit"}
    assert make.run({**rules, "conversions": [{"from": "US", "factor": "2"}]}, us).status == "complete"


def test_credits_compare_exactly(make):
    rules = make.framework({"id": "e", "credits": {"min": "0.3", "max": "0.3"}, "from": {}}, creditUnit="ECTS")
    assert make.run(rules, [make.holding("h1", credits="0.1"), make.holding("h2", credits="0.2")]).status == "complete"


def test_ties_fall_to_home_then_fewer_then_earlier_then_ids(make):
    one = make.framework({"id": "one", "count": {"min": 1}, "from": {}})
    same = [make.holding("b"), make.holding("a")]
    assert make.run(one, same).allocation == {"one": ("a",)}
    assert make.run(one, [make.holding("a", source="rpl"), make.holding("b", source="lms")]).allocation == {
        "one": ("b",)
    }
    held = [make.holding("a", credits="3"), make.holding("b", credits="3"), make.holding("c", credits="6")]
    rules = make.framework({"id": "six", "credits": {"min": "6"}, "from": {}}, creditUnit="ECTS")
    assert make.run(rules, held).allocation == {"six": ("c",)}


def test_the_earlier_credential_counts_where_either_would_do(make):
    rules = make.framework(
        {"id": "root", "all": [{"id": "any", "count": {"min": 1}, "from": {"tag": ["x"]}}, make.leaf("b")]}
    )
    held = [make.holding("a", tag=["x"], earned="2026-02-01"), make.holding("z", tag=["x"], earned="2026-01-01")]
    assert make.run(rules, held).allocation["any"] == ("z",)
    assert make.run(rules, [*held, make.holding("b")]).allocation["any"] == ("z",)


def test_holdings_go_to_leaves_in_the_order_of_ids(make):
    rules = make.framework(
        {"id": "root", "all": [{"id": name, "count": {"min": 2}, "from": {}} for name in ("second", "first")]}
    )
    held = [make.holding(name) for name in "dcba"]
    assert make.run(rules, held).allocation == {"second": ("c", "d"), "first": ("a", "b")}


def test_an_award_and_its_components_are_not_both_allocated(make):
    def rules(**more):
        return make.framework({"id": "root", "all": [{"id": "q", "qualification": "mini", **more}, make.leaf("part")]})

    held = [make.holding("award", "mini-award", components=["p"], earned="2026-04-01"), make.holding("p", "part")]
    awards = {"mini": ["mini-award"]}
    refused = make.run(rules(), held, awards=awards)
    assert refused.status == "incomplete"
    assert list(reasons(refused).values()) == ["component"]
    assert make.run(rules(spendable=True), held, awards=awards).status == "complete"
    assert make.run(rules(spendable=True), held).status == "incomplete"


def test_progress_prefers_the_branch_that_is_further(make):
    far = {"id": "far", "count": {"min": 3}, "from": {"tag": ["f"]}}
    near = {"id": "near", "count": {"min": 4}, "from": {"tag": ["n"]}}
    rules = make.framework({"id": "root", "any": [far, near]})
    held = [make.holding("f1", tag=["f"])] + [make.holding(f"n{place}", tag=["n"]) for place in range(3)]
    answer = make.run(rules, held)
    assert answer.allocation == {"near": ("n0", "n1", "n2")}
    # The other branch is judged by what would be free for it.
    needs = {node.id: node.needs for node in answer.nodes}
    assert (needs["near"]["count"], needs["far"]["count"]) == (1, 2)
    assert answer.remaining.suggestions == ({"node": "near", "count": 1},)


def test_cheapest_way_is_by_credits_first(make):
    ways = [
        {"id": "much", "credits": {"min": "10"}, "from": {"tag": ["m"]}},
        {"id": "little", "credits": {"min": "4"}, "from": {"tag": ["l"]}},
    ]
    rules = make.framework({"id": "root", "any": ways}, creditUnit="ECTS")
    answer = make.run(rules, [make.holding("h", credits="5", tag=["m"])])
    assert answer.remaining.credits == "4"
    assert answer.remaining.suggestions == ({"node": "little", "credits": "4", "unit": "ECTS"},)
    assert make.said(rules, []).endswith("either 10 ECTS more for much or 4 ECTS more for little.")


def test_revocation_is_retroactive_and_expiry_is_not(make):
    rules = make.framework({"id": "root", "all": [make.leaf("a"), make.leaf("b")]})
    b = make.holding("b", earned="2026-05-01")
    valid = {"at": "2026-03-01", "state": "valid"}
    for state, status in (("expired", "complete"), ("unknown", "complete"), ("revoked", "incomplete")):
        a = make.holding("a", status=[valid, {"at": "2026-08-01", "state": state}])
        assert make.run(rules, [a, b]).status == status
    a = make.holding("a", validUntil="2026-05-01T00:00:00Z")
    assert make.run(rules, [a, b]).status == "incomplete"
    assert reasons(make.run(rules, [a, b])) == {"a": "expired"}
    assert make.run(rules, [{**a, "validUntil": "2026-05-01T00:00:00.000001Z"}, b]).status == "complete"


def test_the_award_date_is_the_first_instant_at_which_the_rules_held(make):
    """The first `a` had expired by the time `b` came; a second one completed it later."""
    rules = make.framework({"id": "root", "all": [make.leaf("a"), make.leaf("b")]})
    held = [
        make.holding("a1", "a", earned="2026-01-01", validUntil="2026-02-01"),
        make.holding("b", earned="2026-03-01"),
        make.holding("a2", "a", earned="2026-04-01"),
    ]
    answer = make.run(rules, held)
    assert answer.earned_at == datetime(2026, 4, 1, tzinfo=UTC)
    assert answer.allocation == {"a": ("a2",), "b": ("b",)}
    effective = {**rules, "effective": {"from": "2026-06-01", "to": None}}
    assert make.run(effective, held).earned_at == datetime(2026, 6, 1, tzinfo=UTC)
    coming = make.run({**rules, "effective": {"from": "2027-01-01"}}, held)
    assert coming.status == "incomplete"
    assert coming.remaining.suggestions == ({"node": coming.nodes[0].id, "from": "2027-01-01T00:00:00Z"},)


def test_rules_to_come_are_held_against_what_counts_now(make):
    rules = make.framework({"id": "root", "all": [make.leaf("a"), make.leaf("b")]}, effective={"from": "2027-01-01"})
    answer = make.run(rules, [make.holding("a", validUntil="2027-01-01")])
    assert (answer.status, answer.allocation) == ("incomplete", {"a": ("a",)})


def test_rules_that_held_for_a_while_are_found_between_instants_at_which_they_did_not(make):
    """One credential alone is not enough, two are from February to June, and by July there is one again."""
    parts = [{"id": name, "count": {"min": 1}, "from": {"tag": ["x"]}} for name in ("p", "q")]
    rules = make.framework({"id": "root", "all": parts})
    until = {"tag": ["x"], "validUntil": "2026-06-01"}
    held = [make.holding("h1", earned="2026-01-01", **until), make.holding("h2", earned="2026-02-01", **until)]
    answer = make.run(rules, [*held, make.holding("h3", earned="2026-07-01", tag=["x"])])
    assert (answer.status, answer.earned_at) == ("complete", datetime(2026, 2, 1, tzinfo=UTC))


def test_unknown_neither_completes_nor_uncompletes(make):
    rules = make.framework({"id": "root", "all": [make.leaf("a"), make.leaf("b")]})
    unsure = make.holding("a", status=[])
    assert make.run(rules, [unsure, make.holding("b")]).status == "undetermined"
    assert make.run(rules, [unsure]).status == "incomplete"
    assert make.run(rules, [unsure, make.holding("a2", "a"), make.holding("b")]).status == "complete"
    assert make.said(rules, [unsure, make.holding("b")]) == (
        "whole: it cannot be told yet. Whether a is valid is not known."
    )


def test_attempts_graded_on_two_scales_compare_where_a_table_leads_from_one_to_the_other(make):
    rules = make.framework({"id": "root", "all": [make.leaf("a"), make.leaf("b")]})
    held = [make.holding("h1", "a", grade={"score": "0.7"})]
    held.append(make.holding("h2", "a", grade={"points": "3.0", "scale": "us-4.0"}, earned="2026-04-01"))
    held.append(make.holding("b", earned="2026-05-01"))
    for rows, best in (([["0.9", "4.0"], ["0.5", "2.0"]], "h2"), ([["0.7", "3.1"]], "h1"), ([["0.8", "4.0"]], "h1")):
        table = {"from": "score", "to": "us-4.0", "rows": rows}
        assert make.run({**rules, "gradeTables": [table]}, held).allocation["a"] == (best,)
    assert make.run(rules, held).allocation["a"] == ("h1",)


def test_what_came_after_the_award_is_told_what_else_kept_it_out(make):
    rules = make.framework({"id": "root", "all": [make.leaf("a", "a", "c", grade={"min": "0.5"})]})
    grade, later = {"score": "0.6"}, {"earned": "2026-05-01"}
    held = [make.holding("a", grade=grade), make.holding("retake", "a", grade=grade, **later)]
    held += [make.holding("c", grade={"score": "0.4"}, **later), make.holding("z", **later)]
    answer = make.run(rules, [*held, make.holding("more", "c", grade=grade, **later)])
    expected = {"retake": "already-allocated", "c": "grade", "z": "no-match", "more": "not-needed"}
    assert (answer.allocation, reasons(answer)) == ({"a": ("a",)}, expected)


def test_nothing_came_after_the_award_where_nothing_was_needed(make):
    answer = make.run(make.framework(make.leaf("a", count={"max": 1})), [make.holding("a")])
    assert [entry.detail() for entry in answer.unused] == ["a fits, but a had enough without it."]


def test_what_was_unknown_before_it_expired_is_why_it_cannot_be_told(make):
    rules = make.framework(make.leaf("a"))
    expired = make.holding("a", validUntil="2026-05-01", status=[])
    assert make.said(rules, [expired]) == (
        "whole: it cannot be told yet. Whether a was valid before it expired is not known."
    )
    assert reasons(make.run(rules, [expired])) == {"a": "unknown"}
    assert reasons(make.run(rules, [expired], as_of=datetime(2026, 4, 1, tzinfo=UTC))) == {"a": "unknown"}
    # Where the unknown could not have completed it, that it has expired is all there is to say.
    assert reasons(make.run({**rules, "validity": "always"}, [expired])) == {"a": "expired"}


def test_months_count_back_from_the_instant(make):
    recent = {"id": "recent", "count": {"min": 1}, "from": {"achievement": ["a"], "earned": {"withinMonths": 1}}}
    rules = make.framework({"id": "root", "all": [recent, make.leaf("b")]})

    def status(a, b):
        return make.run(rules, [make.holding("a", earned=a), make.holding("b", earned=b)]).status

    assert status("2026-01-31", "2026-02-28") == "complete"
    assert status("2026-01-31", "2026-03-01") == "incomplete"
    assert status("2026-01-15", "2026-02-15") == "complete"
    # Counted back, the last day of March is a month after the last one of February, at the same time of day.
    assert status("2026-02-28T06:00:00Z", "2026-03-31T06:00:00Z") == "complete"
    assert status("2026-02-28T06:00:00Z", "2026-03-31T06:00:00.000001Z") == "incomplete"
    assert status("2026-01-31T06:00:00Z", "2026-02-28T23:59:59Z") == "complete"


def test_an_award_that_must_stay_recent_lapses_and_returns_as_months_count_back(make):
    recent = {"id": "recent", "count": {"min": 1}, "from": {"earned": {"withinMonths": 1}}}
    rules = make.framework(recent, validity="always")
    held = [make.holding("a", earned="2026-02-28T06:00:00Z")]

    def run(day):
        found = make.run(rules, held, as_of=datetime.fromisoformat(f"2026-03-{day}:00:00+00:00"))
        return found.earned_at and (found.earned_at.month, found.earned_at.day)

    assert [run(day) for day in ("28T06", "28T07", "29T00", "30T06", "30T07", "31T03")] == [
        *((2, 28), None, (3, 29), (3, 30), None, (3, 31)),
    ]


def test_months_count_back_from_enrolment(make):
    within = {"achievement": ["a"], "earned": {"withinMonths": 6, "origin": "enrolment"}}
    rules = make.framework({"id": "a", "count": {"min": 1}, "from": within})
    held = [make.holding("a", earned="2026-03-01")]
    assert make.run(rules, held, enrolled=datetime(2026, 9, 1, tzinfo=UTC)).status == "complete"
    assert make.run(rules, held, enrolled=datetime(2026, 9, 2, tzinfo=UTC)).status == "incomplete"
    assert make.run(rules, held).status == "incomplete"


def test_past_the_bound_it_is_undetermined_and_says_so(make):
    """So many leaves and credentials that all fit each other that the search has nothing to hold on to."""
    parts = [{"id": f"l{n}", "credits": {"min": "5", "max": "5.9"}, "from": {}} for n in range(4)]
    rules = make.framework({"id": "root", "all": parts}, creditUnit="ECTS")
    held = [make.holding(f"h{n}", credits=f"{2 + n % 3}.{n}") for n in range(9)]
    full, bounded = make.run(rules, held), make.run(rules, held, steps=200)
    assert (full.status, full.exhausted) == ("incomplete", False)
    assert (bounded.status, bounded.exhausted) == ("undetermined", True)
    assert "stopped at its bound" in explain(bounded, parse_framework(rules))
    assert make.run(rules, held[:6], steps=200).status == "incomplete"


def test_an_allocation_that_may_not_be_the_best_is_said_to_be_so(make):
    """That it is incomplete is plain, how far it could go is not."""
    parts = [{"id": f"l{n}", "credits": {"min": "5", "max": "5.9"}, "from": {}} for n in range(4)]
    rules = make.framework({"id": "root", "all": [*parts, make.leaf("thesis", "thesis")]}, creditUnit="ECTS")
    held = [make.holding(f"h{n}", credits=f"{2 + n % 3}.{n}") for n in range(9)]
    full, bounded = make.run(rules, held), make.run(rules, held, steps=200)
    assert (full.status, full.best) == ("incomplete", True)
    assert (bounded.status, bounded.exhausted, bounded.best) == ("incomplete", False, False)
    assert "There may be a shorter way" in explain(bounded, parse_framework(rules))
    assert "There may be a shorter way" not in explain(full, parse_framework(rules))


def test_limits_that_bind_across_a_large_matching_are_met_at_the_first_instant_at_which_they_can_be(make):
    """30 leaves that compete for 50 credentials, under a mean of grades that is out of reach at first."""
    draw = random.Random(5)
    parts = [make.leaf(f"l{n}", *(f"a{(n + k) % 36}" for k in (0, 1, 7))) for n in range(30)]
    rules = make.framework({"id": "root", "all": parts}, creditUnit="ECTS")
    rules["limits"] = [
        {"id": "gpa", "gpa": {"min": "3.30", "scale": "us-4.0"}},
        {"id": "home", "share": {"min": "0.60"}, "of": {"source": ["lms"]}},
    ]
    held = []
    for n in range(50):
        day = make.as_of - timedelta(days=draw.randint(1, 1500))
        grade = {"points": draw.choice(["2.7", "3.0", "3.3", "3.7", "4.0"]), "scale": "us-4.0"}
        source = draw.choice(["lms", "lms", "external"])
        credits_ = draw.choice(["5", "6", "7.5"])
        held.append(make.holding(f"h{n}", f"a{n % 36}", day.isoformat(), credits_, grade=grade, source=source))
    answer = make.run(rules, held)
    assert (answer.status, answer.exhausted) == ("complete", False)
    before = answer.earned_at - timedelta(seconds=1)
    earlier = make.run(rules, held, as_of=before)
    assert (earlier.status, earlier.exhausted) == ("incomplete", False)
    # Without its limits it would have been complete by then: it is they that bind.
    assert make.run({**rules, "limits": []}, held, as_of=before).status == "complete"


def test_pigeons_without_holes_are_refused_however_crowded(make):
    """One credential short of what 40 leaves need is a certain no, at once, where trying out would never end."""
    parts = [{"id": f"l{n}", "count": {"min": 1}, "from": {"tag": [f"t{n % 7}", "all"]}} for n in range(40)]
    rules = make.framework({"id": "root", "all": parts})
    held = [make.holding(f"h{n}", tag=["all"]) for n in range(39)]
    answer = make.run(rules, held, steps=5_000)
    assert answer.status == "incomplete"


def test_a_hundred_irrelevant_credentials_and_retakes_do_not_explode(make):
    rules = make.framework({"id": "root", "all": [make.leaf(name) for name in "abc"]})
    held = [make.holding(f"r{n}", "a", grade={"score": f"0.{n % 9}"}) for n in range(100)]
    held += [make.holding(f"z{n}", f"z{n}") for n in range(100)] + [make.holding("b"), make.holding("c")]
    assert make.run(rules, held, steps=100).status == "complete"


def test_the_digest_is_the_canonical_request(make):
    rules = make.framework(make.leaf("a"))
    held = [
        make.holding("h2", "b", earned="2026-03-01T00:00:00Z"),
        make.holding("h1", "a", earned="2026-03-01T00:00:00Z"),
    ]
    for each in held:
        each["status"] = [{"at": "2026-03-01T00:00:00Z", "state": "valid"}]
    answer = make.run(rules, held, spent=[Spent("h1", "q")], awards={"q": ["y", "x"]})
    whole = {
        "asOf": "2026-11-01T00:00:00Z",
        "awards": {"q": ["x", "y"]},
        "decisions": [],
        "enrolled": None,
        "framework": rules,
        "holdings": held[::-1],
        "spent": [{"holding": "h1", "qualification": "q"}],
    }
    assert answer.digest == sha256(rfc8785.dumps(whole)).hexdigest()
    assert make.run(rules, held).digest != answer.digest


@pytest.mark.parametrize("text", ["é", "\u20ac\U0001f600", '"\\\b\f\n\r\t\x01\x7f', "\u2028/"])
def test_canonical_form_is_rfc_8785(text):
    from cairn.pathways.domain.canonical import canonical

    document = {text: [text, 1, True, None], "\U0001f600": 1, "\ufb33": 2, "a": {}}
    assert canonical(document) == rfc8785.dumps(document)


def test_equal_duplicates_merge_and_unequal_ones_are_refused(make):
    rules = parse_framework(make.framework(make.leaf("a")))
    one = make.holding("h", "a")
    twice = parse_holdings([one, {**one, "mode": None, "tag": []}])
    assert len(twice) == 1
    with pytest.raises(Refused) as refused:
        parse_holdings([one, make.holding("g"), {**one, "mode": "online"}])
    assert [(p.code, p.path) for p in refused.value.problems] == [("conflicting-duplicate", "/holdings/2")]
    with pytest.raises(Refused):
        audit(rules, [parse_holding(one), parse_holding({**one, "mode": "online"})], [], make.as_of)


def test_the_shape_is_that_of_the_contract(make):
    answer = make.run(make.framework(make.leaf("a")), [make.holding("h", "a")]).to_json()
    assert list(answer) == [
        *("status", "earnedAt", "framework", "version", "asOf", "allocation", "nodes", "limits", "unused", "remaining"),
        "digest",
    ]
    assert answer["nodes"] == [{"id": "a", "met": True, "allocated": ["h"], "needs": None}]
    assert (answer["earnedAt"], answer["limits"]) == ("2026-03-01T00:00:00Z", [])
    assert answer["remaining"] == {"credits": "0", "suggestions": []}
