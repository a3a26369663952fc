"""Settings of the issuance service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cairn.common.settings import Settings


class IssuanceSettings(Settings):
    service: str = "issuance"
    cryptosuite: Literal["eddsa-rdfc-2022", "eddsa-jcs-2022", "ecdsa-rdfc-2019", "ecdsa-jcs-2019"] = "eddsa-rdfc-2022"
    """Of all that is earned, and of the lists of its status: with Ed25519, or with P-256 where it may be no other."""
    draft_batch: int = Field(default=200, ge=1, le=1000)
    """Pending completions that one step of the drafting job takes."""
    sign_batch: int = Field(default=200, ge=1, le=1000)
    """Credentials signed in one transaction."""
    intake_backlog: int = Field(default=50_000, ge=1)
    """Completions of one institution that may wait for their credentials; then its posts are answered with 429."""
    award_patience_seconds: float = Field(default=60, ge=0)
    """How long an award may wait for the activation of its framework, which travels on another partition."""
    status_list_size: int = Field(default=131_072, ge=131_072)
    """Entries of a status list: below 131,072 the index would betray the holder (S15)."""
    status_list_ttl_seconds: int = Field(default=300, ge=0)

    @property
    def algorithm(self) -> Literal["EdDSA", "ES256"]:
        """Of the key that signs by that cryptosuite."""
        return "EdDSA" if self.cryptosuite.startswith("eddsa") else "ES256"
