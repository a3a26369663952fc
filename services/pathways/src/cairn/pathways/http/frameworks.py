"""`/v1/frameworks`: what a qualification asks."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from sqlalchemy import RowMapping

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.pathways.deps import Deps
from cairn.pathways.domain import Problem
from cairn.pathways.http.shared import AwardShown, Limit, Model, Request, award_shown, deps_of
from cairn.pathways.use_cases import frameworks, publishing
from cairn.pathways.use_cases.frameworks import Found

router = APIRouter(prefix="/v1/frameworks", tags=["frameworks"], route_class=StrictRoute)

EXAMPLE: Final = {
    "qualification": "https://uni.example/q/pgcert-data",
    "version": "2026-27",
    "title": "Postgraduate Certificate in Data",
    "award": {"achievement": "https://uni.example/a/pgcert-data"},
    "effective": {"from": "2026-09-01", "to": None},
    "creditUnit": "ECTS",
    "requirement": {
        "id": "root",
        "all": [
            {"id": "stats", "count": {"min": 1}, "from": {"achievement": ["https://uni.example/a/stats"]}},
            {"id": "electives", "credits": {"min": "12", "max": "20"}, "from": {"tag": ["data"]}},
        ],
    },
    "validity": "award",
    "onLoss": "review",
}

Document = Annotated[
    dict[str, Any],
    Body(description="A framework, in the shape of docs/frameworks.md.", openapi_examples={"one": {"value": EXAMPLE}}),
]
FrameworkPath = Annotated[UUID, Path(description="The framework's id.")]


class Finding(Model):
    """Something wrong: `field` is a JSON pointer into the framework."""

    code: str
    field: str
    detail: str
    fix: str


class Findings(Model):
    findings: list[Finding]


class BackfillShown(Model):
    """How far the learners who were there before have been looked at: so many of `of`. It goes on at `not_before`,
    which the rate of awards puts off."""

    state: Literal["pending", "paused", "done"]
    not_before: Instant
    learners: int
    of: int
    audited: int
    awarded: int


class FrameworkListed(Model):
    id: str
    qualification: str
    version: str
    title: str
    state: Literal["draft", "proposed", "active", "superseded", "retired"]
    digest: str
    written_at: Instant
    activated_at: Instant | None
    closed_at: Instant | None
    superseded_by: str | None
    retired_at: Instant | None


class FrameworkShown(FrameworkListed):
    """`findings` of a draft are what publishing it would be refused for."""

    framework: dict[str, Any]
    findings: list[Finding]
    backfill: BackfillShown | None


class FrameworkPage(Model):
    frameworks: list[FrameworkListed]


@router.post(
    "",
    status_code=201,
    summary="Draft a framework",
    responses={200: {"description": "Drafted already"}},
    openapi_extra=refuses("framework-refused", "framework-published"),
)
async def write(
    document: Document,
    response: Response,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:write"))],
) -> FrameworkShown:
    """A draft may be unfinished, and posted again with changes until it is published. A published version does not
    change: post changed rules under another version."""
    found, new = await frameworks.write(deps, principal, document)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/frameworks/{found.row['id']}"
    return _shown(found)


@router.get("", summary="List frameworks")
async def page(
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:read"))],
    after: Annotated[UUID | None, Query(description="The last id of the page before.")] = None,
    limit: Limit = 100,
) -> FrameworkPage:
    """Drafts and published ones, in the order of ids."""
    rows = await frameworks.page(deps, principal, after, limit)
    return FrameworkPage(frameworks=[FrameworkListed(**_listed(row)) for row in rows])


@router.post("/lint", summary="Say what is wrong with a framework")
async def lint(
    document: Document,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:write"))],
) -> Findings:
    """Everything for which publishing it would be refused, each with its place. Nothing is kept."""
    return Findings(findings=_findings(await frameworks.check(deps, principal, document)))


@router.get("/{framework}", summary="Read a framework")
async def show(
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:read"))],
) -> FrameworkShown:
    """A published one shows how far its backfill has come."""
    return _shown(await frameworks.show(deps, principal, framework))


@router.post(
    "/{framework}/publish",
    summary="Publish a framework",
    responses={202: {"description": "Proposed for approval"}},
    openapi_extra=refuses("framework-refused", "impact-needed", "conflict"),
)
async def publish(
    framework: FrameworkPath,
    response: Response,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:write"))],
) -> FrameworkShown:
    """It awards from now on, or from when it comes into force; also to those who had earned it before. Where those are
    more than the site lets one person award, it is proposed, and another has to approve it."""
    shown = _shown(await publishing.publish(deps, principal, framework))
    response.status_code = 202 if shown.state == "proposed" else 200
    return shown


@router.post(
    "/{framework}/approve",
    summary="Approve a framework",
    openapi_extra=refuses("framework-refused", "approval-refused", "impact-needed", "conflict"),
)
async def approve(
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:write"))],
) -> FrameworkShown:
    """Publish what another principal proposed."""
    return _shown(await publishing.approve(deps, principal, framework))


class Successor(Request):
    """The published version under which learners come instead, from `at` on: now, or when it comes into force."""

    by: UUID
    at: Instant | None = None


@router.post(
    "/{framework}/supersede",
    summary="Let another version take its place",
    openapi_extra=refuses("framework-unknown", "conflict"),
)
async def supersede(
    framework: FrameworkPath,
    successor: Successor,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:write"))],
) -> FrameworkShown:
    """Learners who are under it stay; nobody new comes under it."""
    return _shown(await publishing.supersede(deps, principal, framework, successor.by, successor.at))


@router.post("/{framework}/retire", summary="Retire a framework")
async def retire(
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:write"))],
) -> FrameworkShown:
    """It awards nobody any more. What it has awarded stands for as long as what it rests on."""
    return _shown(await publishing.retire(deps, principal, framework))


@router.post("/{framework}/backfill/pause", summary="Halt a backfill")
async def pause(
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:write"))],
) -> FrameworkShown:
    """Awards that it has made stand; who is yet to be looked at waits."""
    return _shown(await publishing.pause(deps, principal, framework, paused=True))


@router.post("/{framework}/backfill/resume", summary="Let a backfill go on")
async def resume(
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("frameworks:write"))],
) -> FrameworkShown:
    """From where it was halted."""
    return _shown(await publishing.pause(deps, principal, framework, paused=False))


class AwardPage(Model):
    awards: list[AwardShown]


@router.get("/{framework}/awards", summary="List what a framework has awarded")
async def awards(
    framework: FrameworkPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("audits:read"))],
    after: Annotated[UUID | None, Query(description="The last id of the page before.")] = None,
    limit: Limit = 100,
) -> AwardPage:
    """Lapsed ones included: what its backfill did can be looked through here."""
    rows = await publishing.awards(deps, principal, framework, after, limit)
    return AwardPage(awards=[award_shown(row) for row in rows])


def _shown(found: Found) -> FrameworkShown:
    backfill = None
    if (row := found.backfill) is not None:
        backfill = BackfillShown(
            state="done" if row["finished_at"] else "paused" if row["paused_at"] else "pending",
            not_before=row["not_before"],
            learners=row["looked_at"],
            of=row["of"],
            audited=row["audited"],
            awarded=row["awarded"],
        )
    return FrameworkShown(
        **_listed(found.row), framework=found.row["body"], findings=_findings(found.findings), backfill=backfill
    )


def _listed(row: RowMapping) -> dict[str, Any]:
    names = ("qualification", "version", "title", "digest", "written_at", "activated_at", "closed_at", "retired_at")
    by = row["superseded_by"]
    shown = {name: row[name] for name in names}
    return {**shown, "id": str(row["id"]), "state": _state(row), "superseded_by": None if by is None else str(by)}


def _state(row: RowMapping) -> str:
    if row["state"] == "draft":
        return "draft" if row["proposed_by"] is None else "proposed"
    return "retired" if row["retired_at"] else "superseded" if row["superseded_by"] else "active"


def _findings(problems: Any) -> list[Finding]:
    found: list[Problem] = list(problems)
    return [Finding(code=each.code, field=each.path, detail=each.detail, fix=each.fix) for each in found]
