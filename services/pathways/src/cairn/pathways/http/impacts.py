"""`/v1/frameworks/{id}/impact`: what publishing a draft would do to the learners there are."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from sqlalchemy import RowMapping

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.pathways.deps import Deps
from cairn.pathways.http.frameworks import FrameworkPath
from cairn.pathways.http.shared import Limit, Model, deps_of
from cairn.pathways.use_cases import impact

router = APIRouter(prefix="/v1/frameworks/{framework}/impact", tags=["frameworks"], route_class=StrictRoute)


class ImpactShown(Model):
    """`looked_at` of `learners` so far. `gain` meet the draft and have no award of the qualification, `lose` have one
    and do not meet it (they keep it: nobody is moved to other rules), `stand` have one and meet it. `new_awards` is how
    many publishing would make. `current` is false once it is stale: the draft was changed, or what it depends on, or it
    is too old, or too many learners came since. Ask again."""

    state: Literal["working", "done"]
    current: bool
    asked_by: str
    asked_at: Instant
    finished_at: Instant | None
    learners: int
    looked_at: int
    audited: int
    gain: int
    lose: int
    stand: int
    new_awards: int


class Affected(Model):
    """`awarded`: publishing makes the award, by the version under which the learner is judged."""

    learner: str
    awarded: bool


class AffectedPage(Model):
    learners: list[Affected]


@router.post(
    "",
    status_code=202,
    summary="Ask for an impact report",
    openapi_extra=refuses("framework-refused", "framework-published"),
)
async def ask(
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:write"))],
) -> ImpactShown:
    """A dry run of the draft over the real learners, in the background; nothing but the report is written."""
    return _shown(await impact.ask(deps, principal, framework), current=True)


@router.get("", summary="Read an impact report")
async def show(
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:read"))],
) -> ImpactShown:
    """While it is worked on, too: it shows how far it has come."""
    row, current = await impact.show(deps, principal, framework)
    return _shown(row, current=current)


@router.get("/learners", summary="List whom a draft affects")
async def learners(
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("audits:read"))],
    outcome: Annotated[Literal["gain", "lose", "stand"], Query(description="Which of them.")] = "gain",
    after: Annotated[str, Query(description="The last learner of the page before.", max_length=100)] = "",
    limit: Limit = 100,
) -> AffectedPage:
    """In the order of their ids."""
    rows = await impact.learners(deps, principal, framework, outcome, after, limit)
    return AffectedPage(learners=[Affected(learner=row["learner_id"], awarded=row["awarded"]) for row in rows])


def _shown(row: RowMapping, *, current: bool) -> ImpactShown:
    state = "working" if row["finished_at"] is None else "done"
    same = {name: row[name] for name in ImpactShown.model_fields if name in row}
    return ImpactShown(**same, state=state, current=current)
