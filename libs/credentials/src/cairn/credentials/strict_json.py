"""JSON that every reader understands alike."""

from __future__ import annotations

from typing import Any


def parse_json(data: bytes | str, *, max_bytes: int = 1_048_576, max_depth: int = 64) -> Any:
    """Parses JSON, refusing duplicate keys, NaN and infinities, lone surrogates, and what is too large or too deep.

    Raises JsonRefused.
    """
    raise NotImplementedError
