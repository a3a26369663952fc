"""Instants as credentials write them: XML Schema `dateTimeStamp` (VC data model 2.0 §4.9), always with a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

_STAMP: Final = re.compile(r"(\d{4}-\d{2}-\d{2}T)(\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)")


def format_instant(instant: datetime) -> str:
    """`2026-03-01T00:00:00Z`. Raises ValueError for an instant without a time zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(value: Any) -> datetime | None:
    """The instant, or None where `value` is no dateTimeStamp of the calendar."""
    return _instant(value) if isinstance(value, str) and len(value) <= 64 else None


@lru_cache(maxsize=1024)
def _instant(value: str) -> datetime | None:
    """Of a text of bounded length: every check of a credential reads the same few."""
    match = _STAMP.fullmatch(value)
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    midnight_after = time == "24:00:00"  # XML Schema allows it; Python does not.
    text = f"{day}{'00:00:00' if midnight_after else time}{(fraction or '')[:7]}{zone}"
    try:
        return datetime.fromisoformat(text).astimezone(UTC) + timedelta(days=midnight_after)
    except (ValueError, OverflowError):
        return None
