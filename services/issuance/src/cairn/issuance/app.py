"""The issuance API."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import FastAPI

from cairn.common.app import closing, create_app
from cairn.common.dead_letters_http import dead_letter_router
from cairn.issuance.consumers import handle
from cairn.issuance.deps import GROUP, Deps
from cairn.issuance.http import (
    achievements,
    completions,
    credentials,
    institutions,
    keys,
    learners,
    public,
    reissues,
    vc_api,
)
from cairn.issuance.problems import PROBLEMS
from cairn.issuance.settings import IssuanceSettings

ROUTERS: Final = (
    institutions.router,
    keys.router,
    reissues.router,
    achievements.router,
    learners.router,
    completions.router,
    credentials.router,
    public.router,
    vc_api.router,
)


def issuance_app(settings: IssuanceSettings, deps: Deps | None = None) -> FastAPI:
    """The application; opens no connection until it is asked something."""
    deps = deps or Deps.wire(settings)
    app = create_app(
        settings,
        deps.database,
        title="Cairn issuance",
        description="Register achievements and learners, post completions, and get signed Open Badges 3.0 credentials.",
        routers=[*ROUTERS, dead_letter_router(deps.vault, {GROUP: partial(handle, deps)})],
        problems=PROBLEMS,
        lifespan=closing(deps.close),
    )
    app.state.deps = deps
    return app
