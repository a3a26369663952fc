"""The entry by which a credential points to its status (Bitstring Status List 1.0 §2.1), held to every MUST of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cairn.credentials.errors import StatusListRefused
from cairn.credentials.shape import is_list, is_object, is_url, listed, text_of, types_of

BITSTRING_ENTRY: Final = "BitstringStatusListEntry"
OLD_ENTRY: Final = "StatusList2021Entry"
MAX_SIZE: Final = 16
"""Bits of one entry: each possible value needs its message in the credential."""
_KINDS: Final = (BITSTRING_ENTRY, OLD_ENTRY)
_INDEX: Final = re.compile(r"0|[1-9]\d{0,99}")
_HEX: Final = re.compile(r"0x[0-9A-Fa-f]{1,4}")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a credential's status is, and what its values mean (§2.1)."""

    kind: str
    url: str
    purpose: str
    index: int
    size: int = 1
    messages: Mapping[int, str] = field(default_factory=dict[int, str])

    def message(self, value: int) -> str:
        """What `value` says; without messages of its own, a bit is "set" or "unset"."""
        return self.messages.get(value, "set" if value else "unset")


def read_entry(entry: Any) -> Entry:
    """A `BitstringStatusListEntry` or `StatusList2021Entry`, held to every MUST of §2.1. Raises StatusListRefused."""
    kind = next((kind for kind in types_of(entry) if kind in _KINDS), None)
    if kind is None:
        raise StatusListRefused("the status is of a type that is not looked up here", code="unsupported")
    url, purpose, index = entry.get("statusListCredential"), entry.get("statusPurpose"), entry.get("statusListIndex")
    if not is_url(url) or len(url) > 2_000:
        raise _malformed("statusListCredential is not a URL")
    if entry.get("id") == url:
        raise _malformed("the entry has the id of its list")
    if not isinstance(purpose, str) or not purpose:
        raise _malformed("the entry has no statusPurpose")
    if not isinstance(index, str) or not _INDEX.fullmatch(index):
        raise _malformed("statusListIndex is not an integer written as text")
    references = entry.get("statusReference", [])
    if not all(is_url(one) for one in listed(references)):
        raise _malformed("statusReference is neither a URL nor an array of URLs")
    size = entry.get("statusSize", 1)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise _malformed("statusSize is not an integer greater than zero")
    if size > MAX_SIZE:
        raise StatusListRefused(f"entries of more than {MAX_SIZE} bits are not read here", code="unsupported")
    return Entry(kind, url, purpose, int(index), size, _messages(entry, size))


def _messages(entry: Mapping[str, Any], size: int) -> dict[int, str]:
    if "statusMessage" not in entry:
        if size > 1:
            raise _malformed("an entry of several bits has no statusMessage")
        return {}
    found: dict[int, str] = {}
    stated = entry["statusMessage"]
    for one in stated if is_list(stated) else [None]:
        value, message = (text_of(one.get("status")), text_of(one.get("message"))) if is_object(one) else (None, None)
        if value is None or message is None or not _HEX.fullmatch(value):
            raise _malformed("a statusMessage has no hexadecimal status and message")
        found[int(value, 16)] = message
    if set(found) != set(range(1 << size)) or len(listed(stated)) != len(found):
        raise _malformed(f"{size} bits have {1 << size} values, and statusMessage has not one message for each")
    return found


def _malformed(detail: str) -> StatusListRefused:
    return StatusListRefused(detail, code="status-entry-malformed")
