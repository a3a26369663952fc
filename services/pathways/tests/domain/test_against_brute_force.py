"""The engine against a second one that tries everything, and what must hold of it whatever is put in."""

import random
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.pathways.domain import (
    Spent,
    allocation,
    audit,
    explain,
    holding_keys,
    index_keys,
    lint,
    parse_decision,
    parse_framework,
    parse_holding,
    parse_holdings,
    sharedwalk,
    walk,
)
from cairn.pathways.domain.apart import NOTHING
from cairn.pathways.domain.audit import DEFAULT_STEPS
from cairn.pathways.domain.outcome import Effort

from .brute_force import AS_OF, LOST, Brute, instant, subsets
from .drawn import AWARDS, DATES, cases, every_rule, reusing


def engine(framework, documents, **more):
    """One answer."""
    return prepared(framework, documents, **more)({each["id"] for each in documents})


def prepared(framework, documents, decisions=(), spent=(), enrolled=None, **options):
    """What answers for some of the holdings, by their ids."""
    read = parse_framework(framework)
    assert [problem for problem in lint(read) if problem.kind == "structure"] == []
    held, decided = [parse_holding(each) for each in documents], [parse_decision(each) for each in decisions]
    at, since = datetime.fromisoformat(AS_OF).astimezone(UTC), instant(enrolled) if enrolled else None
    elsewhere = [Spent(**each) for each in spent]

    def answer(names):
        some = [each for each in held if each.id in names]
        return audit(read, some, decided, at, awards=AWARDS, spent=elsewhere, enrolled=since, **options)

    return answer


def result(answer):
    answer.to_json()  # every answer can be explained
    return answer.status, answer.earned_at, {leaf: list(ids) for leaf, ids in answer.allocation.items()}


def agree(framework, documents, decisions=(), spent=(), enrolled=None):
    """The engine and brute force, on every set of some of the holdings."""
    answer = prepared(framework, documents, decisions, spent, enrolled)
    brute = Brute(framework, documents, AWARDS, decisions, spent, enrolled and instant(enrolled))
    for names in subsets([each["id"] for each in documents]):
        found = answer(names)
        assert result(found) == brute.among(names).audit(), names
        assert not found.exhausted


relaxed = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Each example is as many cases as its holdings have subsets: together these four are more than 30,000.
many = settings(max_examples=700, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(cases)
def test_equals_brute_force(case):
    agree(*case)


@many
@given(every_rule())
def test_equals_brute_force_in_every_rule(case):
    framework, documents, more = case
    agree(framework, documents, **more)


quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture
def all_matched(monkeypatch):
    """Matching does whatever it can, however small."""
    monkeypatch.setattr(allocation, "served", lambda *_: NOTHING)
    monkeypatch.setattr(allocation, "SMALL", 0)


@pytest.mark.usefixtures("all_matched")
@many
@given(cases)
def test_matching_equals_brute_force(case):
    agree(*case)


@pytest.mark.usefixtures("all_matched")
@many
@given(every_rule())
def test_matching_under_limits_equals_brute_force(case):
    framework, documents, more = case
    agree(framework, documents, **more)


@pytest.fixture
def always_ahead(monkeypatch):
    """Every walk looks ahead, however few its states; and only the most promising few go on at first."""
    monkeypatch.setattr(allocation, "served", lambda *_: NOTHING)
    monkeypatch.setattr(walk, "_PLAIN", -1)
    monkeypatch.setattr(walk, "narrow", lambda _: 0)
    monkeypatch.setattr(walk, "_BEAM", 2)


some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.usefixtures("always_ahead")
@some
@given(every_rule())
def test_looking_ahead_equals_brute_force(case):
    framework, documents, more = case
    agree(framework, documents, **more)


@pytest.fixture
def always_covered(monkeypatch):
    """Where credentials are reused, every walk looks ahead, and only a few states go on at first."""
    monkeypatch.setattr(sharedwalk, "_PLAIN", -1)
    monkeypatch.setattr(walk, "narrow", lambda _: 0)
    monkeypatch.setattr(sharedwalk, "_WIDTH", 1)
    monkeypatch.setattr(sharedwalk, "_LISTS", 1)


@pytest.mark.usefixtures("always_covered")
@quick
@given(reusing())
def test_reuse_equals_brute_force_where_every_walk_looks_ahead(case):
    framework, documents, more = case
    agree(framework, documents, **more)


@quick
@given(reusing())
def test_reuse_equals_brute_force(case):
    framework, documents, more = case
    agree(framework, documents, **more)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["all", "some"])
