"""VC-JOSE-COSE 1.0 (JOSE and SD-JWT; COSE is in `test_vc_cose.py`), each statement cited, and the Open Badges JWT."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, OKPKey

from cairn.credentials import (
    CheckName,
    DocumentRefused,
    Ed25519Signer,
    Outcome,
    P256Signer,
    P384Signer,
    P521Signer,
    Policy,
    Verification,
    build_credential,
    build_presentation,
    enveloped,
    sign_jwt,
    sign_presentation_jwt,
    sign_sd_jwt,
    verify,
    verify_presentation,
)
from cairn.credentials.jws import read_jws, sign_jws, thumbprint
from cairn.credentials.keys import LocalSigner, new_secret
from cairn.credentials.sd_jwt import issue_sd_jwt

from .conftest import CREATED, NOW, Files, make_draft

ISSUER = "https://issuer.example/vc-jose-cose"
SIGNERS: dict[str, LocalSigner] = {
    "EdDSA": Ed25519Signer(bytes([1] * 32), f"{ISSUER}#key-4"),
    "ES256": P256Signer(bytes([1] * 32), f"{ISSUER}#key-1"),
    "ES384": P384Signer(bytes([1] * 48), f"{ISSUER}#key-2"),
    "ES512": P521Signer(bytes([0] + [1] * 65), f"{ISSUER}#key-3"),
}
OPEN = Policy(at=NOW)
DOCUMENT = build_credential(make_draft(ISSUER))
CONTROLLER: dict[str, Any] = {
    "@context": "https://www.w3.org/ns/cid/v1",
    "id": ISSUER,
    "verificationMethod": [
        {
            "id": signer.verification_method,
            "type": "JsonWebKey",
            "controller": ISSUER,
            "publicKeyJwk": signer.public_key.to_jwk(),
        }
        for signer in SIGNERS.values()
    ],
    "assertionMethod": [signer.verification_method for signer in SIGNERS.values()],
    "authentication": [signer.verification_method for signer in SIGNERS.values()],
}
ANY = SIGNERS["ES256"]


def web(**changes: Any) -> Files:
    return Files().serve(ISSUER, CONTROLLER | changes)


async def look(token: Any, policy: Policy = OPEN) -> Verification:
    found = await verify(token, web(), policy)
    json.dumps(found.to_json())
    return found


def told(found: Verification, name: CheckName = CheckName.PROOF) -> tuple[Outcome, str]:
    return found.checks[name].outcome, found.checks[name].code


def token(changes: dict[str, Any] | None = None, **header: Any) -> str:
    """A JWT that the library would not issue."""
    head = {"typ": "vc+jwt", "cty": "vc", "kid": ANY.verification_method} | header
    payload = {name: value for name, value in (DOCUMENT | (changes or {})).items() if value is not None}
    return sign_jws({name: value for name, value in head.items() if value is not None}, payload, ANY)


@pytest.mark.parametrize("algorithm", SIGNERS)
class TestSecuring:
    """§3.1: "MUST use RFC7515 to secure this media type", "MUST use RFC7515 to verify"."""

    async def test_a_credential(self, algorithm: str) -> None:
        text = sign_jwt(DOCUMENT, SIGNERS[algorithm])
        header = read_jws(text)
        assert (header.kind, header.content, header.algorithm) == ("vc+jwt", "vc", algorithm)
        found = await look(text)
        assert found.verified, found.to_json()
        assert found.credential == DOCUMENT
        assert (found.form, found.issuer) == ("vc+jwt", ISSUER)

    async def test_a_presentation(self, algorithm: str) -> None:
        signer = SIGNERS[algorithm]
        inner = [sign_jwt(DOCUMENT, one) for one in SIGNERS.values()]
        text = sign_presentation_jwt(build_presentation(inner, holder=ISSUER), signer, issued=NOW)
        header = read_jws(text)
        assert (header.kind, header.content) == ("vp+jwt", "vp")
        found = await verify_presentation(text, web(), OPEN)
        assert found.verified, found.to_json()

    async def test_a_credential_to_disclose_from(self, algorithm: str) -> None:
        """§3.2: "MUST use SD-JWT to secure this media type"; "MUST support the compact serialization"."""
        text = sign_sd_jwt(DOCUMENT, SIGNERS[algorithm], disclosable=("/credentialSubject/result",))
        assert read_jws(text.split("~")[0]).kind == "vc+sd-jwt"
        found = await look(text)
        assert found.verified, found.to_json()
        assert found.credential == DOCUMENT
        withheld = await look(text.split("~")[0] + "~")
        assert withheld.verified
        assert "result" not in withheld.credential["credentialSubject"]
        assert (await look(enveloped(text))).verified

    def test_an_independent_library_reads_it(self, algorithm: str) -> None:
        signer = SIGNERS[algorithm]
        jwk = signer.public_key.to_jwk()
        key = OKPKey.import_key(jwk) if algorithm == "EdDSA" else ECKey.import_key(jwk)
        found = joserfc_jws.deserialize_compact(sign_jwt(DOCUMENT, signer), key, algorithms=[algorithm])
        assert json.loads(found.payload)["id"] == DOCUMENT["id"]

    async def test_a_signature_of_another_key_fails(self, algorithm: str) -> None:
        signer = SIGNERS[algorithm]
        other = type(signer)(new_secret(signer.algorithm), signer.verification_method)
        assert told(await look(sign_jwt(DOCUMENT, other))) == (Outcome.FAILED, "signature-invalid")
        assert told(await look(sign_sd_jwt(DOCUMENT, other))) == (Outcome.FAILED, "signature-invalid")


class TestHeader:
    @pytest.mark.parametrize(
        "header",
        [
            {"typ": "vc+jwt"},
            {"typ": "application/vc+jwt"},
            {"typ": "VC+JWT"},
            {"cty": None},
            {"cty": "application/vc"},
            {"typ": "JWT"},
            {"typ": None},
        ],
        ids=str,
    )
    async def test_types_that_are_known(self, header: dict[str, Any]) -> None:
        """§3.1.1: "The typ header parameter SHOULD be vc+jwt"; "When present, the cty … SHOULD be vc"."""
        assert (await look(token(**header))).verified

    @pytest.mark.parametrize(
        "header",
        [{"typ": "bad+typ"}, {"cty": "bad+cty"}, {"typ": "bad+typ", "cty": "bad+cty"}, {"typ": "at+jwt"}],
        ids=str,
    )
    async def test_types_that_are_not(self, header: dict[str, Any]) -> None:
        """§2.1: "media types defined in this specification MUST be used"."""
        assert told(await look(token(**header))) == (Outcome.UNDETERMINED, "unsupported")

    @pytest.mark.parametrize("typ", ["vp+jwt", "vc+sd-jwt", "dc+sd-jwt"])
    async def test_a_credential_under_another_things_type(self, typ: str) -> None:
        """§5: "All claims expected for the typ MUST be present"."""
        assert not (await look(token(typ=typ))).verified
        assert not (await verify_presentation(token(typ=typ), web(), OPEN)).verified

    @pytest.mark.parametrize(
        ("kid", "verified"),
        [
            (ANY.verification_method, True),
            ("key-1", True),
            ("#key-1", True),
            (thumbprint(ANY.public_key), True),
            (None, True),
            (ISSUER, True),
            ("key-2", False),
            ("key-9", False),
            (SIGNERS["EdDSA"].verification_method, False),
            ("https://other.example#key-1", False),
            ("did:key:z6Mk", False),
            ("", False),
        ],
    )
    async def test_the_key_is_one_of_the_issuers(self, kid: str | None, verified: bool) -> None:
        """§4.1, §4.2: the kid "MUST be an absolute URL to a verification method listed in a controller document"."""
        assert (await look(token(kid=kid))).verified is verified

    async def test_a_key_that_the_issuer_does_not_list_for_this_is_refused(self) -> None:
        text = sign_jwt(DOCUMENT, ANY)
        found = await verify(text, web(assertionMethod=[]), OPEN)
        assert told(found, CheckName.ISSUER) == (Outcome.FAILED, "key-purpose")
        assert told(await verify(text, web(id="https://other.example"), OPEN))[1] == "did-document-other"


class TestClaims:
    @pytest.mark.parametrize("name", ["vc", "vp"])
    async def test_vc_and_vp_are_not_claims(self, name: str) -> None:
        """§1.1.2.1: "The JWT Claim Names vc and vp MUST NOT be present"."""
        assert told(await look(token({name: "oops"}))) == (Outcome.FAILED, "vc-claim")

    @pytest.mark.parametrize(
        ("issuer", "claim", "verified"),
        [
            (ISSUER, ISSUER, True),
            (ISSUER, None, True),
            ({"id": ISSUER, "name": "University"}, ISSUER, True),
            (ISSUER, "https://other.example", False),
            ({"id": ISSUER, "name": "University"}, "https://other.example", False),
        ],
        ids=str,
    )
    async def test_iss_is_the_issuer(self, issuer: Any, claim: str | None, verified: bool) -> None:
        """§4.1.2: "iss value, if present, MUST match issuer value", or "MUST match issuer.id value"."""
        document = {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": ["VerifiableCredential"],
            "issuer": issuer,
            "credentialSubject": {"id": "did:example:1"},
        }
        text = sign_jws(
            {"typ": "vc+jwt", "kid": ANY.verification_method}, document | ({"iss": claim} if claim else {}), ANY
        )
        assert (await look(text)).verified is verified

    @pytest.mark.parametrize("iat", ["2010-01-01T19:23:24Z", "1700000000", 1_700_000_000, 1.5, None, ["x"]])
    async def test_what_iat_says_is_not_evaluated(self, iat: Any) -> None:
        """§3.1.3: of a credential it is informative; implementations write it as text, too."""
        assert (await look(token({"iat": iat}))).verified

    async def test_members_that_are_not_understood_are_ignored(self) -> None:
        """§3.1.3: "If they are not understood, they MUST be ignored" (a context is needed to understand the others)."""
        assert (await look(token({"https://example.org/ns#other": "x"}))).verified
        assert (await look(token({"aud": "somebody", "jti": DOCUMENT["id"]}))).verified

    async def test_a_payload_without_protection_is_nothing(self) -> None:
        """§1.1.2: "MUST ignore all JWT Claims Sets that have no integrity protection"."""
        head, payload, _ = token().split(".")
        for text in (f"{head}.{payload}.", f"eyJhbGciOiJub25lIn0.{payload}.", json.dumps(DOCUMENT)):
            assert told(await look(text))[0] is Outcome.FAILED
        unsigned = json.dumps(build_presentation([enveloped(token())]))
        asked = Policy(at=NOW, challenge="c")
        assert not (await verify_presentation(unsigned, web(), asked)).verified


class TestPresentations:
    """§3.1.2, §3.2.2."""

    async def test_what_is_in_it_is_enveloped(self) -> None:
        """ "Verifiable Credentials secured in verifiable presentations MUST use the Enveloped Verifiable Credential
        type"."""
        good = enveloped(sign_jwt(DOCUMENT, ANY))
        for bad in (
            good | {"id": "not-a-credential"},
            good | {"type": "VerifiableCredential"},
            good | {"id": good["id"][:-4]},
            DOCUMENT,
        ):
            text = sign_jws(
                {"typ": "vp+jwt", "kid": ANY.verification_method},
                build_presentation([good, bad], holder=ISSUER),
                ANY,
            )
            found = await verify_presentation(text, web(), OPEN)
            assert [one.verified for one in found.credentials] == [True, False]
            assert not found.verified

    async def test_it_may_be_an_sd_jwt(self) -> None:
        """§3.2.2: application/vp+sd-jwt."""
        document = build_presentation([sign_sd_jwt(DOCUMENT, ANY)], holder=ISSUER) | {"nonce": "c", "aud": "d"}
        header = {"typ": "vp+sd-jwt", "cty": "vp", "kid": ANY.verification_method}
        text = issue_sd_jwt(header, document, ANY, ("/holder", "/verifiableCredential/0"))
        for policy in (OPEN, Policy(at=NOW, challenge="c", domain="d")):
            for handed in (text, enveloped(text)):
                found = await verify_presentation(handed, web(), policy)
                assert found.verified, found.to_json()
        assert not (await verify_presentation(text, web(), Policy(at=NOW, challenge="other"))).verified

    async def test_bad_types_are_refused(self) -> None:
        document = build_presentation([], holder=ISSUER)
        for header in ({"typ": "bad+typ"}, {"cty": "bad+cty"}):
            text = sign_jws({"typ": "vp+jwt", "kid": ANY.verification_method} | header, document, ANY)
            assert not (await verify_presentation(text, web(), OPEN)).verified


