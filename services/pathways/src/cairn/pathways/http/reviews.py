"""`/v1/reviews`: awards that wait for a registrar."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path

from cairn.common.auth import Principal, requires
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.pathways.deps import Deps
from cairn.pathways.http.decisions import Reason
from cairn.pathways.http.shared import AwardShown, Limit, Model, Request, award_shown, deps_of
from cairn.pathways.use_cases import reviewing

router = APIRouter(prefix="/v1/reviews", tags=["reviews"], route_class=StrictRoute)


class ReviewsShown(Model):
    reviews: list[AwardShown]


class Settlement(Request):
    action: Literal["revoke", "suspend"]
    reason: Reason


@router.get("", summary="List awards to review")
async def page(
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("audits:read"))],
    limit: Limit = 100,
) -> ReviewsShown:
    """Awards that lost a component, under a framework whose policy is `review`; the longest waiting first."""
    rows = await reviewing.waiting(deps, principal, limit)
    return ReviewsShown(reviews=[award_shown(row) for row in rows])


@router.post("/{award}", summary="Settle a review", openapi_extra=refuses("conflict", "decisions-altered"))
async def settle(
    award: Annotated[UUID, Path(description="The award's id.")],
    settlement: Settlement,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("decisions:write"))],
) -> AwardShown:
    """Take the award back, or suspend it; its credential follows. To uphold it, decide instead: with a waiver or a
    substitution the rules hold again, and it leaves the queue by itself."""
    return award_shown(await reviewing.settle(deps, principal, award, settlement.action, settlement.reason))