def test_a_program_with_reuse_under_limits_is_decided(seed, kind):
    """12 leaves, 20 credentials of which each serves up to six: all of them, or seven."""
    draw = random.Random(f"reuse-{seed}")
    tags = [f"t{n}" for n in range(12)]
    asked = [
        {"id": f"l{n:02}", "count": {"min": 1 + n % 2}, "from": {"tag": [tags[n], tags[n - 1]]}} for n in range(12)
    ]
    requirement = {"id": "root", "all": asked} if kind == "all" else {"id": "root", "atLeast": 7, "of": asked}
    _, held = crowded(seed, credentials=20)
    for n, each in enumerate(held):
        each |= {"tag": draw.sample(tags, 3), "achievement": f"a{n}"}
    limits = [
        {"id": "wide", "distinct": {"min": 3}, "by": "area"},
        {"id": "home", "share": {"min": "0.6"}, "of": {"source": ["lms"]}},
        {"id": "gpa", "gpa": {"min": "3.3", "scale": "us-4.0"}},
    ]
    framework = {"qualification": "q:whole", "version": "1", "creditUnit": "ECTS", "requirement": requirement}
    limits = limits if kind == "all" else limits[:1]
    answer = engine(framework | {"limits": limits, "reuse": {"scope": "framework"}}, held)
    assert (answer.exhausted, answer.best) == (False, True)


def several(seed, leaves, credentials):
    """Leaves of which most take several credits, for which all compete, under limits with a scope."""
    draw = random.Random(f"several-{seed}")
    asked = []
    for n in range(leaves):
        amount = {"credits": {"min": draw.choice(["8", "10", "12", "15"])}} if n % 3 else {"count": {"min": 2}}
        asked.append({"id": f"l{n}", **amount, "from": {"tag": draw.sample("uvwx", 2)}})
    limits = [
        {"id": "few", "amount": {"max": "6"}, "of": {"area": ["p"]}, "scope": "l1"},
        {"id": "home", "share": {"min": "0.5"}, "of": {"source": ["lms"]}, "scope": draw.choice(["l0", "l2"])},
        {"id": "gpa", "gpa": {"min": "3.0", "scale": "us-4.0"}},
    ]
    framework, held = crowded(seed, credentials=credentials)
    framework |= {"requirement": {"id": "root", "all": asked}, "limits": limits[: seed % 4]}
    for each in held:
        each["tag"] = draw.sample("uvwx", draw.choice([1, 2]))
        each["credits"] = {"value": draw.choice(["5", "6", "7.5"]), "unit": "ECTS"}
    return framework, held


@pytest.mark.parametrize("seed", range(40))
def test_looking_ahead_finds_what_following_all_states_does(seed):
    framework, held = several(seed, 4, 11)
    every = engine(framework, held, steps=2_000_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "_PLAIN", -1)
        patch.setattr(walk, "narrow", lambda _: 0)
        patch.setattr(walk, "_BEAM", 4)
        ahead = engine(framework, held, steps=2_000_000)
    assert (result(ahead), ahead.best) == (result(every), every.best)


@pytest.mark.usefixtures("always_ahead")
def test_looking_ahead_counts_what_comes_of_itself():
    """A leaf that asks for nothing gives progress before any state is followed."""
    framework, documents = crowded(1, leaves=2, credentials=2)
    free = {"id": "free", "credits": {"min": "0", "max": "2"}, "from": {"not": {}}}
    much = {"id": "much", "credits": {"min": "60"}, "from": {}}
    framework["requirement"] = {"id": "root", "all": [free, much]}
    framework["limits"] = [
        {"id": "l0", "amount": {"min": "99"}, "of": {"tag": ["v"]}, "scope": "much"},
        {"id": "l1", "distinct": {"min": 1}, "by": "tag"},
    ]
    del documents[1]["credits"], documents[0]["credits"]
    agree(framework, documents)


@pytest.mark.parametrize("seed", [6, 7, 9, 10, 11, 15])
def test_leaves_of_several_credits_under_limits_with_a_scope_are_decided(seed):
    """20 credentials compete for 7 leaves: too many states to follow them all."""
    answer = engine(*several(seed, 7, 20))
    assert (answer.status, answer.exhausted) == ("complete", False)


