"""Verifiable presentations as VC data model 2.0, Data Integrity 1.0 and VC-JOSE-COSE 1.0 state them, each cited."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.credentials import (
    CheckName,
    Cryptosuite,
    DocumentRefused,
    Ed25519Signer,
    Outcome,
    Policy,
    PresentationVerification,
    Trust,
    VerificationMethod,
    build_credential,
    build_did_document,
    build_presentation,
    did_web_url,
    enveloped,
    sign_jwt,
    sign_presentation,
    sign_presentation_jwt,
    verify,
    verify_presentation,
)
from cairn.credentials.canonicalize.walk import walk

from .conftest import CREATED, NOW, Files, Issue, make_draft

VC2 = "https://www.w3.org/ns/credentials/v2"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
HOLDER = Ed25519Signer(bytes([7] * 32))
ASKED = Policy(at=NOW, challenge="u-challenge", domain="verifier.example")
OPEN = Policy(at=NOW)
MINUTE = timedelta(minutes=1)


def shown(document: dict[str, Any], **options: Any) -> dict[str, Any]:
    return sign_presentation(
        document, HOLDER, **({"created": NOW, "challenge": ASKED.challenge, "domain": ASKED.domain} | options)
    )


def shown_as_jwt(document: dict[str, Any], **options: Any) -> str:
    return sign_presentation_jwt(
        document, HOLDER, **({"issued": NOW, "challenge": ASKED.challenge, "domain": ASKED.domain} | options)
    )


async def look(presentation: Any, policy: Policy = ASKED, files: Files | None = None) -> PresentationVerification:
    found = await verify_presentation(presentation, files or Files(), policy)
    json.dumps(found.to_json())
    return found


def told(found: PresentationVerification, name: CheckName) -> tuple[Outcome, str]:
    return found.checks[name].outcome, found.checks[name].code


@pytest.fixture
def credential(signed: dict[str, Any]) -> dict[str, Any]:
    return signed


@pytest.fixture
def plain(credential: dict[str, Any]) -> dict[str, Any]:
    """An unsigned presentation of one credential."""
    return build_presentation([credential], holder=HOLDER.did)


class TestDataModel:
    """VC data model 2.0."""

    async def test_a_presentation_needs_nothing_but_context_and_type(self) -> None:
        """§4.13: `verifiableCredential` and `holder` MAY be present."""
        found = await look(shown(build_presentation([])))
        assert found.verified, found.to_json()
        assert found.holder == HOLDER.did

    @pytest.mark.parametrize(
        ("contexts", "code"),
        [
            (None, "context-order"),
            ([EXAMPLES], "context-order"),
            ([{"Show": "https://example.org/#Show"}, VC2], "context-order"),
            ([VC2, 123192875], "context-malformed"),
            ([VC2, "https ://not-a-url/contexts/example/v1"], "context-malformed"),
        ],
    )
    async def test_the_first_context_is_that_of_the_data_model(
        self, plain: dict[str, Any], contexts: Any, code: str
    ) -> None:
        """§4.3: an ordered set whose first item is the base context; the others are URLs or objects."""
        changed = plain | {"@context": contexts}
        if contexts is None:
            del changed["@context"]
        found = await look(changed, OPEN)
        assert told(found, CheckName.SCHEMA) == (Outcome.FAILED, code)
        assert not found.verified
        with pytest.raises(DocumentRefused):
            shown(changed)

    async def test_other_contexts_may_follow_and_an_unknown_one_is_undetermined(self, plain: dict[str, Any]) -> None:
        """§4.3; and a context that is not bundled is never fetched."""
        document = plain | {
            "@context": [VC2, {"Show": "https://example.org/#Show"}],
            "type": ["VerifiablePresentation", "Show"],
        }
        assert (await look(shown(document))).verified
        found = await look(shown(plain) | {"@context": [VC2, "https://example.com"]})
        assert told(found, CheckName.PROOF) == (Outcome.UNDETERMINED, "context-unknown")
        assert not found.verified

    @pytest.mark.parametrize("kind", [None, [], ["CredentialManagerPresentation"], "VerifiableCredential", [7]])
    async def test_a_type_is_verifiable_presentation(self, plain: dict[str, Any], kind: Any) -> None:
        """§4.5, §4.13: "The type property MUST be present. … One value of this property MUST be
        VerifiablePresentation"."""
        changed = {name: value for name, value in plain.items() if name != "type"}
        found = await look(changed if kind is None else changed | {"type": kind}, OPEN)
        assert not found.verified
        assert Outcome.FAILED in {check.outcome for check in found.checks.values()}

    @pytest.mark.parametrize("named", ["z6MkpJySvETLnxhQ", {"id": "z6MkpJySvETLnxhQ"}, {"name": "Acme"}, 7])
    async def test_a_holder_is_a_url_or_has_one(self, plain: dict[str, Any], named: Any) -> None:
        """§4.13: "If present, the value MUST be either a URL or an object containing an id property"."""
        found = await look(plain | {"holder": named}, OPEN)
        assert told(found, CheckName.SCHEMA) == (Outcome.FAILED, "holder-malformed")
        assert (await look(shown(plain | {"holder": {"id": HOLDER.did}}))).verified

    @pytest.mark.parametrize("value", ["https://uni.example/c/1", 7, None])
    async def test_a_credential_in_it_is_an_object(self, plain: dict[str, Any], value: Any) -> None:
        """§4.13: "the values MUST NOT be non-object values such as numbers, strings, or URLs"."""
        token = sign_jwt(build_credential(make_draft(HOLDER.did)), HOLDER)
        for one in (value, token):
            found = await look(plain | {"verifiableCredential": [one]}, OPEN)
            assert told(found, CheckName.SCHEMA) == (Outcome.FAILED, "credential-malformed")
            assert not found.verified

    async def test_an_id_is_a_url(self, plain: dict[str, Any]) -> None:
        """§4.13: "If present, the normative guidance in Section 4.4 Identifiers MUST be followed"."""
        assert (await look(shown(plain | {"id": "urn:uuid:9c9a36f8-518f-4976-a934-6649502d0008"}))).verified
        assert told(await look(plain | {"id": "nine"}, OPEN), CheckName.SCHEMA) == (Outcome.FAILED, "id-malformed")

    @pytest.mark.parametrize(
        "change",
        [
            {"@context": []},
            {"@context": EXAMPLES},
            {"@context": [EXAMPLES]},
            {"type": ["VerifiablePresentation"]},
            {"type": "EnvelopedVerifiableCredential"},
            {"id": "eyJh.eyJh.c2ln"},
            {"id": "data:text/plain,eyJh.eyJh.c2ln"},
        ],
        ids=str,
    )
    async def test_an_enveloped_presentation(self, plain: dict[str, Any], change: dict[str, Any]) -> None:
        """§4.13.2: the base context MUST be present; the id MUST be a data: URL; the type MUST be
        EnvelopedVerifiablePresentation."""
        envelope = enveloped(shown_as_jwt(plain))
        assert (await look(envelope)).verified
        assert not (await look(envelope | change)).verified

    @pytest.mark.parametrize(
        "change",
        [
            {"@context": []},
            {"@context": EXAMPLES},
            {"type": "VerifiableCredential"},
            {"type": "EnvelopedVerifiablePresentation"},
            {"type": None},
            {"id": "not-a-credential"},
        ],
        ids=str,
    )
    async def test_an_enveloped_credential(self, change: dict[str, Any]) -> None:
        """§4.13.1: the base context MUST be present; the id MUST be a data: URL; the type MUST be
        EnvelopedVerifiableCredential."""
        envelope = enveloped(sign_jwt(build_credential(make_draft(HOLDER.did)), HOLDER))
        assert (await verify(envelope, Files(), OPEN)).verified
        assert (await look(build_presentation([envelope]), OPEN)).verified
        assert not (await verify(envelope | change, Files(), OPEN)).verified
        assert not (await look(build_presentation([envelope | change]), OPEN)).verified

    async def test_one_bad_credential_spoils_the_presentation(self, credential: dict[str, Any], issue: Issue) -> None:
        """§7.1: each credential is verified for itself."""
        altered = copy.deepcopy(credential)
        altered["credentialSubject"]["achievement"]["name"] = "Brain Surgery"
        expired = issue(valid_until=CREATED + MINUTE)
        for bad in (altered, expired):
            found = await look(shown(build_presentation([credential, bad])))
            assert told(found, CheckName.PROOF)[0] is Outcome.PASSED
            assert [one.verified for one in found.credentials] == [True, False]
            assert not found.verified

    async def test_a_credential_without_a_proof_is_not_shown_nor_accepted(self, plain: dict[str, Any]) -> None:
        """VC-JOSE-COSE §3.1.2: "Credentials in verifiable presentations MUST be secured"."""
        unsigned = build_credential(make_draft(HOLDER.did))
        found = await look(plain | {"verifiableCredential": [unsigned]}, OPEN)
        assert found.credentials[0].checks[CheckName.PROOF].code == "proof-missing"
        assert not found.verified
        with pytest.raises(DocumentRefused) as refusal:
            shown(build_presentation([unsigned]))
        assert refusal.value.pointer == "/verifiableCredential/0"


