"""Verifiable Credentials Data Model 2.0: what a credential must be, before it is signed and when it is verified.

Each test cites its statement. Presentations are in test_vcdm2_presentations.py, schemas in test_vc_json_schema.py.
"""

import base64
import copy
import hashlib
from datetime import UTC, datetime
from typing import Any

import base58
import pytest

from cairn.credentials import (
    CheckName,
    CredentialError,
    Ed25519Signer,
    Outcome,
    Policy,
    Trust,
    check_unsigned,
    sign,
    sign_jwt,
    verify,
)
from cairn.credentials.bundle import context_bytes
from cairn.credentials.jws import sign_jws

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 1, tzinfo=UTC)
V2 = "https://www.w3.org/ns/credentials/v2"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
SIGNER = Ed25519Signer(bytes([7] * 32))
GOOD: dict[str, Any] = {
    "@context": [V2],
    "type": ["VerifiableCredential"],
    "issuer": SIGNER.did,
    "credentialSubject": {"id": "did:example:subject"},
}
TYPED = {"@context": [V2, {"Example": "https://example.org/#Example"}]}


class Nobody:
    """A resolver that is never asked: a did:key needs nobody."""

    async def did_document(self, did: str, url: str) -> bytes:
        raise AssertionError(did)

    async def trust(self, issuer: str) -> Trust:
        return Trust.TRUSTED

    async def status_list(self, url: str) -> bytes:
        raise AssertionError(url)


def signed(changes: dict[str, Any], cryptosuite: Any = "eddsa-rdfc-2022") -> dict[str, Any]:
    document = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    return sign(document, SIGNER, created=NOW, cryptosuite=cryptosuite)


async def accepted(**changes: Any) -> None:
    """Signed with and without JSON-LD and in a token, and each verifies."""
    token = sign_jwt({key: value for key, value in (GOOD | changes).items() if value is not ...}, SIGNER)
    for credential in (signed(changes), signed(changes, "eddsa-jcs-2022"), token):
        checks = (CheckName.PROOF, CheckName.ISSUER, CheckName.SCHEMA)
        found = await verify(credential, Nobody(), Policy(at=NOW, checks=checks))
        outcomes = {name: found.checks[name].outcome for name in checks}
        assert outcomes[CheckName.PROOF] is outcomes[CheckName.ISSUER] is Outcome.PASSED, found.to_json()
        assert outcomes[CheckName.SCHEMA] is not Outcome.FAILED, found.to_json()


async def refused(code: str, pointer: str | None = None, **changes: Any) -> None:
    """Neither signed in any form, nor verified where another had signed it over its bytes."""
    document = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    for cryptosuite in ("eddsa-rdfc-2022", "eddsa-jcs-2022"):
        with pytest.raises(CredentialError) as caught:
            sign(document, SIGNER, created=NOW, cryptosuite=cryptosuite)
        assert caught.value.code == code
        assert pointer in {None, caught.value.pointer}
    with pytest.raises(CredentialError):
        sign_jwt(document, SIGNER)
    with pytest.raises(CredentialError):
        check_unsigned(document)


# §4.3 Contexts


async def test_contexts_begin_with_the_base_context() -> None:
    """§4.3: "an ordered set where the first item is a URL with the value https://www.w3.org/ns/credentials/v2"."""
    await accepted()
    await accepted(**{"@context": [V2, EXAMPLES]})
    for contexts in (..., [], [EXAMPLES], [EXAMPLES, V2], [{"a": "https://a.example/"}, V2], "https://example.org/"):
        await refused("context-order", **{"@context": contexts})


async def test_further_contexts_are_urls_or_objects() -> None:
    """§4.3: "Subsequent items … MUST be composed of any combination of URLs and/or objects"."""
    await accepted(**TYPED)
    for context in (123192875, "https ://not-a-url/contexts/example/v1", "relative/v1", None, [V2]):
        await refused("context-malformed", "/@context", **{"@context": [V2, context]})


def test_a_term_of_the_base_context_is_not_redefined() -> None:
    """§5.2.1: "processors produce an error when a JSON-LD context redefines any term"."""
    bad = {"VerifiableCredential": "https://example.org/#Bad"}
    mine = {"@protected": True, "Mine": "https://example.org/#Mine"}
    for contexts in ([V2, bad], [V2, mine, {"Mine": "https://example.org/#Other"}]):
        with pytest.raises(CredentialError):
            signed({"@context": contexts})


