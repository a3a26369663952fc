"""What an OpenAPI document says of refusals: which codes each route may answer with, as problem documents.

Most follow from the shape of a route: one with a token may answer `unauthenticated`, one with an id `not-found`. What a
route refuses for reasons of its own, it names itself, by `openapi_extra=refuses(…)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cairn.common.problem import Problem

_KEY: Final = "x-refuses"


def refuses(*codes: str) -> dict[str, Any]:
    """For a route's `openapi_extra`: the codes that its shape does not tell."""
    return {_KEY: list(codes)}


def tell_refusals(document: dict[str, Any], problems: Mapping[str, Problem]) -> None:
    """Write into an OpenAPI document, for each operation, the problems that it may answer with, by their status.

    FastAPI writes 422 with a body of its own, which is never sent here. Raises KeyError for a code that is not in the
    service's table.
    """
    components = document.setdefault("components", {})
    schemas, shared = (components.setdefault(name, {}) for name in ("schemas", "responses"))
    for unsent in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unsent, None)
    schemas["Problem"] = _PROBLEM
    for operations in document["paths"].values():
        for operation in operations.values():
            responses = operation["responses"]
            codes = [*_implied(operation), *operation.pop(_KEY, ())]
            if "HTTPValidationError" in str(responses.get("422")):
                del responses["422"]
            for status in sorted({problems[code].status for code in codes}):
                # A route may have said itself what such a status means, where it is no problem document.
                if str(status) not in responses:
                    of_this = {code: problems[code] for code in codes if problems[code].status == status}
                    name = ".".join(of_this)
                    shared[name] = _response(of_this)
                    responses[str(status)] = {"$ref": f"#/components/responses/{name}"}


def _implied(operation: Mapping[str, Any]) -> Iterator[str]:
    if "health" in operation.get("tags", ()):
        return
    parameters = {(one["in"], one["name"]) for one in operation.get("parameters", ())}
    if "422" in operation["responses"]:
        yield "malformed"
    if any(place == "path" for place, _ in parameters):
        yield "not-found"
    if operation.get("security"):
        yield from ("unauthenticated", "forbidden")
    if ("header", "idempotency-key") in parameters:
        yield from ("bad-request", "idempotency-key-reused")
    if "requestBody" in operation:
        yield from ("request-timeout", "payload-too-large", "overloaded")
    yield from ("internal", "unavailable")


def _response(problems: Mapping[str, Problem]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {problem.title}." for code, problem in problems.items()),
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if any(problem.retry_after is not None for problem in problems.values()):
        response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return response


_TEXT: Final = {"type": "string"}
_PROBLEM: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "What is wrong, and how to mend it (RFC 9457). Each `code` has a page in `docs/errors`.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": {"type": "string", "description": "The path that was asked for."},
        "code": {"type": "string", "description": "Stable, for programs."},
        "fix": _TEXT | {"description": "How to mend it, where there is no list of errors."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail", "fix"],
                "properties": {
                    "field": {
                        "type": "string",
                        "description": "A JSON pointer into the payload; /path, /query and /header lie outside it.",
                    },
                    "detail": _TEXT,
                    "fix": _TEXT,
                },
            },
        },
        "traceId": {"type": "string", "description": "Finds the request in the logs."},
    },
}
