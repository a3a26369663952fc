"""The one address of a onebox: a reverse proxy that routes by the first segment of the path.

It does what a Kubernetes gateway does in production, and no more: strip the prefix, drop hop-by-hop headers (RFC 9110
section 7.6.1), stream both bodies, wait for a service that is being started again, and answer with a problem document
where it does not come.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cairn.common.api_page import PAGE_HEADERS
from cairn.onebox.page import page

_HOP_BY_HOP: Final = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer".split()
) | {b"transfer-encoding", b"upgrade"}
# A caller cannot say these of itself: the services believe them.
_OURS: Final = frozenset(b"x-forwarded-for x-forwarded-host x-forwarded-prefix x-forwarded-proto forwarded".split())
_TIMEOUT: Final = httpx.Timeout(60, connect=2)
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_KEYED: Final = re.compile(r"/issuance/v1/completions|/pathways/v1/learners/[^/]+/decisions")
"""Where `Idempotency-Key` is read: anywhere else it promises nothing."""
_SMALL: Final = 1024 * 1024
"""Bytes of a body that is kept until it is answered."""
_AT_ONCE: Final = 100
"""Requests that a service is given at once. All that waited for it while it was started again would else come to it
together, and wait there for longer than it lets a request wait for its database."""
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Told:
    """What the supervisor tells the gateway, as JSON in `CAIRN_GATEWAY`."""

    port: int
    routes: Mapping[str, str]
    """Prefix such as `/issuance` to the origin of the API behind it."""
    workers: Mapping[str, str]
    """Name to the origin where it answers `/readyz`."""
    access: str = ""
    """The file with the access tokens, for the front page."""
    patience: float = 20
    """Seconds for which a service that cannot be reached is waited for."""
    ca: str | None = None
    """File of the CA that vouches for the APIs, where they answer by https."""


def create_app(told: Told, *, transport: httpx.AsyncBaseTransport | None = None) -> Starlette:
    """The gateway's application. `transport` takes the place of the network in tests."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=50, keepalive_expiry=30)
    verify = ssl.create_default_context(cafile=told.ca) if told.ca else True
    client = httpx.AsyncClient(
        transport=transport, verify=verify, trust_env=False, follow_redirects=False, timeout=_TIMEOUT, limits=limits
    )
    turns = {prefix: asyncio.Semaphore(_AT_ONCE) for prefix in told.routes}
    checks = {f"{prefix[1:]}-api": origin for prefix, origin in told.routes.items()} | dict(told.workers)

    async def forward(request: Request) -> Response:
        prefix = "/" + request.scope["raw_path"].split(b"/", 2)[1].decode("ascii", "replace")
        if prefix not in told.routes:
            return _problem(request, 404, "There is no such thing here", f"The paths begin with {_list(told.routes)}.")
        return await _forward(client, request, told, prefix, turns[prefix])

    async def readyz(_: Request) -> Response:
        states = await _states(client, checks)
        ready = all(state == "ok" for state in states.values())
        return JSONResponse({"status": "ok" if ready else "waiting", "parts": states}, 200 if ready else 503)

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def front(request: Request) -> Response:
        states = await _states(client, checks)
        return HTMLResponse(
            page(str(request.base_url).rstrip("/"), told.access, told.routes, states), headers=PAGE_HEADERS
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        await client.aclose()

    routes = [
        Route("/", front),
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/{path:path}", forward, methods=_METHODS),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _states(client: httpx.AsyncClient, checks: Mapping[str, str]) -> dict[str, str]:
    """Each part's own word on whether it is ready: `ok`, or why not."""

    async def ask(origin: str) -> str:
        try:
            answer = await client.get(f"{origin}/readyz", timeout=3)
        except httpx.TimeoutException:
            return "does not answer"
        except httpx.HTTPError:
            return "is away"
        return "ok" if answer.status_code == 200 else "is not ready"

    return dict(zip(checks, await asyncio.gather(*map(ask, checks.values())), strict=True))


async def _forward(
    client: httpx.AsyncClient, request: Request, told: Told, prefix: str, turn: asyncio.Semaphore
) -> Response:
    service = prefix[1:]
    try:
        answer = await _answer(client, request, told, prefix, turn)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return _problem(request, 502, "The service is away", f"{service} cannot be reached; it is being started again.")
    except httpx.TimeoutException:
        return _problem(
            request, 504, "The service does not answer", f"{service} did not answer in {_TIMEOUT.read:g} s."
        )
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is left to read it
    except httpx.TransportError as error:
        detail = f"{service} broke off before it answered ({type(error).__name__}); whether it acted is not known."
        return _problem(request, 502, "The service broke off", detail)
    response = StreamingResponse(_body(answer), status_code=answer.status_code)
    response.raw_headers = [(name.lower(), value) for name, value in _end_to_end(answer.headers.raw)]
    return response


async def _answer(
    client: httpx.AsyncClient, request: Request, told: Told, prefix: str, turn: asyncio.Semaphore
) -> httpx.Response:
    """A service that is being started again is waited for (R16). What did not reach it is sent again; what may have
    is so only where doing it twice is doing it once (RFC 9110 section 9.2.2)."""
    body = await _body_of(request)
    whole = not isinstance(body, AsyncIterator)
    path = request.scope["raw_path"].decode("ascii", "replace")
    keyed = "idempotency-key" in request.headers and _KEYED.fullmatch(path) is not None
    repeatable = whole and (request.method in _IDEMPOTENT or keyed)
    deadline = asyncio.get_running_loop().time() + told.patience
    while True:
        try:
            async with turn:
                return await _send(client, _upstream(client, request, prefix, told.routes[prefix], body))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if asyncio.get_running_loop().time() >= deadline:
                raise
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            if not repeatable or asyncio.get_running_loop().time() >= deadline:
                raise
        await asyncio.sleep(0.1)


async def _send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    try:
        return await client.send(request, stream=True)
    except AttributeError as error:
        # What anyio raises by uvloop of a connection that is gone as soon as it is made: nothing was sent.
        raise httpx.ConnectError("the connection was closed at once") from error


async def _body_of(request: Request) -> bytes | AsyncIterator[bytes] | None:
    """The small ones whole, so that they can be sent again."""
    length = request.headers.get("content-length")
    if length is None and "transfer-encoding" not in request.headers:
        return None
    return await request.body() if length and length.isdigit() and int(length) <= _SMALL else request.stream()


def _upstream(
    client: httpx.AsyncClient, request: Request, prefix: str, origin: str, body: bytes | AsyncIterator[bytes] | None
) -> httpx.Request:
    # The bytes as they came: an id may hold an encoded slash, which must stay one.
    path: bytes = request.scope["raw_path"][len(prefix) :] or b"/"
    query: bytes = request.scope["query_string"]
    url = httpx.URL(origin).copy_with(raw_path=path + (b"?" + query if query else b""))
    caller = request.client.host if request.client else ""
    ours = {
        "X-Forwarded-For": caller,
        "X-Forwarded-Host": request.headers.get("host", ""),
        "X-Forwarded-Prefix": prefix,
        "X-Forwarded-Proto": request.url.scheme,
    }
    kept = [(name, value) for name, value in _end_to_end(request.headers.raw) if name not in _OURS]
    headers = [*kept, *((name.encode(), value.encode()) for name, value in ours.items())]
    return client.build_request(request.method, url, headers=headers, content=body)


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def _end_to_end(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Without those that concern one connection, which `Connection` may name too."""
    named = {
        token.strip().lower() for name, value in headers if name.lower() == b"connection" for token in value.split(b",")
    }
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP | named]


def _problem(request: Request, status: int, title: str, detail: str) -> Response:
    document: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    headers = {"Retry-After": "1"} if status in {502, 504} else None
    body = document | {"instance": request.url.path}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def _list(prefixes: Mapping[str, str]) -> str:
    *first, last = prefixes
    return f"{', '.join(first)} or {last}"


def server(app: Starlette, port: int) -> uvicorn.Server:
    """On loopback. `Date` and `Server` are the services' own."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        # Nobody stands before this proxy whose word on the caller could be believed.
        proxy_headers=False,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=65,
    )
    return uvicorn.Server(config)


def main() -> None:
    told = Told(**json.loads(os.environ["CAIRN_GATEWAY"]))
    server(create_app(told), told.port).run()


if __name__ == "__main__":
    main()
