"""`POST /v1/audits`: the stateless audit, in the shapes of STACKING."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Depends

from cairn.common.auth import Principal, requires
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.pathways.deps import Deps
from cairn.pathways.http.frameworks import EXAMPLE
from cairn.pathways.http.shared import Model, deps_of
from cairn.pathways.use_cases.evaluate import evaluate

router = APIRouter(prefix="/v1/audits", tags=["audits"], route_class=StrictRoute)

_HOLDING: Final = {
    "id": "h1",
    "achievement": "https://uni.example/a/stats",
    "issuer": "did:web:uni.example",
    "credits": {"value": "5", "unit": "ECTS"},
    "grade": {"score": "0.82"},
    "tag": ["data"],
    "source": "lms",
    "earned": "2026-03-01T00:00:00Z",
    "status": [{"at": "2026-03-01T00:00:00Z", "state": "valid"}],
}
_SHAPE: Final = "Rules, as docs/frameworks.md tells, and holdings, as GET /v1/learners/{id}/holdings gives them."
_EXAMPLES: Final[Any] = {
    "with rules": {"value": {"framework": EXAMPLE, "asOf": "2026-11-01T00:00:00Z", "holdings": [_HOLDING]}},
    "of a published framework": {
        "value": {
            "framework": {"qualification": EXAMPLE["qualification"], "version": EXAMPLE["version"]},
            "holdings": [_HOLDING],
        }
    },
}


class NodeShown(Model):
    """A node of the requirement. `needs` is null where nothing is needed."""

    id: str
    met: bool
    allocated: list[str]
    needs: dict[str, Any] | None


class LimitShown(Model):
    """`have` is rounded down to 4 places, and null where there is nothing to measure; `need` is the bound."""

    id: str
    met: bool
    have: str | None
    need: str | None


class UnusedShown(Model):
    holding: str
    reason: str
    detail: str


class RemainingShown(Model):
    credits: str
    suggestions: list[dict[str, Any]]


class AuditShown(Model):
    """The answer, and the allocation that proves it. `framework` is the qualification. `validUntil` is there only under
    the validity `always`."""

    status: Literal["complete", "incomplete", "undetermined"]
    earned_at: str | None
    valid_until: str | None = None
    framework: str
    version: str
    as_of: str
    allocation: dict[str, list[str]]
    nodes: list[NodeShown]
    limits: list[LimitShown]
    unused: list[UnusedShown]
    remaining: RemainingShown
    digest: str


@router.post(
    "",
    summary="What if: audit holdings against rules",
    response_model_exclude_unset=True,
    openapi_extra=refuses("audit-refused", "framework-unknown"),
)
async def create(
    document: Annotated[dict[str, Any], Body(description=_SHAPE, openapi_examples=_EXAMPLES)],
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("audits:evaluate"))],
) -> AuditShown:
    """Nothing is kept. `framework` is a framework, or the qualification and version of a published one; `asOf` is now
    where it is absent."""
    return AuditShown.model_validate((await evaluate(deps, principal, document)).to_json())
