"""Verification with three answers per check, driven from outside: no socket, no clock, no raise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from cairn.credentials.findings import CheckName, Verification


class Trust(StrEnum):
    """What the verifier's trust list says of an issuer."""

    TRUSTED = "trusted"
    DISTRUSTED = "distrusted"
    UNKNOWN = "unknown"


class Unreachable(Exception):
    """Raised by a resolver that could not get what it was asked for; the sentence is shown to the verifier."""


class Resolver(Protocol):
    """The outside, asked in this order and no further than needed (S9): the issuer's keys, trust, then the status list.

    Each raises `Unreachable` when there is no answer. Whatever else it raises is passed on.
    """

    async def did_document(self, did: str, url: str) -> bytes:
        """The bytes of a did:web document, at `url`. A did:key is never asked for."""
        ...

    async def trust(self, issuer: str) -> Trust:
        """What the trust list says of the issuer. Asked only once its proof holds."""
        ...

    async def status_list(self, url: str) -> bytes:
        """The bytes of a status list credential (JSON or JWT). Asked only of an issuer who is not unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked. `tolerance` is allowed to clocks at either end of the validity period."""

    at: datetime
    tolerance: timedelta = timedelta(minutes=5)
    checks: Collection[CheckName] = tuple(CheckName)
    purpose: str = "assertionMethod"


async def verify(credential: dict[str, Any] | str | bytes, resolver: Resolver, policy: Policy) -> Verification:
    """Verifies one credential: a parsed object, JSON text, a compact JWT, or the bytes of either.

    Never raises for what it is given: bad input becomes a finding.
    """
    raise NotImplementedError