def crowded(seed, leaves=7, credentials=12):
    """Leaves that compete for much, with limits that bind: too many ways to try them all, few enough for the dynamic
    programme."""
    draw = random.Random(seed)
    asked = [{"id": f"l{n}", "count": {"min": 1}, "from": {"tag": draw.sample("vwxyz", 2)}} for n in range(leaves)]
    limits = [
        {"id": "gpa", "gpa": {"min": draw.choice(["3.0", "3.3", "3.6"]), "scale": "us-4.0"}},
        {"id": "home", "share": {"min": draw.choice(["0.5", "0.6", "0.75"])}, "of": {"source": ["lms"]}},
        {"id": "few", "amount": {"max": draw.choice(["20", "30"])}, "of": {"area": ["p"]}},
        {"id": "wide", "distinct": {"min": 3}, "by": "area"},
        {"id": "not-both", "exclude": ["a0", "a1", "a2"]},
        {"id": "recent", "window": {"months": draw.choice([2, 6])}},
    ]
    framework = {"qualification": "q:whole", "version": "1", "creditUnit": "ECTS", "limits": draw.sample(limits, 3)}
    framework |= {"requirement": {"id": "root", "all": asked}, "equivalents": [], "repeatable": [], "conversions": []}
    held = []
    for n in range(credentials):
        earned = draw.choice(DATES)
        held.append(
            {
                "id": f"h{n}",
                "achievement": f"a{draw.choice([n, n, n, n - 1])}",
                "issuer": "i",
                "earned": earned,
                "tag": draw.sample("vwxyz", draw.choice([1, 1, 2])),
                "area": [draw.choice("pqr")],
                "credits": {"value": draw.choice(["5", "6", "7.5"]), "unit": "ECTS"},
                "grade": {"points": draw.choice(["2.7", "3.0", "3.3", "3.7", "4.0"]), "scale": "us-4.0"},
                "source": draw.choice(["lms", "lms", "external", "rpl"]),
                "status": [{"at": earned, "state": "valid"}],
            }
        )
    return framework, held


# The second size is of learners who are short of complete, and have more than enough to choose from.
@pytest.mark.parametrize(
    ("seeds", "leaves", "credentials"), [(range(60), 7, 12), ((3, 5, 8, 14, 16, 17, 25, 32, 33, 39), 14, 20)]
)
def test_what_is_tried_out_is_what_the_dynamic_programme_finds(monkeypatch, seeds, leaves, credentials):
    """Two exact methods that share nothing but the reading of the contract."""
    statuses = set()
    for seed in seeds:
        framework, held = crowded(seed, leaves, credentials)
        answers = []
        for small, steps in ((0, DEFAULT_STEPS), (1000, 3_000_000)):
            monkeypatch.setattr(allocation, "SMALL", small)
            answers.append(engine(framework, held, steps=steps))
        assert not any(answer.exhausted for answer in answers)
        assert result(answers[0]) == result(answers[1]), seed
        statuses.add(answers[1].status)
    assert statuses == ({"complete", "incomplete"} if leaves == 7 else {"incomplete"})


