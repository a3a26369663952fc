"""The check `evidence`: what a credential rests on, as far as that can be verified by itself.

Whole credentials within it are verified like any other, since the outer signature says only that its issuer put them
there. A stack that is cited by id is fetched where that is allowed, and otherwise left open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from cairn.credentials import checks
from cairn.credentials.baking import is_image, unbake
from cairn.credentials.embedded import Cited, cited_in, embedded_in
from cairn.credentials.errors import CredentialError
from cairn.credentials.findings import Check, CheckName, Finding, Outcome, Verification
from cairn.credentials.multihash import digest_of, read_digest
from cairn.credentials.shape import Survey, is_object, listed, text_of
from cairn.credentials.strict_json import parse_json

MAX_CREDENTIALS: Final = 64
"""Credentials that are verified within one."""
RESTS_ON: Final = (CheckName.PROOF, CheckName.ISSUER, CheckName.SCHEMA, CheckName.STATUS, CheckName.EVIDENCE)
"""The inner checks that matter. A stack is a record of the past: that a part has expired since takes nothing away."""

_NAMES: Final = frozenset({"evidence", "verifiableCredential", "endorsement", "endorsementJwt"})
"""Of the members in which evidence lies."""

Verifier = Callable[[dict[str, Any] | str | bytes], Awaitable[Verification]]
Fetch = Callable[[str], Awaitable[bytes | Check]]


def has_evidence(document: dict[str, Any], surveyed: Survey | None = None) -> bool:
    """`surveyed` is what `survey` says of the document, where that is known already."""
    if surveyed is not None and _NAMES.isdisjoint(surveyed.names):
        return False
    return bool(listed(document.get("evidence"))) or next(embedded_in(document), None) is not None


def held_in(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The whole credentials in it, by id: what one of them cites may lie beside it."""
    return {
        name: one.credential
        for one in embedded_in(document)
        if is_object(one.credential) and (name := text_of(one.credential.get("id"))) is not None
    }


async def evidence(document: dict[str, Any], verify: Verifier, fetch: Fetch, beside: dict[str, Any]) -> Check:
    """The answer for a credential whose own proof holds.

    `fetch` answers with a Check where nothing may be fetched. What lies `beside` it in an outer credential, by id, is
    verified there.
    """
    inner, cited = list(embedded_in(document)), list(cited_in(document))
    if len(inner) + len(cited) > MAX_CREDENTIALS:
        return checks.undetermined("too-complex", f"more than {MAX_CREDENTIALS} credentials within one")
    answers = [_answer(one.pointer, await verify(one.credential), is_endorsement=one.is_endorsement) for one in inner]
    at_hand = beside | held_in(document)
    answers += [await _cited(one, at_hand, verify, fetch) for one in cited]
    if answers:
        return checks.gravest(answers)
    named = len(listed(document.get("evidence")))
    return checks.passed("evidence-named", f"pieces of evidence: {named}; none is a credential that could be verified")


def _answer(pointer: str, found: Verification, *, is_endorsement: bool) -> Check:
    """What an inner verification means for the outer credential."""
    for outcome in (Outcome.FAILED, Outcome.UNDETERMINED):
        for name in RESTS_ON:
            check = found.checks[name]
            # An endorser who takes a word back takes nothing from the credential that was endorsed.
            if check.outcome is outcome and not (is_endorsement and name is CheckName.STATUS):
                detail = f"the credential within: its {name} is {outcome}: {check.detail}"
                code = f"evidence-{check.code.removeprefix('evidence-')}"
                return Check(outcome, code, detail[:400], pointer)
    return checks.passed("evidence-verified", "the credential within verifies")


async def _cited(one: Cited, at_hand: Mapping[str, Any], verify: Verifier, fetch: Fetch) -> Check:
    if one.id is not None and one.id in at_hand:
        return _same(one, at_hand[one.id])
    if one.id is None or not one.id.startswith("https://"):
        return checks.undetermined("evidence-elsewhere", "the cited credential is not at hand", one.pointer)
    body = await fetch(one.id)
    if isinstance(body, Check):
        return Check(body.outcome, body.code, body.detail, one.pointer)
    found = await verify(body)
    if found.credential is None or found.credential.get("id") != one.id:
        return checks.undetermined("evidence-other", "what lies at the cited address is something else", one.pointer)
    answer = _answer(one.pointer, found, is_endorsement=False)
    return answer if answer.outcome is not Outcome.PASSED else _same(one, body)


def _same(one: Cited, credential: dict[str, Any] | str | bytes) -> Check:
    """Whether the credential at hand is the one that was cited, where a digest says which that was."""
    wanted = read_digest(one.digest)
    try:
        same = wanted is None or digest_of(_parsed(credential)) == wanted
    except CredentialError:
        same = False
    if same:
        return checks.passed("evidence-verified", "the cited credential verifies")
    return checks.failed(
        [Finding("evidence-changed", "the credential differs from the one that was cited", one.pointer)]
    )


def _parsed(credential: dict[str, Any] | str | bytes) -> dict[str, Any] | str:
    """An object as an object, so that its layout does not matter; a JWT as its text."""
    if isinstance(credential, bytes):
        text = unbake(credential) if is_image(credential) else credential.decode(errors="replace")
        credential = text.strip()
    return parse_json(credential) if isinstance(credential, str) and credential.startswith("{") else credential
