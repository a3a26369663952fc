"""`/v1/reviews`: awards that wait for a registrar."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from cairn.common.auth import Principal, requires
from cairn.pathways.deps import Deps
from cairn.pathways.http.shared import AwardShown, Limit, Model, award_shown, deps_of
from cairn.pathways.use_cases import learners

router = APIRouter(prefix="/v1/reviews", tags=["reviews"])


class ReviewsShown(Model):
    reviews: list[AwardShown]


@router.get("", summary="List awards to review")
async def page(
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("audits:read"))],
    limit: Limit = 100,
) -> ReviewsShown:
    """Awards that lost a component, under a framework whose policy is `review`; the longest waiting first."""
    rows = await learners.reviews(deps, principal, limit)
    return ReviewsShown(reviews=[award_shown(row) for row in rows])
