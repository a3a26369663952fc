"""Rows S1 to S13, S26 and S27 of the promises, as far as they are this library's."""

from __future__ import annotations

import base64
import copy
import gzip
import itertools
import json
import socket
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cairn.credentials import (
    Bitstring,
    CheckName,
    ContextUnknown,
    CredentialError,
    Cryptosuite,
    DocumentRefused,
    Ed25519Signer,
    Outcome,
    Policy,
    StatusEntry,
    Trust,
    VerificationMethod,
    build_credential,
    build_did_document,
    build_status_list,
    decode_list,
    did_web_url,
    prepare,
    sign,
    sign_jwt,
    sign_sd_jwt,
    verify,
)
from cairn.credentials.canonicalize import rdfc
from cairn.credentials.canonicalize.rdfc import canonical_nquads

from .conftest import CREATED, NOW, Files, Issue, make_draft

LIST_URL = "https://uni.example/status/1/revocation"
WEB = "did:web:uni.example"
VC2 = "https://www.w3.org/ns/credentials/v2"


async def _outcome(credential: Any, files: Files, policy: Policy, check: CheckName) -> tuple[Outcome, str]:
    answer = (await verify(credential, files, policy)).checks[check]
    return answer.outcome, answer.code


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _leaves(member, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _leaves(item, (*path, position))
    else:
        yield path


def _mutations(value: Any) -> list[Any]:
    other: list[Any] = [None, {}, {"x": 1}, "another", 12345]
    if isinstance(value, bool):
        return [not value, str(value).lower(), int(value), *other]
    if isinstance(value, int | float):
        return [value + 1, str(value), -value, *other]
    return [f"{value}x", value.upper() if value.upper() != value else value.lower(), [value, "x"], [[value]], *other]


@pytest.mark.parametrize("cryptosuite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
async def test_s01_every_mutation_of_every_leaf_is_caught(issue: Issue, proof_only: Policy, cryptosuite: str) -> None:
    credential = issue(
        cryptosuite=cryptosuite, status=(StatusEntry(list_url=LIST_URL, index=5),), valid_until=NOW + timedelta(days=9)
    )
    assert (await _outcome(credential, Files(), proof_only, CheckName.PROOF))[0] is Outcome.PASSED
    tried = 0
    for path in list(_leaves(credential)):
        *parents, last = path
        original = credential
        for step in parents:
            original = original[step]
        for mutation in _mutations(original[last])[: 4 if cryptosuite == "eddsa-rdfc-2022" else None]:
            if mutation == original[last] and type(mutation) is type(original[last]):
                continue
            changed = copy.deepcopy(credential)
            inner = changed
            for step in parents:
                inner = inner[step]
            inner[last] = mutation
            found = await verify(changed, Files(), proof_only)
            assert not found.verified, (path, mutation, found.to_json())
            tried += 1
    assert tried > 300


@pytest.mark.parametrize(
    "where", [(), ("credentialSubject",), ("credentialSubject", "achievement"), ("issuer",), ("proof",)]
)
@pytest.mark.parametrize("cryptosuite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
async def test_s01_a_key_added_anywhere_is_caught(
    issue: Issue, proof_only: Policy, where: tuple[str, ...], cryptosuite: str
) -> None:
    for key, value in {
        "bonus": "x",
        "narrative": "x",
        "https://x.example/y": "x",
        "@id": "urn:x",
        "@index": "x",
    }.items():
        credential = issue(cryptosuite=cryptosuite)
        inner = credential
        for step in where:
            inner = inner[step]
        inner[key] = value
        assert not (await verify(credential, Files(), proof_only)).verified, (where, key)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"bonus": "x"}, "term-undefined"),
        ({"name": None}, "null-refused"),
        ({"evidence": {"id": "relative", "type": "Evidence"}}, "id-malformed"),
        ({"evidence": {"type": ["Evidence", "Relative"]}}, "iri-not-absolute"),
        ({"image": {"id": "badge.png", "type": "Image"}}, "iri-not-absolute"),
        ({"evidence": {"@index": "x", "type": "Evidence"}}, "keyword-refused"),
        ({"name": {"@value": "x", "@index": "i"}}, "language-value-malformed"),
        ({"name": "a\x08b"}, "text-disputed"),
        ({"@context": [VC2, {"@vocab": "https://www.w3.org/2018/credentials#valid"}]}, "term-rekeyed"),
        ({"@context": [VC2, {"ends": "https://www.w3.org/2018/credentials#validUntil"}]}, "term-rekeyed"),
        ({"@context": [VC2, {"self": "@id"}]}, "term-rekeyed"),
        ({"@context": [VC2, {"@base": "https://x.example/"}]}, "context-refused"),
        ({"https://www.w3.org/2018/credentials#validUntil": "2030-01-01T00:00:00Z"}, "term-rekeyed"),
    ],
)
def test_s01_what_would_be_dropped_is_not_signed(signer: Ed25519Signer, change: dict[str, Any], code: str) -> None:
    document = build_credential(make_draft(signer.did)) | change
    with pytest.raises(DocumentRefused) as refusal:
        sign(document, signer, created=CREATED)
    assert refusal.value.code == code