class TestOpenBadgesJwt:
    """Open Badges 3.0 §8.2.4: `typ` JWT, whose claims repeat the credential."""

    def test_what_is_issued_carries_its_claims(self) -> None:
        payload = read_jws(sign_jwt(DOCUMENT, ANY)).payload
        assert payload["iss"] == ISSUER
        assert payload["jti"] == DOCUMENT["id"]
        assert payload["sub"] == DOCUMENT["credentialSubject"]["id"]
        assert payload["nbf"] == int(CREATED.timestamp())

    @pytest.mark.parametrize("place", [0, 1, 2])
    async def test_a_part_that_is_not_base64url_is_refused(self, place: int) -> None:
        for odd in ("\udcda", "é", " ", "+"):
            parts = sign_jwt(DOCUMENT, ANY).split(".")
            parts[place] = odd + parts[place][1:]
            found = await verify(".".join(parts), web(), OPEN)
            assert not found.verified, odd
            json.dumps(found.to_json()).encode()

    async def test_what_was_earned_before_1970_is_issued_and_verifies(self) -> None:
        """RFC 7519 §2: a NumericDate is a number of seconds from 1970, and so may be negative."""
        document = DOCUMENT | {"validFrom": "1965-06-30T12:00:00.5Z"}
        old = sign_jwt(document, ANY)
        assert read_jws(old).payload["nbf"] == -142_171_200
        assert (await look(old)).verified
        assert (await look(token({"validFrom": document["validFrom"], "nbf": -142_171_200}, typ="JWT"))).verified

    @pytest.mark.parametrize(
        ("claims", "verified"),
        [
            ({"nbf": int(CREATED.timestamp())}, True),
            ({"nbf": int(CREATED.timestamp()) + 1}, False),
            ({"sub": "did:example:learner-1"}, True),
            ({"sub": "did:example:learner-2"}, False),
            ({"jti": "urn:x:other"}, False),
            ({"exp": int(NOW.timestamp()) + 10}, True),
            ({"exp": int(NOW.timestamp()) - 301}, False),
        ],
        ids=str,
    )
    async def test_its_claims_say_the_same(self, claims: dict[str, Any], verified: bool) -> None:
        assert (await look(token(claims, typ="JWT", cty=None))).verified is verified


