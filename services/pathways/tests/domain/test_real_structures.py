"""Programmes that exist, as their rules were published."""

import pytest

MITX = "https://mitx.example/a/"


@pytest.fixture
def scm(make):
    """MITx MicroMasters in Supply Chain Management: five courses and the comprehensive exam.

    The courses are a group of their own, so that the limit `order` (courses before exam) has something to name once
    there are limits. Until then the exam counts whenever it was taken; it completes nothing without all five courses.
    """
    courses = [make.leaf(f"SC{n}x", f"{MITX}SC{n}x") for n in range(5)]
    return make.framework(
        {"id": "micromasters", "all": [{"id": "courses", "all": courses}, make.leaf("exam", f"{MITX}CFx")]},
        title="MicroMasters in Supply Chain Management",
    )


def test_scm_is_complete_with_five_courses_and_the_exam(make, scm):
    held = [make.holding(f"h{n}", f"{MITX}SC{n}x", earned=f"2026-0{n + 1}-01") for n in range(5)]
    answer = make.run(scm, [*held, make.holding("x", f"{MITX}CFx", earned="2026-09-15")])
    assert answer.status == "complete"
    assert answer.earned_at.isoformat() == "2026-09-15T00:00:00+00:00"
    assert answer.allocation == {**{f"SC{n}x": (f"h{n}",) for n in range(5)}, "exam": ("x",)}


def test_scm_without_one_course_says_which(make, scm):
    held = [make.holding(f"h{n}", f"{MITX}SC{n}x") for n in range(4)] + [make.holding("x", f"{MITX}CFx")]
    assert make.run(scm, held).status == "incomplete"
    assert make.said(scm, held) == "MicroMasters in Supply Chain Management: not complete. You still need: SC4x."


def test_scm_exam_alone_completes_nothing(make, scm):
    answer = make.run(scm, [make.holding("x", f"{MITX}CFx")])
    assert answer.status == "incomplete"
    assert [each["node"] for each in answer.remaining.suggestions] == ["SC0x", "SC1x", "SC2x", "SC3x", "SC4x"]


@pytest.fixture
def statistics(make):
    """MITx MicroMasters in Statistics and Data Science as of 2021."""
    electives = {"id": "elective", "any": [make.leaf("social"), make.leaf("machine")]}
    core = {"id": "core", "all": [make.leaf("probability"), make.leaf("statistics"), make.leaf("learning")]}
    return make.framework({"id": "root", "all": [core, electives, make.leaf("capstone")]})


def test_statistics_core_and_both_electives_without_the_capstone_is_no(make, statistics):
    """About a thousand letters were once issued in error because this said yes."""
    held = [make.holding(name) for name in ("probability", "statistics", "learning", "social", "machine")]
    answer = make.run(statistics, held)
    assert answer.status == "incomplete"
    assert answer.earned_at is None
    assert make.said(statistics, held).endswith("You still need: capstone.")


@pytest.mark.parametrize("elective", ["social", "machine"])
def test_statistics_is_complete_with_either_elective(make, statistics, elective):
    names = ("probability", "statistics", "learning", elective, "capstone")
    assert make.run(statistics, [make.holding(name) for name in names]).status == "complete"


def test_findlay_asks_for_grade_b_in_each(make):
    """University of Findlay: 3 to 12 graduate hours, grade B or better in each."""
    b = {"min": "3.0", "scale": "us-4.0"}
    hours = {"id": "hours", "credits": {"min": "3", "max": "12"}, "from": {"tag": ["graduate"]}, "grade": b}
    rules = make.framework(hours, creditUnit="US")

    def course(name, points):
        graded = make.holding(name, tag=["graduate"], grade={"points": points, "scale": "us-4.0"})
        return graded | {"credits": {"value": "3", "unit": "US"}}

    assert make.run(rules, [course("a", "3.0")]).status == "complete"
    answer = make.run(rules, [course("a", "2.7")])
    assert answer.status == "incomplete"
    assert [entry.reason for entry in answer.unused] == ["grade"]


def test_new_zealand_micro_credential_carries_at_most_forty_credits(make):
    """1 credit is 10 hours of learning; a stack of more than 40 is no micro-credential."""
    rules = make.framework(
        {"id": "stack", "credits": {"min": "5", "max": "40"}, "from": {}},
        creditUnit="NZ",
        conversions=[{"from": "hours", "factor": "0.1"}],
    )

    def learned(name, hours):
        return make.holding(name) | {"credits": {"value": hours, "unit": "hours"}}

    assert make.run(rules, [learned("a", "400")]).status == "complete"
    assert make.run(rules, [learned("a", "400.1")]).status == "incomplete"
    assert make.run(rules, [learned("a", "30"), learned("b", "20")]).status == "complete"