def test_s12_a_vocabulary_taken_back_where_there_is_none_is_not_called_wrong(signer: Ed25519Signer) -> None:
    """It is well-formed JSON-LD 1.1, which the processor behind us cannot work out."""
    document = build_credential(make_draft(signer.did))
    document["@context"] = [*document["@context"], {"@vocab": None}]
    with pytest.raises(DocumentRefused) as refusal:
        sign(document, signer, created=CREATED)
    assert refusal.value.code == "unsupported"


@pytest.mark.parametrize("cryptosuite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
@pytest.mark.parametrize("nested", [True, False])
def test_s02_a_context_in_the_document_renames_nothing(
    signer: Ed25519Signer, cryptosuite: Cryptosuite, nested: bool
) -> None:
    context = {"ends": "https://www.w3.org/2018/credentials#validUntil"}
    document = build_credential(make_draft(signer.did)) | {"ends": "2020-01-01T00:00:00Z"}
    document["@context"] = [VC2, {"@context": context} if nested else context]
    with pytest.raises(DocumentRefused) as refusal:
        sign(document, signer, created=CREATED, cryptosuite=cryptosuite)
    assert refusal.value.code == "term-rekeyed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"@context": [VC2, "https://elsewhere.example/v1"]}, "context-unknown"),
        ({"https://www.w3.org/2018/credentials#validUntil": "2026-01-01T00:00:00Z"}, "term-rekeyed"),
        ({"@id": "urn:x:1"}, "keyword-refused"),
    ],
)
def test_s01_over_bytes_too_only_words_are_signed_that_verify(
    signer: Ed25519Signer, change: dict[str, Any], code: str
) -> None:
    """Proofs over bytes leave nothing out, but what they say would be understood by nobody, or in two ways."""
    document = build_credential(make_draft(signer.did)) | change
    signings = (
        lambda: sign(document, signer, created=CREATED, cryptosuite="eddsa-jcs-2022"),
        lambda: sign_jwt(document, signer),
        lambda: sign_sd_jwt(document, signer),
    )
    for signing in signings:
        with pytest.raises(CredentialError) as refusal:
            signing()
        assert refusal.value.code == code


@pytest.mark.parametrize("claim", ["vc", "exp", "nonce"])
def test_s01_a_claim_of_the_tokens_own_is_not_taken_from_the_credential(signer: Ed25519Signer, claim: str) -> None:
    with pytest.raises(DocumentRefused, match=claim):
        sign_jwt(build_credential(make_draft(signer.did)) | {claim: {}}, signer)


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ({"creditsEarned": "7.5"}, "native-as-text"),
        ({"creditsEarned": 1e-7}, "number-disputed"),
        ({"creditsEarned": 0.1 + 0.2}, "number-disputed"),
        ({"creditsEarned": -0.0}, "number-disputed"),
        ({"creditsEarned": 2**53}, "number-disputed"),
        ({"creditsEarned": 1e21}, "number-disputed"),
        ({"result": [[{"type": ["Result"], "value": "A"}]]}, "nested-list"),
    ],
)
def test_s01_what_is_signed_ambiguously_is_refused(signer: Ed25519Signer, subject: dict[str, Any], code: str) -> None:
    document = build_credential(make_draft(signer.did))
    document["credentialSubject"] |= subject
    with pytest.raises(DocumentRefused) as refusal:
        sign(document, signer, created=CREATED)
    assert refusal.value.code == code


