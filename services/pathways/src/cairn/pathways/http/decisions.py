"""`/v1/learners/{id}/decisions`, `/v1/equivalences`: what people decided, why, and until when."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Path, Response
from fastapi import Request as HttpRequest
from pydantic import Field

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.idempotency import Idempotency
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.pathways.deps import Deps
from cairn.pathways.http.shared import LearnerPath, Model, Request, deps_of
from cairn.pathways.use_cases import deciding
from cairn.pathways.use_cases.deciding import Made, Wanted

router = APIRouter(prefix="/v1", tags=["decisions"], route_class=StrictRoute)

Text = Annotated[str, Field(min_length=1, max_length=500)]
Reason = Annotated[str, Field(min_length=1, max_length=4000, description="Why; may name people, and is sealed.")]


class Amount(Request):
    value: Annotated[str, Field(pattern=r"^\d{1,6}(\.\d{1,6})?$")]
    unit: Text


class _Decision(Request):
    reason: Reason
    valid_until: Instant | None = None


class Waiver(_Decision):
    """`target`, a node or a limit of the qualification, is not asked for."""

    kind: Literal["waiver"]
    qualification: Text
    target: Text


class Substitution(_Decision):
    """The credential `holding` fits the leaf `target`, whatever it asks for."""

    kind: Literal["substitution"]
    qualification: Text
    target: Text
    holding: Text


class Equivalence(_Decision):
    """The learner's credentials of `achievement` count wherever `countsAs` is asked for: in one qualification, or
    (null) in all of them."""

    kind: Literal["equivalence"]
    qualification: Text | None = None
    achievement: Text
    counts_as: Text


class Rpl(_Decision):
    """Prior learning, recognised: it fits the leaf `target`, with the credits and whatever else is stated of it."""

    kind: Literal["rpl"]
    qualification: Text
    target: Text
    credits: Amount | None = None
    level: dict[str, int] = Field(default_factory=dict[str, int])
    area: list[Text] = Field(default_factory=list[str])
    tag: list[Text] = Field(default_factory=list[str])
    skill: list[Text] = Field(default_factory=list[str])
    evidence: list[Text] = Field(default_factory=list[str], max_length=20)


class Move(_Decision):
    """The learner may be judged by `version` too; the best of the versions allowed counts."""

    kind: Literal["move"]
    qualification: Text
    version: Text


Decision = Annotated[Waiver | Substitution | Equivalence | Rpl | Move, Field(discriminator="kind")]
_BESIDE = {"kind", "reason", "valid_until", "qualification", "evidence"}


class DecisionShown(Model):
    """`says` is what its kind says. `reason` is null once the learner was erased."""

    id: str
    kind: str
    qualification: str | None
    says: dict[str, Any]
    by: str
    at: Instant
    valid_until: Instant | None
    reason: str | None
    evidence: list[str]
    revoked_at: Instant | None
    revoked_by: str | None


class DecisionsShown(Model):
    """`intact` false: somebody altered the decisions in the database, behind the service's back. The learner's audits
    and awards then stay as they were."""

    intact: bool
    decisions: list[DecisionShown]


class Revocation(Request):
    reason: Reason


class Table(Request):
    """Credentials of `achievement` count wherever the institution's frameworks ask for `countsAs`."""

    achievement: Text
    counts_as: Text
    reason: Reason
    valid_until: Instant | None = None


class Enrolment(Request):
    """`at` is now where it is absent."""

    qualification: Text
    at: Instant | None = None


_WAIVER = {
    "kind": "waiver",
    "qualification": "https://uni.example/q/pgcert-data",
    "target": "stats",
    "reason": "Taught the course at another university.",
    "validUntil": "2027-09-01T00:00:00Z",
}
DecisionPath = Annotated[UUID, Path(description="The decision's id.")]


