"""What follows from what a learner holds: pure, so quick to try out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cairn.pathways.domain import audit, parse_framework, parse_holding
from cairn.pathways.domain.pinning import months_counted
from cairn.pathways.reading_room import Published, ReadingRoom
from cairn.pathways.use_cases.judging import Subject, Verdict, best, instants, judge, keys_of, relevant

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def day(number: int, month: int = 3) -> str:
    return f"2026-{month:02}-{number:02}T00:00:00Z"


def at(number: int, month: int = 3) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


def holding(name: str, code: str, **more: Any):
    body = {"id": name, "achievement": code, "issuer": "did:web:x", "earned": day(1)}
    return parse_holding({**body, "status": [{"at": body["earned"], "state": "valid"}], **more})


def leaf(code: str) -> dict[str, Any]:
    return {"id": code, "count": {"min": 1}, "from": {"achievement": [code]}}


def published(version: str = "1", requirement: dict[str, Any] | None = None, **more: Any) -> Published:
    document = {
        "qualification": "q",
        "version": version,
        "award": {"achievement": "award"},
        "creditUnit": "ECTS",
        "requirement": requirement or {"id": "root", "all": [leaf("a"), leaf("b")]},
        **more,
    }
    return Published(f"framework-{version}", "north", parse_framework(document), "award", NOW, frozenset())


def subject(*holdings: Any, **more: Any) -> Subject:
    return Subject.of("north", "lrn_ada", holdings, **more)


def judged(who: Subject, *versions: Published, awards: dict[Any, Any] | None = None, **more: Any) -> Verdict:
    room = ReadingRoom(10)
    return judge(
        who, versions, room=room, known={}, latest=more.get("latest", {}), awards=awards or {}, now=NOW, steps=100_000
    )


def test_an_audit_is_as_of_the_newest_instant_among_what_goes_into_it() -> None:
    first, second = holding("h1", "a"), holding("h2", "b", earned=day(9), status=[{"at": day(9), "state": "valid"}])
    rules = published()

    def as_of(rules: Published, holdings: list[Any], linked_at: Any = ()) -> datetime:
        return instants(rules, holdings, linked_at, NOW).as_of

    assert as_of(rules, [first]) == at(1)
    assert as_of(rules, [second, first]) == at(9)
    revoked = [{"at": day(1), "state": "valid"}, {"at": day(20), "state": "revoked"}]
    assert as_of(rules, [holding("h1", "a", status=revoked)]) == at(20)
    assert as_of(rules, [first], [at(2, 5)]) == at(2, 5)
    assert as_of(published(effective={"from": "2026-09-01"}), [first]) == at(1, 9)
    assert as_of(rules, []) == NOW  # only when a standing award has lost everything it rested on


def test_what_comes_to_pass_counts_once_it_has_and_the_next_of_it_is_planned() -> None:
    first = holding("h1", "a", validUntil=day(1, 6))
    second = holding("h2", "b", earned=day(9), validUntil=day(1, 12), status=[{"at": day(9), "state": "valid"}])
    when = instants(published(), [first, second], (), NOW)
    assert (when.as_of, when.next) == (at(1, 6), at(1, 12))
    later = instants(published(), [first, second], (), at(1, 12))
    assert (later.as_of, later.next) == (at(1, 12), None)


def test_a_window_closes_and_a_grace_period_ends_by_themselves() -> None:
    recent = {"id": "a", "count": {"min": 1}, "from": {"earned": {"withinMonths": 12}}}
    rules = published(requirement={"id": "root", "all": [recent]})
    rules = replace(rules, months=months_counted(rules.framework.document))
    assert instants(rules, [holding("h1", "a")], (), NOW).next == datetime(2027, 3, 1, 0, 0, 0, 1, UTC)
    suspending = published(onLoss="suspend", graceDays=300)
    assert instants(suspending, [holding("h1", "a")], (), NOW).next == at(1) + timedelta(days=300)
    from_enrolment = {"withinMonths": 12, "origin": "enrolment"}
    assert months_counted({"from": {"anyOf": [{"earned": from_enrolment}, {"earned": {"withinMonths": 3}}]}}) == {3}


def test_a_learner_is_pinned_to_the_version_in_force_when_they_began() -> None:
    years = [
        published(year, effective={"from": f"{year}-09-01", "to": f"{int(year) + 1}-09-01"})
        for year in ("2025", "2026")
    ]
    began = {"first": "2025-10-01T00:00:00Z", "second": "2026-10-01T00:00:00Z"}
    began["before"] = "2024-01-01T00:00:00Z"
    began["after"] = "2027-09-01T00:00:00Z"
    expected = {"before": {"2025"}, "first": {"2025"}, "second": {"2026"}, "after": set()}
    for when, versions in expected.items():
        who = subject(holding("h1", "a", earned=began[when]))
        assert {audit.document["version"] for audit in judged(who, *years).audits} == versions, when
    # An enrolment goes before the first component, and a revoked component still pins.
    who = subject(holding("h1", "a", earned=began["first"]), enrolled={"q": datetime(2026, 10, 1, tzinfo=UTC)})
    assert {audit.document["version"] for audit in judged(who, *years).audits} == {"2026"}


def test_a_closed_version_takes_nobody_new_and_a_retired_one_awards_nobody() -> None:
    open_, both = published("1"), subject(holding("h1", "a"), holding("h2", "b", earned=day(9)))
    closed = replace(open_, closed_at=at(1))
    assert judged(both, closed).awards == []
    assert len(judged(both, replace(open_, closed_at=at(2))).awards) == 1
    retired = replace(open_, retired_at=at(1, 10))
    assert judged(both, retired).awards == []
    (new,) = judged(both, open_).awards
    standing = {("lrn_ada", "q"): new.award}
    lost = subject(holding("h1", "a"))
    assert judged(both, retired, awards=standing).awards == []
    (after,) = judged(lost, retired, awards=standing).awards
    assert after.award.state == "review"


def test_a_holding_that_the_framework_cannot_take_leaves_no_trace_in_the_audit() -> None:
    counting, other = holding("h1", "a"), holding("h2", "z", earned=day(30, 6))
    (alone,) = judged(subject(counting), published()).audits
    (beside,) = judged(subject(counting, other), published()).audits
    assert alone == beside


def test_a_retake_goes_where_the_first_attempt_goes() -> None:
    first, retake = holding("h1", "a"), holding("h2", "a-online", attemptOf="h1")
    room, rules = ReadingRoom(10), published()
    assert keys_of([retake])["h2"].isdisjoint(room.keys(rules, {}))
    found = relevant(subject(first, retake), rules, [rules], room, {})
    assert [each.id for each in found] == ["h1", "h2"]


def test_an_award_of_the_qualification_is_no_holding_for_it() -> None:
    requirement = {"id": "root", "count": {"min": 1}, "from": {"tag": ["data"]}}
    rules = published(requirement=requirement)
    itself = holding("h1", "award", tag=["data"])
    assert relevant(subject(itself), rules, [rules], ReadingRoom(10), {}) == []
    assert judged(subject(itself), rules).audits == []


@pytest.mark.parametrize(
    ("requirement", "progress"),
    [
        ({"id": "root", "all": [leaf("a"), leaf("b"), leaf("c")]}, "0.333333"),
        ({"id": "root", "any": [leaf("b"), {"id": "x", "all": [leaf("a"), leaf("c")]}]}, "0.5"),
        ({"id": "root", "atLeast": 2, "of": [leaf("a"), leaf("b"), leaf("c")]}, "0.5"),
        ({"id": "root", "credits": {"min": "12"}, "from": {"achievement": ["a"]}}, "0.416666"),
        ({"id": "root", "count": {"min": 4}, "from": {"achievement": ["a", "b"]}}, "0.25"),
        ({"id": "root", "all": [leaf("b")]}, "0"),
        ({"id": "root", "all": [leaf("a")]}, "1"),
    ],
)
def test_progress_is_that_of_the_contract(requirement: dict[str, Any], progress: str) -> None:
    rules = published(requirement=requirement)
    held = [holding("h1", "a", credits={"value": "5", "unit": "ECTS"})]
    result = audit(rules.framework, held, (), NOW)
    assert result.findings.progress == Decimal(progress)


def test_only_what_is_complete_has_progress_1() -> None:
    requirement = {"id": "root", "credits": {"min": "1000000"}, "from": {"achievement": ["a"]}}
    rules = published(requirement=requirement)
    nearly = holding("h1", "a", credits={"value": "999999.9", "unit": "ECTS"})
    result = audit(rules.framework, [nearly], (), NOW)
    assert result.status == "incomplete"
    assert result.findings.progress < 1


def test_the_best_version_is_complete_then_earliest_then_newest() -> None:
    both = [
        holding("h1", "a"),
        holding("h2", "b", earned=day(9), status=[{"at": day(9), "state": "valid"}]),
    ]
    rules = {
        "only-a": published("only-a", {"id": "root", "all": [leaf("a")]}),
        "only-a-newer": published("only-a-newer", {"id": "root", "all": [leaf("a")]}),
        "later": published("later", {"id": "root", "all": [leaf("b")]}),
        "never": published("never", {"id": "root", "all": [leaf("z")]}),
    }
    audits = [(each, audit(each.framework, both, (), NOW)) for each in rules.values()]
    assert best(audits, None)[0].framework.version == "only-a-newer"
    assert best(audits[2:], None)[0].framework.version == "later"
    incomplete = [(each, audit(each.framework, [], (), NOW)) for each in rules.values()]
    assert best(incomplete, "never")[0].framework.version == "never"
    assert best(list(reversed(incomplete)), "never")[0].framework.version == "never"


def test_what_cannot_be_told_neither_awards_nor_takes_away() -> None:
    known = [holding("h1", "a"), holding("h2", "b")]
    unknown = [holding("h1", "a"), holding("h2", "b", status=[{"at": day(1), "state": "unknown"}])]
    (award,) = judged(subject(*known), published()).awards
    standing = {("lrn_ada", "q"): award.award}
    verdict = judged(subject(*unknown), published(), awards=standing)
    assert [audit.status for audit in verdict.audits] == ["undetermined"]
    assert verdict.awards == []
    assert judged(subject(*unknown), published()).awards == []


def test_judging_again_changes_nothing_and_says_nothing() -> None:
    who = subject(holding("h1", "a"), holding("h2", "b"))
    first = judged(who, published())
    assert [saying.type for saying in first.said] == ["qualification.completed.v1"]
    latest = {(each.learner, each.framework): each for each in first.audits}
    again = judged(who, published(), latest=latest, awards={("lrn_ada", "q"): first.awards[0].award})
    assert replace(again, due=[]) == Verdict()


def test_an_audit_is_forgotten_when_nothing_is_left_that_it_could_be_about() -> None:
    first = judged(subject(holding("h1", "a")), published())
    latest = {(each.learner, each.framework): each for each in first.audits}
    assert judged(subject(), published(), latest=latest).forgotten == [("lrn_ada", "framework-1")]
    assert replace(judged(subject(), published()), due=[]) == Verdict()
