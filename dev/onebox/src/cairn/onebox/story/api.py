"""How the story talks to Cairn: as any client would, with tokens, idempotency keys, and patience."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import httpx

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE: Final = 60.0
_AT_ONCE: Final = 8


class StoryFailed(AssertionError):
    """Something is not as it must be. The message says what was expected and what was seen."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where Cairn is, and the tokens: `operator`, and one by tenant."""

    address: str
    tokens: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any

    @property
    def code(self) -> str:
        """The code of a problem document, or nothing."""
        return str(cast("dict[str, Any]", self.body).get("code", "")) if isinstance(self.body, dict) else ""


class Api:
    """Calls through the gateway. As a context manager it closes its connections.

    A service that is away for a moment is asked again: everything that the story posts may be posted twice.
    """

    def __init__(self, access: Access) -> None:
        self._tokens = access.tokens
        self._client = httpx.AsyncClient(base_url=access.address, trust_env=False, timeout=30)
        self.retries = 0
        """How often it had to ask again."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None):
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        by: str | None,
        body: Any = None,
        lines: Sequence[Any] | None = None,
        key: str | None = None,
        accept: Iterable[int] = (),
    ) -> Answer:
        """`by` names whose token goes with it. Raises StoryFailed for an error status that is not in `accept`."""
        headers = {"Authorization": f"Bearer {self._tokens[by]}"} if by else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = None
        if lines is not None:
            content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            headers["Content-Type"] = "application/x-ndjson"
        elif body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = self._client.build_request(method, path, headers=headers, content=content)
        response = await self._send(request)
        answer = Answer(response.status_code, _json(response))
        if response.is_error and response.status_code not in accept:
            raise StoryFailed(f"{method} {path} answered {response.status_code}: {response.text[:600]}")
        return answer

    async def get(self, path: str, *, by: str | None) -> Any:
        return (await self.call("GET", path, by=by)).body

    async def _send(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + _PATIENCE
        pause = 0.1
        while True:
            try:
                response = await self._client.send(request)
            except httpx.TransportError as error:
                problem = type(error).__name__
            else:
                if response.status_code not in {502, 503, 504}:
                    return response
                problem = f"{response.status_code} {response.text[:300]}"
            if time.monotonic() > deadline:
                raise StoryFailed(f"{request.method} {request.url.path}: still {problem} after {_PATIENCE:g} s")
            self.retries += 1
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


async def each(items: Iterable[T], do: Callable[[T], Awaitable[R]], done: Callable[[], None]) -> list[R]:
    """`do` for every item, a few at once; `done` after each. In order of the items."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(item: T) -> R:
        async with limit:
            result = await do(item)
        done()
        return result

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]


async def until(expected: str, probe: Callable[[], Awaitable[str | None]], *, seconds: float = _PATIENCE) -> None:
    """Wait until `probe` finds nothing amiss. Raises StoryFailed with what it saw last."""
    deadline = time.monotonic() + seconds
    pause = 0.05
    while (seen := await probe()) is not None:
        if time.monotonic() > deadline:
            raise StoryFailed(f"expected within {seconds:g} s: {expected}; seen: {seen}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.5)
