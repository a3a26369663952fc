"""Decisions, reuse, validity: a test for each sentence of STACKING about them."""

from datetime import UTC, datetime

import pytest

from cairn.pathways.domain import Refused, Rpl, Spent, audit, parse_decision, parse_framework, parse_holdings


def decide(kind, **more):
    return {"id": "d1", "kind": kind, "at": "2026-02-01", **more}


@pytest.fixture
def run(make):
    def run(rules, holdings, *decisions, as_of=make.as_of, **options):
        read = [parse_decision(each) for each in decisions]
        return audit(parse_framework(rules), parse_holdings(holdings), read, as_of, **options)

    return run


@pytest.fixture
def both(make):
    return make.framework({"id": "root", "all": [make.leaf("a"), make.leaf("b")]}, creditUnit="ECTS")


def test_a_waiver_meets_its_node_which_holds_nothing(make, run, both):
    answer = run(both, [make.holding("a"), make.holding("b")], decide("waiver", target="b"))
    assert (answer.status, answer.allocation) == ("complete", {"a": ("a",)})
    assert {node.id: (node.met, node.allocated) for node in answer.nodes}["b"] == (True, ())


def test_a_waiver_acts_from_its_date_until_it_ends(make, run, both):
    march, may = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    held = [make.holding("a", earned="2026-03-01")]
    assert run(both, held, decide("waiver", target="b", at="2026-05-01")).earned_at == may
    assert run(both, held, decide("waiver", target="b")).earned_at == march
    assert run(both, held, decide("waiver", target="b", validUntil="2026-03-01")).status == "incomplete"
    assert run(both, held, decide("waiver", target="b", validUntil="2026-03-02")).status == "complete"


def test_what_fits_only_what_is_waived_is_said_to(make, run, both):
    answer = run(both, [make.holding("a"), make.holding("b")], decide("waiver", target="b"))
    assert [(each.reason, each.detail()) for each in answer.unused] == [("waived", "b fits only b, which is waived.")]


@pytest.mark.parametrize("validity", ["award", "always", "never"])
def test_what_was_recognised_for_a_time_is_said_to_have_expired(run, both, validity):
    known = decide("rpl", target="a", validUntil="2026-03-01")
    (entry,) = run({**both, "validity": validity}, [], known).unused
    assert (entry.reason, entry.detail()) == ("expired", "d1 expired on 2026-03-01.")


def test_a_waiver_of_a_limit_drops_it(make, run, both):
    rules = {**both, "limits": [{"id": "volume", "amount": {"min": "10"}}]}
    held = [make.holding("a"), make.holding("b")]
    assert run(rules, held).status == "incomplete"
    answer = run(rules, held, decide("waiver", target="volume"))
    assert (answer.status, answer.limits[0].met, answer.limits[0].have) == ("complete", True, None)


def test_a_substitution_ignores_selector_and_grade(make, run, both):
    both["requirement"]["all"][1]["grade"] = {"min": "0.9"}
    held = [make.holding("a"), make.holding("z"), make.holding("y")]
    assert run(both, held, decide("substitution", target="b", holding="z")).allocation == {"a": ("a",), "b": ("z",)}
    assert run(both, held, decide("substitution", target="b", holding="gone")).status == "incomplete"


def test_an_equivalence_is_one_way_and_for_selectors(make, run, both):
    counts = decide("equivalence", achievement="z", countsAs="b")
    assert run(both, [make.holding("a"), make.holding("z")], counts).status == "complete"
    back = decide("equivalence", achievement="b", countsAs="z")
    assert run(both, [make.holding("a"), make.holding("z")], back).status == "incomplete"


def test_exclude_and_distinct_see_the_own_achievement(make, run, both):
    counts = decide("equivalence", achievement="z", countsAs="b")
    held = [make.holding("a"), make.holding("z")]
    assert run({**both, "limits": [{"id": "l", "exclude": ["a", "b"]}]}, held, counts).status == "complete"
    assert run({**both, "limits": [{"id": "l", "exclude": ["a", "z"]}]}, held, counts).status == "incomplete"
    named = {"id": "l", "distinct": {"min": 2}, "by": "achievement", "among": ["a", "b"]}
    assert run({**both, "limits": [named]}, held, counts).status == "incomplete"


def test_prior_learning_acts_as_a_holding_for_its_leaf_alone(make, run, both):
    decision = decide("rpl", target="b", credits={"value": "5", "unit": "ECTS"}, evidence=["urn:x:cv"])
    answer = run(both, [make.holding("a")], decision)
    assert (answer.status, answer.allocation) == ("complete", {"a": ("a",), "b": ("d1",)})
    assert answer.earned_at == datetime(2026, 3, 1, tzinfo=UTC)
    open_leaves = {"id": "root", "all": [{"id": name, "count": {"min": 1}, "from": {}} for name in "ab"]}
    assert run({**both, "requirement": open_leaves}, [], decision).allocation == {"b": ("d1",)}


