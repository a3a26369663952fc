"""The story's people and papers are the same each time, and cover every ending."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from cairn.onebox.story import cast
from cairn.onebox.story.cast import AWAY, HOME
from cairn.onebox.story.reckoning import differences, expected, summary


@pytest.mark.parametrize("count", [10, 24, 240])
def test_every_ending_is_in_the_story(count: int) -> None:
    people = cast.people(count)
    assert people == cast.people(count)
    assert set(Counter(person.part for person in people)) == {
        "graduate",
        "abroad",
        "lacks-course",
        "lacks-exam",
        "beginner",
    }
    assert sum(person.earns for person in people) == pytest.approx(count * 0.6, abs=1)
    assert len({person.user for person in people}) == count
    if count <= 240:
        assert len({person.name for person in people}) == count


def test_completions_are_in_the_past_of_any_clock_and_plausible() -> None:
    for person in cast.people(240):
        for tenant, codes in ((HOME, person.home), (AWAY, person.away)):
            for code in codes:
                said = cast.completion(person, code, tenant)
                assert datetime.fromisoformat(said["completedAt"]) < datetime(2026, 1, 1, tzinfo=UTC)
                assert 0.6 < float(said["grade"]["score"]) <= 0.99
                assert said["id"].endswith(f"/{code}")


def test_the_framework_counts_the_course_of_either_university() -> None:
    framework = cast.framework("https://cairn.localhost/issuance")
    courses, exam = framework["requirement"]["all"]
    leaves = {leaf["id"]: leaf["from"]["achievement"] for leaf in [*courses["all"], exam]}
    assert list(leaves) == [*cast.COURSES, cast.EXAM]
    assert leaves["sc3x"] == [
        "https://cairn.localhost/issuance/achievements/north-coast/sc3x",
        "https://cairn.localhost/issuance/achievements/harbour/sc3x",
    ]
    assert all(len(named) == 1 for leaf, named in leaves.items() if leaf != "sc3x")


def test_a_second_credential_for_one_completion_is_a_difference() -> None:
    people = cast.people(10)
    must = expected(people, people[0])
    assert differences(must, must) is None
    user = people[2].user
    doubled = must[user].credentials + must[user].credentials[:1]
    seen = must | {user: type(must[user])(doubled, must[user].awards, must[user].audit, must[user].unmet)}
    assert user in (differences(must, seen) or "")
    assert user in (differences(must, {k: v for k, v in must.items() if k != user}) or "")


def test_the_summary_adds_up() -> None:
    people = cast.people(24)
    table = summary(people, expected(people, people[0]))
    completions = sum(len(person.home) + len(person.away) for person in people)
    assert table["Completions, each with exactly one credential"] == str(completions)
    assert table["Credentials revoked"] == "2"
    assert table["  lapsed, because a component was revoked"] == "1"
