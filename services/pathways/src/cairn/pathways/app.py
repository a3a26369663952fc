"""The pathways API."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from cairn.common.app import closing, create_app
from cairn.common.dead_letters_http import dead_letter_router
from cairn.pathways import consumers
from cairn.pathways.deps import Deps
from cairn.pathways.http import (
    achievements,
    audits,
    decisions,
    frameworks,
    impacts,
    learners,
    reviews,
    statements,
    stuck,
)
from cairn.pathways.http.shared import MAX_BODY
from cairn.pathways.problems import PROBLEMS
from cairn.pathways.settings import PathwaysSettings


def pathways_app(settings: PathwaysSettings, deps: Deps | None = None) -> FastAPI:
    """The application; opens no connection until it is asked something."""
    deps = deps or Deps.wire(settings)
    app = create_app(
        settings,
        deps.database,
        title="Cairn pathways",
        description="Publish what a qualification asks, and see who has earned it, or what is left.",
        routers=[
            frameworks.router,
            impacts.router,
            statements.router,
            achievements.router,
            learners.router,
            audits.router,
            decisions.router,
            reviews.router,
            stuck.router,
            dead_letter_router(deps.vault, {consumers.GROUP: partial(consumers.handle, deps)}),
        ],
        problems=PROBLEMS,
        lifespan=closing(deps.database.close),
        max_body=MAX_BODY,
    )
    app.state.deps = deps
    return app
