"""Routes that read JSON as every other reader would, or not at all.

Of two equal keys Python keeps the last, others the first; some readers know NaN, and half of a surrogate pair can be
read but not written. What readers understand differently is refused before it is stored or signed. Every router whose
routes take a model or a document is made with `route_class=StrictRoute`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from cairn.common.errors import DomainError
from cairn.common.nul import places_of_nul
from cairn.common.problem import pointer


class StrictRoute(APIRoute):
    """As FastAPI's, but for the reading of JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            try:
                return await handle(_Strict(request.scope, request.receive))
            except HTTPException as error:
                # FastAPI makes one of whatever the reading of a body raises but JSONDecodeError.
                if isinstance(error.__cause__, DomainError):
                    raise error.__cause__ from None
                raise

        return strictly


class _Strict(Request):
    async def json(self) -> Any:
        return read_strictly(await self.body())


@dataclass(frozen=True, slots=True)
class _Twice:
    """In the place of an object that has the key twice."""

    key: str


def read_strictly(body: bytes) -> Any:
    """Raises JSONDecodeError, and DomainError `malformed` for JSON that readers understand differently."""
    twice: list[_Twice] = []

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        names = [name for name, _ in pairs]
        twice.append(_Twice(next(name for name in names if names.count(name) > 1)))
        return twice[-1]

    try:
        # JSON is UTF-8 (RFC 8259); given bytes, Python would guess at UTF-16 too.
        value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=object_of, parse_constant=_no_constant)
        if twice:
            path, key = next(_places(value))
            raise _refusal("A key is there twice in one object.", "Keep one of them.", pointer((*path, key)))
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode()
        if b"\\u0000" in body and (path := next(places_of_nul(value), None)) is not None:
            raise _refusal("A text holds the character NUL.", "Leave the character out.", pointer(path))
    except RecursionError:
        raise _refusal("It is nested too deep.", "Send it flatter.") from None
    except UnicodeError:
        raise _refusal("A text is not UTF-8, or holds half of a surrogate pair.", "Correct the text.") from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise _refusal("A number has too many digits.", "Send a shorter one.") from None
    return value


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where objects with a key twice are, and the key."""
    if isinstance(value, _Twice):
        yield path, value.key
    elif isinstance(value, dict):
        for key, member in cast("dict[str, Any]", value).items():
            yield from _places(member, (*path, key))
    elif isinstance(value, list):
        for place, member in enumerate(cast("list[Any]", value)):
            yield from _places(member, (*path, place))


def _no_constant(name: str) -> NoReturn:
    raise _refusal(f"{name} is not JSON.", "Send a number.")


def _refusal(detail: str, fix: str, field: str = "") -> DomainError:
    return DomainError(detail, code="malformed", field=field, fix=fix)
