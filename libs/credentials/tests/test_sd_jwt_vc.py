"""SD-JWT (RFC 9901), SD-JWT VC (draft-ietf-oauth-sd-jwt-vc) and Token Status List, each statement cited and held to."""

from __future__ import annotations

import base64
import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from cairn.credentials import (
    CheckName,
    DocumentRefused,
    Ed25519Signer,
    Outcome,
    P256Signer,
    Policy,
    TokenRefused,
    Trust,
    Verification,
    issue_sd_jwt_vc,
    parse_json,
    present_sd_jwt,
    verify,
    verify_presentation,
)
from cairn.credentials.jws import sign_jws
from cairn.credentials.sd_jwt import issue_sd_jwt, read_sd_jwt, reveal

from .conftest import NOW, SHARED, Files

ISSUER = "https://issuer.example/tenant/1"
METADATA = "https://issuer.example/.well-known/jwt-vc-issuer/tenant/1"
LIST = "https://issuer.example/tsl/9"
SIGNER = P256Signer(bytes([3] * 32), f"{ISSUER}#k1")
HOLDER = P256Signer(bytes([4] * 32))
OWN_KEY = HOLDER.public_key.to_jwk()
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "vct": "https://issuer.example/vct/badge",
    "iat": int(NOW.timestamp()),
    "exp": int((NOW + timedelta(days=1)).timestamp()),
    "given_name": "Ada",
    "tags": ["data", "literacy"],
    "address": {"country": "NL", "street": {"name": "Main", "number": 1}},
}
DISCLOSABLE = ("/given_name", "/tags/0", "/address/street", "/address/street/number")
OPEN = Policy(at=NOW)
ASKED = Policy(at=NOW, challenge="n-1", domain="https://verifier.example")
MINUTE = timedelta(minutes=1)


def jwk_of(signer: P256Signer, **members: str) -> dict[str, Any]:
    return signer.public_key.to_jwk() | members


def published(*keys: dict[str, Any], **changes: Any) -> Files:
    metadata = {"issuer": ISSUER, "jwks": {"keys": list(keys) or [jwk_of(SIGNER, kid="k1")]}} | changes
    return Files().serve(METADATA, metadata)


def issued(claims: dict[str, Any] = CLAIMS, **options: Any) -> str:
    return issue_sd_jwt_vc(claims, SIGNER, **({"disclosable": DISCLOSABLE, "holder": HOLDER.public_key} | options))


def shown(text: str | None = None, disclose: Any = ("/given_name",), signer: Any = HOLDER, **options: Any) -> str:
    asked = {"issued": NOW, "challenge": ASKED.challenge, "domain": ASKED.domain}
    return present_sd_jwt(text or issued(), disclose, signer, **(asked | options))


async def look(text: str, policy: Policy = OPEN, files: Files | None = None) -> Verification:
    found = await verify(text, files or published(), policy)
    json.dumps(found.to_json())
    return found


def told(found: Verification, name: CheckName) -> tuple[Outcome, str]:
    return found.checks[name].outcome, found.checks[name].code