FORMS = [shown, shown_as_jwt, lambda document, **options: enveloped(shown_as_jwt(document, **options))]


@pytest.mark.parametrize("show", FORMS, ids=["data-integrity", "vp+jwt", "enveloped"])
class TestHolder:
    """Data Integrity 1.0 §4.3 (challenge, domain, purpose), VC-JOSE-COSE §3.1.2, and whose key it is."""

    async def test_it_answers_the_challenge_of_this_verifier(self, plain: dict[str, Any], show: Any) -> None:
        found = await look(show(plain))
        assert found.verified, found.to_json()
        assert told(found, CheckName.HOLDER) == (Outcome.PASSED, "holder-signed")
        assert (await look(show(plain), OPEN)).verified

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"challenge": "another"}, "challenge-mismatch"),
            ({"challenge": None}, "challenge-mismatch"),
            ({"domain": "other.example"}, "domain-mismatch"),
            ({"domain": None}, "domain-mismatch"),
        ],
    )
    async def test_what_was_made_for_another_fails(
        self, plain: dict[str, Any], show: Any, options: dict[str, Any], code: str
    ) -> None:
        """ "If the domain … does not match … INVALID_DOMAIN_ERROR"; the challenge likewise."""
        found = await look(show(plain, **options))
        assert told(found, CheckName.PROOF) == (Outcome.FAILED, code)
        assert not found.verified

    async def test_s07_a_stranger_does_not_present_for_the_holder(self, plain: dict[str, Any], show: Any) -> None:
        with pytest.raises(DocumentRefused) as refusal:
            show(plain | {"holder": "did:web:victim.example"})
        assert refusal.value.code == "holder-mismatch"
        files = Files()
        forged = show({name: value for name, value in plain.items() if name != "holder"})
        if "proof" in forged:
            found = await look(forged | {"holder": "did:web:victim.example"}, files=files)
            assert told(found, CheckName.HOLDER) == (Outcome.FAILED, "holder-mismatch")
            assert not found.verified
            assert "https://victim.example/.well-known/did.json" not in files.asked

    async def test_a_holder_may_be_a_did_web_with_a_key_for_authentication(
        self, plain: dict[str, Any], show: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Data Integrity §4.3: the key MUST be one the controller relates to the purpose of the proof."""
        web = "did:web:wallet.example"
        signer = Ed25519Signer(bytes([8] * 32), f"{web}#k")
        monkeypatch.setitem(globals(), "HOLDER", signer)
        presentation = show(plain | {"holder": web})
        for purpose, code in (("authentication", "holder-signed"), ("assertionMethod", "key-purpose")):
            method = VerificationMethod(f"{web}#k", web, signer.public_key, purposes=frozenset({purpose}))
            files = Files().serve(did_web_url(web), build_did_document(web, [method]))
            found = await look(presentation, files=files)
            assert told(found, CheckName.HOLDER)[1] == code
            assert found.verified is (code == "holder-signed")
        assert told(await look(presentation), CheckName.PROOF) == (Outcome.UNDETERMINED, "did-unreachable")

    async def test_credentials_about_another_are_told(self, issue: Issue, show: Any) -> None:
        found = await look(show(build_presentation([issue(subject_id=HOLDER.did), issue()])))
        assert found.verified
        assert [(one.code, one.pointer) for one in found.checks[CheckName.HOLDER].also] == [
            ("subject-other", "/verifiableCredential/1")
        ]


async def test_an_unsigned_presentation_is_taken_only_where_no_challenge_was_sent(plain: dict[str, Any]) -> None:
    for policy in (OPEN, Policy(at=NOW, domain="d")):
        found = await look(plain, policy)
        assert found.verified
        assert told(found, CheckName.PROOF) == (Outcome.SKIPPED, "unsigned")
        assert told(found, CheckName.HOLDER) == (Outcome.SKIPPED, "unsigned")
    for policy in (ASKED, Policy(at=NOW, challenge="c")):
        found = await look(plain, policy)
        assert told(found, CheckName.PROOF) == (Outcome.FAILED, "proof-missing")
        assert not found.verified


async def test_a_proof_for_assertion_is_none_for_authentication(plain: dict[str, Any]) -> None:
    """Data Integrity §2.1: the purpose prevents a proof from being used for another one."""
    presentation = shown(plain)
    presentation["proof"]["proofPurpose"] = "assertionMethod"
    assert told(await look(presentation), CheckName.PROOF) == (Outcome.FAILED, "proof-purpose")


@pytest.mark.parametrize(
    ("times", "code"),
    [({"expires": NOW - 6 * MINUTE}, "expired"), ({"expires": NOW - 4 * MINUTE}, "in-force")],
)
async def test_a_token_has_an_end(plain: dict[str, Any], times: dict[str, Any], code: str) -> None:
    """RFC 7519 §4.1.4: it "MUST NOT be accepted" on or after `exp`; R12: one tolerance."""
    found = await look(shown_as_jwt(plain, issued=NOW - 10 * MINUTE, **times))
    assert told(found, CheckName.VALIDITY)[1] == code
    assert found.verified is (code == "in-force")


async def test_a_presentation_is_no_credential_and_a_credential_no_presentation(credential: dict[str, Any]) -> None:
    for presentation in (shown(build_presentation([])), shown_as_jwt(build_presentation([])), build_presentation([])):
        assert not (await verify(presentation, Files(), OPEN)).verified
    for one in (credential, sign_jwt(build_credential(make_draft(HOLDER.did)), HOLDER)):
        assert told(await look(one, OPEN), CheckName.PROOF) == (Outcome.FAILED, "presentation-missing")


async def test_s09_what_one_credential_points_to_is_asked_for_once(issue: Issue) -> None:
    web = Ed25519Signer(bytes([9] * 32), "did:web:uni.example#k")
    document = build_did_document(
        "did:web:uni.example", [VerificationMethod(web.verification_method, "did:web:uni.example", web.public_key)]
    )
    files = Files(Trust.TRUSTED).serve(did_web_url("did:web:uni.example"), document)
    found = await look(build_presentation([issue(by=web), issue(by=web)]), OPEN, files)
    assert found.verified
    assert files.asked.count(did_web_url("did:web:uni.example")) == 1


async def test_as_many_credentials_as_may_be_are_verified_and_written_by_the_walk(issue: Issue) -> None:
    credentials = [issue(id=f"urn:uuid:00000000-0000-4000-8000-{number:012d}") for number in range(50)]
    document = build_presentation(credentials, holder=HOLDER.did)
    assert walk(document).canonical()
    found = await look(shown(document))
    assert found.verified
    assert len(found.credentials) == 50


async def test_too_many_credentials_are_not_begun_with(credential: dict[str, Any]) -> None:
    found = await look(build_presentation([{"type": ["VerifiableCredential"]}] * 51), OPEN)
    assert told(found, CheckName.PROOF) == (Outcome.UNDETERMINED, "too-complex")
    assert not found.verified


@pytest.mark.parametrize("cryptosuite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
async def test_s01_whatever_is_changed_is_caught(credential: dict[str, Any], cryptosuite: Cryptosuite) -> None:
    good = shown(build_presentation([credential], holder=HOLDER.did, id_="urn:x:1"), cryptosuite=cryptosuite)
    assert (await look(good)).verified
    for change in (
        {"id": "urn:x:2"},
        {"holder": "did:example:1"},
        {"type": ["VerifiablePresentation", "https://example.org/Other"]},
        {"verifiableCredential": []},
        {"verifiableCredential": [credential, credential]},
        {"termsOfUse": {"type": "https://example.org/Terms"}},
        {"undefined": "term"},
    ):
        assert not (await look(good | change)).verified, change
    for name in good["proof"]:
        for value in (None, "", "z6Mk", {}, [], "2026-01-01T00:00:00Z"):
            assert not (await look(good | {"proof": good["proof"] | {name: value}})).verified, (name, value)


TOKEN = shown_as_jwt(
    build_presentation([sign_jwt(build_credential(make_draft(HOLDER.did)), HOLDER)], holder=HOLDER.did)
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="ascii"))
async def test_no_byte_of_a_token_can_be_changed(position: int, character: str) -> None:
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    assert changed == TOKEN or not (await look(changed)).verified


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["@context", "type", "id", "holder", "proof", "verifiableCredential"])
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["@context", "type", "id", "holder", "proof", "verifiableCredential"]),
    JUNK,
    st.sampled_from([OPEN, ASKED]),
)
async def test_bad_input_never_raises(member: str, junk: Any, policy: Policy) -> None:
    found = await look(build_presentation([], holder=HOLDER.did) | {member: junk}, policy)
    assert policy is OPEN or not found.verified
    await look(junk, policy)