def test_s01_a_string_where_a_list_belongs_is_refused(signer: Ed25519Signer) -> None:
    document = build_credential(make_draft(signer.did))
    document["credentialSubject"]["achievement"]["resultDescription"][0]["allowedValue"] = "A"
    with pytest.raises(DocumentRefused) as refusal:
        sign(document, signer, created=CREATED)
    assert refusal.value.code == "list-expected"


@pytest.mark.parametrize("term", ["validUntil", "credentialStatus", "validFrom", "evidence"])
async def test_s01_a_term_rekeyed_to_its_iri_does_not_slip_by(issue: Issue, policy: Policy, term: str) -> None:
    """The quads stay the same, so the signature holds; readers of the JSON would not see the end of its validity."""
    credential = issue(valid_until=CREATED + timedelta(days=1), status=(StatusEntry(list_url=LIST_URL, index=5),))
    credential[f"https://www.w3.org/2018/credentials#{term}"] = credential.pop(term)
    found = await verify(credential, Files(), policy)
    assert not found.verified
    assert found.checks[CheckName.PROOF].outcome is Outcome.FAILED


async def test_s01_a_term_moved_to_a_second_node_of_the_same_id_does_not_slip_by(issue: Issue, policy: Policy) -> None:
    credential = issue(valid_until=CREATED + timedelta(days=1))
    hidden = {"id": credential["id"], "type": "VerifiableCredential", "validUntil": credential.pop("validUntil")}
    credential["evidence"].append(hidden)
    assert await _outcome(credential, Files(), policy, CheckName.PROOF) == (Outcome.FAILED, "node-split")


async def test_s02_contexts_are_never_fetched(issue: Issue, policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", no_socket)
    monkeypatch.setattr(socket, "getaddrinfo", no_socket)
    credential = issue()
    credential["@context"].append("https://evil.example/context.json")
    found = await verify(credential, Files(), policy)
    assert (found.checks[CheckName.PROOF].outcome, found.checks[CheckName.PROOF].code) == (
        Outcome.UNDETERMINED,
        "context-unknown",
    )
    with pytest.raises(ContextUnknown):
        rdfc({"@context": [VC2, "https://evil.example/context.json"], "id": "urn:x:1"})


@pytest.mark.parametrize(
    "swap",
    [
        lambda contexts: contexts[::-1],
        lambda contexts: contexts[:1],
        lambda contexts: ["https://www.w3.org/2018/credentials/v1", *contexts[1:]],
        lambda contexts: [*contexts, {"name": "https://evil.example/name"}],
        lambda contexts: [contexts[0], "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"],
    ],
)
@pytest.mark.parametrize("cryptosuite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
async def test_s02_a_swapped_context_fails(issue: Issue, policy: Policy, swap: Any, cryptosuite: str) -> None:
    credential = issue(cryptosuite=cryptosuite)
    credential["@context"] = swap(credential["@context"])
    assert not (await verify(credential, Files(), policy)).verified


def test_s03_a_clique_of_nine_blank_nodes_is_refused_at_once() -> None:
    nodes = [f"_:n{number}" for number in range(9)]
    quads = [(one, "<urn:x:p>", other, "") for one, other in itertools.permutations(nodes, 2)]
    started = time.perf_counter()
    with pytest.raises(DocumentRefused) as refusal:
        canonical_nquads(quads)
    assert refusal.value.code == "too-complex"
    assert time.perf_counter() - started < 1


async def test_s03_a_poisonous_credential_is_undetermined(issue: Issue, policy: Policy) -> None:
    credential = issue()
    credential["evidence"] = [{"type": ["Evidence"]} for _ in range(30_000)]
    found = await verify(credential, Files(), policy)
    assert not found.verified
    assert found.checks[CheckName.PROOF].code in ("too-complex", "too-large")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _forge(token: str, header: dict[str, Any], secret: bytes | None = None) -> str:
    body = f"{_b64(json.dumps(header).encode())}.{token.split('.')[1]}"
    if secret is None:
        return f"{body}."
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(body.encode())
    return f"{body}.{_b64(mac.finalize())}"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "none", "None", "NONE", "nOnE", "hs256"])
