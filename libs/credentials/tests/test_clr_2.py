"""Comprehensive Learner Record 2.0: a qualification with its stack, each part of it signed by its own issuer."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from jsonschema import Draft201909Validator

from cairn.credentials import (
    Bitstring,
    CheckName,
    ClrDraft,
    Ed25519Signer,
    Outcome,
    Policy,
    Profile,
    StatusEntry,
    Trust,
    build_clr,
    build_credential,
    build_status_list,
    bundle,
    sign,
    stack_associations,
    verify,
)
from cairn.credentials.schema_check import CLR_SCHEMA

from .conftest import CREATED, Files, Issue, make_draft
from .test_open_badges_3 import cite

QUALIFICATION = "https://uni.example/a/pgcert"
PARTNER = Ed25519Signer(b"p" * 32)


def record(signer: Ed25519Signer, *credentials: dict[str, Any], **changes: Any) -> dict[str, Any]:
    achievements = [one["credentialSubject"]["achievement"]["id"] for one in credentials]
    values: dict[str, Any] = {
        "id": "urn:uuid:00000000-0000-4000-8000-0000000000c1",
        "issuer": Profile(id=signer.did, name="University of Example"),
        "name": "Postgraduate Certificate, with its stack",
        "subject_id": "did:example:learner-1",
        "credentials": credentials,
        "associations": stack_associations(QUALIFICATION, achievements[1:]),
        "achievements": (make_draft(signer.did).achievement.model_copy(update={"id": QUALIFICATION}),),
        "valid_from": CREATED,
        "partial": False,
    }
    return build_clr(ClrDraft(**(values | changes)))


def stack(issue: Issue, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    part = issue(by=PARTNER, id="urn:uuid:00000000-0000-4000-8000-0000000000b2", evidence=(), **changes)
    whole = issue(id="urn:uuid:00000000-0000-4000-8000-0000000000b1", evidence=(), stack=cite(part))
    return whole, part


async def test_a_record_validates_and_verifies_with_all_that_is_in_it(
    issue: Issue, signer: Ed25519Signer, policy: Policy
) -> None:
    """§B.1: `ClrSubject.verifiableCredential` is one or more; `association` relates achievements by their ids."""
    document = record(signer, *stack(issue))
    errors = list(Draft201909Validator(bundle.schema(CLR_SCHEMA)).iter_errors(document))
    assert errors == []
    found = await verify(sign(document, signer, created=CREATED), Files(), policy)
    assert found.verified
    outcomes = {name: (check.outcome, check.code) for name, check in found.checks.items()}
    assert outcomes[CheckName.SCHEMA] == (Outcome.PASSED, "schema-valid")
    assert outcomes[CheckName.EVIDENCE] == (Outcome.PASSED, "evidence-verified")
    subject = document["credentialSubject"]
    assert {one["associationType"] for one in subject["association"]} == {"isParentOf", "isPartOf"}
    assert subject["association"][0]["sourceId"] == QUALIFICATION


def _leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(node, dict):
        return [leaf for key, value in node.items() for leaf in _leaves(value, (*path, key))]
    if isinstance(node, list):
        return [leaf for key, value in enumerate(node) for leaf in _leaves(value, (*path, key))]
    return [path]


async def test_a_badge_altered_within_a_validly_signed_record_fails(
    issue: Issue, signer: Ed25519Signer, policy: Policy
) -> None:
    """§9: each of the credentials in a record is verified by its own proof, whatever the record's."""
    whole, part = issue(evidence=()), stack(issue)[1]
    leaves = [path for path in _leaves(part["credentialSubject"]) if "type" not in path]
    assert len(leaves) > 50
    for path in leaves[::7]:
        altered = copy.deepcopy(part)
        node: Any = altered["credentialSubject"]
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = node[path[-1]] + 1 if isinstance(node[path[-1]], int | float) else f"{node[path[-1]]}x"
        found = await verify(sign(record(signer, whole, altered), signer, created=CREATED), Files(), policy)
        assert found.checks[CheckName.PROOF].outcome is Outcome.PASSED
        check = found.checks[CheckName.EVIDENCE]
        assert (check.outcome, check.pointer) == (Outcome.FAILED, "/credentialSubject/verifiableCredential/1"), path
        assert not found.verified


async def test_a_badge_without_a_proof_fails_the_record(issue: Issue, signer: Ed25519Signer, policy: Policy) -> None:
    whole, part = issue(evidence=()), stack(issue)[1]
    bare = {key: value for key, value in part.items() if key != "proof"}
    found = await verify(sign(record(signer, whole, bare), signer, created=CREATED), Files(), policy)
    assert found.checks[CheckName.EVIDENCE].code == "evidence-proof-missing"
    assert not found.verified