@quick
@given(every_rule(), st.randoms(use_true_random=False))
def test_order_and_duplication_do_not_matter(case, random):
    framework, documents, more = case
    shuffled = documents + random.sample(documents, k=len(documents) // 2)
    random.shuffle(shuffled)
    shuffled = [{**d, "tag": d["tag"][::-1], "mode": None, "status": d["status"][::-1]} for d in shuffled]
    decided = [*more["decisions"], *more["decisions"]][::-1]
    assert engine(framework, shuffled, **{**more, "decisions": decided}) == engine(framework, documents, **more)


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
@given(every_rule(), st.sampled_from([["x", "y"], []]), st.sampled_from(DATES))
def test_nor_where_limits_are_monotone_and_whatever_was_decided(case, tags, earned):
    """What is not allocated cannot harm: only a mean over all that is held looks at it."""
    framework, documents, more = case
    if any(limit.get("gpa", {}).get("over") == "held" for limit in framework.get("limits", [])):
        return
    new = {"id": "new", "achievement": "c", "issuer": "i", "earned": earned, "tag": tags, "source": "lms"}
    new["status"] = [{"at": earned, "state": "valid"}]
    before, after = engine(framework, documents, **more), engine(framework, [*documents, new], **more)
    if before.status == "complete":
        assert after.status == "complete"
        assert after.earned_at <= before.earned_at
    if after.status == "incomplete":
        assert before.status == "incomplete"


@quick
@given(every_rule(), st.sampled_from(LOST))
def test_losing_a_credential_equals_never_having_had_it(case, lost):
    framework, documents, more = case
    if framework["validity"] == "always" and lost != "revoked":
        return
    for place, gone in enumerate(documents):
        # One that others are attempts of still ties them to each other.
        if any(other.get("attemptOf") == gone["id"] for other in documents) or gone.get("attemptOf"):
            continue
        rest = documents[:place] + documents[place + 1 :]
        if any(gone["achievement"] == other["achievement"] for other in rest) and framework["repeatable"]:
            continue
        taken = {**gone, "status": [*gone["status"], {"at": AS_OF, "state": lost}]}
        without, revoked = engine(framework, rest, **more), engine(framework, [*rest, taken], **more)
        assert result(revoked) == result(without)
        assert revoked.nodes == without.nodes


@quick
@given(every_rule())
def test_renaming_ids_changes_nothing_but_ids(case):
    framework, documents, more = case

    def renamed(value):
        if isinstance(value, dict):
            return {key: renamed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [renamed(each) for each in value]
        read = parse_framework(framework)
        known = {each["id"] for each in (*documents, *more["decisions"])}
        known |= {each.id for each in (*read.nodes, *read.limits)}
        return f"urn:x:{value}" if isinstance(value, str) and value in known else value

    before, after = (
        engine(framework, documents, **more),
        engine(renamed(framework), renamed(documents), **renamed(more)),
    )
    assert result(after)[:2] == result(before)[:2]
    assert after.to_json()["allocation"] == {
        f"urn:x:{leaf}": [f"urn:x:{name}" for name in names] for leaf, names in before.allocation.items()
    }
    assert [(n.met, n.needs and n.needs.get("count")) for n in after.nodes] == [
        (n.met, n.needs and n.needs.get("count")) for n in before.nodes
    ]


@quick
@given(every_rule(), st.integers(1, 60))
def test_a_bound_gives_undetermined_and_never_a_wrong_answer(case, steps):
    framework, documents, more = case
    full, bounded = engine(framework, documents, **more), engine(framework, documents, **more, steps=steps)
    if bounded.exhausted:
        assert bounded.status == "undetermined"
        assert bounded.earned_at is None
    else:
        assert bounded.status == full.status
        assert bounded.earned_at == full.earned_at
    if bounded.status == "complete" and bounded.best:
        assert result(bounded) == result(full)


@pytest.mark.parametrize("steps", [300, 1_000, 3_000])
def test_who_is_found_to_be_complete_is_though_the_bound_ends_the_search_for_the_best(steps):
    framework, held = several(0, 6, 18)
    full, bounded = engine(framework, held), engine(framework, held, steps=steps)
    assert (full.status, full.best) == ("complete", True)
    assert (bounded.status, bounded.best, bounded.earned_at) == ("complete", False, full.earned_at)
    assert all(node.met for node in bounded.nodes)
    assert "the search was stopped at its bound" in explain(bounded, parse_framework(framework))


@quick
@given(every_rule(), st.integers(1, 60))
def test_undetermined_by_effort_only_when_the_bound_was_reached(case, steps):
    framework, documents, more = case
    spent = []

    class Counted(Effort):
        def __init__(self, limit, spent_before=0):
            super().__init__(limit, spent_before)
            spent.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["cairn.pathways.domain.audit"], "Effort", Counted)
        engine(framework, documents, **more)
    needed = max(effort.spent for effort in spent)
    bounded = engine(framework, documents, **more, steps=steps)
    if bounded.exhausted:
        assert needed > steps
    assert not engine(framework, documents, **more, steps=needed + 1).exhausted


@relaxed
@given(every_rule())
def test_every_holding_is_either_allocated_or_explained(case):
    framework, documents, more = case
    answer = engine(framework, documents, **more)
    allocated = {name for names in answer.allocation.values() for name in names}
    explained = [entry.holding for entry in answer.unused]
    recognised = [decision["id"] for decision in more["decisions"] if decision["kind"] == "rpl"]
    assert sorted([*allocated, *explained]) == sorted([*(d["id"] for d in documents), *recognised])
    assert all(entry.detail().endswith(".") for entry in answer.unused)
    if answer.status == "complete":
        assert answer.remaining.credits == "0"
        assert answer.remaining.suggestions == ()
        assert all(node.needs is None for node in answer.nodes)
        assert all(limit.met for limit in answer.limits)
    elif answer.status == "incomplete":
        assert answer.remaining.suggestions


@relaxed
@given(cases)
def test_a_holding_that_touches_no_key_cannot_matter(case):
    framework, documents = case
    keys, read = index_keys(parse_framework(framework), AWARDS), parse_holdings(documents)
    touching = {each.id for each in read if keys & holding_keys(each, read)}
    whole, part = engine(framework, documents), engine(framework, [d for d in documents if d["id"] in touching])
    assert result(part) == result(whole)
    assert (part.nodes, part.remaining) == (whole.nodes, whole.remaining)
