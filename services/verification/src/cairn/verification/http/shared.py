"""What the routes share: where their parts come from, and how a credential is read from a request."""

from __future__ import annotations

from typing import Any, Final, cast

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from cairn.common.problem import DomainError
from cairn.credentials import JsonRefused, parse_json
from cairn.verification.deps import Deps
from cairn.verification.domain.policy import Presented
from cairn.verification.use_cases.verifications import Asked

MAX_BODY: Final = 1_048_576
"""Bytes of a request. Starlette keeps an upload of this size in memory, so that no credential touches a disk (S36)."""

_OBJECT: Final = frozenset({"application/vc", "application/vp", "application/vc+ld+json", "application/ld+json"})
_TOKEN: Final = frozenset(
    f"application/{name}"
    for name in (
        *("vc+jwt", "vp+jwt", "vc+ld+json+jwt", "jwt", "vc+cose", "vp+cose"),
        *("dc+sd-jwt", "vc+sd-jwt", "vp+sd-jwt", "sd-jwt"),
    )
)
_IMAGE: Final = frozenset({"image/png", "image/svg+xml"})
_TAKEN: Final = (
    "application/json, application/vc, application/vp, application/vc+jwt (or that of another token), image/png or"
    " image/svg+xml with a badge baked in, or a form"
)


def deps_of(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


async def presented_in(request: Request) -> tuple[Presented, Asked]:
    """The credential or presentation in a request, whatever form it came in, and what is asked of it; not verified.

    Raises DomainError `malformed`, `credential-missing`, `unsupported-media-type`.
    """
    media_type = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if media_type == "application/json":
        payload = await json_in(request)
        name = "presentation" if "presentation" in payload else "credential"
        return credential_of(payload, name), Asked(
            challenge=_text(payload, "challenge"), domain=_text(payload, "domain")
        )
    if media_type in _OBJECT:
        body = await request.body()
        if not isinstance(_parsed(body), dict):
            raise DomainError("A credential is a JSON object.", code="malformed", field="", fix="Send one.")
        return body, Asked()
    if media_type in _TOKEN | _IMAGE:
        return _some(await request.body()), Asked()
    if media_type == "multipart/form-data":
        return _some(await _file(request)), Asked()
    raise DomainError(
        f"A credential does not come as {media_type[:80]}.", code="unsupported-media-type", fix=f"Send {_TAKEN}."
    )


async def _file(request: Request) -> bytes:
    try:
        async with request.form(max_files=1, max_fields=8) as form:
            file = form.get("file")
            if isinstance(file, UploadFile):
                return await file.read()
    except HTTPException as refusal:
        if refusal.status_code != 400:  # the limits of every body
            raise
        detail = f"The form was refused: {refusal.detail}"
        raise DomainError(detail, code="malformed", field="", fix="Correct the form.") from None
    raise DomainError(
        "The form has no file.",
        code="credential-missing",
        field="/file",
        fix="Send the credential as the file named 'file'.",
    )


def _text(payload: dict[str, Any], name: str) -> str | None:
    value = payload.get(name)
    if value is not None and not (isinstance(value, str) and value):
        detail = f"The {name} is the text that the holder was asked to answer."
        raise DomainError(detail, code="malformed", field=f"/{name}", fix="Send it as it was sent, or leave it out.")
    return value


async def json_in(request: Request) -> dict[str, Any]:
    """The JSON object of a request, read strictly: a duplicate key would mean one thing here and another elsewhere."""
    payload = _parsed(await request.body())
    if not isinstance(payload, dict):
        raise DomainError("The payload is not a JSON object.", code="malformed", field="", fix="Send one.")
    return cast("dict[str, Any]", payload)


def credential_of(payload: dict[str, Any], name: str) -> Presented:
    """The member `name`: an object or a text. Raises DomainError `credential-missing`, `malformed`."""
    if name not in payload:
        raise DomainError(
            f"There is no {name} in the payload.",
            code="credential-missing",
            field=f"/{name}",
            fix=f'Send {{"{name}": …}}, or the thing itself as {_TAKEN}.',
        )
    value = payload[name]
    if not isinstance(value, dict | str):
        raise DomainError(
            f"A {name} is a JSON object or a JWT.", code="malformed", field=f"/{name}", fix="Correct the value."
        )
    return cast("dict[str, Any] | str", value)


def _parsed(body: bytes) -> Any:
    try:
        return parse_json(_some(body), max_bytes=MAX_BODY)
    except JsonRefused as refusal:
        raise DomainError(
            f"The payload was refused: {refusal.detail}.", code="malformed", field="", fix="Correct the JSON."
        ) from None


def _some(body: bytes) -> bytes:
    if not body.strip():
        raise DomainError("The payload is empty.", code="credential-missing", field="", fix=f"Send {_TAKEN}.")
    return body
