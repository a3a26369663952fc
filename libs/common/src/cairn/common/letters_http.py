"""`/v1/dead-letters`: what a service's consumers could not take, for the operators of its tenant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from cairn.common import dead_letters
from cairn.common.auth import Principal, requires
from cairn.common.db import Database
from cairn.common.dead_letters import Handler
from cairn.common.events import MalformedEvent
from cairn.common.events.models import Instant
from cairn.common.problem import DomainError
from cairn.common.vault import Vault


class DeadLetterShown(BaseModel):
    """An event that could not be taken. Its body stays sealed: it is replayed, not read."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)

    id: UUID
    consumer: str
    topic: str
    partition: int
    position: int
    event_type: str | None
    code: str
    detail: str
    at: Instant
    expires_at: Instant
    replayed_at: Instant | None


def dead_letter_router() -> APIRouter:
    """The routes. The application keeps `database`, `vault` and the consumers' handlers by group in its state."""
    router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])

    @router.get("", summary="List dead letters")
    async def listing(
        request: Request,
        principal: Annotated[Principal, Depends(requires("dead-letters:read"))],
        before: Annotated[datetime | None, Query(description="The `at` of the last one of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[DeadLetterShown]:
        """The newest first. An operator sees those that belong to no tenant."""
        database: Database = request.app.state.database
        async with database.transaction(principal.tenant) as tx:
            found = await dead_letters.listing(tx, before=before, limit=limit)
        return [DeadLetterShown.model_validate(letter) for letter in found]

    @router.post("/{letter}/replay", summary="Replay a dead letter")
    async def replay(
        letter: UUID, request: Request, principal: Annotated[Principal, Depends(requires("dead-letters:write"))]
    ) -> DeadLetterShown:
        """Gives it to its handler once more. Safe to repeat: what was taken before changes nothing."""
        state = request.app.state
        database: Database = state.database
        vault: Vault = state.vault
        handlers: Mapping[str, Handler] = state.handlers
        try:
            done = await dead_letters.replay(database, vault, principal.tenant, letter, handlers, by=principal.id)
        except MalformedEvent as error:
            raise DomainError(f"It is malformed, and stays so: {error}.", code="conflict") from None
        return DeadLetterShown.model_validate(done)

    return router
