"""An application in a test, held to its own OpenAPI document: it answers with nothing that this does not tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def described(app: FastAPI) -> FastAPI:
    """The same application. A test fails where it answers a route by a status, or with the code of a problem, that the
    document does not name there; and where a problem document does not say how to mend it."""
    app.add_middleware(_Described, of=app)
    return app


class _Described:
    def __init__(self, app: ASGIApp, of: FastAPI) -> None:
        self._app, self._of = app, of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = 0, b""
        headers: dict[bytes, bytes] = {}

        async def noting(message: Message) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], dict(message["headers"])
            body += message.get("body", b"")
            await send(message)

        await self._app(scope, receive, noting)
        path: str | None = getattr(scope.get("route"), "path_format", None)
        operation: dict[str, Any] | None = (
            self._of.openapi()["paths"].get(path, {}).get(scope.get("method", "").lower())
        )
        if operation is None:  # no route, or a method that is not allowed there
            return
        answer, told = f"{scope['method']} {path} answers {status}", operation["responses"].get(str(status))
        if told is None:
            pytest.fail(f"{answer}, which its OpenAPI document does not tell")
        if headers.get(b"content-type") == b"application/problem+json":
            problem: dict[str, Any] = json.loads(body)
            if not all(part.get("fix") for part in problem.get("errors", [problem])):
                pytest.fail(f"{answer}, and does not say how to mend it: {problem}")
            code, codes = problem["code"], told.get("$ref", "").rpartition("/")[2].split(".")
            if code not in codes:
                pytest.fail(f"{answer} {code}, and its OpenAPI document tells only {codes}")
