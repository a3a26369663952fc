"""What a verification says: one answer per check, with a stable code, a sentence, and where in the document."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from cairn.credentials.openbadges.facts import read_facts
from cairn.credentials.openbadges.models import CredentialFacts


class Outcome(StrEnum):
    """`undetermined` is "could not be checked", which is neither valid nor invalid (S12)."""

    PASSED = "passed"
    FAILED = "failed"
    UNDETERMINED = "undetermined"
    SKIPPED = "skipped"


_STANDING: Final = (Outcome.PASSED, Outcome.SKIPPED)


class CheckName(StrEnum):
    PROOF = "proof"
    ISSUER = "issuer"
    TRUST = "trust"
    STATUS = "status"
    VALIDITY = "validity"
    SCHEMA = "schema"
    EVIDENCE = "evidence"
    HOLDER = "holder"
    """Whether who shows it holds the key that it is bound to, and has made it for this verifier."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `pointer` is an RFC 6901 pointer into the credential."""

    code: str
    detail: str
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """The answer of one check; `code`, `detail` and `pointer` of its first and gravest finding, then the others."""

    outcome: Outcome
    code: str
    detail: str
    pointer: str | None = None
    also: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"outcome": str(self.outcome), "code": self.code, "detail": self.detail}
        if self.pointer is not None:
            body["pointer"] = self.pointer
        if self.also:
            body["also"] = [
                {"code": one.code, "detail": one.detail} | ({"pointer": one.pointer} if one.pointer else {})
                for one in self.also
            ]
        return body


@dataclass(frozen=True)
class Verification:
    """An answer for each check, and the credential as it was read (None where it could not be)."""

    checks: dict[CheckName, Check]
    credential: dict[str, Any] | None = None
    form: str | None = None
    """`data-integrity`, `vc+jwt`, …, `open-badges-2`, or None where the input was none of them."""
    cryptosuite: str | None = None
    issuer: str | None = None
    contexts: dict[str, str] = field(default_factory=dict[str, str])
    """URL -> sha256 of each bundled context the verdict rested on."""
    old_facts: CredentialFacts | None = None
    """Of an Open Badge 2.0, whose claims lie in several documents."""

    @cached_property
    def facts(self) -> CredentialFacts | None:
        """What the credential claims, read when it is asked for."""
        return self.old_facts or (read_facts(self.credential) if self.credential is not None else None)

    @property
    def verified(self) -> bool:
        """Every check passed, or was skipped: not asked for, or absent. Whom to trust is for the verifier to decide.

        Evidence only counts where it failed: it may lie where nobody here can look, and the credential be good.
        """
        for name, check in self.checks.items():
            if check.outcome in _STANDING or name is CheckName.TRUST:
                continue
            if name is not CheckName.EVIDENCE or check.outcome is Outcome.FAILED:
                return False
        return True

    def to_json(self) -> dict[str, Any]:
        """`{verified, form, cryptosuite, issuer, contexts, checks: {proof: {outcome, code, detail, …}, …}}`"""
        return {
            "verified": self.verified,
            "form": self.form,
            "cryptosuite": self.cryptosuite,
            "issuer": self.issuer,
            "contexts": self.contexts,
            "checks": {str(name): check.to_json() for name, check in self.checks.items()},
        }


@dataclass(frozen=True, slots=True)
class PresentationVerification:
    """Whether the holder has made the presentation for this verifier, and the verification of each credential in it."""

    checks: dict[CheckName, Check]
    """Of the presentation itself: proof, holder, validity and schema."""
    credentials: tuple[Verification, ...] = ()
    given: tuple[dict[str, Any] | str, ...] = ()
    """Those credentials as they were shown, in the same order."""
    presentation: dict[str, Any] | None = None
    form: str | None = None
    """`data-integrity`, `vp+jwt`, `unsigned`, or None where the input was none of them."""
    cryptosuite: str | None = None
    holder: str | None = None
    """Who has signed, or says to be the holder: see the check `holder` for which of them."""

    @property
    def verified(self) -> bool:
        """Every check of its own stands, and every credential in it is verified."""
        return all(_stands(check) for check in self.checks.values()) and all(one.verified for one in self.credentials)

    def to_json(self) -> dict[str, Any]:
        """`{verified, form, cryptosuite, holder, checks: {proof: {outcome, code, detail, …}, …}, credentials: […]}`"""
        return {
            "verified": self.verified,
            "form": self.form,
            "cryptosuite": self.cryptosuite,
            "holder": self.holder,
            "checks": {str(name): check.to_json() for name, check in self.checks.items()},
            "credentials": [one.to_json() for one in self.credentials],
        }


def _stands(check: Check) -> bool:
    return check.outcome in _STANDING
