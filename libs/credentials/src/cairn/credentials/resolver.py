"""What a verification asks of the outside; who drives the library answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Trust(StrEnum):
    """What the verifier's trust list says of an issuer."""

    TRUSTED = "trusted"
    DISTRUSTED = "distrusted"
    UNKNOWN = "unknown"


class Unreachable(Exception):
    """Raised by a resolver that could not get what it was asked for; the sentence is shown to the verifier."""


class Gone(Unreachable):
    """The address answers that what was there is no more (HTTP 410): so Open Badges 2.0 revokes what is hosted."""


class Resolver(Protocol):
    """The outside, asked in this order and no further than needed (S9): the issuer's keys, trust, then the status list.

    Each raises `Unreachable` when there is no answer. Whatever else it raises is passed on.
    """

    async def did_document(self, did: str, url: str) -> bytes:
        """The bytes at `url`, where the issuer `did`, a did:web or an https URL, publishes its keys."""
        ...

    async def trust(self, issuer: str) -> Trust:
        """What the trust list says of the issuer. Asked only once its proof holds."""
        ...

    async def status_list(self, url: str) -> bytes:
        """The bytes of a status list: a credential (JSON or JWT), or a token. Asked only of an issuer who is known."""
        ...

    async def document(self, url: str) -> bytes:
        """The bytes of a credential that one of such an issuer cites as its evidence.

        And the documents of an Open Badge 2.0, which are its proof: the assertion at its own address, the issuer's
        key and profile; only then, of such an issuer, the badge's definition and the revocation list. Raises Gone
        where the address says so.
        """
        ...