def test_prior_learning_matches_its_source_and_what_it_states(make, run, both):
    decision = decide("rpl", target="b", credits={"value": "5", "unit": "ECTS"}, area=["p"])
    cap = {"id": "cap", "amount": {"max": "4"}, "of": {"source": ["rpl"]}}
    assert run({**both, "limits": [cap]}, [make.holding("a")], decision).status == "incomplete"
    area = {"id": "l", "distinct": {"min": 1}, "by": "area", "among": ["p"]}
    assert run({**both, "limits": [area]}, [make.holding("a")], decision).status == "complete"
    assert parse_decision(decision).holding.source == "rpl"
    assert isinstance(parse_decision(decision), Rpl)


def test_a_home_credential_is_preferred_to_prior_learning(make, run, both):
    held = [make.holding("a"), make.holding("b", earned="2026-02-01")]
    assert run(both, held, decide("rpl", target="b")).allocation["b"] == ("b",)


def test_equal_decisions_merge_and_unequal_ones_are_refused(make, run, both):
    one = decide("waiver", target="b")
    assert run(both, [make.holding("a")], one, {**one, "validUntil": None}).status == "complete"
    for held, other in (([], {**one, "target": "a"}), ([make.holding("d1", "a")], decide("rpl", target="b"))):
        with pytest.raises(Refused):
            run(both, held, one, other) if not held else run(both, held, other)


def test_reuse_in_the_framework_lets_one_credential_serve_every_leaf_it_fits(make, run):
    rules = make.framework({"id": "root", "all": [make.leaf("a", "h"), make.leaf("b", "h")]})
    assert run(rules, [make.holding("h")]).status == "incomplete"
    assert run({**rules, "reuse": {"scope": "framework"}}, [make.holding("h")]).allocation == {"a": ("h",), "b": ("h",)}


@pytest.mark.parametrize("limits", [[], [{"id": "one", "distinct": {"min": 1, "max": 1}, "by": "tag"}]])
def test_reuse_serves_more_branches_than_are_asked_for_whatever_else_is_held(limits, make, run):
    """More than n branches may count if each is met, and the leaf ids decide: the list with the smaller comes first."""
    ways = {"id": "ways", "any": [make.leaf("a", "h"), make.leaf("b", "h")]}
    rules = make.framework({"id": "root", "all": [ways, make.leaf("c", "h")]}, limits=limits)
    held = [make.holding("h", tag=["x"]), make.holding("i", "h", tag=["x", "y"], earned="2025-12-01")]
    for some, best in ((held[:1], "h"), (held, "h" if limits else "i")):
        assert run({**rules, "reuse": {"scope": "framework"}}, some).allocation == dict.fromkeys("abc", (best,))


def test_a_branch_that_counts_may_share_where_another_asks_nothing(make, run):
    """The progress is that of the branch that asks nothing, whichever counts; so the smaller leaf ids decide."""
    free = {"id": "c", "count": {"min": 0}, "from": {}}
    ways = {"id": "ways", "any": [make.leaf("a", "h", count={"min": 2}), free]}
    rules = make.framework({"id": "root", "all": [make.leaf("b", "h", count={"min": 2}), ways]})
    answer = run({**rules, "reuse": {"scope": "framework"}}, [make.holding("h")])
    assert (answer.status, answer.allocation) == ("incomplete", {"a": ("h",), "b": ("h",)})


def test_pairs_share_no_more_than_their_cap(make, run):
    leaves = [{"id": name, "credits": {"min": "6"}, "from": {"tag": ["x"]}} for name in "abc"]
    rules = make.framework({"id": "root", "all": leaves[:2]}, creditUnit="ECTS")
    held = [make.holding(name, credits="4", tag=["x"]) for name in "pqr"]

    def status(*pairs, requirement=None):
        reuse = {"scope": "pairs", "pairs": list(pairs)}
        return run({**rules, "reuse": reuse} | ({"requirement": requirement} if requirement else {}), held).status

    assert status({"leaves": ["a", "b"], "maxCredits": "4"}) == "complete"
    assert status({"leaves": ["b", "a"], "maxCredits": "3.9"}) == "incomplete"
    assert status({"leaves": ["a", "b"]}) == "complete"
    three = {"id": "root", "all": leaves}
    assert status({"leaves": ["a", "b"]}, {"leaves": ["b", "c"]}, requirement=three) == "incomplete"
    every = [{"leaves": pair} for pair in (["a", "b"], ["b", "c"], ["a", "c"])]
    assert status(*every, requirement=three) == "complete"