@pytest.mark.parametrize("encoding", ["pem", "der", "jwk", "raw"])
async def test_s04_no_key_serves_another_algorithm(
    signer: Ed25519Signer, proof_only: Policy, algorithm: str, encoding: str
) -> None:
    token = sign_jwt(build_credential(make_draft(signer.did)), signer)
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    secrets = {
        "pem": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(signer.public_key.to_jwk()).encode(),
        "raw": signer.public_key.raw,
    }
    header = {"alg": algorithm, "typ": "vc+jwt", "kid": signer.verification_method}
    for secret in (secrets[encoding], None):
        found = await _outcome(_forge(token, header, secret), Files(), proof_only, CheckName.PROOF)
        assert found == (Outcome.FAILED, "alg-refused")


async def test_s04_a_token_that_names_the_other_algorithm_fails(signer: Ed25519Signer, proof_only: Policy) -> None:
    token = sign_jwt(build_credential(make_draft(signer.did)), signer)
    header = {"alg": "ES256", "typ": "vc+jwt", "kid": signer.verification_method}
    forged = f"{_b64(json.dumps(header).encode())}.{token.split('.', 1)[1]}"
    assert (await _outcome(forged, Files(), proof_only, CheckName.PROOF))[0] is Outcome.FAILED


class _Header:
    """A signer whose JWT header is not the library's."""

    def __init__(self, signer: Ed25519Signer, **header: Any) -> None:
        self.signer, self.header = signer, header

    def token(self, document: dict[str, Any]) -> str:
        header = {"alg": "EdDSA", "typ": "vc+jwt", "kid": self.signer.verification_method} | self.header
        header = {name: value for name, value in header.items() if value is not None}
        body = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(document).encode())}"
        return f"{body}.{_b64(self.signer.sign(body.encode()))}"


@pytest.mark.parametrize("name", ["jku", "x5u", "x5c", "x5t", "x5t#S256"])
async def test_s05_keys_that_the_token_brings_are_refused(signer: Ed25519Signer, proof_only: Policy, name: str) -> None:
    token = _Header(signer, **{name: "https://evil.example/key"}).token(build_credential(make_draft(signer.did)))
    assert await _outcome(token, Files(), proof_only, CheckName.PROOF) == (Outcome.FAILED, "embedded-key")


async def test_s05_an_embedded_jwk_only_confirms_the_issuers_own_key(signer: Ed25519Signer, proof_only: Policy) -> None:
    mallory = Ed25519Signer(bytes(32))
    document = build_credential(make_draft(signer.did))
    for kid in (None, signer.verification_method):
        forged = _Header(mallory, kid=kid, jwk=mallory.public_key.to_jwk()).token(document)
        assert not (await verify(forged, Files(), proof_only)).verified
        mixed = _Header(mallory, kid=kid, jwk=signer.public_key.to_jwk()).token(document)
        assert not (await verify(mixed, Files(), proof_only)).verified
        other = _Header(signer, kid=kid, jwk=mallory.public_key.to_jwk()).token(document)
        assert not (await verify(other, Files(), proof_only)).verified
        own = _Header(signer, kid=kid, jwk=signer.public_key.to_jwk()).token(document)
        assert (await verify(own, Files(), proof_only)).verified


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": True}]
)
async def test_s06_an_unknown_crit_is_refused(
    signer: Ed25519Signer, proof_only: Policy, header: dict[str, Any]
) -> None:
    token = _Header(signer, **header).token(build_credential(make_draft(signer.did)))
    assert await _outcome(token, Files(), proof_only, CheckName.PROOF) == (Outcome.FAILED, "crit-unknown")


def test_s07_a_key_of_one_issuer_does_not_sign_for_another(signer: Ed25519Signer) -> None:
    document = build_credential(make_draft("did:web:other.example"))
    for attempt in (lambda: sign(document, signer, created=CREATED), lambda: sign_jwt(document, signer)):
        with pytest.raises(DocumentRefused) as refusal:
            attempt()
        assert refusal.value.code == "issuer-mismatch"


