"""Errors in two vocabularies: domain errors with a stable code inside, RFC 9457 problem documents outside.

Each service registers its codes once, with the HTTP status and a title. Every code has a page in `docs/errors/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from cairn.common.db import Unavailable
from cairn.common.errors import DomainError, Fault

__all__ = ["COMMON", "DomainError", "Fault", "Problem", "Problems", "faults_of"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """How a code appears over HTTP."""

    status: int
    title: str
    fix: str
    """How to mend it, where the refusal itself says nothing more exact."""
    retry_after: int | None = None
    """After how many seconds the same request may well succeed."""


COMMON: Final[Mapping[str, Problem]] = {
    "bad-request": Problem(400, "The request cannot be carried out", "Correct the request."),
    "malformed": Problem(422, "The payload does not have the required form", "Correct the payload."),
    "not-found": Problem(
        404,
        "There is no such thing here",
        "Check the id, and that the access token is of the institution to which it belongs.",
    ),
    "unauthenticated": Problem(401, "A valid access token is required", "Send 'Authorization: Bearer <token>'."),
    "forbidden": Problem(403, "The access token does not cover this", "Use an access token that does."),
    "conflict": Problem(
        409, "The request contradicts what is stored", "Look at what is stored, and ask for what fits it."
    ),
    "idempotency-key-reused": Problem(
        409, "The idempotency key was used for another request", "Use a new key for a new request."
    ),
    "payload-too-large": Problem(413, "The payload is too large", "Send it in smaller parts."),
    "unsupported-media-type": Problem(415, "The media type is not supported", "Send application/json."),
    "method-not-allowed": Problem(405, "The method is not allowed here", "Use another method."),
    "request-timeout": Problem(408, "The request did not arrive in time", "Send it again, faster or in smaller parts."),
    "overloaded": Problem(
        429, "Too much is in hand just now", "Send it again after the seconds in Retry-After.", retry_after=1
    ),
    "unavailable": Problem(
        503, "A part that is needed cannot be reached just now", "Try again in a moment.", retry_after=2
    ),
    "internal": Problem(500, "The service failed", "Tell the operator the traceId."),
}


class Problems:
    """The one table from codes to problem documents."""

    def __init__(self, errors_url: str, codes: Mapping[str, Problem]) -> None:
        self._errors_url = errors_url
        self.codes = {**COMMON, **codes}

    def document(self, error: DomainError, instance: str) -> tuple[int, dict[str, Any]]:
        """Status and body for a domain error."""
        problem = self.codes.get(error.code, COMMON["bad-request"])
        span = trace.get_current_span().get_span_context()
        body: dict[str, Any] = {
            "type": self._errors_url + error.code,
            "title": problem.title,
            "status": problem.status,
            "detail": error.detail,
            "instance": instance,
            "code": error.code,
        }
        if error.faults:
            body["errors"] = [fault.to_json() for fault in error.faults]
        else:
            body["fix"] = error.fix or problem.fix
        if span.is_valid:
            body["traceId"] = format(span.trace_id, "032x")
        return problem.status, body

    def response(self, error: DomainError, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        status, body = self.document(error, request.url.path)
        again = self.codes[error.code].retry_after if error.code in self.codes else None
        own = {"Retry-After": str(again)} if again is not None else {}
        return Response(orjson.dumps(body), status, {**own, **(headers or {})}, "application/problem+json")

    def install(self, app: FastAPI) -> None:
        """Make every error of `app` a problem document."""

        async def domain(request: Request, error: Exception) -> Response:
            assert isinstance(error, DomainError)
            bearer = {"WWW-Authenticate": "Bearer"} if error.code == "unauthenticated" else None
            return self.response(error, request, bearer)

        async def malformed(request: Request, error: Exception) -> Response:
            assert isinstance(error, RequestValidationError)
            refusal = DomainError(
                "The payload was refused.", code="malformed", faults=faults_of(error.errors(), error.body)
            )
            return await domain(request, refusal)

        async def http(request: Request, error: Exception) -> Response:
            assert isinstance(error, HTTPException)
            code, fix = _HTTP_CODES.get(error.status_code, "bad-request"), ""
            detail = error.detail or HTTPStatus(error.status_code).description
            headers = dict(error.headers or {})
            if error.status_code == 404:
                detail, fix = "There is nothing at this path.", "Correct the path: /docs shows those that there are."
            if error.status_code == 405:
                # Starlette names the methods of one route, and a path may have several.
                operations = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path_format", ""))
                headers["Allow"] = ", ".join(sorted(map(str.upper, operations))) if operations else headers["Allow"]
                detail, fix = f"{request.method} is not allowed here.", f"Use {headers['Allow']}."
            return self.response(DomainError(detail, code=code, fix=fix), request, headers)

        async def unavailable(request: Request, error: Exception) -> Response:
            log.warning("unavailable", error=str(error) if isinstance(error, Unavailable) else type(error).__name__)
            detail = "The database does not answer."
            if isinstance(error, Unavailable):
                detail += " Nothing was done."
            return await domain(request, DomainError(detail, code="unavailable"))

        async def database(request: Request, error: Exception) -> Response:
            assert isinstance(error, DBAPIError)
            state = str(getattr(error.orig, "sqlstate", None) or "")
            if error.connection_invalidated or state in _PASSING or state[:2] in _PASSING:
                return await unavailable(request, error)
            if state in _NUL:
                return await domain(
                    request,
                    DomainError("A text holds the character NUL.", code="malformed", fix="Leave the character out."),
                )
            return await broken(request, error)

        async def broken(request: Request, error: Exception) -> Response:
            log.error("unhandled", exc_info=error)
            return await domain(
                request,
                DomainError("The service failed; the trace id finds the cause in its log.", code="internal"),
            )

        app.add_exception_handler(DomainError, domain)
        app.add_exception_handler(RequestValidationError, malformed)
        app.add_exception_handler(HTTPException, http)
        for kind in (Unavailable, ConnectionError, TimeoutError):
            app.add_exception_handler(kind, unavailable)
        app.add_exception_handler(DBAPIError, database)
        app.add_exception_handler(Exception, broken)


# SQLSTATE, PostgreSQL's appendix A: what passes, so that the same request may succeed in a moment. Connections (08),
# resources such as a full disk (53), serialisation, deadlock, lock and statement timeouts, a server that stops.
_PASSING: Final = frozenset({"08", "53", "40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03"})
# PostgreSQL's texts and JSON hold every character but NUL.
_NUL: Final = frozenset({"22021", "22P05"})

_HTTP_CODES: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "payload-too-large",
    415: "unsupported-media-type",
    429: "overloaded",
    503: "unavailable",
}


def faults_of(errors: Sequence[Any], payload: object = None) -> list[Fault]:
    """pydantic's errors as faults. The input itself is left out: it may be personal or secret (S30). `payload` is what
    was read, needed where it holds unions: pydantic names the member that it tried among the places."""
    return [_fault(error, payload) for error in errors]


def _fault(error: Mapping[str, Any], payload: object) -> Fault:
    kind = str(error["type"])
    if kind == "json_invalid":
        where = error.get("ctx", {}).get("error", "")
        return Fault("", f"This is not JSON: {where} at character {error['loc'][-1]}.", "Correct the syntax.")
    if error["loc"] == ("body",) and kind == "missing":
        return Fault("", "The payload is missing.", "Send a JSON document.")
    # `body` is the payload itself, to which pointers are relative; `path`, `query` and `header` lie outside of it.
    path = error["loc"]
    if path[:1] == ("body",):
        path = _within(payload, path[1:], missing=kind == "missing")
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        place, tags = pointer((*path, error["ctx"]["discriminator"].strip("'"))), error["ctx"].get("expected_tags")
        if tags is None:
            return Fault(place, "Field required", "Add this field.")
        return Fault(place, f"Expected one of {tags}.", "Correct the value.")
    message = str(error["msg"]).removeprefix("Value error, ")
    return Fault(pointer(path), message[:1].upper() + message[1:], _fix(error))


def _within(payload: object, path: Sequence[Any], *, missing: bool) -> list[Any]:
    """The places of a path that are in the payload, and the last one where that is what is missing."""
    kept: list[Any] = []
    inside: Any = payload
    for nth, part in enumerate(path, 1):
        if isinstance(inside, Mapping) and part in inside:
            inside = cast("Any", inside[part])
        elif isinstance(part, int):
            inside = cast("Any", inside[part]) if isinstance(inside, list) and part < len(cast("Any", inside)) else None
        elif not (missing and nth == len(path)):
            continue
        kept.append(part)
    return kept


def pointer(path: Any) -> str:
    """A JSON pointer (RFC 6901) from the parts of a path."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _fix(error: Mapping[str, Any]) -> str:
    kind = str(error.get("type", ""))
    if kind == "missing":
        return "Add this field."
    if kind == "extra_forbidden":
        return "Remove this field, or correct its spelling."
    return "Correct the value."
