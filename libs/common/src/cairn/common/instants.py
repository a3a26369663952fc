"""Instants on the wire: RFC 3339 in UTC, with microseconds only where there are some."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far clocks may be apart, wherever an instant that another machine wrote is judged (R12)."""

_RFC3339: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def utc_now() -> datetime:
    """The clock of the edges. Cores take their instants as arguments."""
    return datetime.now(UTC)


def format_instant(instant: datetime) -> str:
    """`2026-03-01T00:00:00Z`. Raises ValueError for an instant without a time zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return utc.isoformat().removesuffix("+00:00") + "Z"


def parse_instant(text: str) -> datetime:
    """An RFC 3339 date-time, or a bare date, which is 00:00Z. Raises ValueError saying what was expected."""
    if len(text) == len("2026-03-01") and _DATE.fullmatch(text):
        text += "T00:00:00Z"
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not an RFC 3339 date-time such as 2026-03-01T09:30:00Z")
    try:
        found = datetime.fromisoformat(text.upper())
        return found if found.tzinfo is UTC else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is not a date of the calendar") from None