def b64(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(payload: dict[str, Any], *disclosures: str, **header: Any) -> str:
    """An SD-JWT that the library would not issue."""
    return "~".join([sign_jws({"typ": "dc+sd-jwt", "kid": "k1"} | header, payload, SIGNER), *disclosures, ""])


def digest(disclosure: str) -> str:
    from hashlib import sha256

    return b64(sha256(disclosure.encode()).digest())


class TestDisclosure:
    """RFC 9901 §4 and §7.1."""

    async def test_what_is_disclosed_is_put_in_its_place(self) -> None:
        found = await look(issued())
        assert found.verified, found.to_json()
        assert {name: found.credential[name] for name in CLAIMS} == CLAIMS
        assert "_sd" not in json.dumps(found.credential)
        assert found.form == "dc+sd-jwt"

    async def test_what_is_held_back_is_not_there(self) -> None:
        found = await look(shown(disclose=("/address/street",)), ASKED)
        assert found.verified, found.to_json()
        assert found.credential["address"] == {"country": "NL", "street": {"name": "Main"}}
        assert found.credential["tags"] == ["literacy"]
        assert "given_name" not in found.credential
        assert "Ada" not in base64.urlsafe_b64decode(issued().split("~")[0].split(".")[1] + "==").decode()

    def test_a_part_brings_what_it_lies_within(self) -> None:
        """§4.2.6: recursive disclosures."""
        assert read_sd_jwt(shown(disclose=("/address/street/number",))).claims["address"] == CLAIMS["address"]

    def test_digests_betray_no_order_and_salts_are_fresh(self) -> None:
        """§4.2.4.1: the order of `_sd` is hidden; §9.3: salts are random, of 128 bits."""
        first, second = read_sd_jwt(issued()), read_sd_jwt(issued())
        assert first.jws.payload["_sd"] == sorted(first.jws.payload["_sd"])
        assert not set(first.disclosed) & set(second.disclosed)
        salts = {json.loads(base64.urlsafe_b64decode(one + "=="))[0] for one in first.disclosed}
        assert all(len(salt) == 22 for salt in salts)

    @pytest.mark.parametrize(
        ("make", "code"),
        [
            (lambda one: signed(CLAIMS | {"_sd": []}, one), "disclosure-unreferenced"),
            (lambda one: signed(CLAIMS | {"_sd": [digest(one)]}, one, one), "disclosure-repeated"),
            (lambda one: signed(CLAIMS | {"_sd": [digest(one), digest(one)]}, one), "digest-repeated"),
            (
                lambda one: signed(CLAIMS | {"_sd": [digest(one)], "x": {"_sd": [digest(one)]}}, one),
                "digest-repeated",
            ),
            (lambda one: signed(CLAIMS | {"_sd": ["decoy", "decoy"]}), "digest-repeated"),
            (lambda one: signed(CLAIMS | {"_sd": "decoy"}), "disclosure-malformed"),
            (lambda one: signed(CLAIMS | {"_sd": [7]}), "disclosure-malformed"),
            (lambda one: signed(CLAIMS | {"x": [{"...": digest(one)}]}, one), "disclosure-malformed"),
            (lambda one: signed(CLAIMS | {"x": [{"...": "decoy", "y": 1}]}), "disclosure-malformed"),
            (lambda one: signed(CLAIMS | {"x": {"...": "decoy"}}), "claim-reserved"),
            (lambda one: signed(CLAIMS | {"x": {"_sd_alg": "sha-256"}}), "claim-reserved"),
            (lambda one: signed(CLAIMS | {"_sd": [digest(one)], "nickname": "A"}, one), "duplicate-key"),
        ],
    )
    async def test_what_could_be_read_in_two_ways_is_refused(self, make: Any, code: str) -> None:
        """§7.1 step 3: each of these "MUST be rejected"."""
        found = await look(make(b64(["salt", "nickname", "Ada"])))
        assert told(found, CheckName.PROOF) == (Outcome.FAILED, code)
        assert not found.verified

    @pytest.mark.parametrize(
        "content",
        [
            ["s", "_sd", []],
            ["s", "...", 1],
            ["s", 7, 1],
            [7, "a", 1],
            ["s", "a"],
            ["s", "a", 1, 2],
            {"a": 1},
            "text",
            b"not json",
            b'["s", "a", {"b": 1, "b": 2}]',
        ],
        ids=str,
    )
    async def test_a_disclosure_that_is_none_is_refused(self, content: Any) -> None:
        """§4.2.1: an array of salt, name and value; §7.1: the names _sd and ... "MUST be rejected"."""
        one = b64(content)
        found = await look(signed(CLAIMS | {"_sd": [digest(one)]}, one))
        assert told(found, CheckName.PROOF)[0] is Outcome.FAILED
        assert not found.verified

    async def test_digests_of_an_unknown_kind_are_undetermined(self) -> None:
        """§4.1.1: `_sd_alg`; an algorithm that is not understood cannot be judged."""
        found = await look(signed(CLAIMS | {"_sd_alg": "sha3-256"}))
        assert told(found, CheckName.PROOF) == (Outcome.UNDETERMINED, "unsupported")

    @pytest.mark.parametrize("name", ["sha-384", "sha-512"])
    async def test_stronger_digests_are_read(self, name: str) -> None:
        import hashlib

        one = b64(["salt", "nickname", "Ada"])
        value = b64(hashlib.new(name.replace("-", ""), one.encode()).digest())
        found = await look(signed(CLAIMS | {"_sd_alg": name, "_sd": [value]}, one))
        assert found.credential["nickname"] == "Ada"
        assert found.verified

    def test_a_chain_of_disclosures_is_bounded(self) -> None:
        """At as many levels as JSON is, so that whoever reads what was disclosed need not count them."""
        disclosures: list[str] = []
        value: dict[str, Any] = {}
        for number in range(63):
            disclosures.append(b64([f"salt {number}", "next", value]))
            value = {"_sd": [digest(disclosures[-1])]}
        parse_json(json.dumps(reveal(value, disclosures)[0]))
        disclosures.append(b64(["salt", "next", value]))
        with pytest.raises(TokenRefused) as refusal:
            reveal({"_sd": [digest(disclosures[-1])]}, disclosures)
        assert refusal.value.code == "too-deep"
        with pytest.raises(TokenRefused):
            read_sd_jwt("~".join([issued().split("~")[0], *(str(n) for n in range(501)), ""]))

    @pytest.mark.parametrize("pointer", ["given_name", "/nobody", "/tags/2", "/tags/x", "/address/country/x", ""])
    def test_only_what_is_there_is_disclosable(self, pointer: str) -> None:
        with pytest.raises(DocumentRefused):
            issued(disclosable=(pointer,))
        with pytest.raises(DocumentRefused):
            shown(disclose=(pointer,))

    def test_reserved_names_are_not_issued(self) -> None:
        for claims in ({"_sd": []}, {"x": {"...": 1}}, {"x": [{"_sd_alg": "sha-256"}]}):
            with pytest.raises(DocumentRefused):
                issued(CLAIMS | claims)


class TestKeyBinding:
    """RFC 9901 §4.3 and §7.3; "the Verifier MUST verify the KB-JWT"."""

    async def test_the_holder_shows_it_to_this_verifier_now(self) -> None:
        for policy in (ASKED, OPEN):
            found = await look(shown(), policy)
            assert told(found, CheckName.HOLDER) == (Outcome.PASSED, "holder-bound")
            assert found.verified

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"challenge": "n-2"}, "challenge-mismatch"),
            ({"domain": "https://other.example"}, "domain-mismatch"),
            ({"issued": NOW + 6 * MINUTE}, "key-binding-from-future"),
            ({"issued": NOW - 16 * MINUTE}, "key-binding-stale"),
            ({"signer": P256Signer(bytes([5] * 32))}, "key-binding-signature-invalid"),
            ({"signer": Ed25519Signer(bytes([4] * 32))}, "key-binding-key-mismatch"),
            ({"signer": None}, "key-binding-missing"),
        ],
    )
    async def test_anything_else_fails(self, options: dict[str, Any], code: str) -> None:
        found = await look(shown(**options), ASKED)
        assert told(found, CheckName.HOLDER) == (Outcome.FAILED, code)
        assert not found.verified

    async def test_what_was_shown_once_may_be_kept_as_a_file(self) -> None:
        """Without a challenge its age proves nothing, and its signature still does."""
        assert (await look(shown(issued=NOW - 60 * MINUTE), OPEN)).verified
        assert not (await look(shown(signer=SIGNER), OPEN)).verified

    async def test_the_holder_signs_exactly_what_is_shown(self) -> None:
        """§4.3.1: `sd_hash` is over everything before the key binding JWT."""
        *parts, binding = shown(disclose=("/given_name", "/tags/0")).split("~")
        found = await look("~".join([*parts[:-1], binding]), ASKED)
        assert told(found, CheckName.HOLDER) == (Outcome.FAILED, "sd-hash-mismatch")

    @pytest.mark.parametrize("header", [{"typ": "jwt"}, {"typ": None}, {"typ": "kb+jwt", "jwk": OWN_KEY}])
    async def test_it_says_what_it_is(self, header: dict[str, Any]) -> None:
        """§4.3: `typ` "REQUIRED. MUST be kb+jwt"."""
        sd_jwt = read_sd_jwt(shown())
        assert sd_jwt.binding is not None
        head = {name: value for name, value in header.items() if value is not None}
        text = sd_jwt.shown + sign_jws(head, sd_jwt.binding.payload, HOLDER)
        assert told(await look(text, ASKED), CheckName.HOLDER) == (Outcome.FAILED, "key-binding-malformed")

    @pytest.mark.parametrize("missing", ["iat", "aud", "nonce", "sd_hash"])
    async def test_no_claim_of_it_may_lack(self, missing: str) -> None:
        """§4.3: iat, aud, nonce and sd_hash are REQUIRED."""
        sd_jwt = read_sd_jwt(shown())
        assert sd_jwt.binding is not None
        claims = {name: value for name, value in sd_jwt.binding.payload.items() if name != missing}
        found = await look(sd_jwt.shown + sign_jws({"typ": "kb+jwt"}, claims, HOLDER))
        assert told(found, CheckName.HOLDER)[0] is Outcome.FAILED

    @pytest.mark.parametrize(
        ("cnf", "outcome", "code"),
        [
            (None, Outcome.FAILED, "holder-unbound"),
            ({"kid": "x"}, Outcome.UNDETERMINED, "unsupported"),
            ({"jwk": {"kty": "oct", "k": "AAAA"}}, Outcome.FAILED, "key-refused"),
            ("key", Outcome.UNDETERMINED, "unsupported"),
        ],
        ids=str,
    )
    async def test_the_key_is_that_of_cnf(self, cnf: Any, outcome: Outcome, code: str) -> None:
        text = signed(CLAIMS if cnf is None else CLAIMS | {"cnf": cnf})
        assert told(await look(shown(text, disclose=()), ASKED), CheckName.HOLDER) == (outcome, code)

    async def test_it_is_its_own_presentation(self) -> None:
        for policy, verified in ((ASKED, True), (OPEN, True), (Policy(at=NOW, challenge="n-2"), False)):
            found = await verify_presentation(shown(), published(), policy)
            assert found.verified is verified
            assert found.form == "dc+sd-jwt"
        assert not (await verify_presentation(issued(), published(), ASKED)).verified