@pytest.mark.parametrize("pointer", ["/validUntil", "/issuer/name", "/type/1", "/credentialStatus", "/@context/0"])
def test_what_a_verifier_needs_is_not_left_to_the_holder(pointer: str) -> None:
    """§3.2.1: properties necessary to judge the credential "SHOULD be disclosed"."""
    with pytest.raises(DocumentRefused) as refusal:
        sign_sd_jwt(DOCUMENT, ANY, disclosable=(pointer,))
    assert refusal.value.code == "claim-disclosed"


def test_a_key_of_another_does_not_sign() -> None:
    """§4.1.1, and S7."""
    for sign in (sign_jwt, sign_sd_jwt):
        with pytest.raises(DocumentRefused) as refusal:
            sign(DOCUMENT | {"issuer": "https://other.example"}, ANY)
        assert refusal.value.code == "issuer-mismatch"


TOKENS = [
    sign_jwt(DOCUMENT, SIGNERS["EdDSA"]),
    sign_jwt(DOCUMENT, ANY),
    sign_sd_jwt(DOCUMENT, ANY, disclosable=("/name",)),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TOKENS), st.data())
async def test_no_byte_of_a_token_can_be_changed(text: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(text) - 1))
    changed = text[:position] + data.draw(st.characters(codec="ascii")) + text[position + 1 :]
    assert changed.strip(" \t\r\n") == text or not (await look(changed)).verified
