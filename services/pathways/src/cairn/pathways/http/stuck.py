"""`/v1/stuck-awards`: qualifications that were awarded and never signed."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from cairn.common.auth import Principal, requires
from cairn.common.refusals import refuses
from cairn.pathways.deps import Deps
from cairn.pathways.http.shared import AwardShown, Limit, Model, award_shown, deps_of
from cairn.pathways.use_cases import stuck

router = APIRouter(prefix="/v1/stuck-awards", tags=["stuck awards"])


class StuckShown(Model):
    awards: list[AwardShown]


@router.get("", summary="List stuck awards")
async def page(
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("dead-letters:read"))],
    seconds: Annotated[int, Query(description="Only those that have waited for so long.", ge=0, le=10**9)] = 300,
    limit: Limit = 100,
) -> StuckShown:
    """Awards of the caller's institution that stand, and of whose credential nothing was heard; the longest first."""
    return StuckShown(awards=[award_shown(row) for row in await stuck.waiting(deps, principal, seconds, limit)])


@router.post("/{award}/repair", status_code=202, summary="Repair a stuck award", openapi_extra=refuses("conflict"))
async def repair(
    award: Annotated[UUID, Path(description="The award's id.")],
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("dead-letters:write"))],
) -> AwardShown:
    """Says it to issuance again, which signs it, or says once more that it did. Safe to repeat."""
    return award_shown(await stuck.repair(deps, principal, award))