class TestVerifiableCredential:
    """draft-ietf-oauth-sd-jwt-vc."""

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"vct": None}, "type-missing"),
            ({"vct": 7}, "type-missing"),
            ({"iss": "nobody"}, "issuer-malformed"),
            ({"exp": "soon"}, "date-malformed"),
        ],
    )
    async def test_claims_that_it_needs(self, changes: dict[str, Any], code: str) -> None:
        """§2.2.2.1: "`vct`: REQUIRED"."""
        claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
        with pytest.raises(DocumentRefused) as refusal:
            issued(claims)
        assert refusal.value.code == code
        found = await look(signed(claims))
        assert told(found, CheckName.SCHEMA) == (Outcome.FAILED, code)
        assert not found.verified

    @pytest.mark.parametrize("name", ["iss", "nbf", "exp", "cnf", "vct", "status"])
    async def test_what_is_the_issuers_to_say_is_not_disclosed(self, name: str) -> None:
        """§2.2.2.2: these "MUST NOT be selectively disclosed"."""
        claims = CLAIMS | {"nbf": 1, "cnf": {"jwk": HOLDER.public_key.to_jwk()}, "status": {"x": 1}}
        with pytest.raises(DocumentRefused):
            issued(claims, disclosable=(f"/{name}",), holder=None)
        text = issue_sd_jwt({"typ": "dc+sd-jwt", "kid": "k1"}, claims, SIGNER, (f"/{name}",))
        found = await look(text)
        assert told(found, CheckName.PROOF) == (Outcome.FAILED, "claim-disclosed")

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"exp": int(NOW.timestamp()) - 301}, "expired"),
            ({"exp": int(NOW.timestamp()) - 299}, "in-force"),
            ({"nbf": int(NOW.timestamp()) + 301}, "not-yet-valid"),
            ({"nbf": int(NOW.timestamp()) + 299}, "in-force"),
            ({"nbf": 10**12}, "date-malformed"),
            ({"exp": 10**12}, "date-malformed"),
            ({"exp": -1}, "expired"),
            ({"exp": -(10**12)}, "date-malformed"),
        ],
    )
    async def test_r12_it_has_a_period(self, changes: dict[str, Any], code: str) -> None:
        assert told(await look(issued(CLAIMS | changes)), CheckName.VALIDITY)[1] == code

    @pytest.mark.parametrize(
        ("header", "outcome", "code"),
        [
            ({"typ": "vc+sd-jwt"}, Outcome.PASSED, "proof-valid"),
            ({"typ": "application/dc+sd-jwt"}, Outcome.PASSED, "proof-valid"),
            ({"typ": "example+sd-jwt"}, Outcome.UNDETERMINED, "unsupported"),
            ({"typ": "JWT"}, Outcome.UNDETERMINED, "unsupported"),
            ({"x5c": ["MII"]}, Outcome.FAILED, "embedded-key"),
            ({"jku": "https://evil.example"}, Outcome.FAILED, "embedded-key"),
            ({"jwk": HOLDER.public_key.to_jwk()}, Outcome.FAILED, "key-unknown"),
            ({"crit": ["exp"]}, Outcome.FAILED, "crit-unknown"),
            ({"kid": "k2"}, Outcome.FAILED, "key-unknown"),
        ],
        ids=str,
    )
    async def test_s05_its_header(self, header: dict[str, Any], outcome: Outcome, code: str) -> None:
        """§2.2.1: "The `typ` value MUST use dc+sd-jwt"; keys only from the issuer."""
        assert told(await look(signed(CLAIMS, **header)), CheckName.PROOF) == (outcome, code)

    async def test_s04_an_unsigned_one_is_refused(self) -> None:
        body = f"{b64({'alg': 'none', 'typ': 'dc+sd-jwt'})}.{b64(CLAIMS)}.~"
        assert told(await look(body), CheckName.PROOF) == (Outcome.FAILED, "alg-refused")

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"issuer": "https://issuer.example"}, "did-document-other"),
            ({"jwks": None}, "key-unknown"),
            ({"jwks_uri": "https://issuer.example/jwks"}, "did-document-malformed"),
        ],
    )
    async def test_the_issuers_metadata_is_its_own(self, changes: dict[str, Any], code: str) -> None:
        """§4.3: "The `issuer` value returned MUST be identical to the `iss` value"; one of jwks and jwks_uri."""
        found = await look(issued(), files=published(**changes))
        assert told(found, CheckName.PROOF)[1] == code
        assert not found.verified

    async def test_keys_may_lie_elsewhere(self) -> None:
        """§4.2: `jwks_uri`."""
        files = Files().serve(METADATA, {"issuer": ISSUER, "jwks_uri": "https://issuer.example/jwks"})
        assert told(await look(issued(), files=files), CheckName.PROOF) == (Outcome.UNDETERMINED, "did-unreachable")
        files.serve("https://issuer.example/jwks", {"keys": [jwk_of(SIGNER, kid="k1")]})
        assert (await look(issued(), files=files)).verified
        files.serve(METADATA, {"issuer": ISSUER, "jwks_uri": "http://issuer.example/jwks"})
        assert told(await look(issued(), files=files), CheckName.PROOF)[1] == "did-document-malformed"

    async def test_s07_another_issuers_key_does_not_sign(self) -> None:
        other = P256Signer(bytes([6] * 32), "https://other.example#k1")
        with pytest.raises(DocumentRefused):
            issue_sd_jwt_vc(CLAIMS, other)
        for key_id in ("k1", "https://other.example#k1", f"{other.public_key.multikey}"):
            text = issue_sd_jwt({"typ": "dc+sd-jwt", "kid": key_id}, CLAIMS, other, ())
            files = published()
            assert not (await look(text, files=files)).verified
            assert set(files.asked) <= {METADATA}

    async def test_an_issuer_may_be_a_did(self) -> None:
        signer = Ed25519Signer(bytes([9] * 32))
        text = issue_sd_jwt_vc(CLAIMS | {"iss": signer.did}, signer, disclosable=("/given_name",))
        found = await look(text, files=Files())
        assert found.verified, found.to_json()
        assert found.issuer == signer.did

    async def test_s09_before_the_proof_holds_only_the_issuers_keys_are_asked_for(self) -> None:
        text = signed(CLAIMS | {"status": {"status_list": {"uri": LIST, "idx": 1}}})
        files = published()
        await look(text[:-20] + "AAAA" + text[-16:], files=files)
        assert files.asked == [METADATA]
        files = published()
        files.trusted = Trust.UNKNOWN
        found = await look(text, files=files)
        assert files.asked == [METADATA, f"trust {ISSUER}"]
        assert told(found, CheckName.STATUS) == (Outcome.UNDETERMINED, "issuer-unknown")


