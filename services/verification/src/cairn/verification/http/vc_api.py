"""The doors that public conformance suites call: VC-API, and DID resolution. The same use cases as `/v1`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError, field_validator

from cairn.common.auth import Principal, requires
from cairn.common.problem import DomainError, faults_of
from cairn.credentials import CheckName, Outcome
from cairn.verification.deps import Deps
from cairn.verification.http.shared import credential_of, deps_of, json_in
from cairn.verification.use_cases import identifiers, verifications

router = APIRouter(tags=["vc-api"])

# Names that VC-API clients use for our checks.
_CHECKS: Final = {name.value: name for name in CheckName} | {
    "credentialStatus": CheckName.STATUS,
    "credentialSchema": CheckName.SCHEMA,
    "validityPeriod": CheckName.VALIDITY,
}
_STATUS: Final = {"invalidDid": 400, "methodNotSupported": 501, "notFound": 404, "invalidDidDocument": 502}
_VERIFY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["verifiableCredential"],
                    "properties": {
                        "verifiableCredential": {"oneOf": [{"type": "object"}, {"type": "string"}]},
                        "options": {
                            "type": "object",
                            "properties": {
                                "checks": {"type": "array", "items": {"type": "string", "enum": sorted(_CHECKS)}}
                            },
                        },
                    },
                }
            }
        },
    },
    "responses": {"400": {"description": "Not verified: the same body, with `verified` false."}},
}


class _Options(BaseModel):
    """What of VC-API's options is heeded; clients send others too."""

    checks: tuple[str, ...] = ()

    @field_validator("checks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in _CHECKS]:
            raise ValueError(f"there is no check {unknown[0][:40]!r}; there are {', '.join(_CHECKS)}")
        return names


@router.post("/credentials/verify", summary="Verify a credential (VC-API)", openapi_extra=_VERIFY)
async def verify(
    request: Request,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("verifications:create"))],
) -> JSONResponse:
    """200 with `verified: true`, or 400 with `verified: false` and the reasons."""
    try:
        payload = await json_in(request)
        presented = credential_of(payload, "verifiableCredential")
        checks = _checks(payload.get("options"), trust=not deps.settings.open_on_loopback)
    except DomainError as refusal:
        faults = [fault.to_json() for fault in refusal.faults] or [{"detail": refusal.detail}]
        return JSONResponse({"verified": False, "errors": [{"code": refusal.code, **fault} for fault in faults]}, 400)
    found = await verifications.verify_credential(deps, principal, presented, checks)
    answers = found.verification.checks
    errors = [
        {"check": str(name), "code": check.code, "detail": check.detail}
        for name, check in answers.items()
        if check.outcome in {Outcome.FAILED, Outcome.UNDETERMINED} and name is not CheckName.TRUST
    ]
    verified = found.verification.verified
    body = {
        "verified": verified,
        "errors": [] if verified else errors,
        "checks": {str(name): check.to_json() for name, check in answers.items()},
    }
    return JSONResponse(body, 200 if verified else 400)


def _checks(options: Any, *, trust: bool) -> set[CheckName]:
    """The checks that were asked for, and by default all. Raises DomainError `malformed`.

    On one person's machine trust is only asked by name: suites sign as issuers whom no registry knows, and want to have
    their status looked up all the same. In production an unknown issuer's status stays undetermined (S9).
    """
    try:
        asked = _Options.model_validate(options or {}).checks
    except ValidationError as error:
        faults = [replace(fault, field=f"/options{fault.field}") for fault in faults_of(error.errors())]
        raise DomainError("The options were refused.", code="malformed", faults=faults) from None
    if not asked:
        return set(CheckName) if trust else set(CheckName) - {CheckName.TRUST}
    # A proof says nothing without its issuer.
    found = {_CHECKS[name] for name in asked} | {CheckName.PROOF, CheckName.ISSUER}
    return found | {CheckName.TRUST} if trust else found


@router.get(
    "/1.0/identifiers/{did:path}",
    summary="Resolve a DID",
    responses={status: {"description": reason} for reason, status in _STATUS.items()},
)
async def resolve(
    did: Annotated[str, Path(description="A did:key or did:web, percent-encoded.", max_length=2000)],
    deps: Annotated[Deps, Depends(deps_of)],
    _: Annotated[Principal, Depends(requires("verifications:create"))],
) -> JSONResponse:
    """A DID resolution result; where there is none, `didResolutionMetadata.error` says why."""
    try:
        document = await identifiers.resolve(deps, did)
    except identifiers.Unresolved as failure:
        metadata = {"error": failure.reason, "message": failure.detail}
        return JSONResponse(_result(None, metadata), _STATUS[failure.reason])
    return JSONResponse(_result(document, {"contentType": "application/did+ld+json"}))


def _result(document: dict[str, Any] | None, metadata: dict[str, str]) -> dict[str, Any]:
    return {
        "@context": "https://w3id.org/did-resolution/v1",
        "didDocument": document,
        "didResolutionMetadata": metadata,
        "didDocumentMetadata": {},
    }
