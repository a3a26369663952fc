"""What follows from what a learner holds: pure, so quick to try out."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cairn.pathways.domain import audit, parse_framework, parse_holding
from cairn.pathways.reading_room import Published, ReadingRoom
from cairn.pathways.use_cases.judging import Subject, Verdict, as_of, best, judge, keys_of, progress_of, relevant

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
    assert as_of(rules, [first], ()) == at(1)
    assert as_of(rules, [second, first], ()) == at(9)
    revoked = [{"at": day(1), "state": "valid"}, {"at": day(20), "state": "revoked"}]
    assert as_of(rules, [holding("h1", "a", status=revoked)], ()) == at(20)
    assert as_of(rules, [first], [at(2, 5)]) == at(2, 5)
    assert as_of(published(effective={"from": "2026-09-01"}), [first], ()) == at(1, 9)
    assert as_of(rules, [], ()) == NOW  # only when a standing award has lost everything it rested on


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
    assert progress_of(rules.framework, result) == Decimal(progress)


def test_only_what_is_complete_has_progress_1() -> None:
    requirement = {"id": "root", "credits": {"min": "1000000"}, "from": {"achievement": ["a"]}}
    rules = published(requirement=requirement)
    nearly = holding("h1", "a", credits={"value": "999999.9", "unit": "ECTS"})
    result = audit(rules.framework, [nearly], (), NOW)
    assert result.status == "incomplete"
    assert progress_of(rules.framework, result) < 1


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
    assert again == Verdict()


def test_an_audit_is_forgotten_when_nothing_is_left_that_it_could_be_about() -> None:
    first = judged(subject(holding("h1", "a")), published())
    latest = {(each.learner, each.framework): each for each in first.audits}
    assert judged(subject(), published(), latest=latest).forgotten == [("lrn_ada", "framework-1")]
    assert judged(subject(), published()) == Verdict()