def status_list(values: bytes = bytes([0b0000_1000, 0]), bits: int = 1, **changes: Any) -> bytes:
    claims = {"iss": ISSUER, "sub": LIST, "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 3600}
    claims |= {"status_list": {"bits": bits, "lst": b64(zlib.compress(values))}} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return sign_jws({"typ": "statuslist+jwt", "kid": "k1"}, claims, SIGNER).encode()


class TestStatus:
    """draft-ietf-oauth-status-list."""

    async def ask(self, index: Any, token: bytes | None) -> tuple[Outcome, str]:
        text = signed(CLAIMS | {"status": {"status_list": {"uri": LIST, "idx": index}}})
        files = published()
        if token is not None:
            files.serve(LIST, token)
        found = await look(text, files=files)
        assert found.verified is (found.checks[CheckName.STATUS].outcome is Outcome.PASSED)
        return told(found, CheckName.STATUS)

    @pytest.mark.parametrize(
        ("index", "bits", "values", "expected"),
        [
            (2, 1, bytes([8]), (Outcome.PASSED, "not-revoked")),
            (3, 1, bytes([8]), (Outcome.FAILED, "revoked")),
            (1, 2, bytes([0b1000]), (Outcome.FAILED, "suspended")),
            (0, 2, bytes([0b1000]), (Outcome.PASSED, "not-revoked")),
            (1, 4, bytes([0x10]), (Outcome.FAILED, "revoked")),
            (1, 8, bytes([0, 2]), (Outcome.FAILED, "suspended")),
            (0, 2, bytes([3]), (Outcome.UNDETERMINED, "unsupported")),
            (8, 1, bytes([0]), (Outcome.FAILED, "status-index-range")),
            (-1, 1, bytes([0]), (Outcome.FAILED, "status-entry-malformed")),
            (True, 1, bytes([0]), (Outcome.FAILED, "status-entry-malformed")),
            ("1", 1, bytes([0]), (Outcome.FAILED, "status-entry-malformed")),
        ],
    )
    async def test_an_entry(self, index: Any, bits: int, values: bytes, expected: tuple[Outcome, str]) -> None:
        """§4.1: 1, 2, 4 or 8 bits, the least significant first; §7.1: VALID, INVALID, SUSPENDED."""
        assert await self.ask(index, status_list(values, bits)) == expected

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"iss": "https://other.example"}, "status-list-issuer"),
            ({"sub": "https://issuer.example/tsl/8"}, "status-list-other"),
            ({"iat": None}, "status-list-malformed"),
            ({"exp": int(NOW.timestamp()) - 301}, "status-list-stale"),
            ({"iat": int(NOW.timestamp()) + 301}, "status-list-stale"),
            ({"status_list": {"bits": 3, "lst": "eNo"}}, "status-list-malformed"),
            ({"status_list": {"bits": 1, "lst": "AAAA"}}, "status-list-malformed"),
            ({"status_list": None}, "status-list-malformed"),
        ],
        ids=str,
    )
    async def test_s13_a_list_that_is_not_the_credentials_never_passes(
        self, changes: dict[str, Any], code: str
    ) -> None:
        """§8.3: `sub` is the list's address; the token is signed, and in force."""
        outcome, found = await self.ask(1, status_list(**changes))
        assert found == code
        assert outcome is not Outcome.PASSED

    async def test_s11_a_bomb_is_not_unpacked(self) -> None:
        lst = b64(zlib.compress(bytes(64 * 1024 * 1024)))
        found = await self.ask(1, status_list(status_list={"bits": 1, "lst": lst}))
        assert found == (Outcome.UNDETERMINED, "status-list-too-large")

    async def test_s12_what_cannot_be_had_is_undetermined(self) -> None:
        assert await self.ask(1, None) == (Outcome.UNDETERMINED, "status-unreachable")
        for junk in (b"", b"{}", b"a.b.c", b"\xff\xfe", issued().encode()):
            assert (await self.ask(1, junk))[0] is Outcome.UNDETERMINED

    async def test_s13_a_list_signed_by_another_fails(self) -> None:
        head, payload, _ = status_list().decode().split(".")
        forged = b64(P256Signer(bytes([6] * 32)).sign(f"{head}.{payload}".encode()))
        assert await self.ask(1, f"{head}.{payload}.{forged}".encode()) == (Outcome.FAILED, "status-list-proof")

    async def test_a_status_by_other_means_is_undetermined(self) -> None:
        found = await look(signed(CLAIMS | {"status": {"identifier_list": {}}}))
        assert told(found, CheckName.STATUS) == (Outcome.UNDETERMINED, "unsupported")


