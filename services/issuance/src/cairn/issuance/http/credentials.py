"""`/v1/credentials`: what was issued, and its status."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import RowMapping

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.issuance.deps import Deps
from cairn.issuance.domain.model import LongText, Model
from cairn.issuance.domain.rules import Action
from cairn.issuance.http.shared import After, Limit, deps_of
from cairn.issuance.use_cases import credentials

router = APIRouter(prefix="/v1/credentials", tags=["credentials"])

CredentialPath = Annotated[str, Path(description="The credential's id, a urn:uuid.", max_length=100)]


class StatusReason(Model):
    """Why: kept with the credential's record, not published."""

    reason: LongText


class StatusChange(Model):
    status: Literal["valid", "suspended", "revoked"]
    reason: str
    at: Instant


class CredentialListed(Model):
    """A line of a list: the signed document is read one by one."""

    id: str
    learner: str | None = None
    """Null, like the achievement, for a credential that a caller wrote."""
    achievement: str | None = None
    award: str | None = None
    state: Literal["intended", "issued", "abandoned"]
    status: Literal["valid", "suspended", "revoked"]
    issued_at: Instant | None = None


class CredentialShown(CredentialListed):
    """A credential as issued. `credential` is the signed document; null until it is signed, and once erased."""

    credential: dict[str, Any] | None = None
    changes: tuple[StatusChange, ...] = ()


def _line(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "learner": row["learner_id"],
        "achievement": row["achievement_id"],
        "award": row["award_id"],
        "state": row["state"],
        "status": row["status"],
        "issued_at": row["issued_at"],
    }


def _shown(found: credentials.Found) -> CredentialShown:
    changes = (StatusChange(status=row["status"], reason=row["reason"], at=row["at"]) for row in found.changes)
    return CredentialShown(**_line(found.row), credential=found.document, changes=tuple(changes))


@router.get("", summary="List credentials")
async def page(
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("credentials:read"))],
    learner: Annotated[str | None, Query(description="Only this learner's.", max_length=100)] = None,
    after: After = "",
    limit: Limit = 100,
) -> list[CredentialListed]:
    """In order of their ids; `after` is the last id of the page before."""
    return [CredentialListed(**_line(row)) for row in await credentials.page(deps, principal, learner, after, limit)]


@router.get("/{credential}", summary="Read a credential")
async def show(
    credential: CredentialPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("credentials:read"))],
) -> CredentialShown:
    return _shown(await credentials.show(deps, principal, credential))


def _status_route(action: Action, summary: str, description: str) -> None:
    @router.post(f"/{{credential}}/{action}", summary=summary, description=description, name=action)
    async def change(
        credential: CredentialPath,
        request: StatusReason,
        deps: Annotated[Deps, Depends(deps_of)],
        principal: Annotated[Principal, Depends(requires("credentials:write"))],
    ) -> CredentialShown:
        return _shown(await credentials.change_status(deps, principal, credential, action, request.reason))

    assert change  # FastAPI holds it


_status_route("revoke", "Revoke a credential", "For ever: a revoked credential never becomes valid again.")
_status_route("suspend", "Suspend a credential", "Until it is reinstated or revoked.")
_status_route("reinstate", "Reinstate a credential", "Ends a suspension.")