# §4.4 Identifiers


@pytest.mark.parametrize("id_", ["https://example.org/credentials/1", "did:example:abc", "urn:uuid:0-1"])
async def test_an_id_is_one_url(id_: str) -> None:
    """§4.4: "If present, the value of the id property MUST be a single URL"."""
    await accepted(id=id_)
    await accepted(credentialSubject={"id": id_})


@pytest.mark.parametrize(
    "id_", [None, 7, [], ["https://a.example/", "https://b.example/"], "https ://x", "x", "", "/1"]
)
async def test_what_is_no_url_is_no_id(id_: Any) -> None:
    await refused("id-malformed", "/id", id=id_)
    await refused("id-malformed", "/credentialSubject/id", credentialSubject={"id": id_, "name": "x"})
    for name in ("credentialStatus", "credentialSchema", "termsOfUse", "evidence", "refreshService"):
        await refused("id-malformed", f"/{name}/id", **{name: {"id": id_, "type": "https://example.org/#Example"}})


# §4.5 Types


async def test_types_are_terms_or_urls_in_any_order() -> None:
    """§4.5: "one or more terms and/or absolute URL strings", "the order does not matter"."""
    await accepted(type=["https://example.org/#One", "VerifiableCredential", "https://example.org/#Two"])
    await accepted(type=["VerifiableCredential", "Example"], **TYPED)


async def test_the_type_includes_verifiable_credential() -> None:
    """§4.5: "Verifiable credentials … MUST contain a type property"."""
    for kinds in (..., [], "Example", ["https://example.org/#One"]):
        await refused("type-missing", "/type", type=kinds)
    await refused("type-malformed", "/type", type=["VerifiableCredential", 2])


def test_a_type_that_no_context_defines_goes_nowhere_unsigned() -> None:
    for contexts in ([V2], [V2, {"Example": "https ://not-a-url#Example"}]):
        with pytest.raises(CredentialError):
            signed({"@context": contexts, "type": ["VerifiableCredential", "Example"]})


@pytest.mark.parametrize("name", ["credentialStatus", "credentialSchema", "termsOfUse", "evidence", "refreshService"])
async def test_each_of_these_has_a_type(name: str) -> None:
    """§4.5, table: objects that must have a type specified; each may be one or several."""
    one = {"id": "https://example.org/1", "type": "Example"}
    await accepted(**TYPED, **{name: one})
    await accepted(**TYPED, **{name: [one, one | {"id": "https://example.org/2"}]})
    for bad in ({"id": "https://example.org/1"}, {"id": "https://example.org/1", "type": 2}):
        await refused("type-missing", f"/{name}/type", **TYPED, **{name: bad})
        await refused("type-missing", f"/{name}/1/type", **TYPED, **{name: [one, bad]})
    await refused("entry-malformed", f"/{name}", **TYPED, **{name: "https://example.org/1"})


# §4.6 Names and descriptions, §11.1 Language and base direction


LANGUAGE_VALUES = [
    "An example",
    {"@value": "An example", "@language": "en"},
    {"@value": "An example", "@language": "en", "@direction": "ltr"},
    {"@value": "مثال", "@direction": "rtl"},
    [{"@value": "Dog", "@language": "en"}, {"@value": "Chien", "@language": "fr"}],
]


@pytest.mark.parametrize("value", LANGUAGE_VALUES, ids=str)
async def test_a_name_is_text_or_a_language_value_object(value: Any) -> None:
    """§4.6: "MUST be a string or a language value object", of the credential and of the issuer."""
    for name in ("name", "description"):
        await accepted(**{name: value})
        await accepted(issuer={"id": SIGNER.did, name: value})


@pytest.mark.parametrize(
    "value",
    [7, {"@value": 7}, {"@language": "en"}, {"@value": "x", "@language": "en", "url": "did:example:x"}],
    ids=str,
)
async def test_a_language_value_object_has_no_other_members(value: Any) -> None:
    for name in ("name", "description"):
        await refused("language-value-malformed", f"/{name}", **{name: value})
        await refused("language-value-malformed", f"/issuer/{name}", issuer={"id": SIGNER.did, name: value})


