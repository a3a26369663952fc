"""`/v1/institutions/{tenant}/keys`: the keys that sign for an institution, and those that did."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy import RowMapping

from cairn.common.auth import Principal, requires
from cairn.common.events.models import Instant
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.issuance.deps import Deps
from cairn.issuance.domain.model import LongText, Model
from cairn.issuance.http.shared import TenantPath, deps_of
from cairn.issuance.signing import SignatureAlgorithm
from cairn.issuance.use_cases import keys

router = APIRouter(prefix="/v1/institutions/{tenant}/keys", tags=["institutions"], route_class=StrictRoute)

KeyPath = Annotated[str, Path(description="The key's id, as in the DID document.", pattern=r"^key-[1-9][0-9]{0,5}$")]


class NewKey(Model):
    """For which algorithm: EdDSA is Ed25519, ES256 is P-256, ES384 is P-384."""

    algorithm: SignatureAlgorithm


class Compromise(Model):
    """From when on somebody else may have had the key, and why that is thought. The reason is not published."""

    since: Instant
    reason: LongText


class KeyShown(Model):
    """A key without its private half. It signs now unless it was retired or revoked."""

    id: str
    algorithm: SignatureAlgorithm
    public_key_multibase: str
    created_at: Instant
    retired_at: Instant | None = None
    revoked_at: Instant | None = None
    reason: str | None = None


def _shown(row: RowMapping) -> KeyShown:
    return KeyShown(
        id=row["id"],
        algorithm=row["algorithm"],
        public_key_multibase=row["public_multibase"],
        created_at=row["created_at"],
        retired_at=row["retired_at"],
        revoked_at=row["revoked_at"],
        reason=row["revoked_reason"],
    )


@router.get("", summary="List an institution's keys")
async def history(
    tenant: TenantPath,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("keys:read"))],
) -> list[KeyShown]:
    """Every key it ever had, the oldest first."""
    return [_shown(row) for row in await keys.history(deps, principal, tenant)]


@router.post("", status_code=201, summary="Rotate a key", openapi_extra=refuses("key-refused"))
async def rotate(
    tenant: TenantPath,
    request: NewKey,
    response: Response,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("keys:write"))],
) -> KeyShown:
    """Makes a new key, which signs from now on, and retires the one before: what that has signed still verifies."""
    row = await keys.rotate(deps, principal, tenant, request.algorithm)
    response.headers["Location"] = f"/v1/institutions/{tenant}/keys"
    return _shown(row)


@router.post("/{key}/revoke", summary="Revoke a compromised key", openapi_extra=refuses("key-refused"))
async def revoke(
    tenant: TenantPath,
    key: KeyPath,
    request: Compromise,
    deps: Annotated[Deps, Depends(deps_of)],
    principal: Annotated[Principal, Depends(requires("keys:write"))],
) -> KeyShown:
    """Nothing that the key signed verifies from then on. A key that still signs is replaced by a new one, unless the
    issuer is a did:key: then it signs no more, and nobody else can be told."""
    return _shown(await keys.revoke(deps, principal, tenant, key, request.since, request.reason))