class TestReference:
    """Against the reference implementation of RFC 9901, both ways."""

    KEY = JWK(**jwk_of(SIGNER, d=b64(bytes([3] * 32))))
    HOLDER_KEY = JWK(**jwk_of(HOLDER, d=b64(bytes([4] * 32))))

    def test_it_accepts_what_is_issued_and_shown_here(self) -> None:
        for disclose in ((), ("/given_name",), ("/address/street/number", "/tags/0")):
            text = shown(disclose=disclose)
            theirs = SDJWTVerifier(text, lambda issuer, header: self.KEY, ASKED.domain, ASKED.challenge)
            assert theirs.get_verified_payload() == read_sd_jwt(text).claims

    async def test_what_it_issues_and_shows_is_accepted_here(self) -> None:
        claims = {"iss": ISSUER, "vct": "urn:x:badge", SDObj("name"): "Ada", "tags": [SDObj("a"), "b"]}
        issuer = SDJWTIssuer(
            claims,
            self.KEY,
            self.HOLDER_KEY,
            add_decoy_claims=True,
            extra_header_parameters={"typ": "dc+sd-jwt", "kid": "k1"},
        )
        holder = SDJWTHolder(issuer.sd_jwt_issuance)
        holder.create_presentation({"name": True, "tags": [True, True]}, ASKED.challenge, ASKED.domain, self.HOLDER_KEY)
        at = datetime.now(UTC)
        asked = Policy(at=at, challenge=ASKED.challenge, domain=ASKED.domain)
        found = await look(holder.sd_jwt_presentation, asked)
        assert found.verified, found.to_json()
        assert (found.credential["name"], found.credential["tags"]) == ("Ada", ["a", "b"])


