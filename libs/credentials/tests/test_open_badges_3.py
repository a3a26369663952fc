"""Open Badges 3.0: what the builders write validates against the 1EdTech schemas, and reads back as it went in.

Statements are those of the specification's data models (§B) and verification (§8).
"""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft201909Validator
from pydantic import ValidationError

from cairn.credentials import (
    Address,
    Alignment,
    Bitstring,
    CheckName,
    Component,
    CredentialDraft,
    Ed25519Signer,
    EndorsementDraft,
    Identifier,
    IdentifierEntry,
    Image,
    Outcome,
    Policy,
    Profile,
    RefreshService,
    Related,
    Result,
    SchemaReference,
    Stack,
    StatusEntry,
    TermsOfUse,
    Trust,
    bake,
    build_credential,
    build_endorsement,
    build_status_list,
    bundle,
    read_facts,
    sign,
    sign_jwt,
    verify,
)
from cairn.credentials.multihash import digest_of
from cairn.credentials.schema_check import ACHIEVEMENT_SCHEMA, ENDORSEMENT_SCHEMA, against_schemas

from .conftest import CREATED, NOW, Files, Issue, make_draft

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
    findings, _ = against_schemas({"type": ["OpenBadgeCredential"], "issuer": profile})
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


def endorse(signer: Ed25519Signer, endorsed: str, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": "urn:uuid:00000000-0000-4000-8000-0000000000e1",
        "issuer": Profile(id=signer.did, name="Agency"),
        "name": "A good course",
        "endorsed": endorsed,
        "comment": "**Recommended**",
        "valid_from": CREATED,
    }
    return build_endorsement(EndorsementDraft(**(values | changes)))


def test_every_part_of_a_badge_validates_against_the_untouched_schema(signer: Ed25519Signer) -> None:
    """§B.1: every property of AchievementCredential, and those of Profile, Achievement and AchievementSubject."""
    endorser = Ed25519Signer(b"e" * 32)
    whole = make_draft(signer.did)
    endorsement = sign(endorse(endorser, whole.achievement.id), endorser, created=CREATED)
    token = sign_jwt(endorse(endorser, whole.achievement.id), endorser)
    address = Address(address_country_code="CH", address_locality="Bern", street_address="1 High Street")
    profile = Profile(
        id=signer.did,
        name="University of Example",
        phone="+41 31 000 00 00",
        email="office@uni.example",
        address=address,
        image=Image(id="https://uni.example/logo.png", caption="arms"),
        official="A. Dean",
        other_identifier=(IdentifierEntry(identifier="CH-1", identifier_type="nationalIdentityNumber"),),
        parent_org=Profile(id="https://canton.example/", name="Canton"),
    )
    achievement = whole.achievement.model_copy(
        update={
            "creator": profile,
            "image": Image(id="https://uni.example/a/stats.png"),
            "specialization": "Bayesian",
            "version": "2",
            "related": (Related(id="https://uni.example/a/stats-1", in_language="en", version="1"),),
            "other_identifier": (IdentifierEntry(identifier="ST-1", identifier_type="identifier"),),
            "endorsement": (endorsement,),
            "endorsement_jwt": (token,),
        }
    )
    status = StatusEntry(
        list_url="https://uni.example/status/1",
        index=7,
        purpose="message",
        messages=("open", "seen", "yes", "no"),
        reference=("https://uni.example/words",),
    )
    draft = make_draft(
        signer.did,
        achievement=achievement,
        description="A badge",
        subject_image=Image(id="https://uni.example/i.png"),
        source=Profile(id="https://partner.example/", name="Partner"),
        licence_number="L-1",
        role="Student",
        term="Spring",
        narrative="Did it",
        endorsement=(endorsement,),
        endorsement_jwt=(token,),
        status=(status,),
        refresh_service=RefreshService(id="https://uni.example/refresh/1", type="1EdTechCredentialRefresh"),
        terms_of_use=(TermsOfUse(type="IssuerPolicy", id="https://uni.example/terms"),),
        credential_schema=(SchemaReference(id="https://uni.example/schema.json", type="JsonSchema"),),
    )
    document = build_credential(draft.model_copy(update={"issuer": profile}))
    assert _strict_errors(document) == []
    assert document["credentialStatus"]["statusSize"] == 2
    for name in ("endorsement", "endorsementJwt"):
        assert document[name]
        assert document["credentialSubject"]["achievement"][name]
    assert document["issuer"]["address"]["addressCountryCode"] == "CH"


@pytest.mark.parametrize("count", [1, 3, 6])
def test_a_status_has_a_message_for_each_of_its_values(count: int) -> None:
    with pytest.raises(ValidationError, match="2, 4, 8"):
        StatusEntry(list_url="https://uni.example/status/1", index=1, messages=("m",) * count)


async def test_an_endorsement_is_a_credential_of_its_own(signer: Ed25519Signer, policy: Policy) -> None:
    """§B: "One of the items MUST be the URI VerifiableCredential, and one … the URI EndorsementCredential"."""
    document = endorse(signer, "https://uni.example/a/stats")
    errors = list(Draft201909Validator(bundle.schema(ENDORSEMENT_SCHEMA)).iter_errors(document))
    assert errors == []
    found = await verify(sign(document, signer, created=CREATED), Files(), policy)
    assert found.verified
    assert found.checks[CheckName.SCHEMA].code == "schema-valid"
    del document["credentialSubject"]["type"]
    assert [one.code for one in against_schemas(document)[0]] == ["schema-violated"]


