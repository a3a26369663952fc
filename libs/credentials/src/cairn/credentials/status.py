"""Bitstring Status List 1.0: lists, entries, and the credential that carries a list."""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from cairn.credentials.errors import StatusListRefused
from cairn.credentials.instants import format_instant
from cairn.credentials.shape import id_of, is_object, listed, types_of
from cairn.credentials.structure import VC2

MINIMUM_ENTRIES: Final = 131_072
"""So that an index betrays no holder (S15; Bitstring Status List §2.2)."""

Purpose = Literal["revocation", "suspension", "message", "refresh"]

_INDEX: Final = re.compile(r"0|[1-9]\d{0,17}")
_ENCODED: Final = re.compile(r"u[A-Za-z0-9_-]+")


class Bitstring:
    """A list of one-bit statuses; index 0 is the most significant bit of the first byte."""

    __slots__ = ("_data",)

    def __init__(self, entries: int = MINIMUM_ENTRIES) -> None:
        """All zero. Raises ValueError for fewer entries than the minimum, or not a multiple of 8."""
        if entries < MINIMUM_ENTRIES or entries % 8:
            raise ValueError(f"a status list has at least {MINIMUM_ENTRIES} entries, a multiple of 8")
        self._data = bytearray(entries // 8)

    def __len__(self) -> int:
        return len(self._data) * 8

    def __getitem__(self, index: int) -> bool:
        return bool(self._data[self._byte(index)] >> (7 - index % 8) & 1)

    def __setitem__(self, index: int, value: bool) -> None:
        mask = 1 << (7 - index % 8)
        if value:
            self._data[self._byte(index)] |= mask
        else:
            self._data[self._byte(index)] &= ~mask & 0xFF

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bitstring) and self._data == other._data

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Bitstring of {len(self)} entries>"

    def to_bytes(self) -> bytes:
        """The uncompressed bits, for storage."""
        return bytes(self._data)

    @classmethod
    def from_bytes(cls, data: bytes) -> Bitstring:
        """As `to_bytes` wrote it. Any length: whether a list found elsewhere is long enough is for `read_status`."""
        bits = cls.__new__(cls)
        bits._data = bytearray(data)
        return bits

    def _byte(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"{index} is not in a list of {len(self)}")
        return index // 8


def encode_list(bits: Bitstring) -> str:
    """`encodedList`: gzip, base64url, multibase `u` (§3.1). The same bits always give the same text."""
    return "u" + base64.urlsafe_b64encode(gzip.compress(bits.to_bytes(), mtime=0)).rstrip(b"=").decode()


def decode_list(encoded: str, *, limit: int = 4 * 1024 * 1024) -> Bitstring:
    """Reads `encodedList`, decompressing no more than `limit` bytes (S11). Raises StatusListRefused."""
    if len(encoded) > limit or not _ENCODED.fullmatch(encoded):
        raise StatusListRefused("encodedList is not base64url multibase", code="status-list-malformed")
    try:
        packed = base64.urlsafe_b64decode(encoded[1:] + "=" * (-(len(encoded) - 1) % 4))
        inflate = zlib.decompressobj(wbits=31)
        data = inflate.decompress(packed, limit)
        if inflate.unconsumed_tail and inflate.decompress(inflate.unconsumed_tail, 1):
            raise StatusListRefused(f"the list unpacks to more than {limit} bytes", code="status-list-too-large")
    except (binascii.Error, zlib.error):
        raise StatusListRefused("encodedList is not gzip", code="status-list-malformed") from None
    if not inflate.eof or inflate.unused_data:
        raise StatusListRefused("encodedList is not one whole gzip member", code="status-list-malformed")
    return Bitstring.from_bytes(data)


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
    subject: dict[str, Any] = {
        "id": f"{url}#list",
        "type": "BitstringStatusList",
        "statusPurpose": purpose,
        "encodedList": encode_list(bits),
    }
    if ttl is not None:
        subject["ttl"] = ttl // timedelta(milliseconds=1)
    document: dict[str, Any] = {
        "@context": [VC2],
        "id": url,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer,
        "validFrom": format_instant(valid_from),
    }
    if valid_until is not None:
        document["validUntil"] = format_instant(valid_until)
    return document | {"credentialSubject": subject}


def read_status(entry: dict[str, Any], status_list: dict[str, Any], *, issuer: str) -> bool:
    """The bit of `entry` in a list credential whose proof already holds (§3.2).

    Raises StatusListRefused where the list is not the entry's: id, issuer, purpose, length, range (S13).
    """
    url, purpose, index = entry_fields(entry)
    if id_of(status_list.get("issuer")) != issuer:
        raise StatusListRefused("the status list is signed by another issuer", code="status-list-issuer")
    if status_list.get("id") != url:
        raise StatusListRefused("the status list has another id than the entry says", code="status-list-other")
    subject = status_list.get("credentialSubject")
    if "BitstringStatusListCredential" not in types_of(status_list) or "BitstringStatusList" not in types_of(subject):
        raise StatusListRefused("what was found is not a Bitstring Status List", code="status-list-malformed")
    if not is_object(subject) or not isinstance(subject.get("encodedList"), str):
        raise StatusListRefused("the status list has no encodedList", code="status-list-malformed")
    if purpose not in listed(subject.get("statusPurpose")):
        raise StatusListRefused("the status list has another purpose than the entry says", code="status-purpose")
    bits = decode_list(subject["encodedList"])
    if len(bits) < MINIMUM_ENTRIES:
        raise StatusListRefused(
            f"the status list has fewer than {MINIMUM_ENTRIES} entries", code="status-list-too-short"
        )
    if index >= len(bits):
        raise StatusListRefused(f"index {index} is beyond the list's {len(bits)} entries", code="status-index-range")
    return bits[index]


def entry_fields(entry: dict[str, Any]) -> tuple[str, str, int]:
    """List URL, purpose and index of a `BitstringStatusListEntry` (§2.1). Raises StatusListRefused."""
    url, purpose, index = entry.get("statusListCredential"), entry.get("statusPurpose"), entry.get("statusListIndex")
    if not isinstance(url, str) or not url.startswith("https://") or len(url) > 2_000:
        raise StatusListRefused("statusListCredential is not an https URL", code="status-entry-malformed")
    if not isinstance(purpose, str) or not purpose:
        raise StatusListRefused("the entry has no statusPurpose", code="status-entry-malformed")
    if not isinstance(index, str) or not _INDEX.fullmatch(index):
        raise StatusListRefused("statusListIndex is not an integer written as text", code="status-entry-malformed")
    if entry.get("statusSize", 1) != 1:
        raise StatusListRefused("statuses of more than one bit are not supported yet", code="unsupported")
    return url, purpose, int(index)


def ttl_of(status_list: dict[str, Any]) -> timedelta | None:
    """How long the list may be kept, by its own word (§2.2, `ttl` in milliseconds); None where it does not say."""
    subject = status_list.get("credentialSubject")
    ttl = subject.get("ttl") if is_object(subject) else None
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not 0 <= ttl <= 10**12:
        return None
    return timedelta(milliseconds=ttl)
