"""Whatever is issued verifies; whatever is handed in gets an answer."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.credentials import (
    CheckName,
    CredentialDraft,
    Ed25519Signer,
    Outcome,
    Policy,
    build_credential,
    sign,
    sign_jwt,
    verify,
)

from .conftest import CREATED, NOW, OWN, Files, make_draft

SIGNER = Ed25519Signer(bytes(range(32)))
POLICY = Policy(at=NOW)
PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]) | st.sampled_from('\n\t"\\'), min_size=1)
EARLY, LATE = datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2026-11-01")
NEXT_YEAR, FAR = datetime.fromisoformat("2027-01-01"), datetime.fromisoformat("2090-01-01")
IRIS = st.uuids().map(lambda value: f"urn:uuid:{value}")


@st.composite
def _drafts(draw: st.DrawFn) -> CredentialDraft:
    whole = make_draft(SIGNER.did)
    achievement = whole.achievement.model_copy(
        update={
            "name": draw(PRINTABLE),
            "description": draw(PRINTABLE),
            "tag": tuple(draw(st.lists(PRINTABLE, max_size=3))),
            "credits_available": draw(st.none() | st.decimals(0, 1000, places=2)),
        }
    )
    return make_draft(
        SIGNER.did,
        id=draw(IRIS),
        achievement=achievement,
        name=draw(st.none() | PRINTABLE),
        credits_earned=draw(st.none() | st.decimals(0, 1000, places=3)),
        valid_from=draw(st.datetimes(EARLY, LATE, timezones=st.just(UTC))),
        valid_until=draw(st.none() | st.datetimes(NEXT_YEAR, FAR, timezones=st.just(UTC))),
        subject_id=draw(st.none() | IRIS),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_drafts(), st.sampled_from(["eddsa-rdfc-2022", "eddsa-jcs-2022", "jwt"]))
async def test_whatever_is_issued_verifies(draft: CredentialDraft, form: Any) -> None:
    document = build_credential(draft)
    if form == "jwt":
        text = sign_jwt(document, SIGNER)
    else:
        text = json.dumps(sign(document, SIGNER, created=CREATED, cryptosuite=form))
    found = await verify(text, Files(), POLICY)
    assert found.verified, found.to_json()
    assert {name for name, check in found.checks.items() if check.outcome is not Outcome.PASSED} == {
        CheckName.STATUS,
        CheckName.HOLDER,
    }


MEMBERS = (
    "@context @id @type @value @graph @list @language @json id type issuer proof credentialSubject credentialStatus "
    "credentialSchema verificationMethod cryptosuite proofPurpose proofValue created validFrom validUntil evidence "
    "name alignment achievement result statusListIndex statusListCredential statusPurpose"
)
WORDS = st.text() | st.sampled_from(["did:key:z6Mk", "~"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
KEYS = st.text(max_size=3) | st.sampled_from(MEMBERS.split())
JUNK = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)
OBJECTS = st.dictionaries(KEYS, JUNK, max_size=5)
SAMPLES = [json.loads((OWN / "db" / name).read_text()) for name in ("ob3-eddsa-rdfc-2022-full.json", "status-ok.json")]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(OBJECTS, st.text(), st.binary(), JUNK.map(json.dumps)))
async def test_verify_never_raises_on_junk(value: Any) -> None:
    found = await verify(value, Files(), POLICY)
    assert not found.verified
    json.dumps(found.to_json())


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SAMPLES), st.data())
async def test_verify_never_raises_and_never_accepts_a_grafted_credential(sample: Any, data: st.DataObject) -> None:
    """One member, anywhere in a genuine credential, is replaced by junk."""
    credential = copy.deepcopy(sample)
    node: Any = credential
    while True:
        key = data.draw(st.sampled_from(sorted(node)) if isinstance(node, dict) else st.integers(0, len(node) - 1))
        if isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
            node = node[key]
            continue
        before, node[key] = node[key], data.draw(JUNK)
        break
    found = await verify(credential, Files(), POLICY)
    # JSON-LD reads a bare value and a list of it alike, and an empty list as nothing; that is no change of meaning.
    listed = node[key] if isinstance(node[key], list) else [node[key]]
    if listed != (before if isinstance(before, list) else [before]):
        assert not found.verified
    json.dumps(found.to_json())


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 2), st.data())
async def test_verify_never_raises_on_a_grafted_token(junk: bytes, part: int, data: st.DataObject) -> None:
    token = (OWN / "jose" / "vc-eddsa.jwt").read_text().strip()
    position = data.draw(st.integers(0, len(token) - 1))
    changed = token[:position] + junk.decode("latin-1") + token[position + part :]
    found = await verify(changed, Files(), POLICY)
    assert changed.strip(" \t\r\n") == token or not found.verified