async def test_s07_a_credential_signed_by_somebody_else_fails(signer: Ed25519Signer, policy: Policy) -> None:
    victim = WEB
    document = build_credential(make_draft(victim))
    proof = prepare(
        document | {"issuer": signer.did}, verification_method=signer.verification_method, created=CREATED
    ).proof
    from cairn.credentials.proofs import eddsa_rdfc_2022

    value = eddsa_rdfc_2022.proof_serialization(signer.sign(eddsa_rdfc_2022.hash_data(document, proof)))
    files = Files()
    found = await verify(document | {"proof": proof | {"proofValue": value}}, files, policy)
    assert found.checks[CheckName.ISSUER].code == "issuer-mismatch"
    assert not found.verified
    assert files.asked == []
    token = _Header(signer).token(document)
    found = await verify(token, files, policy)
    assert found.checks[CheckName.ISSUER].code == "issuer-mismatch"
    assert not found.verified
    assert files.asked == []


def _web(signer: Ed25519Signer, **method: Any) -> dict[str, Any]:
    return build_did_document(WEB, [VerificationMethod(f"{WEB}#key-1", WEB, signer.public_key, **method)])


def _web_signer(seed: bytes = bytes(range(32))) -> Ed25519Signer:
    return Ed25519Signer(seed, f"{WEB}#key-1")


def _status_list(signer: Ed25519Signer, *indices: int, **changes: Any) -> dict[str, Any]:
    bits = Bitstring()
    for index in indices:
        bits[index] = True
    values: dict[str, Any] = {"url": LIST_URL, "issuer": signer.did, "purpose": "revocation", "valid_from": CREATED}
    return sign(build_status_list(bits=bits, **(values | changes)), signer, created=CREATED)


async def test_s09_before_the_proof_holds_only_the_issuers_document_is_asked_for(policy: Policy, issue: Issue) -> None:
    signer = _web_signer()
    files = Files().serve(did_web_url(WEB), _web(signer)).serve(LIST_URL, _status_list(signer))
    credential = issue(by=signer, status=(StatusEntry(list_url=LIST_URL, index=5),))
    credential["name"] = "changed"
    await verify(credential, files, policy)
    assert files.asked == [did_web_url(WEB)]


async def test_s09_an_unknown_issuers_status_is_not_fetched(policy: Policy, issue: Issue) -> None:
    signer = _web_signer()
    files = Files(Trust.UNKNOWN).serve(did_web_url(WEB), _web(signer)).serve(LIST_URL, _status_list(signer))
    found = await verify(issue(by=signer, status=(StatusEntry(list_url=LIST_URL, index=5),)), files, policy)
    assert files.asked == [did_web_url(WEB), f"trust {WEB}"]
    assert found.checks[CheckName.TRUST].outcome is Outcome.UNDETERMINED
    assert found.checks[CheckName.STATUS].outcome is Outcome.UNDETERMINED


async def test_s09_the_order_is_keys_then_trust_then_status(policy: Policy, issue: Issue) -> None:
    signer = _web_signer()
    files = Files().serve(did_web_url(WEB), _web(signer)).serve(LIST_URL, _status_list(signer))
    found = await verify(issue(by=signer, status=(StatusEntry(list_url=LIST_URL, index=5),)), files, policy)
    assert found.verified, found.to_json()
    assert files.asked == [did_web_url(WEB), f"trust {WEB}", LIST_URL]


