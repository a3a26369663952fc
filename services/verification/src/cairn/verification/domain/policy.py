"""From the answers of the checks to one verdict, and to what may be kept of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

from cairn.credentials import Check, CheckName, JsonRefused, Outcome, Verification, parse_json

Verdict: TypeAlias = Literal["verified", "refused", "undetermined"]
Presented: TypeAlias = "dict[str, Any] | str | bytes"
"""A credential as it was handed in: an object, JSON text, a compact JWT, or the bytes of either."""


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


def verdict_of(verification: Verification) -> Verdict:
    """One failed check refuses; `verified` needs the proof and its issuer, and no other answer that is open.

    Trust that is undetermined leaves the verdict open only by what hangs on it, the status: who the verifier trusts
    is for the verifier to decide.
    """
    outcomes = {name: check.outcome for name, check in verification.checks.items()}
    if Outcome.FAILED in outcomes.values():
        return "refused"
    signed = _passed(verification, CheckName.PROOF) and _passed(verification, CheckName.ISSUER)
    return "verified" if signed and verification.verified else "undetermined"


def findings_of(presented: Presented, verification: Verification) -> Findings:
    signed = _passed(verification, CheckName.PROOF) and _passed(verification, CheckName.ISSUER)
    known = signed and _passed(verification, CheckName.TRUST)
    named = credential_id(verification) or ""
    return Findings(
        digest=digest_of(presented),
        verdict=verdict_of(verification),
        checks={str(name): _finding(check) for name, check in verification.checks.items()},
        issuer=verification.issuer if signed else None,
        credential=named if known and 0 < len(named) <= _MAX_ID and named.isprintable() else None,
    )


def credential_id(verification: Verification) -> str | None:
    return verification.facts.id if verification.facts else None


def digest_of(presented: Presented) -> str:
    """SHA-256, in hex, by which a credential is known again however its JSON was laid out.

    Of an object: its JSON with sorted keys and no spaces, the proof included. Of anything else: its text.
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
    canonical = json.dumps(presented, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(canonical.encode()).hexdigest()


def _finding(check: Check) -> Finding:
    return Finding(str(check.outcome), check.code)


def _passed(verification: Verification, name: CheckName) -> bool:
    return verification.checks[name].outcome is Outcome.PASSED
