"""`/v1/verifications`: verify a credential, check by check."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.refusals import refuses
from cairn.credentials import CheckName, Verification, is_presentation
from cairn.verification.deps import Deps
from cairn.verification.domain.policy import Verdict, credential_id
from cairn.verification.http.shared import deps_of, presented_in
from cairn.verification.store import Record
from cairn.verification.use_cases import verifications
from cairn.verification.use_cases.verifications import VerifiedPresentation

router = APIRouter(prefix="/v1/verifications", tags=["verifications"])


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class FindingShown(Model):
    """One thing that was found."""

    code: str
    detail: str
    pointer: str | None = Field(None, description="Where: a JSON pointer into the credential.")


class CheckShown(FindingShown):
    """The answer of one check. `undetermined` is "could not be checked": neither valid nor invalid."""

    outcome: Literal["passed", "failed", "undetermined", "skipped"]
    also: tuple[FindingShown, ...] = Field((), description="What else this check found.")


class ChecksShown(Model):
    proof: CheckShown = Field(description="Whether the signature fits the document.")
    issuer: CheckShown = Field(description="Whether who signed is the issuer that is named.")
    trust: CheckShown = Field(description="Whether the issuer is in the trust registry of this installation.")
    status: CheckShown = Field(description="Whether the issuer has revoked or suspended it.")
    validity: CheckShown = Field(description="Whether its period has begun and has not ended.")
    schema_: CheckShown = Field(alias="schema", description="Whether it is an Open Badges 3.0 credential by its form.")
    evidence: CheckShown = Field(description="Whether the credentials that it holds or cites verify as well.")
    holder: CheckShown = Field(
        description="Whether who shows it holds the key it is bound to; skipped where nobody does."
    )


class VerificationShown(Model):
    """What was found. `verified` is true where no check failed and none that it rests on is open."""

    id: UUID
    verified: bool
    verdict: Verdict
    as_of: Instant
    digest: str = Field(description="SHA-256 of the credential, by which it is known again.")
    credential_id: str | None = None
    issuer: str | None = None
    form: str | None = Field(
        None, description="`data-integrity`, `vc+jwt`, `vc+sd-jwt`, `vc+cose`, `dc+sd-jwt`, `open-badges-2`."
    )
    cryptosuite: str | None = None
    contexts: dict[str, str] = Field({}, description="The JSON-LD contexts it was read by, with their SHA-256.")
    checks: ChecksShown


class PresentationChecksShown(Model):
    proof: CheckShown = Field(description="Whether the signature fits, for the challenge and domain that were asked.")
    holder: CheckShown = Field(description="Whether who signed is the holder that is named.")
    validity: CheckShown = Field(description="Whether its period has begun and has not ended.")
    schema_: CheckShown = Field(alias="schema", description="Whether it is a presentation by its form.")


class PresentationShown(Model):
    """What was found of a presentation. `verified` needs each of its checks, and each credential in it."""

    id: UUID
    verified: bool
    verdict: Verdict
    as_of: Instant
    digest: str
    holder: str | None = None
    form: str | None = Field(
        None, description="`data-integrity`, `vp+jwt`, `vp+sd-jwt`, `vp+cose`, `dc+sd-jwt`, `unsigned`."
    )
    cryptosuite: str | None = None
    checks: PresentationChecksShown
    credentials: tuple[VerificationShown, ...]


class CheckKept(Model):
    """The answer of one check, without the sentence: that may repeat the credential, which is not kept."""

    outcome: Literal["passed", "failed", "undetermined", "skipped"]
    code: str


class VerificationKept(Model):
    """The record of a verification. `issuer` only where the proof held, `credentialId` where the issuer is known."""

    id: UUID
    verified: bool
    verdict: Verdict
    as_of: Instant
    digest: str
    credential_id: str | None = None
    issuer: str | None = None
    checks: dict[str, CheckKept]


_EXAMPLE: Final = {
    "credential": {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
        ],
        "id": "urn:uuid:5d7e4f8a-0c2b-5a8e-9b1d-3f6a7c8e9d01",
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": "did:web:cairn.localhost:issuance:institutions:north", "type": ["Profile"]},
        "proof": {"type": "DataIntegrityProof", "cryptosuite": "eddsa-rdfc-2022", "proofValue": "z…"},
    }
}
_OBJECT: Final = {"type": "object", "description": "The credential itself."}
_TOKEN: Final = {"type": "string", "description": "The compact JWT."}
_BINARY: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
_REFUSES: Final = refuses("malformed", "credential-missing", "unsupported-media-type")
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "credential": {"oneOf": [_OBJECT, _TOKEN]},
                        "presentation": {"oneOf": [_OBJECT, _TOKEN]},
                        "challenge": {"type": "string", "description": "The nonce that the holder was sent."},
                        "domain": {"type": "string", "description": "For whom the holder was to make it."},
                    },
                },
                "example": _EXAMPLE,
            },
            "application/vc": {"schema": _OBJECT},
            "application/vp": {"schema": _OBJECT},
            "application/vc+jwt": {"schema": _TOKEN},
            "application/vp+jwt": {"schema": _TOKEN},
            "application/dc+sd-jwt": {"schema": _TOKEN},
            "application/vc+sd-jwt": {"schema": _TOKEN},
            "application/vc+cose": {"schema": _BINARY},
            "application/vp+cose": {"schema": _BINARY},
            "image/png": {"schema": _BINARY},
            "image/svg+xml": {"schema": _BINARY},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "A .json or .jwt file, or a baked .png or .svg.",
                        }
                    },
                }
            },
        },
    }
}


@router.post("", summary="Verify a credential or a presentation", openapi_extra=_BODY | _REFUSES)
async def create(
    request: Request,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("verifications:create"))],
) -> VerificationShown | PresentationShown:
    """Always 200 with what was found, whatever it is; an error only where the payload holds no credential at all.

    Before the proof holds, only the issuer's DID document is fetched; the status list only of an issuer who is known.
    A presentation is verified for the challenge and domain that are sent along, and each credential in it for itself.
    """
    presented, asked = await presented_in(request)
    if is_presentation(presented):
        return _presentation(await verifications.verify_shown(deps, principal, presented, asked))
    found = await verifications.verify_credential(deps, principal, presented, asked)
    return _shown(found.verification, found.record)


@router.get("/{verification}", summary="Read the record of a verification")
async def show(
    verification: Annotated[UUID, Path(description="The verification's id.")],
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("verifications:read"))],
) -> VerificationKept:
    """What was found then. The credential itself is not kept."""
    record = await verifications.show_verification(deps, principal, verification)
    findings = record.findings
    return VerificationKept(
        id=record.id,
        verified=findings.verdict == "verified",
        verdict=findings.verdict,
        as_of=record.at,
        digest=findings.digest,
        credential_id=findings.credential,
        issuer=findings.issuer,
        checks={
            name: CheckKept.model_validate({"outcome": kept.outcome, "code": kept.code})
            for name, kept in findings.checks.items()
        },
    )


def _shown(verification: Verification, record: Record) -> VerificationShown:
    return VerificationShown.model_validate(
        {
            "id": record.id,
            "verified": record.findings.verdict == "verified",
            "verdict": record.findings.verdict,
            "as_of": record.at,
            "digest": record.findings.digest,
            "credential_id": credential_id(verification),
            "issuer": verification.issuer,
            "form": verification.form,
            "cryptosuite": verification.cryptosuite,
            "contexts": verification.contexts,
            "checks": {str(name): verification.checks[name].to_json() for name in CheckName},
        }
    )


def _presentation(found: VerifiedPresentation) -> PresentationShown:
    presentation, record = found.presentation, found.record
    return PresentationShown.model_validate(
        {
            "id": record.id,
            "verified": record.findings.verdict == "verified",
            "verdict": record.findings.verdict,
            "as_of": record.at,
            "digest": record.findings.digest,
            "holder": presentation.holder,
            "form": presentation.form,
            "cryptosuite": presentation.cryptosuite,
            "checks": {str(name): check.to_json() for name, check in presentation.checks.items()},
            "credentials": [_shown(one.verification, one.record) for one in found.credentials],
        }
    )
