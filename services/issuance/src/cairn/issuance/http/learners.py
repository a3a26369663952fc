"""`/v1/learners`: who learns, under which names, and as whom elsewhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field, ValidationError

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.problem import DomainError, faults_of
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.issuance.deps import Deps
from cairn.issuance.domain.model import Identifier, LongText, Model, Profile, Token
from cairn.issuance.http.shared import deps_of
from cairn.issuance.use_cases import learners

router = APIRouter(prefix="/v1/learners", tags=["learners"], route_class=StrictRoute)

LearnerPath = Annotated[str, Path(description="The learner's id.", max_length=100)]


class NewLearner(Profile):
    """A learner to register, with the names by which the institution knows them."""

    identifiers: Annotated[tuple[Identifier, ...], Field(max_length=20)] = ()


class LearnerShown(Model):
    """A learner of the institution; without a name once erased."""

    id: str
    profile: Profile | None
    identifiers: tuple[Identifier, ...]
    registered_at: Instant
    erased_at: Instant | None = None


class LinkCode(Model):
    """To be shown at another institution, once, before it expires."""

    code: str
    expires_at: Instant


class MergeRequest(Model):
    """`code` comes from the other institution; `consent` is what the learner agreed to, in their words or ours."""

    code: Token
    consent: LongText


class Merged(Model):
    learner: str
    merged: str


def _shown(learner: learners.Learner) -> LearnerShown:
    return LearnerShown(
        id=learner.id,
        profile=learner.profile,
        identifiers=learner.identifiers,
        registered_at=learner.registered_at,
        erased_at=learner.erased_at,
    )


@router.post(
    "",
    status_code=201,
    summary="Register a learner",
    responses={200: {"description": "Registered already"}},
    openapi_extra=refuses("identifier-taken"),
)
async def register(
    learner: NewLearner,
    response: Response,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("learners:write"))],
) -> LearnerShown:
    """Name and identifiers are sealed under a key of the learner's own. An identifier that is attached finds them."""
    profile = Profile(name=learner.name, email=learner.email)
    found, new = await learners.register(deps, principal, profile, learner.identifiers)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/learners/{found.id}"
    return _shown(found)


@router.get("", summary="Find a learner by an identifier", openapi_extra=refuses("not-found"))
async def find(
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("learners:read"))],
    kind: Annotated[str, Query(description="Such as lms-user.", max_length=40)],
    value: Annotated[str, Query(min_length=1, max_length=254)],
) -> LearnerShown:
    try:
        identifier = Identifier.model_validate({"kind": kind, "value": value})
    except ValidationError as error:
        raise DomainError("The identifier was refused.", code="malformed", faults=faults_of(error.errors())) from None
    return _shown(await learners.find(deps, principal, identifier))


@router.get("/{learner}", summary="Read a learner")
async def show(
    learner: LearnerPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("learners:read"))],
) -> LearnerShown:
    return _shown(await learners.show(deps, principal, learner))


@router.delete("/{learner}", status_code=204, summary="Erase a learner", openapi_extra=refuses("learner-erased"))
async def erase(
    learner: LearnerPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("learners:write"))],
) -> None:
    """Destroys the learner's key: nothing that was sealed under it can be read again, in backups either."""
    await learners.erase(deps, principal, learner)


@router.post(
    "/{learner}/identifiers",
    status_code=201,
    summary="Attach an identifier",
    openapi_extra=refuses("identifier-taken", "learner-erased"),
)
async def identify(
    learner: LearnerPath,
    identifier: Identifier,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("learners:write"))],
) -> LearnerShown:
    return _shown(await learners.identify(deps, principal, learner, identifier))


@router.post(
    "/{learner}/link-codes", status_code=201, summary="Make a link code", openapi_extra=refuses("learner-erased")
)
async def link_code(
    learner: LearnerPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("learners:write"))],
) -> LinkCode:
    """For the learner to show at another institution, which then counts what they earned here."""
    code, expires = await learners.make_link_code(deps, principal, learner)
    return LinkCode(code=code, expires_at=expires)


@router.post(
    "/{learner}/merges",
    status_code=201,
    summary="Merge with the learner of another institution",
    openapi_extra=refuses("link-code-refused", "merge-refused", "learner-erased"),
)
async def merge(
    learner: LearnerPath,
    request: MergeRequest,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("learners:write"))],
) -> Merged:
    """Records the consent; from then on what was earned there counts here."""
    return Merged(learner=learner, merged=await learners.merge(deps, principal, learner, request.code, request.consent))


@router.delete("/{learner}/merges/{merged}", status_code=204, summary="Undo a merge")
async def unmerge(
    learner: LearnerPath,
    merged: Annotated[str, Path(description="The learner that was merged.", max_length=100)],
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("learners:write"))],
) -> None:
    """As though it had never been: holdings keep the learner under whom they came."""
    await learners.unmerge(deps, principal, learner, merged)
