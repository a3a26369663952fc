"""The checks that need nothing from outside, and the words in which all of them answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from cairn.credentials import sd_jwt_vc
from cairn.credentials.bundle import context_urls
from cairn.credentials.canonicalize.compact_form import refuse_rekeyed
from cairn.credentials.did import DidDocument, VerificationMethod, did_of
from cairn.credentials.errors import ContextUnknown, CredentialError, ProofInvalid, TokenRefused
from cairn.credentials.findings import Check, Finding, Outcome
from cairn.credentials.instants import parse_instant
from cairn.credentials.jose import Token, claim_mismatches
from cairn.credentials.jws import instant_claim, thumbprint, verify_jws
from cairn.credentials.proofs import is_supported, verify_proof
from cairn.credentials.proofs.common import check_options, check_times, proof_instant
from cairn.credentials.schema_check import against_schemas, judge_makes
from cairn.credentials.sd_jwt import binding_findings
from cairn.credentials.secured import Secured
from cairn.credentials.shape import listed, text_of
from cairn.credentials.structure import model_version, structure_findings

PROOF_FIRST: Final = "this is only looked up once the proof holds for the issuer"
SET: Final = {"revocation": "revoked", "suspension": "suspended", "refresh": "refreshed"}
_UNDETERMINED: Final = frozenset(
    {"unsupported", "context-unknown", "status-list-malformed", "status-list-too-large", "too-complex"}
)
"""Refusals that say "could not be checked" rather than "wrong"."""
_GRAVITY: Final = {Outcome.FAILED: 0, Outcome.UNDETERMINED: 1, Outcome.PASSED: 2, Outcome.SKIPPED: 3}


def passed(code: str, detail: str, also: Sequence[Finding] = ()) -> Check:
    return Check(Outcome.PASSED, code, detail, also=tuple(also))


def failed(findings: Sequence[Finding]) -> Check:
    first = findings[0]
    return Check(Outcome.FAILED, first.code, first.detail, first.pointer, tuple(findings[1:]))


def undetermined(code: str, detail: str, pointer: str | None = None) -> Check:
    return Check(Outcome.UNDETERMINED, code, detail, pointer)


def refused(refusal: CredentialError, pointer: str | None = None) -> Check:
    outcome = Outcome.UNDETERMINED if refusal.code in _UNDETERMINED else Outcome.FAILED
    return Check(outcome, refusal.code, refusal.detail, refusal.pointer or pointer)


def gravest(found: Sequence[Check]) -> Check:
    """One answer of several: failed before undetermined before passed, the others beside it."""
    if len(found) == 1:
        return found[0]
    first, *rest = sorted(found, key=lambda check: _GRAVITY[check.outcome])
    also = (*first.also, *(Finding(one.code, one.detail, one.pointer) for one in rest))
    return Check(first.outcome, first.code, first.detail, first.pointer, also)


NOT_ASKED: Final = Check(Outcome.SKIPPED, "not-asked", "this check was not asked for")
# What is said of nearly every credential is made once.
_NOT_PRESENTED: Final = Check(Outcome.SKIPPED, "not-presented", "nobody shows the credential as its holder")
STATUS_ABSENT: Final = Check(Outcome.SKIPPED, "status-absent", "the credential has no status to look up")
EVIDENCE_ABSENT: Final = Check(Outcome.SKIPPED, "evidence-absent", "the credential names no evidence")
ISSUER_TRUSTED: Final = passed("issuer-trusted", "the issuer is on the trust list")
_PROOF_VALID: Final = passed("proof-valid", "the signature fits the document")
_TOKEN_VALID: Final = passed("proof-valid", "the signature fits the token")
_ISSUER_SIGNED: Final = passed("issuer-signed", "the key that the proof names is the issuer's")
_IN_FORCE: Final = passed("in-force", "it is within its period")
_SCHEMA_VALID: Final = passed("schema-valid", "shaped as its data model asks")


def proof_and_issuer(
    secured: Secured, keys: Mapping[str, DidDocument | Check], *, at: datetime, tolerance: timedelta, purpose: str
) -> tuple[Check, Check]:
    """Whether the signature holds, and whether who signed is the issuer (S7). `keys`: what is known of each signer."""
    try:
        # Proofs over bytes need no context to hold, but nobody should act on words whose meaning is not known.
        if not context_urls().issuperset(secured.context_names):
            raise ContextUnknown(next(url for url in secured.context_names if url not in context_urls()))
        if secured.token is not None and secured.form != sd_jwt_vc.FORM:
            refuse_rekeyed(secured.document, secured.surveyed)
    except CredentialError as refusal:
        return refused(refusal), _binding(secured, keys)
    if secured.token is not None:
        return _token(secured, secured.token, keys, at=at, purpose=purpose)
    pairs = [_one_proof(secured, proof, keys, at, tolerance, purpose) for proof in secured.proofs]
    if len(pairs) == 1:
        return pairs[0]
    known = [proof for proof in secured.proofs if is_supported(proof)]
    chained = {name for proof in known for name in listed(proof.get("previousProof")) if isinstance(name, str)}
    # In a set of proofs, those that cannot be judged here neither help nor harm, as long as one can be, and rests on
    # none of them.
    counted = [
        pair
        for proof, pair in zip(secured.proofs, pairs, strict=True)
        if not known or proof in known or text_of(proof.get("id")) in chained
    ]
    left_aside = [Finding(pair[0].code, pair[0].detail) for pair in pairs if pair not in counted]
    proof = gravest([pair[0] for pair in counted])
    # A witness may sign beside the issuer; that one proof which holds is the issuer's own is what binds.
    bound = [issuer for proof, issuer in counted if proof.outcome is issuer.outcome is Outcome.PASSED]
    issuer = bound[0] if bound else gravest([pair[1] for pair in counted])
    if left_aside:
        proof = replace(proof, also=(*proof.also, *left_aside))
    return proof, issuer


def _one_proof(
    secured: Secured,
    proof: dict[str, Any],
    keys: Mapping[str, DidDocument | Check],
    at: datetime,
    tolerance: timedelta,
    purpose: str,
) -> tuple[Check, Check]:
    method_id = proof.get("verificationMethod")
    if not isinstance(method_id, str) or not is_supported(proof):
        name = str(proof.get("cryptosuite") or proof.get("type"))[:80]
        if isinstance(method_id, str):
            return undetermined("unsupported", f"proofs of {name} are not verified here", "/proof"), _binding(
                secured, keys
            )
        return failed([Finding("proof-malformed", "the proof has no verificationMethod", "/proof")]), _binding(
            secured, keys
        )
    signer = did_of(method_id)
    known = keys.get(signer)
    created = proof_instant(proof, "created")
    issuer = _issuer_check(secured, signer, method_id, known, created=created, at=at, purpose=purpose)
    if not isinstance(known, DidDocument):
        return known or undetermined("issuer-mismatch", "the proof names no key of the issuer's", "/proof"), issuer
    method = known.method(method_id)
    if method is None:
        where = "/proof/verificationMethod"
        return failed([Finding("key-unknown", "the issuer publishes no such key", where)]), issuer
    try:
        check_options(proof, purpose=purpose)
        verify_proof(secured.document, proof, method.key, secured.surveyed_anyway, secured.met)
        check_times(proof, at=at, tolerance=tolerance)
    except CredentialError as refusal:
        return refused(refusal, "/proof"), issuer
    return _PROOF_VALID, issuer


def _token(
    secured: Secured, token: Token, keys: Mapping[str, DidDocument | Check], *, at: datetime, purpose: str
) -> tuple[Check, Check]:
    issuer_id = secured.issuer or ""
    signer = secured.signers()[0] or issuer_id
    known = keys.get(signer)
    if not isinstance(known, DidDocument):
        return known or undetermined("issuer-mismatch", "the token names no key of the issuer's"), _binding(
            secured, keys
        )
    candidates = [one for one in known.methods if _may_have_signed(secured, token, one, purpose)]
    if not candidates:
        finding = Finding("key-unknown", "the issuer publishes no key that the token could be signed with")
        return failed([finding]), _binding(secured, keys)
    refusal: TokenRefused | None = None
    for method in candidates:
        try:
            verify_jws(token.jws, method.key)
        except TokenRefused as error:
            refusal = refusal or error
            continue
        created = parse_instant(secured.document.get("validFrom"))
        issuer = _issuer_check(secured, did_of(method.id), method.id, known, created=created, at=at, purpose=purpose)
        wrong = [] if secured.form == sd_jwt_vc.FORM else claim_mismatches(token)
        if wrong:
            detail = f"the token's {', '.join(wrong)} say otherwise than the credential"
            return failed([Finding("claims-mismatch", detail)]), issuer
        return _TOKEN_VALID, issuer
    return refused(refusal or ProofInvalid("no key fits")), _binding(secured, keys)


def _may_have_signed(secured: Secured, token: Token, method: VerificationMethod, purpose: str) -> bool:
    named = token.jws.key_id
    if method.key.algorithm != token.jws.algorithm:
        return False
    if token.jws.embedded_key is not None and token.jws.embedded_key != method.key:
        return False
    if named is None or named == secured.issuer:
        return purpose in method.purposes
    # A published JWK may be named by its thumbprint, too (RFC 7638), which no other key has.
    return method.id == secured.key_id or named == thumbprint(method.key)


def _binding(secured: Secured, keys: Mapping[str, DidDocument | Check]) -> Check:
    """What can be said of the issuer where the proof could not be judged."""
    signers = {signer for signer in secured.signers() if signer is not None}
    if signers - {secured.issuer}:
        return failed([Finding("issuer-mismatch", "the key that signed is not the issuer's", "/issuer")])
    known = keys.get(secured.issuer or "")
    if isinstance(known, Check):
        return known
    return undetermined(
        "proof-first", "whether the issuer signed is only known once the proof can be judged", "/issuer"
    )


def _issuer_check(
    secured: Secured,
    signer: str,
    method_id: str,
    known: DidDocument | Check | None,
    *,
    created: datetime | None,
    at: datetime,
    purpose: str,
) -> Check:
    """kid -> DID -> issuer (S7), and what the issuer says of the key (S27). `signer` is the method's DID."""
    if signer != secured.issuer:
        detail = f"the key of {signer[:120]} signed, not that of the issuer"
        return failed([Finding("issuer-mismatch", detail, "/issuer")])
    if not isinstance(known, DidDocument):
        return known or undetermined("proof-first", PROOF_FIRST, "/issuer")
    method = known.method(method_id)
    if method is None:
        return failed([Finding("key-unknown", "the issuer publishes no such key", "/issuer")])
    if method.revoked is not None and at >= method.revoked:
        # The date within a proof is written by whoever holds the key, so it cannot excuse a key that was stolen.
        return failed([Finding("key-revoked", "the issuer has revoked the key that signed", "/issuer")])
    if purpose not in method.purposes:
        return failed([Finding("key-purpose", f"the issuer does not use that key for {purpose}", "/issuer")])
    if method.expires is not None and (created or at) >= method.expires:
        return failed([Finding("key-expired", "the issuer had retired the key before it signed", "/issuer")])
    return _ISSUER_SIGNED