@pytest.mark.parametrize("place", ["credential", "achievement", "issuer"])
@pytest.mark.parametrize("form", ["object", "jwt"])
@pytest.mark.parametrize("tampered", [False, True])
async def test_endorsements_are_verified_where_they_lie(
    issue: Issue, signer: Ed25519Signer, policy: Policy, place: str, form: str, tampered: bool
) -> None:
    """§8.3: an endorsement is verified like any credential, also within a badge, whose issuer signs for none of it."""
    endorser = Ed25519Signer(b"e" * 32)
    unsigned = endorse(endorser, "https://uni.example/a/stats")
    if form == "jwt":
        token = sign_jwt(unsigned, endorser)
        head, _, mark = token.split(".")
        forged = sign_jwt(unsigned | {"name": "Forged"}, endorser).split(".")[1]
        carried: dict[str, Any] = {"endorsement_jwt": (f"{head}.{forged}.{mark}" if tampered else token,)}
    else:
        signed = sign(unsigned, endorser, created=CREATED)
        carried = {"endorsement": (signed | {"name": "Forged"} if tampered else signed,)}
    whole = make_draft(signer.did)
    if place == "credential":
        credential = issue(**carried)
    elif place == "achievement":
        credential = issue(achievement=whole.achievement.model_copy(update=carried))
    else:
        changed = make_draft(signer.did).model_copy(update={"issuer": whole.issuer.model_copy(update=carried)})
        credential = sign(build_credential(changed), signer, created=CREATED)
    found = await verify(credential, Files(), policy)
    evidence = found.checks[CheckName.EVIDENCE]
    assert found.checks[CheckName.PROOF].outcome is Outcome.PASSED
    if tampered:
        assert (evidence.outcome, evidence.code) == (Outcome.FAILED, "evidence-signature-invalid")
        name = "endorsement" if form == "object" else "endorsementJwt"
        above = {"credential": "", "achievement": "/credentialSubject/achievement", "issuer": "/issuer"}[place]
        assert evidence.pointer == f"{above}/{name}/0"
        assert not found.verified
    else:
        assert (evidence.outcome, evidence.code) == (Outcome.PASSED, "evidence-verified")
        assert found.verified


@pytest.mark.parametrize("token", ["https://evil.example/a.b.c", 7, None, "x", {"a": 1}])
async def test_s9_what_is_no_endorsement_token_is_not_asked_for(
    signer: Ed25519Signer, policy: Policy, token: Any
) -> None:
    document = build_credential(make_draft(signer.did)) | {"endorsementJwt": ["a.b.c"]}
    signed = sign(document, signer, created=CREATED)
    signed["endorsementJwt"] = [token]
    files = Files()
    found = await verify(signed, files, policy)
    assert not found.verified
    assert not [asked for asked in files.asked if not asked.startswith("trust")]
    unsigned = document | {"endorsementJwt": ["https://evil.example/a.b.c"]}
    found = await verify(sign(unsigned, signer, created=CREATED), files, policy)
    assert found.checks[CheckName.EVIDENCE].outcome is Outcome.FAILED
    assert not [asked for asked in files.asked if not asked.startswith("trust")]


async def test_an_endorser_who_takes_a_word_back_takes_nothing_from_the_badge(
    issue: Issue, signer: Ed25519Signer, policy: Policy
) -> None:
    endorser, url = Ed25519Signer(b"e" * 32), "https://agency.example/status/1"
    bits = Bitstring()
    bits[3] = 1
    revoked = build_status_list(url=url, issuer=endorser.did, purpose="revocation", bits=bits, valid_from=CREATED)
    unsigned = endorse(endorser, "https://uni.example/a/stats", status=(StatusEntry(list_url=url, index=3),))
    files = Files().serve(url, sign(revoked, endorser, created=CREATED))
    signed = sign(unsigned, endorser, created=CREATED)
    assert not (await verify(signed, files, policy)).verified
    assert (await verify(issue(endorsement=(signed,)), files, policy)).verified


async def test_evidence_that_is_no_credential_is_named_and_not_fetched(
    issue: Issue, signer: Ed25519Signer, policy: Policy
) -> None:
    files = Files()
    found = await verify(issue(), files, policy)
    assert found.checks[CheckName.EVIDENCE].code == "evidence-named"
    assert [asked for asked in files.asked if not asked.startswith("trust")] == []
    found = await verify(issue(evidence=()), files, policy)
    check = found.checks[CheckName.EVIDENCE]
    assert (check.outcome, check.code) == (Outcome.SKIPPED, "evidence-absent")
    asked = Policy(at=NOW, checks=(CheckName.PROOF, CheckName.ISSUER))
    assert (await verify(issue(), files, asked)).checks[CheckName.EVIDENCE].code == "not-asked"


CITED = "https://other.example/credentials/1"


