"""What the builder writes validates against the 1EdTech schema, and reads back as the facts that went in."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft201909Validator
from pydantic import ValidationError

from cairn.credentials import (
    Alignment,
    CheckName,
    Component,
    CredentialDraft,
    Ed25519Signer,
    Identifier,
    Image,
    Outcome,
    Policy,
    Result,
    Stack,
    StatusEntry,
    build_credential,
    bundle,
    read_facts,
    sign,
    verify,
)
from cairn.credentials.schema_check import ACHIEVEMENT_SCHEMA, schema_findings

from .conftest import CREATED, NOW, Files, make_draft

DIGEST = "ab" * 32
STACK = Stack(
    framework="https://uni.example/q/pgcert",
    version="2026-27",
    audit_digest=DIGEST,
    title="Postgraduate Certificate",
    components=(
        Component(
            credential="urn:uuid:00000000-0000-4000-8000-000000000001",
            achievement="https://uni.example/a/stats",
            issuer="did:web:uni.example",
            name="Statistics",
            digest="cd" * 32,
        ),
        Component(
            credential="urn:uuid:00000000-0000-4000-8000-000000000002",
            achievement="https://other.example/a/ml",
            issuer="did:web:other.example",
        ),
    ),
)


def _strict_errors(document: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft201909Validator(bundle.schema(ACHIEVEMENT_SCHEMA)).iter_errors(document)]


def test_a_full_credential_validates_against_the_untouched_schema(
    draft: CredentialDraft, signer: Ed25519Signer
) -> None:
    draft = draft.model_copy(
        update={
            "image": Image(id="data:image/png;base64,iVBORw0KGgo=", caption="badge"),
            "status": (StatusEntry(list_url="https://uni.example/status/1", index=7),),
            "valid_until": NOW + timedelta(days=365),
            "stack": STACK,
        }
    )
    document = build_credential(draft)
    assert _strict_errors(document) == []
    assert _strict_errors(sign(document, signer, created=CREATED)) == []


def test_the_smallest_credential_validates() -> None:
    whole = make_draft("did:web:uni.example")
    achievement = whole.achievement.model_copy(
        update={
            name: field.default
            for name, field in type(whole.achievement).model_fields.items()
            if not field.is_required()
        }
    )
    smallest = CredentialDraft(id=whole.id, issuer=whole.issuer, achievement=achievement, valid_from=CREATED)
    assert _strict_errors(build_credential(smallest)) == []


async def test_two_status_entries_are_an_array_and_pass_our_reading_of_the_schema(
    signer: Ed25519Signer, policy: Policy
) -> None:
    entries = tuple(
        StatusEntry(list_url=f"https://uni.example/status/{purpose}", index=7, purpose=purpose)
        for purpose in ("revocation", "suspension")
    )
    document = build_credential(make_draft(signer.did, status=entries))
    assert [entry["statusPurpose"] for entry in document["credentialStatus"]] == ["revocation", "suspension"]
    found = await verify(sign(document, signer, created=CREATED), Files(), policy)
    assert found.checks[CheckName.SCHEMA].outcome is Outcome.PASSED
    assert found.checks[CheckName.STATUS].code == "status-unreachable"


def test_a_vast_violation_is_told_quickly() -> None:
    profile: dict[str, Any] = {}
    for depth in range(24):
        profile = {"type": ["Profile"], "id": "x", "endorsement": [profile, profile] if depth < 11 else profile}
    started = time.perf_counter()
    findings = schema_findings({"type": ["OpenBadgeCredential"], "issuer": profile})
    assert [one.code for one in findings] == ["schema-violated"]
    assert time.perf_counter() - started < 1


def test_facts_read_back_what_was_drafted(draft: CredentialDraft) -> None:
    draft = draft.model_copy(update={"stack": STACK, "valid_until": NOW})
    facts = read_facts(build_credential(draft))
    european = draft.achievement.european
    assert (facts.id, facts.issuer, facts.issuer_name) == (draft.id, draft.issuer.id, draft.issuer.name)
    assert (facts.achievement, facts.achievement_name) == (draft.achievement.id, draft.achievement.name)
    assert facts.credits == Decimal("7.5")
    assert facts.credit_unit == european.credit_unit
    assert facts.levels == european.levels
    assert facts.learning_outcomes == european.learning_outcomes
    assert facts.workload_hours == european.workload_hours
    assert facts.assessment_type == european.assessment_type
    assert facts.assessment_supervised is True
    assert facts.assessment_identity_verified is False
    assert facts.participation == european.participation
    assert facts.quality_assurance == european.quality_assurance
    assert facts.prerequisites == european.prerequisites
    assert facts.stackability == european.stackability
    assert facts.skills == ("http://data.europa.eu/esco/skill/0001",)
    assert facts.results == draft.results
    assert facts.evidence == draft.evidence
    assert facts.identifiers == draft.identifiers
    assert facts.stack == STACK
    assert (facts.valid_from, facts.valid_until) == ("2026-03-01T09:30:00Z", "2026-11-24T12:00:00Z")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"credentialSubject": None, "issuer": 7, "type": {"a": 1}, "evidence": "x"},
        {
            "credentialSubject": [
                {"achievement": [{"alignment": [{"targetName": 1}], "criteria": "x", "tag": [1, "a"]}]}
            ]
        },
        {"name": [{"@value": "x"}], "evidence": [{"genre": "qualification-audit", "digestMultibase": "u!!"}]},
        {"credentialSubject": {"creditsEarned": float("inf"), "result": [{"value": {"a": 1}}]}},
    ],
)
def test_facts_are_read_from_anything(document: dict[str, Any]) -> None:
    read_facts(document)


def test_an_identifier_is_salted_and_hashed() -> None:
    one = Identifier.of("emailAddress", "Ada@Uni.example", salt="s1")
    assert one.identity_hash == "sha256$9038cedb0fad70179299336402d0640a73c43479c137187ae66ef17fb1bab378"
    assert one.matches("ada@uni.example")
    assert not one.matches("eve@uni.example")
    assert one != Identifier.of("emailAddress", "ada@uni.example", salt="s2")
    with pytest.raises(ValueError, match="salt"):
        Identifier.of("emailAddress", "ada@uni.example", salt="")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "not-an-iri"},
        {"valid_until": CREATED},
        {"valid_from": CREATED.replace(tzinfo=None)},
        {"results": (Result(result_description="urn:x:unknown", value="A"),)},
        {"activity_end": CREATED - timedelta(days=3000)},
        {"status": (StatusEntry(list_url="https://u.example/1", index=1),) * 2},
        {"nonsense": 1},
    ],
)
def test_an_impossible_draft_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_draft("did:web:uni.example", **changes)


def test_a_draft_error_does_not_repeat_what_was_given() -> None:
    with pytest.raises(ValidationError) as error:
        Alignment(target_name="x", target_url="canary canary")
    assert "canary" not in str(error.value)
