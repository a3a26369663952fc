"""Programmes that exist, as their rules were published."""

import pytest

MITX = "https://mitx.example/a/"


@pytest.fixture
def scm(make):
    """MITx MicroMasters in Supply Chain Management: five courses, and only then the comprehensive exam counts."""
    courses = [make.leaf(f"SC{n}x", f"{MITX}SC{n}x") for n in range(5)]
    return make.framework(
        {"id": "micromasters", "all": [{"id": "courses", "all": courses}, make.leaf("exam", f"{MITX}CFx")]},
        title="MicroMasters in Supply Chain Management",
        limits=[{"id": "courses first", "order": {"before": "courses", "after": "exam"}}],
    )


def test_scm_is_complete_with_five_courses_and_the_exam(make, scm):
    held = [make.holding(f"h{n}", f"{MITX}SC{n}x", earned=f"2026-0{n + 1}-01") for n in range(5)]
    answer = make.run(scm, [*held, make.holding("x", f"{MITX}CFx", earned="2026-09-15")])
    assert answer.status == "complete"
    assert answer.earned_at.isoformat() == "2026-09-15T00:00:00+00:00"
    assert answer.allocation == {**{f"SC{n}x": (f"h{n}",) for n in range(5)}, "exam": ("x",)}


def test_scm_exam_taken_before_the_last_course_does_not_count(make, scm):
    held = [make.holding(f"h{n}", f"{MITX}SC{n}x", earned=f"2026-0{n + 1}-01") for n in range(5)]
    early = make.holding("early", f"{MITX}CFx", earned="2026-04-15")
    answer = make.run(scm, [*held, early])
    assert answer.status == "incomplete"
    # Either may be kept, not both; the exam is the larger part of what is asked for.
    assert [(each.holding, each.reason) for each in answer.unused] == [("h4", "limit")]
    assert make.run(scm, [*held, early, make.holding("again", f"{MITX}CFx", earned="2026-05-01")]).status == "complete"


def test_the_scm_credential_counts_for_credit_in_a_masters(make):
    """It fills a leaf of the master's, with its own credits; its courses do not count there a second time."""
    leaves = [{"id": "micromasters", "qualification": "q/scm"}]
    leaves.append({"id": "campus", "credits": {"min": "12"}, "from": {"not": {"tag": ["remedial"]}}})
    third = {"id": "transfer", "share": {"max": "0.5"}, "of": {"achievement": [f"{MITX}scm"]}}
    rules = make.framework({"id": "masters", "all": leaves}, creditUnit="US", limits=[third])

    def us(name, achievement, value, **more):
        return make.holding(name, achievement, **more) | {"credits": {"value": value, "unit": "US"}}

    award = us("award", f"{MITX}scm", "12", components=["course"])
    course = us("course", f"{MITX}SC0x", "12")
    awards = {"q/scm": [f"{MITX}scm"]}
    assert make.run(rules, [award, course], awards=awards).status == "incomplete"
    assert make.run(rules, [award, us("campus", "c", "12")], awards=awards).status == "complete"


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


def test_findlay_asks_for_half_of_the_hours_from_the_university(make):
    hours = {"id": "hours", "credits": {"min": "6", "max": "12"}, "from": {"tag": ["graduate"]}}
    half = {"id": "residency", "share": {"min": "0.5"}, "of": {"issuer": ["did:web:uni.example"]}}
    rules = make.framework(hours, creditUnit="US", limits=[half])

    def course(name, **more):
        return make.holding(name, tag=["graduate"], **more) | {"credits": {"value": "3", "unit": "US"}}

    away = [course("a", issuer="elsewhere"), course("b", issuer="elsewhere")]
    assert make.run(rules, away).status == "incomplete"
    answer = make.run(rules, [*away, course("c")])
    assert (answer.status, answer.limits[0].have) == ("complete", "0.5")


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