async def test_s1_a_direction_that_is_changed_is_seen() -> None:
    """§11.1: the direction is signed with its text, as `rdfDirection` "i18n-datatype" writes it."""
    name = {"@value": "An example", "@language": "en", "@direction": "ltr"}
    for cryptosuite in ("eddsa-rdfc-2022", "eddsa-jcs-2022"):
        credential = signed({"name": name}, cryptosuite)
        for other in (name | {"@direction": "rtl"}, name | {"@language": "fr"}, {"@value": "An example"}):
            found = await verify(copy.deepcopy(credential) | {"name": other}, Nobody(), Policy(at=NOW))
            assert found.checks[CheckName.PROOF].outcome is Outcome.FAILED
    for direction in ("up", 7, None):
        with pytest.raises(CredentialError):
            signed({"name": name | {"@direction": direction}})


# §4.7 Issuer, §4.8 Credential subject


async def test_the_issuer_is_a_url_or_an_object_with_one() -> None:
    """§4.7: "either a URL, or an object containing an id property whose value is a URL"."""
    await accepted(issuer={"id": SIGNER.did})
    for issuer in (..., None, "fake-issuer", {}, {"id": None}, {"id": "fake-issuer"}, [SIGNER.did], 7):
        await refused("issuer-malformed", "/issuer", issuer=issuer)


async def test_each_subject_makes_a_claim() -> None:
    """§4.8: "a set of objects where each object MUST be the subject of one or more claims"."""
    await accepted(credentialSubject=[{"id": "did:example:a"}, {"id": "did:example:b"}])
    for subjects in (..., None, []):
        await refused("subject-missing", "/credentialSubject", credentialSubject=subjects)
    for subject in ({}, "did:example:a", 7):
        await refused("subject-malformed", "/credentialSubject", credentialSubject=subject)
        several = [{"id": "did:example:a"}, subject]
        await refused("subject-malformed", "/credentialSubject/1", credentialSubject=several)


# §4.9 Validity period


@pytest.mark.parametrize("name", ["validFrom", "validUntil"])
async def test_instants_are_date_time_stamps(name: str) -> None:
    """§4.9: "an [XMLSCHEMA11-2] dateTimeStamp", with its time zone."""
    for instant in ("2023-02-26T01:02:58.447Z", "2023-02-25T19:10:39-06:00", "4023-02-26T01:02:58Z"):
        await accepted(**{name: instant})
    for instant in ("Sat 25 Feb 2023 07:16:31 PM CST", "2023-02-25", "2023-02-25T19:10:39", None, 7, ""):
        await refused("date-malformed", f"/{name}", **{name: instant})


async def test_the_period_does_not_end_before_it_begins() -> None:
    """§4.9: validFrom is "temporally the same or earlier than the datetime expressed by the validUntil value"."""
    await accepted(validFrom="2026-01-01T00:00:00Z", validUntil="2026-01-01T00:00:00Z")
    await accepted(validFrom="2026-01-01T00:00:00+01:00", validUntil="2025-12-31T23:00:00Z")
    await refused("dates-reversed", "/validUntil", validFrom="2026-01-01T00:00:01Z", validUntil="2026-01-01T00:00:00Z")


# §4.11 Data schemas


async def test_a_schema_has_an_id() -> None:
    """§4.11: "Each credentialSchema MUST specify its type … and an id property that MUST be a URL"."""
    await refused("id-malformed", "/credentialSchema/id", credentialSchema={"type": "Example"}, **TYPED)


# §5.3 Integrity of related resources


DIGEST = hashlib.sha384(context_bytes(V2)).digest()
SRI = f"sha384-{base64.b64encode(DIGEST).decode()}"
BARE = "u" + base64.urlsafe_b64encode(hashlib.sha256(context_bytes(V2)).digest()).decode().rstrip("=")
MULTIHASH = "z" + base58.b58encode(b"\x12\x20" + hashlib.sha256(context_bytes(V2)).digest()).decode()
FORMER = {
    "digestSRI": "sha384-NSOcNpmdIVUxIJGvGUoe22FjTWrXiaXlsZ8q6912LdnR3KraQO2n75Ica4wK4Qeg",
    "digestMultibase": "uJKGMkOmFbVJhEfKTduMC2XCyvRAYLjOVmZWwIH1wQ7k",
}