def validity(secured: Secured, *, at: datetime, tolerance: timedelta) -> Check:
    """The credential's own period (VC data model 2.0 §4.9): from its start, and until, not at, its end."""
    findings: list[Finding] = []
    for name in ("validFrom", "issuanceDate"):
        start = parse_instant(secured.document.get(name))
        if name in secured.document and start is None:
            findings.append(Finding("date-malformed", f"{name} is not a date-time with a time zone", f"/{name}"))
        elif start is not None and start > at + tolerance:
            findings.append(Finding("not-yet-valid", f"valid from {secured.document[name]}", f"/{name}"))
    for name in ("validUntil", "expirationDate"):
        end = parse_instant(secured.document.get(name))
        if name in secured.document and end is None:
            findings.append(Finding("date-malformed", f"{name} is not a date-time with a time zone", f"/{name}"))
        elif end is not None and end <= at - tolerance:
            findings.append(Finding("expired", f"valid until {secured.document[name]}", f"/{name}"))
    if secured.token is not None:
        claims = secured.token.claims
        not_before, expires = instant_claim(claims, "nbf"), instant_claim(claims, "exp")
        for name, instant in (("nbf", not_before), ("exp", expires)):
            if name in claims and instant is None:
                findings.append(Finding("date-malformed", f"the token's {name} is no instant that is known here"))
        if not_before is not None and not_before > at + tolerance:
            findings.append(Finding("not-yet-valid", "the token's nbf is in the future"))
        if expires is not None and expires <= at - tolerance:
            findings.append(Finding("expired", "the token's exp is in the past"))
    return failed(findings) if findings else _IN_FORCE


