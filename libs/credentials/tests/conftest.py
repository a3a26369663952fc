"""Fixtures, a resolver over files, and one signer and draft for every test."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cairn.credentials import (
    Achievement,
    CheckName,
    CredentialDraft,
    Criteria,
    Cryptosuite,
    Ed25519Signer,
    EuropeanElements,
    Evidence,
    Identifier,
    LearningOutcome,
    Level,
    Policy,
    Profile,
    QualityAssurance,
    Result,
    ResultDescription,
    Trust,
    Unreachable,
    build_credential,
    sign,
)

HERE = Path(__file__).parent
OWN = HERE / "fixtures"
SHARED = HERE.parents[3] / "shared" / "fixtures"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CREATED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


class Files:
    """A resolver over what tests hand it. It counts every request, in order."""

    def __init__(self, trusted: Trust = Trust.TRUSTED) -> None:
        self.bodies: dict[str, bytes] = {}
        self.trusted = trusted
        self.asked: list[str] = []

    def serve(self, url: str, body: bytes | dict[str, Any]) -> Files:
        self.bodies[url] = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self

    async def did_document(self, did: str, url: str) -> bytes:
        return self._answer(url)

    async def trust(self, issuer: str) -> Trust:
        self.asked.append(f"trust {issuer}")
        return self.trusted

    async def status_list(self, url: str) -> bytes:
        return self._answer(url)

    async def document(self, url: str) -> bytes:
        return self._answer(url)

    def _answer(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.bodies:
            raise Unreachable("nothing is there")
        return self.bodies[url]


def resolver_of(folder: Path) -> Files:
    """The resources of a fixture folder in place of the network."""
    files = Files()
    for url, name in json.loads((folder / "resources.json").read_text()).items():
        if (folder / name).exists():
            files.serve(url, (folder / name).read_bytes())
    return files


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def policy() -> Policy:
    return Policy(at=NOW)


@pytest.fixture
def signer() -> Ed25519Signer:
    return Ed25519Signer(bytes(range(32)))


@pytest.fixture
def draft(signer: Ed25519Signer) -> CredentialDraft:
    return make_draft(signer.did)


def make_draft(issuer: str, **changes: Any) -> CredentialDraft:
    """A credential with something in every part of it."""
    achievement = Achievement(
        id="https://uni.example/a/stats",
        name="Statistics",
        description="Reads, works with and argues with data — naïve façade ✓ 你好 🎓",
        criteria=Criteria(id="https://uni.example/a/stats/criteria", narrative='**Pass** it.\nThen\tthe "project".'),
        achievement_type="MicroCredential",
        creator=Profile(id="https://uni.example/", name="University of Example", url="https://uni.example/"),
        credits_available=Decimal("7.5"),
        field_of_study="Statistics",
        human_code="ST-1",
        in_language="en-GB",
        tag=("data", "literacy"),
        result_description=(
            ResultDescription(
                id="urn:uuid:f6ab24cd-86e8-4eaf-b8c6-ded74e8fd41c",
                name="Grade",
                result_type="LetterGrade",
                allowed_value=("D", "C", "B", "A"),
                required_value="C",
            ),
            ResultDescription(
                id="urn:uuid:1e7b0d3a-5df1-4a3b-8a2b-7f7e3d2a9c10",
                name="Score",
                result_type="Percent",
                value_min="0",
                value_max="100",
            ),
        ),
        european=EuropeanElements(
            learning_outcomes=(
                LearningOutcome(title="Describe data", description="With means and spreads"),
                LearningOutcome(title="statistics", id="http://data.europa.eu/esco/skill/0001", framework="ESCO"),
            ),
            workload_hours=Decimal("187.5"),
            credit_unit="ECTS",
            levels=(Level(framework="EQF", value="7"), Level(framework="NLQF", value="7")),
            assessment_type="Written examination",
            assessment_supervised=True,
            assessment_identity_verified=False,
            participation="blended",
            quality_assurance=(QualityAssurance(name="Agency", id="https://qa.example/agency", kind="accreditation"),),
            prerequisites="Calculus",
            stackability="Towards the certificate in data",
        ),
    )
    values: dict[str, Any] = {
        "id": "urn:uuid:2df2ae9a-ba2b-4c31-9f18-d98cc6a9a57d",
        "issuer": Profile(id=issuer, name="University of Example", url="https://uni.example/"),
        "achievement": achievement,
        "subject_id": "did:example:learner-1",
        "identifiers": (Identifier.of("emailAddress", "Ada@uni.example", salt="7d0c"),),
        "valid_from": CREATED,
        "awarded": CREATED,
        "activity_start": datetime(2025, 9, 1, tzinfo=UTC),
        "activity_end": datetime(2026, 2, 20, tzinfo=UTC),
        "credits_earned": Decimal("7.5"),
        "results": (
            Result(result_description="urn:uuid:f6ab24cd-86e8-4eaf-b8c6-ded74e8fd41c", value="A"),
            Result(result_description="urn:uuid:1e7b0d3a-5df1-4a3b-8a2b-7f7e3d2a9c10", value="82", status="Completed"),
        ),
        "evidence": (Evidence(id="https://uni.example/e/1", name="Project", narrative="A report", genre="report"),),
    }
    return CredentialDraft(**(values | changes))


@pytest.fixture
def signed(draft: CredentialDraft, signer: Ed25519Signer) -> dict[str, Any]:
    return sign(build_credential(draft), signer, created=CREATED)


@pytest.fixture
def proof_only() -> Policy:
    return Policy(at=NOW, checks=(CheckName.PROOF, CheckName.ISSUER))


Issue = Callable[..., dict[str, Any]]


@pytest.fixture
def issue(signer: Ed25519Signer) -> Issue:
    """Builds and signs a credential of the test's issuer with some fields changed."""

    def make(
        *, cryptosuite: Cryptosuite = "eddsa-rdfc-2022", by: Ed25519Signer | None = None, **changes: Any
    ) -> dict[str, Any]:
        who = by or signer
        return sign(build_credential(make_draft(who.did, **changes)), who, created=CREATED, cryptosuite=cryptosuite)

    return make
