"""A service's HTTP application: the same edges everywhere, so that a service's own code is its routes."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.trace import SpanKind, set_span_in_context
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cairn.common.api_page import PAGE_HEADERS, api_page
from cairn.common.auth import Authenticator
from cairn.common.db import Database, begin_request
from cairn.common.problem import DomainError, Problem, Problems
from cairn.common.refusals import refuses, tell_refusals
from cairn.common.settings import Settings
from cairn.common.telemetry import REQUEST_SECONDS, REQUESTS, span_context

_tracer = trace.get_tracer(__name__)

_PREFIX: Final = re.compile(r"(/[a-z0-9-]{1,40}){1,4}")

OURS_ALONE: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own spans and records show paths, queries and exceptions, and those name learners (S30)."""

_HEALTH: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Answered however much is in hand: who asks would otherwise end a process for being busy."""

_FULL: Final = "The service holds as many requests as it has room for."

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    settings: Settings,
    database: Database,
    *,
    title: str,
    description: str,
    routers: Sequence[APIRouter],
    problems: Mapping[str, Problem],
    lifespan: Lifespan | None = None,
    max_body: int = 16 * 1024 * 1024,
    max_in_hand: int = 64 * 1024 * 1024,
    max_requests: int = 1000,
    body_seconds: float = 60,
) -> FastAPI:
    """The application of one service, with problems, access tokens, telemetry and health.

    `max_body` is in bytes: a longer request is refused before it is parsed (S20). `max_in_hand` is what the bodies of
    all requests that are not answered yet may come to, and `max_requests` how many those are: what would exceed either
    is refused with 429, before memory grows (R15). A body takes at most `body_seconds` to arrive.
    """
    app = FastAPI(
        title=title,
        description=description,
        version="1",
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        # It would lead to the path here, not to that which the caller sees through a gateway.
        redirect_slashes=False,
        telemetry=OURS_ALONE,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.authenticator = Authenticator(settings)
    app.state.problems = Problems(settings.errors_url, problems)
    app.state.problems.install(app)
    app.include_router(health_router(database.ping))
    for router in routers:
        app.include_router(router)

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            tell_refusals(FastAPI.openapi(app), app.state.problems.codes)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = described

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return HTMLResponse(api_page(request.scope["root_path"], app.openapi()), headers=PAGE_HEADERS)

    app.add_middleware(
        _Limit,
        max_body=max_body,
        max_in_hand=max_in_hand,
        max_requests=max_requests,
        seconds=body_seconds,
        problems=app.state.problems,
    )
    app.add_middleware(_Observe, service=settings.service)
    app.add_middleware(_Prefix)
    return app


def health_router(ready: Callable[[], Awaitable[None]]) -> APIRouter:
    """`/livez` depends on nothing; `/readyz` on `ready` alone, which is the service's own PostgreSQL; `/metrics`."""
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="The process runs")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="The service can do its work", openapi_extra=refuses("unavailable"))
    async def readyz() -> dict[str, str]:
        try:
            async with asyncio.timeout(3):
                await ready()
        except Exception as error:  # noqa: BLE001 - any reason not to be ready is an answer, not a fault
            raise DomainError(f"Not ready: {type(error).__name__}.", code="unavailable") from None
        return {"status": "ok"}

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


class _Limit:
    """Refuses a body above the limit by its declared length, and cuts off one that lies about it, comes too slowly, or
    comes when there is too much in hand. What is in hand is counted as it arrives: a promise takes no memory."""

    def __init__(
        self, app: ASGIApp, max_body: int, max_in_hand: int, max_requests: int, seconds: float, problems: Problems
    ) -> None:
        self._app, self._max, self._max_in_hand, self._seconds = app, max_body, max_in_hand, seconds
        self._max_requests, self._problems = max_requests, problems
        self._in_hand = self._requests = 0
        self._detail = f"The body is longer than {max_body} bytes."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _HEALTH:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        length = request.headers.get("content-length", "0")
        declared = int(length) if length.isascii() and length.isdigit() else 0
        if declared > self._max:
            refusal = DomainError(self._detail, code="payload-too-large")
            await self._problems.response(refusal, request)(scope, receive, send)
            return
        if self._requests >= self._max_requests or (declared and self._in_hand + declared > self._max_in_hand):
            await self._problems.response(DomainError(_FULL, code="overloaded"), request)(scope, receive, send)
            return
        seen, more = 0, True
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def counted() -> Message:
            nonlocal seen, more
            try:
                # Once the body is there, what is waited for is the end of the connection, and that has no deadline.
                async with asyncio.timeout_at(deadline if more else None):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"The body did not arrive within {self._seconds:g} seconds.") from None
            size, more = len(message.get("body", b"")), message.get("more_body", False)
            seen += size
            self._in_hand += size
            # Starlette and FastAPI let this kind through wherever they read a body; others they wrap.
            if seen > self._max:
                raise HTTPException(413, self._detail)
            if self._in_hand > self._max_in_hand:
                raise HTTPException(429, _FULL)
            return message

        self._requests += 1
        try:
            await self._app(scope, counted, send)
        finally:
            self._requests -= 1
            self._in_hand -= seen


class _Prefix:
    """Behind a gateway that strips a prefix, the API's own pages must still link to where the caller sees them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            prefix = Request(scope).headers.get("x-forwarded-prefix", "")
            if _PREFIX.fullmatch(prefix):
                scope = {**scope, "root_path": prefix}
        await self._app(scope, receive, send)


class _Observe:
    """A span, a count and a duration for each request, by route rather than by path. Here a request begins."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _HEALTH:
            await self._app(scope, receive, send)
            return
        status = 500
        begin_request()
        started = time.perf_counter()
        parent = span_context(Request(scope).headers.get("traceparent"))
        context = set_span_in_context(trace.NonRecordingSpan(parent)) if parent else None

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with _tracer.start_as_current_span(f"HTTP {scope['method']}", context=context, kind=SpanKind.SERVER) as span:
            try:
                await self._app(scope, receive, noting)
            finally:
                route: Any = scope.get("route")
                path = getattr(route, "path", "unmatched")
                method = scope["method"] if path != "unmatched" else "any"
                span.set_attributes({"http.route": path, "http.response.status_code": status})
                REQUESTS.labels(self._service, path, method, status).inc()
                REQUEST_SECONDS.labels(self._service, path, method).observe(time.perf_counter() - started)


def closing(*closers: Callable[[], Awaitable[None]]) -> Lifespan:
    """A lifespan that calls each closer when the application stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        for close in closers:
            await close()

    return lifespan
