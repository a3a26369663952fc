"""Bitstring Status List 1.0: lists, entries, and the credential that carries a list."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal

MINIMUM_ENTRIES: Final = 131_072
"""So that an index betrays no holder (S15; Bitstring Status List §2.2)."""

Purpose = Literal["revocation", "suspension", "message", "refresh"]


class Bitstring:
    """A list of one-bit statuses; index 0 is the most significant bit of the first byte."""

    def __init__(self, entries: int = MINIMUM_ENTRIES) -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> bool:
        raise NotImplementedError

    def __setitem__(self, index: int, value: bool) -> None:
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """The uncompressed bits, for storage."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes) -> Bitstring:
        raise NotImplementedError


def encode_list(bits: Bitstring) -> str:
    """`encodedList`: gzip, base64url, multibase `u` (§3.1). The same bits always give the same text."""
    raise NotImplementedError


def decode_list(encoded: str, *, limit: int = 16 * 1024 * 1024) -> Bitstring:
    """Reads `encodedList`, decompressing no more than `limit` bytes (S11). Raises StatusListRefused."""
    raise NotImplementedError


def build_status_list(
    *,
    url: str,
    issuer: str,
    purpose: Purpose,
    bits: Bitstring,
    valid_from: datetime,
    valid_until: datetime | None = None,
    ttl: timedelta | None = None,
) -> dict[str, Any]:
    """The unsigned `BitstringStatusListCredential` published at `url`."""
    raise NotImplementedError


def read_status(entry: dict[str, Any], status_list: dict[str, Any], *, issuer: str) -> bool:
    """The bit of `entry` in a list credential whose proof already holds (§3.2).

    Raises StatusListRefused where the list is not the entry's: id, issuer, purpose, length, range (S13).
    """
    raise NotImplementedError
