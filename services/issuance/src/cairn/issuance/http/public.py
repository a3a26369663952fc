"""What every verifier may read: DID documents, achievements and status lists. No token, and nothing of a learner."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response

from cairn.issuance.deps import Deps
from cairn.issuance.http.achievements import CodePath
from cairn.issuance.http.shared import TenantPath, deps_of
from cairn.issuance.use_cases import achievements, institutions, status_lists

router = APIRouter(tags=["public"])


@router.get("/institutions/{tenant}/did.json", summary="DID document of an issuer")
async def did(tenant: TenantPath, deps: Annotated[Deps, Depends(deps_of)]) -> Response:
    """did:web: the keys with which the institution signs, retired ones included."""
    document = await institutions.did_document(deps, tenant)
    headers = {"Cache-Control": "public, max-age=300"}
    return Response(orjson.dumps(document), 200, headers, "application/did+json")


@router.get("/achievements/{tenant}/{code}", summary="An achievement, by its id")
async def achievement(tenant: TenantPath, code: CodePath, deps: Annotated[Deps, Depends(deps_of)]) -> dict[str, Any]:
    """The Open Badges 3.0 `Achievement` that credentials name."""
    return await achievements.as_open_badge(deps, tenant, code)


@router.get(
    "/status/{tenant}/{list_id}/{purpose}",
    summary="A status list credential",
    responses={304: {"description": "It is still what `If-None-Match` names."}},
)
async def status_list(
    tenant: TenantPath,
    list_id: Annotated[int, Path(ge=1, le=1_000_000)],
    purpose: status_lists.Purpose,
    request: Request,
    deps: Annotated[Deps, Depends(deps_of)],
) -> Response:
    """Bitstring Status List, signed by the issuer. Cacheable, and the same for everybody: it tells nobody who asks."""
    published = await status_lists.published(deps, tenant, list_id, purpose)
    headers = {
        "ETag": f'"{published.version}-{int(published.valid_until.timestamp())}"',
        "Cache-Control": f"public, max-age={deps.settings.status_list_ttl_seconds}",
        "Vary": "Accept",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(published.body, 200, headers, _media_type(request))


def _media_type(request: Request) -> str:
    """`application/vc`, unless the caller asks for JSON by name: some know no other JSON than what is called so."""
    accepted = request.headers.get("accept", "*/*").lower()
    if any(name in accepted for name in ("application/vc", "*/*", "application/*")):
        return "application/vc"
    return next((name for name in ("application/ld+json", "application/json") if name in accepted), "application/vc")
