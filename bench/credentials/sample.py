"""The credential that is measured: Open Badges 3.0, 4.7 kB, 125 statements; and as many of them as are wanted."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from cairn.credentials import (
    Achievement,
    CredentialDraft,
    Criteria,
    EuropeanElements,
    Identifier,
    LearningOutcome,
    Level,
    Profile,
    QualityAssurance,
    Result,
    ResultDescription,
    build_credential,
)

CREATED: Final = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
NOW: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
VARYING: Final = (
    ("id",),
    ("validFrom",),
    ("validUntil",),
    ("awardedDate",),
    ("credentialSubject", "id"),
    ("credentialSubject", "activityEndDate"),
    ("credentialSubject", "identifier", 0, "identityHash"),
    ("credentialSubject", "identifier", 0, "salt"),
    ("credentialSubject", "result", 0, "value"),
    ("credentialSubject", "result", 1, "value"),
)
"""Where the credentials of one achievement differ from learner to learner."""

_GRADE: Final = "urn:uuid:f6ab24cd-86e8-4eaf-b8c6-ded74e8fd41c"
_SCORE: Final = "urn:uuid:1e7b0d3a-5df1-4a3b-8a2b-7f7e3d2a9c10"


def unsigned(issuer: str, learner: int, course: int = 1) -> dict[str, Any]:
    """The credential of one learner for the achievement of one course, without its proof."""
    earned = CREATED - timedelta(days=learner % 28)
    achievement = Achievement(
        id=f"https://uni.example/achievements/statistics-{course}",
        name="Statistics",
        description="Collects, describes and argues with data: distributions, estimation, tests, regression and their "
        "limits. Chooses a method that fits the question, states what it assumes, and says how sure the answer is. "
        "Writes for readers who do not count for a living, and knows when not to count at all.",
        criteria=Criteria(
            id="https://uni.example/achievements/statistics/criteria",
            narrative="Pass the written examination and hand in a report on a data set of your own choice; the report "
            "is discussed with an examiner, and both parts must be at least satisfactory.",
        ),
        achievement_type="MicroCredential",
        creator=Profile(id="https://uni.example/", name="University of Example", url="https://uni.example/"),
        credits_available=Decimal("7.5"),
        field_of_study="Statistics",
        human_code=f"ST-{course}",
        in_language="en",
        tag=("data", "literacy"),
        version="2026",
        result_description=(
            ResultDescription(
                id=_GRADE,
                name="Grade",
                result_type="LetterGrade",
                allowed_value=("D", "C", "B", "A"),
                required_value="C",
            ),
            ResultDescription(id=_SCORE, name="Score", result_type="Percent", value_min="0", value_max="100"),
        ),
        european=EuropeanElements(
            learning_outcomes=(
                LearningOutcome(title="Describe data", description="With means, spreads and pictures"),
                LearningOutcome(title="statistics", id="http://data.europa.eu/esco/skill/0001", framework="ESCO"),
            ),
            workload_hours=Decimal("187.5"),
            credit_unit="ECTS",
            levels=(Level(framework="EQF", value="7"),),
            assessment_supervised=True,
            assessment_identity_verified=True,
            quality_assurance=(QualityAssurance(name="Agency", id="https://qa.example/agency", kind="accreditation"),),
        ),
    )
    return build_credential(
        CredentialDraft(
            id=f"urn:uuid:2df2ae9a-ba2b-4c31-9f18-{learner:012x}",
            issuer=Profile(id=issuer, name="University of Example", url="https://uni.example/"),
            achievement=achievement,
            subject_id=f"did:example:learner-{learner}",
            identifiers=(Identifier.of("emailAddress", f"{learner}@uni.example", salt=f"{learner:08x}"),),
            valid_from=earned,
            valid_until=earned + timedelta(days=3650),
            awarded=earned,
            activity_start=datetime(2025, 9, 1, tzinfo=UTC),
            activity_end=earned,
            credits_earned=Decimal("7.5"),
            results=(
                Result(result_description=_GRADE, value="ABCD"[learner % 4]),
                Result(result_description=_SCORE, value=str(50 + learner % 50), status="Completed"),
            ),
        )
    )


def undisputed(document: dict[str, Any]) -> dict[str, Any]:
    """The credential without what `ssi` 0.16 writes otherwise than the others do, so that no signature of theirs fits.

    These are typed truth values, numbers with a fraction, and ordered lists; 15 of the statements rest on them.
    """
    subject = copy.deepcopy(document["credentialSubject"])
    del subject["identifier"]
    subject["creditsEarned"] = subject["achievement"]["creditsAvailable"] = 7
    del subject["achievement"]["resultDescription"][0]["allowedValue"]
    return document | {"credentialSubject": subject}
