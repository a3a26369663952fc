"""The verification API."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from cairn.common.app import closing, create_app
from cairn.common.dead_letters_http import dead_letter_router
from cairn.common.vault import Vault
from cairn.verification import consumers
from cairn.verification.deps import Deps
from cairn.verification.http import vc_api, verifications
from cairn.verification.http.shared import MAX_BODY
from cairn.verification.problems import PROBLEMS
from cairn.verification.settings import VerificationSettings


def verification_app(settings: VerificationSettings, deps: Deps | None = None) -> FastAPI:
    """The application; opens no connection until it is asked something."""
    deps = deps or Deps.wire(settings)
    app = create_app(
        settings,
        deps.database,
        title="Cairn verification",
        description="Verify a credential, from here or from elsewhere, and get the answer of each check.",
        routers=[
            verifications.router,
            vc_api.router,
            dead_letter_router(Vault(settings.kek), {consumers.GROUP: partial(consumers.handle, deps)}),
        ],
        problems=PROBLEMS,
        lifespan=closing(deps.close),
        max_body=MAX_BODY,
    )
    app.state.deps = deps
    return app