def test_across_none_bars_what_was_spent_on_another_qualification(make, run, both):
    held = [make.holding("a"), make.holding("b")]
    barred = {**both, "reuse": {"across": "none"}}
    elsewhere = [Spent("b", "https://uni.example/q/other")]
    assert run(both, held, spent=elsewhere).status == "complete"
    answer = run(barred, held, spent=elsewhere)
    assert (answer.status, [each.reason for each in answer.unused]) == ("incomplete", ["spent"])
    assert run(barred, held, spent=[Spent("b", both["qualification"])]).status == "complete"


def test_always_lives_only_while_its_components_do(make, run, both):
    rules = {**both, "validity": "always"}
    held = [make.holding("a", validUntil="2027-01-01"), make.holding("b", validUntil="2026-12-01")]
    answer = run(rules, held)
    assert (answer.status, answer.valid_until) == ("complete", datetime(2026, 12, 1, tzinfo=UTC))
    assert answer.to_json()["validUntil"] == "2026-12-01T00:00:00Z"
    assert run(rules, held, as_of=answer.valid_until).status == "incomplete"
    assert run(both, held, as_of=answer.valid_until).status == "complete"
    assert run({**both, "validity": "never"}, held, as_of=datetime(2030, 1, 1, tzinfo=UTC)).status == "complete"


def test_always_rests_on_what_stays_valid_longest(make, run):
    rules = make.framework(make.leaf("a"), validity="always")
    held = [make.holding("soon", "a", validUntil="2026-12-01"), make.holding("late", "a", validUntil="2027-06-01")]
    assert run(rules, held).allocation == {"a": ("late",)}
    assert run(rules, [*held, make.holding("ever", "a", earned="2026-10-01")]).valid_until is None


def test_always_is_earned_since_the_unbroken_run_up_to_now(make, run):
    rules = make.framework(make.leaf("a"), validity="always")
    status = [("2026-01-01", "valid"), ("2026-03-01", "suspended"), ("2026-05-01", "valid")]
    held = make.holding("a", earned="2026-01-01", status=[{"at": at, "state": state} for at, state in status])
    assert run(rules, [held]).earned_at == datetime(2026, 5, 1, tzinfo=UTC)
    # Another bridges the gap, and is not needed any more.
    bridge = make.holding("bridge", "a", earned="2026-02-01", validUntil="2026-06-01")
    answer = run(rules, [held, bridge])
    assert (answer.earned_at, answer.allocation) == (datetime(2026, 1, 1, tzinfo=UTC), {"a": ("a",)})
    # A revocation is retroactive: what was revoked later never bridged anything.
    bridge["status"].append({"at": "2026-09-01", "state": "revoked"})
    assert run(rules, [held, bridge]).earned_at == datetime(2026, 5, 1, tzinfo=UTC)


def test_never_ignores_expiry_and_not_revocation(make, run, both):
    rules = {**both, "validity": "never"}
    b = make.holding("b", earned="2026-06-01")

    def status(*entries, **more):
        found = [{"at": at, "state": state} for at, state in (("2026-03-01", "valid"), *entries)]
        return run(rules, [make.holding("a", status=found, **more), b]).status

    assert status(validUntil="2026-04-01") == "complete"
    assert status(("2026-04-01", "expired")) == "complete"
    assert status(("2026-04-01", "revoked")) == "incomplete"
    assert status(("2026-04-01", "unknown")) == "undetermined"


def test_grades_convert_by_a_table_and_not_otherwise(make, run):
    asked = make.framework(make.leaf("a", grade={"min": "3.0", "scale": "us-4.0"}))
    held = [make.holding("a", grade={"score": "0.85"})]
    assert run(asked, held).status == "incomplete"
    table = {"from": "score", "to": "us-4.0", "rows": [["0.9", "4.0"], ["0.8", "3.0"]]}
    assert run({**asked, "gradeTables": [table]}, held).status == "complete"
    assert run({**asked, "gradeTables": [table]}, [make.holding("a", grade={"score": "0.79"})]).status == "incomplete"
    assert run({**asked, "gradeTables": [{**table, "from": "us-4.0", "to": "score"}]}, held).status == "incomplete"


def test_what_has_always_held_is_earned_when_it_is_asked_for(make, run, both):
    waived = [{"id": name, "kind": "waiver", "target": name} for name in "ab"]
    assert run(both, [], *waived).earned_at == make.as_of
    assert run({**both, "effective": {"from": "2026-09-01"}}, [], *waived).earned_at == datetime(2026, 9, 1, tzinfo=UTC)
    dated = [{**each, "at": "2026-04-01"} for each in waived]
    assert run(both, [], *dated).earned_at == datetime(2026, 4, 1, tzinfo=UTC)
