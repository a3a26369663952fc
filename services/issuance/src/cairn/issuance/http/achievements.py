"""`/v1/achievements`: the micro-credentials that an institution offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.issuance.deps import Deps
from cairn.issuance.domain.model import Achievement, Model
from cairn.issuance.http.shared import After, Limit, deps_of
from cairn.issuance.use_cases import achievements

router = APIRouter(prefix="/v1/achievements", tags=["achievements"], route_class=StrictRoute)

CodePath = Annotated[str, Path(description="The achievement's code.", pattern=r"^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$")]


class AchievementShown(Model):
    """A published achievement. `id` is the URL that credentials and frameworks name."""

    id: str
    achievement: Achievement
    published_at: Instant
    retired_at: Instant | None = None


def _shown(row: Mapping[Any, Any]) -> AchievementShown:
    return AchievementShown(
        id=row["id"],
        achievement=Achievement.model_validate(row["body"]),
        published_at=row["published_at"],
        retired_at=row["retired_at"],
    )


@router.post(
    "", status_code=201, summary="Publish an achievement", openapi_extra=refuses("not-found", "achievement-exists")
)
async def publish(
    achievement: Achievement,
    response: Response,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("achievements:write"))],
) -> AchievementShown:
    """A published definition does not change: learners rely on it. Publish a changed one under a new code."""
    row = await achievements.publish(deps, principal, achievement)
    response.headers["Location"] = f"/v1/achievements/{achievement.code}"
    return _shown(row)


@router.get("", summary="List achievements")
async def page(
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("achievements:read"))],
    after: After = "",
    limit: Limit = 100,
) -> list[AchievementShown]:
    """In order of their codes; `after` is the last code of the page before."""
    return [_shown(row) for row in await achievements.page(deps, principal, after, limit)]


@router.get("/{code}", summary="Read an achievement")
async def show(
    code: CodePath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("achievements:read"))],
) -> AchievementShown:
    return _shown(await achievements.show(deps, principal.tenant, code))


@router.post("/{code}/retire", summary="Retire an achievement")
async def retire(
    code: CodePath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("achievements:write"))],
) -> AchievementShown:
    """No later completion of it is accepted; what was issued stands."""
    return _shown(await achievements.retire(deps, principal, code))
