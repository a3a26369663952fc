"""The doors that public conformance suites call: VC-API, and DID resolution. The same use cases as `/v1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError, field_validator

from cairn.common.auth import Principal, requires
from cairn.common.problem import DomainError, faults_of
from cairn.credentials import Check, CheckName, Outcome
from cairn.credentials.did_resolution import Unresolved, resolution_result
from cairn.verification.deps import Deps
from cairn.verification.domain.policy import Presented
from cairn.verification.http.shared import credential_of, deps_of, json_in
from cairn.verification.use_cases import identifiers, verifications
from cairn.verification.use_cases.verifications import Asked

router = APIRouter(tags=["vc-api"])

Checks: TypeAlias = Mapping[CheckName, Check]

# Names that VC-API clients use for our checks.
_CHECKS: Final = {name.value: name for name in CheckName} | {
    "credentialStatus": CheckName.STATUS,
    "credentialSchema": CheckName.SCHEMA,
    "validityPeriod": CheckName.VALIDITY,
}
_STATUS: Final = {"methodNotSupported": 501, "notFound": 404, "invalidDidDocument": 502}


def _body(name: str, **options: Any) -> dict[str, Any]:
    """What OpenAPI says of a request to verify: the thing itself, and options."""
    checks = {"type": "array", "items": {"type": "string", "enum": sorted(_CHECKS)}}
    schema = {
        "type": "object",
        "required": [name],
        "properties": {
            name: {"oneOf": [{"type": "object"}, {"type": "string"}]},
            "options": {"type": "object", "properties": {"checks": checks, **options}},
        },
    }
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"400": {"description": "Not verified: the same body, with `verified` false."}},
    }


class _Options(BaseModel):
    """What of VC-API's options is heeded; clients send others too."""

    checks: tuple[str, ...] = ()
    challenge: str | None = None
    domain: str | None = None

    @field_validator("checks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in _CHECKS]:
            raise ValueError(f"there is no check {unknown[0][:40]!r}; there are {', '.join(_CHECKS)}")
        return names


@router.post("/credentials/verify", summary="Verify a credential (VC-API)", openapi_extra=_body("verifiableCredential"))
async def verify(
    request: Request,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("verifications:create"))],
) -> JSONResponse:
    """200 with `verified: true`, or 400 with `verified: false` and the reasons."""
    try:
        presented, asked = await _asked(request, deps, "verifiableCredential")
    except DomainError as refusal:
        return _refused(refusal)
    found = (await verifications.verify_credential(deps, principal, presented, asked)).verification
    return _answer(found.verified, found.checks, [])


@router.post(
    "/presentations/verify",
    summary="Verify a presentation (VC-API)",
    openapi_extra=_body("verifiablePresentation", challenge={"type": "string"}, domain={"type": "string"}),
)
async def verify_presentation(
    request: Request,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("verifications:create"))],
) -> JSONResponse:
    """200 with `verified: true`, or 400: the holder's proof, for this challenge and domain, and every credential in it.

    An unsigned presentation is a list of credentials, and taken only where no challenge is asked.
    """
    try:
        presented, asked = await _asked(request, deps, "verifiablePresentation")
    except DomainError as refusal:
        return _refused(refusal)
    found = (await verifications.verify_shown(deps, principal, presented, asked)).presentation
    return _answer(found.verified, found.checks, [one.checks for one in found.credentials])


def _answer(verified: bool, own: Checks, credentials: Sequence[Checks]) -> JSONResponse:
    body: dict[str, Any] = {"verified": verified, "errors": [], "checks": _shown(own)}
    if credentials:
        body["credentials"] = [{"checks": _shown(one)} for one in credentials]
    if not verified:
        body["errors"] = [
            *_errors(own, {}),
            *(error for position, one in enumerate(credentials) for error in _errors(one, {"credential": position})),
        ]
    return JSONResponse(body, 200 if verified else 400)


def _shown(checks: Checks) -> dict[str, Any]:
    return {str(name): check.to_json() for name, check in checks.items()}


def _errors(checks: Checks, where: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"check": str(name), "code": check.code, "detail": check.detail, **where}
        for name, check in checks.items()
        if check.outcome in {Outcome.FAILED, Outcome.UNDETERMINED} and name is not CheckName.TRUST
    ]


def _refused(refusal: DomainError) -> JSONResponse:
    faults = [fault.to_json() for fault in refusal.faults] or [{"detail": refusal.detail}]
    return JSONResponse({"verified": False, "errors": [{"code": refusal.code, **fault} for fault in faults]}, 400)


async def _asked(request: Request, deps: Deps, name: str) -> tuple[Presented, Asked]:
    """What is to be verified, and how. Raises DomainError.

    On one person's machine trust is only asked by name: suites sign as issuers whom no registry knows, and want to have
    their status looked up all the same. In production an unknown issuer's status stays undetermined (S9).
    """
    payload = await json_in(request)
    presented = credential_of(payload, name)
    if isinstance(presented, str) and presented.lstrip()[:1] in ("{", "["):
        detail = "JSON comes as itself, not within a text."
        raise DomainError(detail, code="malformed", field=f"/{name}", fix="Send the object.")
    try:
        options = _Options.model_validate(payload.get("options") or {})
    except ValidationError as error:
        faults = [replace(fault, field=f"/options{fault.field}") for fault in faults_of(error.errors())]
        raise DomainError("The options were refused.", code="malformed", faults=faults) from None
    checks = set(CheckName) - {CheckName.TRUST}
    if options.checks:
        # A proof says nothing without whose it is.
        checks = {_CHECKS[one] for one in options.checks} | {CheckName.PROOF, CheckName.ISSUER, CheckName.HOLDER}
    if not deps.settings.open_on_loopback:
        checks.add(CheckName.TRUST)
    # Clients write "" for what they do not ask.
    return presented, Asked(checks, options.challenge or None, options.domain or None)


@router.get(
    "/1.0/identifiers/{did:path}",
    summary="Resolve a DID",
    responses={
        400: {"description": "Not a DID, or a key that it cannot have"},
        404: {"description": "notFound"},
        501: {"description": "methodNotSupported"},
        502: {"description": "invalidDidDocument"},
    },
)
async def resolve(
    did: Annotated[
        str, Path(description="A did:key, did:jwk or did:web, or a DID URL of it; percent-encoded.", max_length=2000)
    ],
    deps: Annotated[Deps, Depends(deps_of)],
    _: Annotated[Principal, Depends(requires("verifications:create"))],
    public_key_format: Annotated[
        str, Query(alias="publicKeyFormat", description="How a did:key's key is written.", max_length=100)
    ] = "Multikey",
    experimental: Annotated[
        bool, Query(alias="enableExperimentalPublicKeyTypes", description="Whether other formats may be asked for.")
    ] = False,
) -> JSONResponse:
    """A DID resolution result. Where there is none, `error` in its metadata says why, and its document is empty."""
    try:
        found = await identifiers.resolve(deps, did, public_key_format=public_key_format, experimental=experimental)
    except Unresolved as failure:
        return JSONResponse(resolution_result(did, failure), _STATUS.get(failure.code, 400))
    return JSONResponse(resolution_result(did, found))
