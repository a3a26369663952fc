"""`/v1/institutions`: tenants, each with its issuer DID."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.issuance.deps import Deps
from cairn.issuance.domain.model import Institution, Model
from cairn.issuance.http.shared import TenantPath, deps_of
from cairn.issuance.use_cases import institutions

router = APIRouter(prefix="/v1/institutions", tags=["institutions"], route_class=StrictRoute)


class InstitutionShown(Model):
    """An institution as registered. `did` is the issuer of its credentials."""

    did: str
    institution: Institution
    registered_at: Instant


def _shown(row: Mapping[Any, Any]) -> InstitutionShown:
    registered: datetime = row["registered_at"]
    return InstitutionShown(
        did=row["did"], institution=Institution.model_validate(row["body"]), registered_at=registered
    )


@router.post(
    "", status_code=201, summary="Register an institution", openapi_extra=refuses("bad-request", "institution-exists")
)
async def register(
    institution: Institution,
    response: Response,
    deps: Annotated[Deps, Depends(deps_of)],
    _: Annotated[Principal, Depends(requires("platform:admin"))],
) -> InstitutionShown:
    """Makes the tenant, its issuer DID and its first signing key."""
    row = await institutions.register(deps, institution)
    response.headers["Location"] = f"/v1/institutions/{institution.id}"
    return _shown(row)


@router.get("", summary="List institutions")
async def every(
    deps: Annotated[Deps, Depends(deps_of)], principal: Annotated[Principal, Depends(requires("platform:admin"))]
) -> list[InstitutionShown]:
    return [_shown(row) for row in await institutions.every(deps, principal)]


@router.get("/{tenant}", summary="Read an institution")
async def show(
    tenant: TenantPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("achievements:read"))],
) -> InstitutionShown:
    return _shown(await institutions.show(deps, principal, tenant))
