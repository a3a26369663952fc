"""`/v1/institutions/{tenant}/keys/{key}/reissue`: what a compromised key signed, signed anew."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import RowMapping

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.refusals import refuses
from cairn.issuance.deps import Deps
from cairn.issuance.domain.model import Model
from cairn.issuance.http.keys import KeyPath
from cairn.issuance.http.shared import TenantPath, deps_of
from cairn.issuance.use_cases import reissues

router = APIRouter(prefix="/v1/institutions/{tenant}/keys/{key}/reissue", tags=["institutions"])


class ReissueShown(Model):
    """How far it has come: of `total` credentials `examined`, of which `reissued` were the key's.

    `waiting` have no new signature yet. `leftAlone` are for their callers to issue again, or can no more be issued.
    """

    total: int
    examined: int
    reissued: int
    waiting: int
    left_alone: int
    started_at: Instant
    finished_at: Instant | None = None


def _shown(row: RowMapping) -> ReissueShown:
    return ReissueShown(**{name: row[name] for name in ReissueShown.model_fields})


@router.post("", status_code=202, summary="Reissue what a compromised key signed", openapi_extra=refuses("key-refused"))
async def start(
    tenant: TenantPath,
    key: KeyPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("keys:write"))],
) -> ReissueShown:
    """Every credential that the revoked key signed gets a new proof by the present key, and is otherwise the same.

    It goes on by itself, and where it stopped after a crash. To ask again tells how far it has come.
    """
    return _shown(await reissues.start(deps, principal, tenant, key))


@router.get("", summary="Show how far a reissue has come")
async def progress(
    tenant: TenantPath,
    key: KeyPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("keys:read"))],
) -> ReissueShown:
    return _shown(await reissues.progress(deps, principal, tenant, key))
