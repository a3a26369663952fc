"""What the routes share."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Query, Request

from cairn.issuance.deps import Deps

PUBLIC: Final = frozenset(
    {
        "/institutions/{tenant}/did.json",
        "/achievements/{tenant}/{code}",
        "/status/{tenant}/{list_id}/{purpose}",
    }
)
"""Routes that anybody may read: what a verifier needs. Every other one asks for a scope."""


def deps_of(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


TenantPath = Annotated[str, Path(description="The institution's id.", pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$")]
After = Annotated[str, Query(description="The last id of the page before.", max_length=200)]
Limit = Annotated[int, Query(description="Rows a page.", ge=1, le=500)]
