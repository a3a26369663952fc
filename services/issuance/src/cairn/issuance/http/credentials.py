"""`/v1/credentials`: what was issued, and its status."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import RowMapping

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.issuance.deps import Deps
from cairn.issuance.domain.model import LongText, Model, Renewal
from cairn.issuance.domain.rules import Action, Status
from cairn.issuance.http.shared import After, Limit, deps_of
from cairn.issuance.use_cases import badges, credentials, records, renewals

router = APIRouter(prefix="/v1/credentials", tags=["credentials"], route_class=StrictRoute)

CredentialPath = Annotated[str, Path(description="The credential's id, a urn:uuid.", max_length=100)]


class StatusReason(Model):
    """Why: kept with the credential's record, not published."""

    reason: LongText


class StatusChange(Model):
    status: Status
    reason: str
    at: Instant


class RenewalAccepted(Model):
    """Recorded: the new credential will have this id, and take the place of the old one when it is signed."""

    completion: UUID
    credential: str
    renews: str


class CredentialListed(Model):
    """A line of a list: the signed document is read one by one."""

    id: str
    learner: str | None = None
    """Null, like the achievement, for a credential that a caller wrote."""
    achievement: str | None = None
    award: str | None = None
    state: Literal["intended", "issued", "abandoned"]
    status: Status
    issued_at: Instant | None = None
    renews: str | None = None
    """The credential whose place it has taken."""


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
        "renews": row["renews"],
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


@router.post(
    "/{credential}/renew",
    status_code=202,
    summary="Renew a credential",
    openapi_extra=refuses("completion-impossible", "achievement-retired", "renewal-refused", "learner-erased"),
)
async def renew(
    credential: CredentialPath,
    request: Renewal,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("completions:write"))],
) -> RenewalAccepted:
    """On fresh evidence, near its end or after it. The new credential cites the old one, which becomes superseded."""
    accepted = await renewals.renew(deps, principal, credential, request)
    return RenewalAccepted(completion=accepted.completion, credential=accepted.credential, renews=accepted.renews)


@router.get("/{credential}/renewal", summary="Read what has taken its place")
async def renewal(
    credential: CredentialPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("credentials:read"))],
) -> dict[str, Any]:
    """The `refreshService` of a credential that ends: its newest signed successor, or 404 while there is none."""
    return await renewals.successor(deps, principal, credential)


@router.get(
    "/{credential}/clr",
    summary="Read a qualification with its stack, as a CLR 2.0",
    openapi_extra=refuses("learner-erased"),
)
async def learner_record(
    credential: CredentialPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("credentials:read"))],
) -> dict[str, Any]:
    """The qualification and the credentials that it rests on, whole, in one signed record. It is signed once."""
    return await records.show(deps, principal, credential)


def _badge_route(form: badges.Form, media_type: str) -> None:
    @router.get(
        f"/{{credential}}/badge.{form}",
        summary=f"Read a credential baked into a {form.upper()}",
        name=f"badge-{form}",
        response_class=Response,
        responses={200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}},
    )
    async def badge(
        credential: CredentialPath,
        deps: Annotated[Deps, Depends(deps_of)],
        principal: Annotated[Principal, Depends(requires("credentials:read"))],
    ) -> Response:
        """The picture of its achievement, made anew, or a drawn one; every Open Badges verifier reads it."""
        image = await badges.baked(deps, principal, credential, form)
        # An SVG that is opened by itself is a page: it may show what is in it and nothing else (S19).
        headers = {
            "Content-Disposition": f'attachment; filename="badge.{form}"',
            "Content-Security-Policy": "default-src 'none'; img-src data:; sandbox",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(image, 200, headers, media_type)

    assert badge  # FastAPI holds it


_badge_route("png", "image/png")
_badge_route("svg", "image/svg+xml")


def _status_route(action: Action, summary: str, description: str) -> None:
    @router.post(
        f"/{{credential}}/{action}",
        summary=summary,
        description=description,
        name=action,
        openapi_extra=refuses("status-refused"),
    )
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