async def test_related_resources_are_objects_with_an_id_and_a_digest() -> None:
    """§5.3: id is required and unique; "MUST contain at least a digestSRI or a digestMultibase value"."""
    one = {"id": V2, "digestSRI": SRI}
    for digest in ({"digestSRI": SRI}, {"digestMultibase": BARE}, {"digestMultibase": MULTIHASH}, FORMER):
        await accepted(relatedResource={"id": V2, "mediaType": "application/ld+json"} | digest)
    await accepted(relatedResource=[one, {"id": "https://example.org/image.png", "digestSRI": SRI}])
    await refused("resource-malformed", "/relatedResource/0", relatedResource=[V2])
    await refused("id-malformed", "/relatedResource/id", relatedResource={"digestSRI": SRI})
    await refused("digest-missing", "/relatedResource/0", relatedResource=[{"id": V2}])
    await refused("resource-repeated", "/relatedResource/1/id", relatedResource=[one, one])


@pytest.mark.parametrize(
    "digest",
    [
        {"digestSRI": "sha384-" + "A" * 64},
        {"digestMultibase": "uM4RgWQc3RUDtjJCSgTJtTfvpZ7SPEg_LNO0ESlovQC0"},
        {"digestSRI": SRI, "digestMultibase": "u" + "A" * 43},
    ],
    ids=str,
)
async def test_a_digest_that_does_not_match_is_an_error(digest: dict[str, str]) -> None:
    """§5.3: where it does not match, "the conforming verifier implementation MUST produce an error"."""
    document = GOOD | {"relatedResource": [{"id": V2} | digest]}
    await refused("digest-mismatch", relatedResource=document["relatedResource"])
    # Another who signs it all the same is not believed.
    credential = signed({"relatedResource": [{"id": V2, "digestSRI": SRI}]})
    found = await verify(credential | {"relatedResource": document["relatedResource"]}, Nobody(), Policy(at=NOW))
    assert found.checks[CheckName.SCHEMA].code == "digest-mismatch"


@pytest.mark.parametrize("text", ["", "sha1-AAAA", "sha384-????", "sha256-AAAA", SRI[:-4], 7], ids=str)
async def test_what_is_no_digest_is_refused(text: Any) -> None:
    await refused("digest-malformed", relatedResource={"id": V2, "digestSRI": text, "digestMultibase": BARE})


@pytest.mark.parametrize("text", ["", "x123", "u!!!!", "z0OIl", "uAAAA", "u" + "A" * 200, 7], ids=str)
async def test_what_is_no_multibase_digest_is_refused(text: Any) -> None:
    await refused("digest-malformed", relatedResource={"id": V2, "digestMultibase": text})


# §4.13.1 Enveloped verifiable credentials


def in_a_claim(name: str, document: dict[str, Any], kind: str = "JWT", **claims: Any) -> str:
    header = {"typ": kind, "kid": SIGNER.verification_method}
    return sign_jws(header, {"iss": SIGNER.did, name: document} | claims, SIGNER)


def envelope(token: str) -> dict[str, Any]:
    return {"@context": V2, "type": "EnvelopedVerifiableCredential", "id": f"data:application/jwt,{token}"}


async def test_an_envelope_may_hold_the_jwt_of_data_model_1_1() -> None:
    """§4.13.1: any "enveloping security scheme, such as" VC-JOSE-COSE; data model 1.1 §6.3.1 is the older one."""
    found = await verify(envelope(in_a_claim("vc", GOOD, sub="did:example:subject")), Nobody(), Policy(at=NOW))
    assert found.verified, found.to_json()
    assert found.credential == GOOD


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (in_a_claim("vc", GOOD, "vc+jwt"), "vc-claim"),
        (in_a_claim("vc", GOOD, vp=GOOD), "vc-claim"),
        (in_a_claim("vp", GOOD), "vc-claim"),
        (in_a_claim("vc", GOOD | {"type": ["VerifiablePresentation"]}), "vc-claim"),
        (in_a_claim("vc", "text"), "vc-claim"),  # pyright: ignore[reportArgumentType]
        (in_a_claim("vc", GOOD, iss="did:example:other"), "claims-mismatch"),
        (in_a_claim("vc", GOOD, sub="did:example:other"), "claims-mismatch"),
        (in_a_claim("vc", GOOD, jti="urn:x:other"), "claims-mismatch"),
    ],
)
async def test_s4_the_older_jwt_says_one_thing_only(token: str, code: str) -> None:
    found = await verify(token, Nobody(), Policy(at=NOW))
    assert found.checks[CheckName.PROOF].code == code
    assert not found.verified