def test_s11_a_gzip_bomb_is_refused_in_little_memory() -> None:
    bomb = "u" + _b64(gzip.compress(bytes(256 * 1024 * 1024)))
    tracemalloc.start()
    with pytest.raises(CredentialError) as refusal:
        decode_list(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refusal.value.code == "status-list-too-large"
    assert peak < 32 * 1024 * 1024


async def test_s11_a_bomb_as_a_status_list_is_undetermined(policy: Policy, issue: Issue, signer: Ed25519Signer) -> None:
    document = build_status_list(
        url=LIST_URL, issuer=signer.did, purpose="revocation", bits=Bitstring(), valid_from=CREATED
    )
    document["credentialSubject"]["encodedList"] = "u" + _b64(gzip.compress(bytes(64 * 1024 * 1024)))
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    credential = issue(status=(StatusEntry(list_url=LIST_URL, index=5),))
    found = await _outcome(credential, files, policy, CheckName.STATUS)
    assert found == (Outcome.UNDETERMINED, "status-list-too-large")


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"{}", b"[]", b"null", b"\xff\xfe", b'{"a":1,"a":2}'])
async def test_s12_a_status_that_cannot_be_looked_up_is_undetermined(
    policy: Policy, issue: Issue, body: bytes | None
) -> None:
    files = Files() if body is None else Files().serve(LIST_URL, body)
    found = await verify(issue(status=(StatusEntry(list_url=LIST_URL, index=5),)), files, policy)
    assert found.checks[CheckName.STATUS].outcome is Outcome.UNDETERMINED
    assert not found.verified


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"url": "https://uni.example/status/2/revocation"}, "status-list-other"),
        ({"purpose": "suspension"}, "status-purpose"),
    ],
)
async def test_s13_a_list_that_is_not_the_entrys_fails(
    policy: Policy, issue: Issue, signer: Ed25519Signer, changes: dict[str, Any], code: str
) -> None:
    files = Files().serve(LIST_URL, _status_list(signer, **changes))
    credential = issue(status=(StatusEntry(list_url=LIST_URL, index=5),))
    assert await _outcome(credential, files, policy, CheckName.STATUS) == (Outcome.FAILED, code)


async def test_s13_a_list_signed_by_somebody_else_fails(policy: Policy, issue: Issue, signer: Ed25519Signer) -> None:
    mallory = Ed25519Signer(bytes(32))
    credential = issue(status=(StatusEntry(list_url=LIST_URL, index=5),))
    theirs = Files().serve(LIST_URL, _status_list(mallory))
    assert await _outcome(credential, theirs, policy, CheckName.STATUS) == (Outcome.FAILED, "status-list-issuer")
    changed = _status_list(mallory)
    changed["issuer"] = signer.did
    posing = Files().serve(LIST_URL, changed)
    assert await _outcome(credential, posing, policy, CheckName.STATUS) == (Outcome.FAILED, "status-list-proof")
    emptied = _status_list(signer, 5)
    emptied["credentialSubject"]["encodedList"] = _status_list(signer)["credentialSubject"]["encodedList"]
    tampered = Files().serve(LIST_URL, emptied)
    assert await _outcome(credential, tampered, policy, CheckName.STATUS) == (Outcome.FAILED, "status-list-proof")


async def test_s13_a_list_that_is_too_short_fails(policy: Policy, issue: Issue, signer: Ed25519Signer) -> None:
    bits = Bitstring.from_bytes(bytes(1_000))
    document = build_status_list(url=LIST_URL, issuer=signer.did, purpose="revocation", bits=bits, valid_from=CREATED)
    files = Files().serve(LIST_URL, sign(document, signer, created=CREATED))
    credential = issue(status=(StatusEntry(list_url=LIST_URL, index=5),))
    assert await _outcome(credential, files, policy, CheckName.STATUS) == (Outcome.FAILED, "status-list-too-short")


def test_s26_what_is_prepared_is_what_is_signed(signer: Ed25519Signer) -> None:
    document = build_credential(make_draft(signer.did))
    prepared = prepare(document, verification_method=signer.verification_method, created=CREATED)
    again = prepare(document, verification_method=signer.verification_method, created=CREATED)
    assert prepared.hash_data == again.hash_data
    assert prepared.attach(signer.sign(prepared.hash_data)) == sign(document, signer, created=CREATED)


@pytest.mark.parametrize(
    ("method", "created", "code"),
    [
        ({"expires": CREATED + timedelta(days=1)}, CREATED, "issuer-signed"),
        ({"expires": CREATED}, CREATED, "key-expired"),
        ({"revoked": NOW + timedelta(days=1)}, CREATED, "issuer-signed"),
        ({"revoked": NOW}, CREATED, "key-revoked"),
        ({"purposes": frozenset({"authentication"})}, CREATED, "key-purpose"),
    ],
)
async def test_s27_a_retired_key_still_verifies_and_a_compromised_one_does_not(
    policy: Policy, method: dict[str, Any], created: datetime, code: str
) -> None:
    signer = _web_signer()
    credential = sign(build_credential(make_draft(WEB)), signer, created=created)
    files = Files().serve(did_web_url(WEB), _web(signer, **method))
    found = await verify(credential, files, policy)
    assert found.checks[CheckName.ISSUER].code == code
    assert found.verified is (code == "issuer-signed")