def test_a_stack_may_rest_on_decisions_alone_but_none_is_told_of_where_a_component_cannot_be_read(issue: Issue) -> None:
    bare = STACK.model_copy(update={"components": ()})
    assert read_facts(issue(evidence=(), stack=bare)).stack == bare
    odd = issue(evidence=(), stack=STACK)
    del odd["evidence"][0]["id"]
    assert read_facts(odd).stack is None


def cite(credential: dict[str, Any], /, **changes: Any) -> Stack:
    """A stack of one, which cites that credential by its address."""
    component = Component(
        credential=credential["id"],
        achievement=credential["credentialSubject"]["achievement"]["id"],
        issuer=credential["issuer"]["id"],
        digest=digest_of(credential),
    )
    return STACK.model_copy(update={"components": (component.model_copy(update=changes),)})


@pytest.mark.parametrize(
    ("served", "changes", "outcome", "code"),
    [
        (True, {}, Outcome.PASSED, "evidence-verified"),
        (True, {"digest": None}, Outcome.PASSED, "evidence-verified"),
        (True, {"digest": "ab" * 32}, Outcome.FAILED, "evidence-changed"),
        (True, {"credential": "urn:uuid:1"}, Outcome.UNDETERMINED, "evidence-elsewhere"),
        (False, {}, Outcome.UNDETERMINED, "evidence-unreachable"),
    ],
)
async def test_a_cited_stack_is_looked_up_where_that_can_be_done(
    issue: Issue, policy: Policy, served: bool, changes: dict[str, Any], outcome: Outcome, code: str
) -> None:
    inner = issue(by=Ed25519Signer(b"o" * 32), id=CITED, evidence=())
    files = Files().serve(CITED, inner) if served else Files()
    found = await verify(issue(evidence=(), stack=cite(inner, **changes)), files, policy)
    check = found.checks[CheckName.EVIDENCE]
    assert (check.outcome, check.code, check.pointer) == (
        outcome,
        code,
        None if outcome is Outcome.PASSED else "/evidence/0",
    )
    assert found.verified is (outcome is not Outcome.FAILED)


async def test_what_lies_at_a_cited_address_must_be_what_was_cited(issue: Issue, policy: Policy) -> None:
    inner = issue(by=Ed25519Signer(b"o" * 32), id=CITED, evidence=())
    for body, code in (
        (issue(id="urn:uuid:other"), "evidence-other"),
        (bake(b'<svg xmlns="http://www.w3.org/2000/svg"/>', inner), "evidence-verified"),
        (bake(b'<svg xmlns="http://www.w3.org/2000/svg"/>', inner | {"name": "Forged"}), "evidence-signature-invalid"),
        (inner | {"name": "Forged"}, "evidence-signature-invalid"),
        (b"<html>", "evidence-other"),
    ):
        found = await verify(issue(evidence=(), stack=cite(inner)), Files().serve(CITED, body), policy)
        assert found.checks[CheckName.EVIDENCE].code == code


@pytest.mark.parametrize("trust", [Trust.UNKNOWN, Trust.DISTRUSTED])
async def test_s9_evidence_is_never_fetched_for_an_issuer_who_is_not_trusted(
    issue: Issue, policy: Policy, trust: Trust
) -> None:
    inner = issue(by=Ed25519Signer(b"o" * 32), id=CITED, evidence=())
    files = Files(trust).serve(CITED, inner)
    found = await verify(issue(evidence=(), stack=cite(inner)), files, policy)
    assert found.checks[CheckName.EVIDENCE].code == "evidence-unreachable"
    assert [asked for asked in files.asked if not asked.startswith("trust")] == []
    forged = issue(evidence=(), stack=cite(inner)) | {"name": "Forged"}
    files = Files().serve(CITED, inner)
    assert (await verify(forged, files, policy)).checks[CheckName.EVIDENCE].code == "proof-first"
    assert files.asked == []


@pytest.mark.parametrize(
    ("context", "kind"),
    [
        ("https://purl.imsglobal.org/spec/ob/v3p0/context.json", "OpenBadgeCredential"),
        ("https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.1.json", "OpenBadgeCredential"),
        ("https://w3id.org/dcc/v1", "LearningCredential"),
    ],
)
@pytest.mark.parametrize("changed", [False, True])
async def test_badges_of_earlier_contexts_are_still_verified(
    signer: Ed25519Signer, policy: Policy, context: str, kind: str, changed: bool
) -> None:
    """What is in wallets since 3.0 was young, on VC data model 1.1."""
    document = {
        "@context": ["https://www.w3.org/2018/credentials/v1", context, "https://w3id.org/security/data-integrity/v2"],
        "id": "urn:uuid:2df2ae9a-ba2b-4c31-9f18-d98cc6a9a57d",
        "type": ["VerifiableCredential", kind],
        "name": "Statistics",
        "issuer": signer.did,
        "issuanceDate": "2022-03-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:learner"},
    }
    badge = sign(document, signer, created=CREATED)
    if changed:
        badge["name"] = "Brain surgery"
    found = await verify(badge, Files(), policy)
    assert found.verified is not changed, found.to_json()