async def test_s7_a_badge_that_the_record_signs_in_anothers_name_fails(
    issue: Issue, signer: Ed25519Signer, policy: Policy
) -> None:
    whole, part = stack(issue)
    forged = {key: value for key, value in part.items() if key != "proof"} | {"issuer": whole["issuer"]}
    forged = sign(forged, signer, created=CREATED) | {"issuer": part["issuer"]}
    found = await verify(sign(record(signer, whole, forged), signer, created=CREATED), Files(), policy)
    assert found.checks[CheckName.EVIDENCE].outcome is Outcome.FAILED


@pytest.mark.parametrize(("value", "verified"), [(0, True), (1, False)])
async def test_a_badge_that_its_issuer_has_revoked_fails_the_record(
    issue: Issue, signer: Ed25519Signer, policy: Policy, value: int, verified: bool
) -> None:
    url, bits = "https://partner.example/status/1", Bitstring()
    bits[5] = value
    listed = build_status_list(url=url, issuer=PARTNER.did, purpose="revocation", bits=bits, valid_from=CREATED)
    files = Files().serve(url, sign(listed, PARTNER, created=CREATED))
    document = record(signer, *stack(issue, status=(StatusEntry(list_url=url, index=5),)))
    found = await verify(sign(document, signer, created=CREATED), files, policy)
    assert found.checks[CheckName.EVIDENCE].code == ("evidence-verified" if verified else "evidence-revoked")
    assert found.verified is verified


async def test_a_badge_that_has_expired_since_takes_nothing_away(
    issue: Issue, signer: Ed25519Signer, policy: Policy
) -> None:
    whole, part = stack(issue, valid_until=CREATED.replace(month=6))
    assert (await verify(part, Files(), policy)).checks[CheckName.VALIDITY].code == "expired"
    found = await verify(sign(record(signer, whole, part), signer, created=CREATED), Files(), policy)
    assert found.verified


async def test_the_record_holds_the_very_credentials_that_the_qualification_cites(
    issue: Issue, signer: Ed25519Signer, policy: Policy
) -> None:
    part = issue(by=PARTNER, id="urn:uuid:00000000-0000-4000-8000-0000000000b2", evidence=())
    other = issue(by=PARTNER, id=part["id"], evidence=(), narrative="another")
    clr = record(signer, issue(evidence=()), other)
    clr["evidence"] = build_credential(make_draft(signer.did, evidence=(), stack=cite(part)))["evidence"]
    found = await verify(sign(clr, signer, created=CREATED), Files(), policy)
    assert found.checks[CheckName.EVIDENCE].code == "evidence-changed"


async def test_s9_a_forged_badge_in_a_strangers_record_fails_without_anything_being_fetched(
    issue: Issue, signer: Ed25519Signer, policy: Policy
) -> None:
    whole, part = issue(evidence=()), stack(issue)[1]
    files = Files(Trust.UNKNOWN)
    forged = record(signer, whole, part | {"name": "Forged"})
    found = await verify(sign(forged, signer, created=CREATED), files, policy)
    assert found.checks[CheckName.EVIDENCE].code == "evidence-signature-invalid"
    assert [asked for asked in files.asked if not asked.startswith("trust")] == []


async def test_records_within_records_end_somewhere(issue: Issue, signer: Ed25519Signer, policy: Policy) -> None:
    inner: dict[str, Any] = stack(issue)[1]
    for level in range(4):
        values = {"id": f"urn:uuid:00000000-0000-4000-8000-00000000000{level}", "associations": (), "achievements": ()}
        unsigned = build_clr(
            ClrDraft(issuer=Profile(id=signer.did), name="r", credentials=(inner,), valid_from=CREATED, **values)
        )
        inner = sign(unsigned, signer, created=CREATED)
    check = (await verify(inner, Files(), policy)).checks[CheckName.EVIDENCE]
    assert (check.outcome, check.code) == (Outcome.UNDETERMINED, "evidence-too-complex")


async def test_a_record_of_too_many_is_not_looked_into(issue: Issue, signer: Ed25519Signer, policy: Policy) -> None:
    small = issue(evidence=())
    del small["proof"]
    small["credentialSubject"] = {"id": "did:example:a"}
    clr = record(signer, *stack(issue))
    clr["credentialSubject"]["verifiableCredential"] = [small | {"id": f"urn:x:{number}"} for number in range(65)]
    check = (await verify(sign(clr, signer, created=CREATED), Files(), policy)).checks[CheckName.EVIDENCE]
    assert (check.outcome, check.code) == (Outcome.UNDETERMINED, "too-complex")
