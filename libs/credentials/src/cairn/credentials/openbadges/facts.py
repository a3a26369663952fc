"""From a credential, whoever issued it, back to what a verifier shows."""

from __future__ import annotations

from typing import Any

from cairn.credentials.openbadges.models import CredentialFacts


def read_facts(document: dict[str, Any]) -> CredentialFacts:
    """Reads what the credential claims; never raises. Show it only together with the verdict of `verify`."""
    raise NotImplementedError