async def test_s27_a_key_the_issuer_no_longer_lists_fails(policy: Policy) -> None:
    signer = _web_signer()
    files = Files().serve(did_web_url(WEB), _web(_web_signer(bytes(32))))
    found = await verify(sign(build_credential(make_draft(WEB)), signer, created=CREATED), files, policy)
    assert found.checks[CheckName.PROOF].code == "signature-invalid"
    other = build_did_document(WEB, [VerificationMethod(f"{WEB}#key-2", WEB, signer.public_key)])
    found = await verify(
        sign(build_credential(make_draft(WEB)), signer, created=CREATED), Files().serve(did_web_url(WEB), other), policy
    )
    assert found.checks[CheckName.PROOF].code == "key-unknown"
    assert not found.verified


@pytest.mark.parametrize("purpose", ["authentication", "keyAgreement", "nonsense"])
async def test_a_proof_for_another_purpose_fails(signed: dict[str, Any], proof_only: Policy, purpose: str) -> None:
    signed["proof"]["proofPurpose"] = purpose
    assert await _outcome(signed, Files(), proof_only, CheckName.PROOF) == (Outcome.FAILED, "proof-purpose")


async def test_an_expired_proof_fails(signer: Ed25519Signer, proof_only: Policy) -> None:
    document = build_credential(make_draft(signer.did))
    for cryptosuite in ("eddsa-rdfc-2022", "eddsa-jcs-2022"):
        stale = sign(
            document, signer, created=CREATED, cryptosuite=cryptosuite, expires=datetime(2026, 4, 1, tzinfo=UTC)
        )
        assert await _outcome(stale, Files(), proof_only, CheckName.PROOF) == (Outcome.FAILED, "proof-expired")
        early = sign(document, signer, created=NOW + timedelta(hours=1), cryptosuite=cryptosuite)
        assert await _outcome(early, Files(), proof_only, CheckName.PROOF) == (Outcome.FAILED, "proof-from-future")


async def test_s02_a_proof_cannot_bring_contexts_of_its_own(signed: dict[str, Any], proof_only: Policy) -> None:
    signed["proof"]["@context"] = signed["@context"]
    assert (await verify(signed, Files(), proof_only)).verified
    signed["proof"]["@context"] = [VC2]
    assert await _outcome(signed, Files(), proof_only, CheckName.PROOF) == (Outcome.FAILED, "context-changed")


async def test_a_token_whose_claims_say_otherwise_fails(signer: Ed25519Signer, proof_only: Policy) -> None:
    document = build_credential(make_draft(signer.did))
    for claims in ({"iss": "did:web:other.example"}, {"jti": "urn:x:1"}, {"sub": "did:x:1"}, {"exp": "soon"}):
        token = _Header(signer).token(document | claims)
        assert await _outcome(token, Files(), proof_only, CheckName.PROOF) == (Outcome.FAILED, "claims-mismatch")
    shifted = document | {"nbf": int(CREATED.timestamp()) + 60}
    assert not (await verify(_Header(signer, typ="JWT").token(shifted), Files(), proof_only)).verified
    assert (await verify(_Header(signer).token(shifted), Files(), proof_only)).verified
    assert (await verify(_Header(signer).token(document | {"iat": "1700000000"}), Files(), proof_only)).verified


async def test_a_token_past_its_own_end_fails(signer: Ed25519Signer, policy: Policy) -> None:
    document = build_credential(make_draft(signer.did))
    for claims, code in (
        ({"exp": int(NOW.timestamp()) - 3600}, "expired"),
        ({"nbf": int(NOW.timestamp()) + 3600}, "not-yet-valid"),
    ):
        found = await verify(_Header(signer).token(document | claims), Files(), policy)
        assert found.checks[CheckName.VALIDITY].code == code
        assert not found.verified
