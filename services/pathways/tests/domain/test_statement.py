"""Rules in words: every form that the contract knows reads as a sentence."""

from typing import Any

import pytest

from cairn.pathways.domain import parse_framework
from cairn.pathways.domain.statement import statement

TITLES = {"a": "Statistics", "b": "Machine Learning", "q2": "Mini", "i": "North University"}


def words(requirement: dict[str, Any] | None = None, **more: Any) -> list[str]:
    """The lines of a framework that can be read."""
    whole = {
        "qualification": "q",
        "version": "1",
        "creditUnit": "ECTS",
        "requirement": requirement or {"id": "root", "count": {"min": 1}, "from": {}},
        **more,
    }
    parse_framework(whole)
    told = statement(whole, TITLES)
    return [line.text for _, line in told.requirement.lines()] if requirement else [line.text for line in told.limits]


def leaf(selector: dict[str, Any], **more: Any) -> str:
    (text,) = words({"id": "x", "count": {"min": 1}, "from": selector, **more})
    return text


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"achievement": ["a"]}, "Statistics"),
        ({"achievement": ["a", "b"]}, "Statistics or Machine Learning"),
        ({}, "At least 1 of: any credentials"),
        ({"tag": ["data", "ai"]}, "At least 1 of: credentials tagged data or ai"),
        ({"issuer": ["i"]}, "At least 1 of: credentials issued by North University"),
        ({"level": {"framework": "EQF", "min": 6}}, "At least 1 of: credentials at EQF level 6 or above"),
        ({"level": {"framework": "EQF", "max": 7}}, "At least 1 of: credentials up to EQF level 7"),
        ({"level": {"framework": "EQF", "min": 6, "max": 7}}, "At least 1 of: credentials at EQF level 6 to 7"),
        ({"source": ["lms", "rpl"]}, "At least 1 of: credentials earned here or recognised as prior learning"),
        ({"assessment": {"supervised": True}}, "At least 1 of: credentials assessed under supervision"),
        ({"earned": {"withinMonths": 24}}, "At least 1 of: credentials earned at most 24 months back"),
        ({"earned": {"after": "2026-01-01"}}, "At least 1 of: credentials earned on or after 2026-01-01"),
        ({"grade": {"min": "0.7"}}, "At least 1 of: credentials graded 0.7 or better"),
        (
            {"anyOf": [{"tag": ["x"]}, {"allOf": [{"area": ["y"]}, {"mode": ["online"]}]}]},
            "At least 1 of: credentials either tagged x or in the area of y and taken online",
        ),
        ({"not": {"tag": ["x"]}}, "At least 1 of: credentials but not tagged x"),
    ],
)
def test_a_selector_in_words(selector: dict[str, Any], text: str) -> None:
    assert leaf(selector) == text


def test_a_tree_in_words() -> None:
    tree = {
        "id": "root",
        "all": [
            {"id": "1", "any": [{"id": "2", "qualification": "q2"}, {"id": "3", "count": {"min": 2}, "from": {}}]},
            {
                "id": "4",
                "atLeast": 1,
                "of": [
                    {"id": "5", "credits": {"min": "5", "max": "10"}, "from": {"tag": ["x"]}, "grade": {"min": "0.5"}},
                    {"id": "6", "credits": {"min": "5", "max": "5"}, "from": {"achievement": ["a"]}},
                ],
            },
        ],
    }
    assert words(tree) == [
        "All of these:",
        "One of these:",
        "The qualification Mini",
        "At least 2 of: any credentials",
        "At least 1 of these 2:",
        "5 to 10 ECTS from credentials tagged x, graded 0.5 or better",
        "Exactly 5 ECTS from credentials for Statistics",
    ]


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (
            {"share": {"min": "0.5"}, "measure": "credits", "of": {"issuer": ["i"]}},
            "At least 50 % of the ECTS come from credentials issued by North University.",
        ),
        (
            {"amount": {"max": "2"}, "measure": "count", "of": {"source": ["rpl"]}},
            "At most 2 credentials come from credentials recognised as prior learning.",
        ),
        ({"distinct": {"min": 3}, "by": "area"}, "At least 3 different values of area are covered by any credentials."),
        (
            {"gpa": {"min": "3.00", "scale": "us-4.0", "over": "held"}},
            "The grade average over every attempt is at least 3.00 on the scale us-4.0.",
        ),
        (
            {"distinct": {"max": 1}, "by": "area", "among": ["p", "q"], "of": {"tag": ["x"]}},
            "At most 1 different values of area among p and q are covered by credentials tagged x.",
        ),
        (
            {"gpa": {"min": "3.00", "scale": "us-4.0"}, "of": {"tag": ["x"]}},
            "The grade average over what counts of credentials tagged x is at least 3.00 on the scale us-4.0.",
        ),
        (
            {"order": {"before": "core", "after": "rest"}},
            "Everything for core is earned no later than anything for rest.",
        ),
        (
            {"window": {"months": 60}, "of": {"tag": ["x"]}},
            "All credentials tagged x are earned within 60 months.",
        ),
        ({"exclude": ["a", "b"]}, "Only one of Statistics and Machine Learning counts."),
        ({"window": {"months": 60}}, "All of it is earned within 60 months."),
    ],
)
def test_a_limit_in_words(limit: dict[str, Any], text: str) -> None:
    assert words(limits=[{"id": "limit", **limit}]) == [text]


def test_what_else_a_learner_should_know() -> None:
    whole = {
        "qualification": "https://x/q",
        "version": "1",
        "requirement": {"id": "root", "all": [{"id": "1", "count": {"min": 1}, "from": {"achievement": ["a"]}}]},
        "effective": {"from": "2026-09-01", "to": None},
        "onLoss": "suspend",
        "graceDays": 30,
    }
    told = statement(whole, TITLES)
    assert told.requirement.text == "This:"
    assert told.notes == (
        "For learners who begin from 2026-09-01.",
        "A credential counts in one place only.",
        "What has expired since does not matter: it must have been valid when the qualification was earned.",
        "If a part is revoked and nothing takes its place, the qualification is suspended after 30 days.",
    )