@router.post(
    "/learners/{learner}/decisions",
    status_code=201,
    summary="Decide on a learner",
    openapi_extra=refuses("decision-refused", "framework-unknown", "decisions-altered"),
)
async def decide(
    request: HttpRequest,
    response: Response,
    learner: LearnerPath,
    decision: Annotated[Decision, Body(openapi_examples={"a waiver": {"value": _WAIVER}})],
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("decisions:write"))],
    idempotency_key: Annotated[
        str | None, Header(description="The same decision under the same key is made once.")
    ] = None,
) -> DecisionShown:
    """The learner is audited anew at once, and again when it ends."""
    route = f"POST /v1/learners/{learner}/decisions"
    idempotency = Idempotency(deps.vault, principal, route, idempotency_key, await request.body())
    wanted = Wanted(
        kind=decision.kind,
        reason=decision.reason,
        qualification=decision.qualification,
        valid_until=decision.valid_until,
        says=decision.model_dump(mode="json", by_alias=True, exclude=_BESIDE, exclude_defaults=True),
        evidence=decision.evidence if isinstance(decision, Rpl) else (),
    )
    made = await deciding.decide(deps, principal, learner, wanted, idempotency)
    response.headers["Location"] = f"/v1/learners/{learner}/decisions"
    return _shown(made)


@router.get("/learners/{learner}/decisions", summary="List decisions on a learner")
async def page(
    learner: LearnerPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("audits:read"))],
) -> DecisionsShown:
    """In the order in which they were made, revoked ones included."""
    record = await deciding.record(deps, principal, learner)
    return DecisionsShown(intact=record.intact, decisions=[_shown(made) for made in record.made])


@router.post(
    "/learners/{learner}/decisions/{decision}/revoke",
    summary="Revoke a decision",
    openapi_extra=refuses("decisions-altered"),
)
async def revoke(
    learner: LearnerPath,
    decision: DecisionPath,
    revocation: Revocation,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("decisions:write"))],
) -> DecisionShown:
    """As though it had never been made: what rested on it falls. The record of both stays."""
    return _shown(await deciding.revoke(deps, principal, learner, decision, revocation.reason))


class EnrolmentShown(Model):
    qualification: str
    at: Instant


@router.post(
    "/learners/{learner}/enrolments",
    summary="Say when a learner enrolled",
    openapi_extra=refuses("framework-unknown", "decisions-altered"),
)
async def enrol(
    learner: LearnerPath,
    enrolment: Enrolment,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("decisions:write"))],
) -> EnrolmentShown:
    """They are under the version of the qualification in force then. Of several enrolments the first counts, and is
    what is answered. Where none is known, the first component decides."""
    at = await deciding.enrol(deps, principal, learner, enrolment.qualification, enrolment.at)
    return EnrolmentShown(qualification=enrolment.qualification, at=at)


@router.post(
    "/equivalences",
    status_code=201,
    summary="Add to the table of equivalences",
    openapi_extra=refuses("decision-refused", "decisions-altered"),
)
async def equate(
    line: Table,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("decisions:write"))],
) -> DecisionShown:
    """For every learner of the institution, in one direction. Whoever holds the achievement is audited anew."""
    says = {"achievement": line.achievement, "countsAs": line.counts_as}
    wanted = Wanted("equivalence", line.reason, valid_until=line.valid_until, says=says)
    return _shown(await deciding.equate(deps, principal, wanted))


@router.get("/equivalences", summary="Read the table of equivalences")
async def table(
    deps: Annotated[Deps, Depends(deps_of)], principal: Annotated[Principal, Depends(requires("frameworks:read"))]
) -> DecisionsShown:
    """Revoked lines included."""
    record = await deciding.table(deps, principal)
    return DecisionsShown(intact=record.intact, decisions=[_shown(made) for made in record.made])


@router.post(
    "/equivalences/{decision}/revoke", summary="Revoke a line of the table", openapi_extra=refuses("decisions-altered")
)
async def unequate(
    decision: DecisionPath,
    revocation: Revocation,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("decisions:write"))],
) -> DecisionShown:
    """As though it had never been there."""
    return _shown(await deciding.unequate(deps, principal, decision, revocation.reason))


def _shown(made: Made) -> DecisionShown:
    entry, revocation = made.entry, made.revocation
    return DecisionShown(
        id=entry.id,
        kind=entry.kind,
        qualification=entry.qualification,
        says=dict(entry.body),
        by=entry.by,
        at=entry.at,
        valid_until=entry.valid_until,
        reason=made.reason,
        evidence=list(made.evidence),
        revoked_at=revocation.at if revocation else None,
        revoked_by=revocation.by if revocation else None,
    )