def test_the_examples_of_the_draft_read_as_they_say() -> None:
    for folder in (SHARED / "ietf-sdjwtvc").glob("0*"):
        sd_jwt = read_sd_jwt((folder / "sd_jwt_presentation.txt").read_text().strip())
        assert sd_jwt.claims == json.loads((folder / "verified_contents.json").read_text())


TEXT = shown(disclose=("/given_name", "/address/street/number"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(TEXT) - 1), st.characters(codec="ascii"))
async def test_no_byte_of_it_can_be_changed(position: int, character: str) -> None:
    changed = TEXT[:position] + character + TEXT[position + 1 :]
    found = await look(changed, ASKED)
    assert changed.strip(" \t\r\n") == TEXT or not found.verified


NAMES = st.text(max_size=4).filter(lambda name: name not in ("_sd", "...", "_sd_alg"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4).filter(lambda name: name not in ("_sd", "...", "_sd_alg")), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), JSON, min_size=1), st.data())
def test_whatever_is_concealed_can_be_revealed(claims: dict[str, Any], data: st.DataObject) -> None:
    def pointers(value: Any, where: str = "") -> list[str]:
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        found: list[str] = []
        for name, member in members:
            here = f"{where}/{str(name).replace('~', '~0').replace('/', '~1')}"
            found += [here, *pointers(member, here)]
        return found

    chosen = data.draw(st.lists(st.sampled_from(pointers(claims)), unique=True))
    whole = issue_sd_jwt({"typ": "dc+sd-jwt"}, claims, SIGNER, chosen)
    sd_jwt = read_sd_jwt(whole)
    assert sd_jwt.claims == claims
    assert sorted(sd_jwt.disclosed.values()) == sorted(chosen)
    for pointer in chosen:
        part = read_sd_jwt(present_sd_jwt(whole, [pointer]))
        assert pointer in part.disclosed.values()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=30).map(b64) | st.text(max_size=10), max_size=4), JSON)
async def test_bad_input_never_raises(disclosures: list[str], junk: Any) -> None:
    await look("~".join([TEXT.split("~")[0], *disclosures]), ASKED)
    one = b64(junk)
    await look(signed(CLAIMS | {"_sd": [digest(one)], "x": junk}, one), ASKED)
