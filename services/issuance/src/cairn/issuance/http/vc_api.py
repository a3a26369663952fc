"""The doors that public suites and other systems call: VC-API, on the same use cases as `/v1`.

Whatever is wrong with a request is 400 here, as VC-API has it, and names the field.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar, cast

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from cairn.common.auth import Principal, requires
from cairn.common.problem import DomainError, faults_of
from cairn.common.refusals import refuses
from cairn.credentials import Cryptosuite, JsonRefused, parse_json
from cairn.issuance.deps import Deps
from cairn.issuance.domain.documents import KeyType, Purpose, wanted
from cairn.issuance.http.shared import deps_of
from cairn.issuance.use_cases import documents

router = APIRouter(prefix="/credentials", tags=["vc-api"])

_MEDIA: Final = frozenset({"application/json", "application/ld+json"})
_MAX_BODY: Final = 1_048_576

M = TypeVar("M", bound="Asked")


Pointers = Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=1000)]


class Asked(BaseModel):
    """VC-API's clients send members that are of no concern here; they are passed over."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", strict=True)


class StatusAsked(Asked):
    """The kind of status that a credential gets, or that is changed."""

    type: Literal["BitstringStatusListEntry"]
    status_purpose: Purpose = "revocation"


class IssueOptions(Asked):
    cryptosuite: Cryptosuite | None = None
    key_type: KeyType | None = None
    mandatory_pointers: Pointers = []
    envelope: Literal["vc+jwt"] | None = None
    credential_status: StatusAsked | list[StatusAsked] | None = None


class IssueRequest(Asked):
    credential: dict[str, Any]
    options: IssueOptions = IssueOptions()


class DeriveOptions(Asked):
    selective_pointers: Pointers = []


class DeriveRequest(Asked):
    verifiable_credential: dict[str, Any]
    options: DeriveOptions = DeriveOptions()


class StatusRequest(Asked):
    credential_id: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]+$")]
    credential_status: StatusAsked
    status: bool = True


def _body(model: type[BaseModel], *codes: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    body = {"required": True, "content": {"application/json": {"schema": _inline(schema)}}}
    return {"requestBody": body, **refuses("bad-request", *codes)}


def _inline(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its parts written out: pydantic puts them aside, where OpenAPI would not look."""
    parts = schema.pop("$defs", {})

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            found = cast("dict[str, Any]", node)
            if "$ref" in found:
                return walk(parts[found["$ref"].rsplit("/", 1)[-1]])
            return {name: walk(value) for name, value in found.items()}
        return [walk(value) for value in cast("list[Any]", node)] if isinstance(node, list) else node

    return walk(schema)


@router.post(
    "/issue",
    status_code=201,
    summary="Issue a credential (VC-API)",
    openapi_extra=_body(IssueRequest, "credential-refused", "issuer-foreign", "not-found"),
)
async def issue(
    request: Request,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("credentials:issue"))],
) -> dict[str, Any]:
    """Signs what the caller wrote, as the caller's institution: `{"verifiableCredential": …}`, or 400 with the reasons.

    On one person's machine, and without a token, the issuer is the installation's own, whatever the credential says.
    """
    asked = await _read(request, IssueRequest)
    options, status = asked.options, asked.options.credential_status
    entries = status if isinstance(status, list) else [status] if status else []
    want = wanted(
        cryptosuite=options.cryptosuite,
        key_type=options.key_type,
        envelope=options.envelope,
        mandatory_pointers=tuple(options.mandatory_pointers),
        purposes=tuple(dict.fromkeys(entry.status_purpose for entry in entries)),
        usual=deps.settings.cryptosuite,
    )
    return {"verifiableCredential": await documents.issue(deps, principal, asked.credential, want)}


@router.post(
    "/status", summary="Change a credential's status (VC-API)", openapi_extra=_body(StatusRequest, "not-found")
)
async def status(
    request: Request,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("credentials:write"))],
) -> dict[str, Any]:
    """Sets or clears the bit. A revocation is for ever."""
    asked = await _read(request, StatusRequest)
    purpose = asked.credential_status.status_purpose
    try:
        await documents.change_status(deps, principal, asked.credential_id, purpose, value=asked.status)
    except DomainError as refusal:
        if refusal.code == "status-refused":
            raise DomainError(refusal.detail, code="bad-request", faults=refusal.faults, fix=refusal.fix) from None
        raise
    return asked.model_dump(by_alias=True)


@router.post(
    "/derive",
    status_code=201,
    summary="Disclose a part (VC-API)",
    openapi_extra=_body(DeriveRequest, "credential-refused"),
)
async def derive(request: Request, _: Annotated[Principal, Depends(requires("credentials:derive"))]) -> dict[str, Any]:
    """Of a base proof of ecdsa-sd-2023: what the issuer made mandatory, and what the pointers select."""
    asked = await _read(request, DeriveRequest)
    derived = await documents.derive(asked.verifiable_credential, asked.options.selective_pointers)
    return {"verifiableCredential": derived}


@router.get("/{credential:path}", summary="Read a credential (VC-API)")
async def show(
    credential: Annotated[str, Path(description="The credential's id, percent-encoded.", max_length=2000)],
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("credentials:read"))],
) -> dict[str, Any]:
    """The newest credential that was issued under this id."""
    return {"verifiableCredential": await documents.show(deps, principal, credential)}


@router.delete("/{credential:path}", status_code=202, summary="Erase a credential (VC-API)")
async def erase(
    credential: Annotated[str, Path(description="The credential's id, percent-encoded.", max_length=2000)],
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("credentials:write"))],
) -> None:
    """Forgets what a caller had issued under this id: nobody can read it here any more, nor change its status."""
    await documents.erase(deps, principal, credential)


async def _read(request: Request, model: type[M]) -> M:
    """The request, read strictly: a key that is there twice would be signed once. Raises DomainError, all of them 400.

    The media type is one that a web page cannot send elsewhere without asking, so that no page signs through a visitor.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in _MEDIA:
        raise DomainError("The request is not JSON.", code="bad-request", fix="Send it as application/json.")
    try:
        payload = parse_json(await request.body(), max_bytes=_MAX_BODY)
    except JsonRefused as refusal:
        detail = f"The JSON was refused: {refusal.detail}."
        raise DomainError(detail, code="bad-request", field="", fix="Correct the JSON.") from None
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        # As FastAPI says it of a body, so that the places lead into what was sent, and through no union.
        errors = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        faults = faults_of(errors, payload)
        raise DomainError("The request was refused.", code="bad-request", faults=faults) from None