def schema(secured: Secured) -> Check:
    """The data model's shape, the Open Badges schema, and whatever schema the credential names."""
    document = secured.document
    is_w3c = secured.form != sd_jwt_vc.FORM
    met = secured.met
    is_known = met is not None and met.make.is_credential
    findings = (
        structure_findings(document, is_known=is_known) if is_w3c else list(sd_jwt_vc.sd_jwt_vc_findings(document))
    )
    if findings:
        return failed(findings)
    if is_known:
        return _SCHEMA_VALID
    if not is_w3c:
        return passed("structure-valid", "shaped as an SD-JWT VC; type metadata is not fetched")
    if model_version(document) == 1:
        return passed("structure-valid", "shaped as VC data model 1.1 asks; the Open Badges schema is for 2.0")
    violations, unknown = against_schemas(document)
    if violations and document.get("credentialSchema") in (None, []):
        # The issuer never said that it would follow the schema; what differs is told, and does not condemn.
        detail = "the credential names no schema, and departs from that of Open Badges"
        return Check(Outcome.SKIPPED, "schema-undeclared", detail, also=tuple(violations))
    if violations:
        return failed(violations)
    if unknown:
        detail = f"the schema {unknown[0][:120]} is not bundled, and schemas are never fetched"
        return undetermined("schema-unknown", detail, "/credentialSchema")
    if met is not None and judge_makes(document):
        met.make.is_credential = True
    return _SCHEMA_VALID


def holder(
    secured: Secured,
    *,
    challenge: str | None,
    domain: str | None,
    at: datetime,
    tolerance: timedelta,
    lifetime: timedelta,
) -> Check:
    """Whether who shows it holds the key that the issuer has bound it to (RFC 9901 §7.3)."""
    sd_jwt = secured.sd_jwt
    if challenge is None and domain is None and (sd_jwt is None or sd_jwt.binding is None):
        return _NOT_PRESENTED
    try:
        key = sd_jwt.holder_key if sd_jwt else None
    except CredentialError as refusal:
        return refused(refusal, "/cnf")
    if sd_jwt is None or key is None:
        return failed([Finding("holder-unbound", "the credential is bound to no key of a holder's", "/cnf")])
    findings = list(
        binding_findings(sd_jwt, key, challenge=challenge, domain=domain, at=at, tolerance=tolerance, lifetime=lifetime)
    )
    return failed(findings) if findings else passed("holder-bound", "the holder has signed what is shown")
