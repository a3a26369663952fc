"""From the answers of the checks to one verdict, and to what may be kept of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

from cairn.credentials import (
    Check,
    CheckName,
    JsonRefused,
    Outcome,
    PresentationVerification,
    Verification,
    parse_json,
)

Verdict: TypeAlias = Literal["verified", "refused", "undetermined"]
Presented: TypeAlias = "dict[str, Any] | str | bytes"
"""A credential or presentation as it was handed in: an object, JSON text, a compact JWT, or the bytes of either."""


_MAX_ID: Final = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check, as it is kept: no sentence, since that may repeat the credential."""

    outcome: str
    code: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What is kept of a verification, and said on the bus (S36)."""

    digest: str
    verdict: Verdict
    checks: Mapping[str, Finding]
    issuer: str | None
    """None unless the proof holds: until then it is only what somebody wrote."""
    credential: str | None
    """None unless the issuer is known, since the id of a stranger's credential may name its holder, and plain."""


def worsened(verification: Verification, changes: Collection[tuple[datetime, str]]) -> Verification:
    """The verification, with the status failed where the issuer has taken the credential back here.

    `changes` are (instant, state) of a credential of this installation, in any order. They are heard sooner than a list
    is published, and tell a suspension for which the credential has no list (ADR 6). They never make an answer better.
    """
    states = {state for _, state in changes}
    latest = max(changes, key=lambda change: (change[0], change[1] != "valid"), default=None)
    state = "revoked" if "revoked" in states else latest[1] if latest else "valid"
    status = verification.checks[CheckName.STATUS]
    if state == "valid" or status.outcome in (Outcome.FAILED, Outcome.SKIPPED):
        return verification
    failed = Check(Outcome.FAILED, state, f"The issuer has {state} this credential.", status.pointer)
    return replace(verification, checks={**verification.checks, CheckName.STATUS: failed})


def verdict_of(verification: Verification) -> Verdict:
    """One failed check refuses; `verified` needs the proof and its issuer, and no other answer that is open.

    Trust that is undetermined leaves the verdict open only by what hangs on it, the status: who the verifier trusts
    is for the verifier to decide.
    """
    outcomes = {name: check.outcome for name, check in verification.checks.items()}
    if Outcome.FAILED in outcomes.values():
        return "refused"
    return "verified" if signed(verification) and verification.verified else "undetermined"


def presentation_verdict(found: PresentationVerification) -> Verdict:
    """One failure refuses, of the presentation or of a credential in it; `verified` needs every one of them."""
    verdicts = {verdict_of(one) for one in found.credentials}
    if "refused" in verdicts or any(check.outcome is Outcome.FAILED for check in found.checks.values()):
        return "refused"
    return "verified" if found.verified and verdicts <= {"verified"} else "undetermined"


def presentation_findings(presented: Presented, found: PresentationVerification) -> Findings:
    """What is kept of a presentation: not its holder, who is a person."""
    return Findings(
        digest=digest_of(presented),
        verdict=presentation_verdict(found),
        checks={str(name): _finding(check) for name, check in found.checks.items()},
        issuer=None,
        credential=None,
    )


def findings_of(presented: Presented, verification: Verification) -> Findings:
    known = signed(verification) and _passed(verification, CheckName.TRUST)
    named = credential_id(verification) or ""
    return Findings(
        digest=digest_of(presented),
        verdict=verdict_of(verification),
        checks={str(name): _finding(check) for name, check in verification.checks.items()},
        issuer=verification.issuer if signed(verification) else None,
        credential=named if known and 0 < len(named) <= _MAX_ID and named.isprintable() else None,
    )


def signed(verification: Verification) -> bool:
    """Whether the issuer named in the credential has really signed it."""
    return _passed(verification, CheckName.PROOF) and _passed(verification, CheckName.ISSUER)


def credential_id(verification: Verification) -> str | None:
    return verification.facts.id if verification.facts else None


def digest_of(presented: Presented) -> str:
    """SHA-256, in hex, by which a credential is known again however its JSON was laid out.

    Of an envelope: the token in it. Of any other object: its JSON with sorted keys and no spaces, the proof included.
    Of anything else: its text.
    """
    if isinstance(presented, bytes):
        try:
            presented = presented.decode()
        except UnicodeDecodeError:
            return sha256(presented).hexdigest()
    if isinstance(presented, str):
        presented = presented.strip()
        if not presented.startswith("{"):
            return sha256(presented.encode()).hexdigest()
        try:
            presented = parse_json(presented)
        except JsonRefused:
            return sha256(str(presented).encode()).hexdigest()
    if isinstance(presented, dict) and str(presented.get("type")).startswith("EnvelopedVerifiable"):
        return sha256(str(presented.get("id")).partition(",")[2].encode()).hexdigest()
    canonical = json.dumps(presented, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(canonical.encode()).hexdigest()


def _finding(check: Check) -> Finding:
    return Finding(str(check.outcome), check.code)


def _passed(verification: Verification, name: CheckName) -> bool:
    return verification.checks[name].outcome is Outcome.PASSED
