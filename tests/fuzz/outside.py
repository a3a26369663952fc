"""What every reader is driven by: an outside that is part of the input, and refusals as the only way to raise."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from cairn.credentials import CredentialError, JsonRefused, Policy, Trust, Unreachable, parse_json

POLICY: Final = Policy(at=datetime(2026, 11, 24, 12, tzinfo=UTC), challenge="c", domain="d")
MORE: Final = b"\0\0--\0\0"
"""Parts an input: what is handed in, then what each fetch answers."""


class Outside:
    """Answers every fetch with the next part of the input, and has no more when that is spent."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def _next(self) -> bytes:
        if not self._parts:
            raise Unreachable("nothing is there")
        return self._parts.pop(0)

    async def did_document(self, did: str, url: str) -> bytes:
        return self._next()

    async def trust(self, issuer: str) -> Trust:
        return Trust.TRUSTED

    async def status_list(self, url: str) -> bytes:
        return self._next()

    async def document(self, url: str) -> bytes:
        return self._next()


def done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the verification waited for something")


def object_of(data: bytes) -> dict[str, Any]:
    try:
        found = parse_json(data)
    except JsonRefused:
        return {}
    return found if isinstance(found, dict) else {}


def refused_or(read: Callable[[], object]) -> None:
    try:
        read()
    except CredentialError:
        return
