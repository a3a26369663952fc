"""`/v1/learners`: what a learner holds, how far it brings them, and what they were awarded."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.refusals import refuses
from cairn.pathways.deps import Deps
from cairn.pathways.http.audits import AuditShown
from cairn.pathways.http.shared import AwardShown, LearnerPath, Model, award_shown, deps_of
from cairn.pathways.use_cases import learners

router = APIRouter(prefix="/v1/learners", tags=["learners"])


class AuditOfLearner(AuditShown):
    """`sentence` says it to the learner."""

    framework_id: str
    title: str
    sentence: str


class AuditsShown(Model):
    learner: str
    as_of: Instant
    audits: list[AuditOfLearner]


class HoldingsShown(Model):
    """`holdings` have the shape that `POST /v1/audits` takes. `merged` are the learners who count as this one."""

    learner: str
    merged: list[str]
    holdings: list[dict[str, Any]]


class AwardsShown(Model):
    learner: str
    awards: list[AwardShown]


@router.get(
    "/{learner}/audits",
    summary="Audit a learner",
    response_model_exclude_unset=True,
    openapi_extra=refuses("decisions-altered"),
)
async def audits(
    learner: LearnerPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("audits:read"))],
    as_of: Annotated[Instant | None, Query(alias="asOf", description="An instant of RFC 3339; now if absent.")] = None,
    framework: Annotated[UUID | None, Query(description="Only this published framework.")] = None,
) -> AuditsShown:
    """Against every framework in force then that the learner's credentials can touch, or against one."""
    at = as_of or deps.now()
    found = await learners.audit_learner(deps, principal, learner, at, framework)
    return AuditsShown(
        learner=learner,
        as_of=at,
        audits=[
            AuditOfLearner.model_validate(
                {
                    **each.audit.to_json(each.titles),
                    "frameworkId": each.published.id,
                    "title": each.published.framework.title or each.published.framework.qualification,
                    "sentence": each.sentence,
                }
            )
            for each in found
        ],
    )


@router.get("/{learner}/holdings", summary="List a learner's credentials")
async def holdings(
    learner: LearnerPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("audits:read"))],
) -> HoldingsShown:
    """With those of another institution's learner who was merged into this one, for as long as the consent lasts."""
    held = await learners.holdings(deps, principal, learner)
    return HoldingsShown(
        learner=learner, merged=list(held.merged), holdings=[holding.to_json() for holding in held.holdings]
    )


@router.get("/{learner}/awards", summary="List a learner's qualifications")
async def awards(
    learner: LearnerPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("audits:read"))],
) -> AwardsShown:
    """Lapsed ones included. An award that was issued anew names the one that it `replaces`."""
    rows = await learners.awards(deps, principal, learner)
    return AwardsShown(learner=learner, awards=[award_shown(row) for row in rows])
