"""Bitstring Status List 1.0: lists and the credential that carries one. StatusList2021 is read, not written."""

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
from cairn.credentials.status_entry import BITSTRING_ENTRY, MAX_SIZE, OLD_ENTRY, Entry, read_entry
from cairn.credentials.structure import VC2

MINIMUM_ENTRIES: Final = 131_072
"""So that an index betrays no holder (S15; Bitstring Status List §2.2)."""

Purpose = Literal["revocation", "suspension", "message", "refresh"]

_LISTS: Final = {
    BITSTRING_ENTRY: ("BitstringStatusListCredential", "BitstringStatusList"),
    OLD_ENTRY: ("StatusList2021Credential", "StatusList2021"),
}
"""By the type of the entry, those of the list's credential and of its subject."""
_ENCODED: Final = re.compile(r"u[A-Za-z0-9_-]+")
_ENCODED_OLD: Final = re.compile(r"[A-Za-z0-9_+/-]+={0,2}")


class Bitstring:
    """A list of statuses of `size` bits each; index 0 begins at the most significant bit of the first byte."""

    __slots__ = ("_data", "size")

    def __init__(self, entries: int = MINIMUM_ENTRIES, size: int = 1) -> None:
        """All zero. Raises ValueError for fewer entries than the minimum, or not a multiple of 8."""
        if entries < MINIMUM_ENTRIES or entries % 8:
            raise ValueError(f"a status list has at least {MINIMUM_ENTRIES} entries, a multiple of 8")
        if not 1 <= size <= MAX_SIZE:
            raise ValueError(f"an entry has 1 to {MAX_SIZE} bits")
        self._data = bytearray(entries * size // 8)
        self.size = size

    def __len__(self) -> int:
        return len(self._data) * 8 // self.size

    def __getitem__(self, index: int) -> int:
        value = 0
        for bit in self._bits(index):
            value = value << 1 | (self._data[bit // 8] >> (7 - bit % 8) & 1)
        return value

    def __setitem__(self, index: int, value: int) -> None:
        """Raises ValueError for a value that the entry's bits cannot hold."""
        if not 0 <= value < 1 << self.size:
            raise ValueError(f"{value} does not fit {self.size} bits")
        for bit in reversed(self._bits(index)):
            mask = 1 << (7 - bit % 8)
            if value & 1:
                self._data[bit // 8] |= mask
            else:
                self._data[bit // 8] &= ~mask & 0xFF
            value >>= 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bitstring) and (self.size, self._data) == (other.size, other._data)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Bitstring of {len(self)} entries>"

    def to_bytes(self) -> bytes:
        """The uncompressed bits, for storage."""
        return bytes(self._data)

    @classmethod
    def from_bytes(cls, data: bytes, size: int = 1) -> Bitstring:
        """As `to_bytes` wrote it. Any length: whether a list found elsewhere is long enough is for `read_status`."""
        bits = cls.__new__(cls)
        bits._data, bits.size = bytearray(data), size
        return bits

    def _bits(self, index: int) -> range:
        if not 0 <= index < len(self):
            raise IndexError(f"{index} is not in a list of {len(self)}")
        return range(index * self.size, (index + 1) * self.size)


def encode_list(bits: Bitstring) -> str:
    """`encodedList`: gzip, base64url, multibase `u` (§3.1). The same bits always give the same text."""
    return "u" + base64.urlsafe_b64encode(gzip.compress(bits.to_bytes(), mtime=0)).rstrip(b"=").decode()


def decode_list(encoded: str, *, limit: int = 4 * 1024 * 1024, size: int = 1, multibase: bool = True) -> Bitstring:
    """Reads `encodedList`, decompressing no more than `limit` bytes (S11). Raises StatusListRefused.

    Without `multibase` as StatusList2021 wrote it: base64url or base64, and no prefix.
    """
    pattern = _ENCODED if multibase else _ENCODED_OLD
    if len(encoded) > limit or not pattern.fullmatch(encoded):
        raise StatusListRefused("encodedList is not base64url multibase", code="status-list-malformed")
    plain = (encoded[1:] if multibase else encoded).translate(str.maketrans("+/", "-_")).rstrip("=")
    try:
        packed = base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
        inflate = zlib.decompressobj(wbits=31)
        data = inflate.decompress(packed, limit)
        if inflate.unconsumed_tail and inflate.decompress(inflate.unconsumed_tail, 1):
            raise StatusListRefused(f"the list unpacks to more than {limit} bytes", code="status-list-too-large")
    except (binascii.Error, zlib.error):
        raise StatusListRefused("encodedList is not gzip", code="status-list-malformed") from None
    if not inflate.eof or inflate.unused_data:
        raise StatusListRefused("encodedList is not one whole gzip member", code="status-list-malformed")
    return Bitstring.from_bytes(data, size)


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


def read_status(entry: Entry | dict[str, Any], status_list: dict[str, Any], *, issuer: str) -> int:
    """The value of `entry` in a list credential whose proof already holds (§3.2).

    Raises StatusListRefused where the list is not the entry's: id, issuer, purpose, length, range (S13).
    """
    found = entry if isinstance(entry, Entry) else read_entry(entry)
    if id_of(status_list.get("issuer")) != issuer:
        raise StatusListRefused("the status list is signed by another issuer", code="status-list-issuer")
    if status_list.get("id") != found.url:
        raise StatusListRefused("the status list has another id than the entry says", code="status-list-other")
    subject = status_list.get("credentialSubject")
    list_kind, subject_kind = _LISTS[found.kind]
    if list_kind not in types_of(status_list) or subject_kind not in types_of(subject) or not is_object(subject):
        raise StatusListRefused(f"what was found is not a {list_kind}", code="status-list-malformed")
    if not isinstance(subject.get("encodedList"), str):
        raise StatusListRefused("the status list has no encodedList", code="status-list-malformed")
    if found.purpose not in listed(subject.get("statusPurpose")):
        raise StatusListRefused("the status list has another purpose than the entry says", code="status-purpose")
    if subject.get("statusSize", found.size) != found.size:
        raise StatusListRefused("the status list has another size than the entry says", code="status-list-malformed")
    bits = decode_list(subject["encodedList"], size=found.size, multibase=found.kind == BITSTRING_ENTRY)
    if len(bits) < MINIMUM_ENTRIES:
        raise StatusListRefused(
            f"the status list has fewer than {MINIMUM_ENTRIES} entries", code="status-list-too-short"
        )
    if found.index >= len(bits):
        raise StatusListRefused(
            f"index {found.index} is beyond the list's {len(bits)} entries", code="status-index-range"
        )
    return bits[found.index]


def ttl_of(status_list: dict[str, Any]) -> timedelta | None:
    """How long the list may be kept, by its own word (§2.2, `ttl` in milliseconds); None where it does not say."""
    subject = status_list.get("credentialSubject")
    ttl = subject.get("ttl") if is_object(subject) else None
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not 0 <= ttl <= 10**12:
        return None
    return timedelta(milliseconds=ttl)
