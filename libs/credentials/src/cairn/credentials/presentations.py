"""Verifiable presentations: whether their holder has made them for this verifier, and what each credential is worth.

Sources: VC data model 2.0 §4.13; Data Integrity 1.0 §4.3 (challenge, domain); VC-JOSE-COSE 1.0 §3.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from cairn.credentials import checks
from cairn.credentials.errors import CredentialError, ProofInvalid
from cairn.credentials.findings import Check, CheckName, Finding, Outcome, PresentationVerification, Verification
from cairn.credentials.jose import enveloped
from cairn.credentials.keyring import Keyring
from cairn.credentials.keys import Signer
from cairn.credentials.proofs import Cryptosuite, sign
from cairn.credentials.resolver import Resolver
from cairn.credentials.secured import Secured, read_presented
from cairn.credentials.shape import id_of, is_object, listed
from cairn.credentials.structure import VC2, presentation_findings
from cairn.credentials.verify import Policy, Run, verify

PURPOSE: Final = "authentication"
_OWN: Final = (CheckName.PROOF, CheckName.HOLDER, CheckName.VALIDITY, CheckName.SCHEMA)
_MAX_CREDENTIALS: Final = 50
"""Each costs a millisecond or two, and twenty where the full JSON-LD processor is needed. Meanwhile all others wait."""


def build_presentation(
    credentials: Sequence[dict[str, Any] | str], *, holder: str | None = None, id_: str | None = None
) -> dict[str, Any]:
    """An unsigned presentation of secured credentials; those that are tokens are put in envelopes."""
    document: dict[str, Any] = {"@context": [VC2], "type": ["VerifiablePresentation"]}
    if id_ is not None:
        document["id"] = id_
    if holder is not None:
        document["holder"] = holder
    if credentials:
        document["verifiableCredential"] = [enveloped(one) if isinstance(one, str) else one for one in credentials]
    return document


def sign_presentation(
    document: dict[str, Any],
    signer: Signer,
    *,
    created: datetime,
    challenge: str | None = None,
    domain: str | None = None,
    cryptosuite: Cryptosuite = "eddsa-rdfc-2022",
) -> dict[str, Any]:
    """A copy with the holder's Data Integrity proof, for the verifier at `domain` who sent `challenge`.

    Raises as `sign` does, and DocumentRefused where a credential in it is neither secured nor enveloped.
    """
    return sign(
        document,
        signer,
        created=created,
        cryptosuite=cryptosuite,
        purpose=PURPOSE,
        challenge=challenge,
        domain=domain,
    )


def is_presentation(value: dict[str, Any] | str | bytes) -> bool:
    """Whether it is written as a presentation, by which nothing is verified. Never raises for what it is given."""
    try:
        return read_presented(value).is_presentation
    except CredentialError:
        return False


async def verify_presentation(
    presentation: dict[str, Any] | str | bytes, resolver: Resolver, policy: Policy
) -> PresentationVerification:
    """Verifies a presentation, an object or a JWT or an envelope of one, and every credential in it.

    `policy.challenge` and `policy.domain` are what this verifier asked for. Where it sent no challenge, an unsigned
    presentation is a list of credentials, and its holder is not proven. Never raises for what it is given.
    """
    try:
        secured = read_presented(presentation)
        if secured.sd_jwt is not None and not secured.is_presentation:
            return await _of_sd_jwt(presentation, resolver, policy)
        if not secured.is_presentation:
            raise ProofInvalid("this is a credential, not a presentation", code="presentation-missing")
        given = [one if is_object(one) else {} for one in listed(secured.document.get("verifiableCredential"))]
        if len(given) > _MAX_CREDENTIALS:
            raise ProofInvalid(f"more than {_MAX_CREDENTIALS} credentials in a presentation", code="too-complex")
    except CredentialError as refusal:
        unread = checks.undetermined("not-read", "the presentation could not be read")
        answers = dict.fromkeys(_OWN, unread) | {CheckName.PROOF: checks.refused(refusal)}
        return PresentationVerification(_asked(answers, policy))
    run = Run(resolver, replace(policy, challenge=None, domain=None), Keyring(resolver))
    proof, holder = await _proof_and_holder(secured, run, policy)
    credentials = tuple([await run.credential(one) for one in given])
    answers = {
        CheckName.PROOF: proof,
        CheckName.HOLDER: replace(holder, also=(*holder.also, *_others(secured, credentials))),
        CheckName.VALIDITY: checks.validity(secured, at=policy.at, tolerance=policy.tolerance),
        CheckName.SCHEMA: _schema(secured.document),
    }
    return PresentationVerification(
        checks=_asked(answers, policy),
        credentials=credentials,
        given=tuple(given),
        presentation=secured.document,
        form=secured.form,
        cryptosuite=secured.cryptosuite,
        holder=secured.issuer,
    )


async def _of_sd_jwt(
    presentation: dict[str, Any] | str | bytes, resolver: Resolver, policy: Policy
) -> PresentationVerification:
    """An SD-JWT is a credential and its own presentation: the holder has signed it beneath (RFC 9901 §4.3)."""
    found = await verify(presentation, resolver, policy)
    holder = found.checks[CheckName.HOLDER]
    rest = Check(Outcome.SKIPPED, "is-credential", "the credential is its own presentation")
    answers = dict.fromkeys(_OWN, rest) | {CheckName.PROOF: holder, CheckName.HOLDER: holder}
    given = presentation.decode("utf-8", "replace") if isinstance(presentation, bytes) else presentation
    return PresentationVerification(
        _asked(answers, policy),
        credentials=(found,),
        given=(given,),
        presentation=found.credential,
        form=found.form,
        cryptosuite=found.cryptosuite,
    )


async def _proof_and_holder(secured: Secured, run: Run, policy: Policy) -> tuple[Check, Check]:
    if secured.form == "unsigned":
        if policy.challenge is None:
            skipped = Check(Outcome.SKIPPED, "unsigned", "nobody has signed the presentation, and nobody was asked to")
            return skipped, skipped
        missing = Finding("proof-missing", "the presentation has no proof, and one was asked for", "/proof")
        return checks.failed([missing]), checks.undetermined("holder-unproven", "nobody has signed the presentation")
    proof, signer = await run.proof_and_issuer(secured, PURPOSE)
    meant_for_others = list(_meant_for_others(secured, policy))
    if meant_for_others:
        proof = checks.failed([*meant_for_others, Finding(proof.code, proof.detail, proof.pointer)])
    return proof, _of_holder(signer)


def _meant_for_others(secured: Secured, policy: Policy) -> Iterator[Finding]:
    """Data Integrity 1.0 §4.3, steps on `domain` and `challenge`; in a JWT they are `aud` and `nonce`."""
    if secured.token is not None:
        claims = secured.token.claims
        said, where = [(claims.get("nonce"), claims.get("aud"))], ""
    else:
        said, where = [(proof.get("challenge"), proof.get("domain")) for proof in secured.proofs], "/proof"
    if policy.challenge is not None and any(challenge != policy.challenge for challenge, _ in said):
        yield Finding("challenge-mismatch", "the presentation does not answer the challenge", where or None)
    if policy.domain is not None and any(policy.domain not in listed(domain) for _, domain in said):
        yield Finding("domain-mismatch", "the presentation was made for another verifier", where or None)


def _of_holder(signer: Check) -> Check:
    """The holder of a presentation is to it what the issuer is to a credential, so the rules are the same."""
    if signer.outcome is Outcome.PASSED:
        return checks.passed("holder-signed", "the key that signed is the holder's")
    detail = signer.detail.replace("issuer", "holder")
    return replace(signer, code=signer.code.replace("issuer", "holder"), detail=detail, pointer="/holder")


def _others(secured: Secured, credentials: Sequence[Verification]) -> Iterator[Finding]:
    """Credentials about somebody else than their holder: that may well be right, and is for the verifier to judge."""
    for position, verification in enumerate(credentials):
        subjects = {id_of(one) for one in listed((verification.credential or {}).get("credentialSubject"))} - {None}
        if subjects and secured.issuer not in subjects:
            where = f"/verifiableCredential/{position}"
            yield Finding("subject-other", "the credential is not about the holder", where)


def _schema(document: dict[str, Any]) -> Check:
    findings = list(presentation_findings(document))
    if findings:
        return checks.failed(findings)
    return checks.passed("structure-valid", "shaped as the data model asks of a presentation")


def _asked(answers: dict[CheckName, Check], policy: Policy) -> dict[CheckName, Check]:
    skipped = Check(Outcome.SKIPPED, "not-asked", "this check was not asked for")
    return {name: answers[name] if name in policy.checks else skipped for name in _OWN}
