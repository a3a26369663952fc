"""`/v1/dead-letters`, the same in every service: list them, look into one, and replay it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cairn.common import dead_letters
from cairn.common.auth import Principal, requires
from cairn.common.consumer import Poison
from cairn.common.db import Database
from cairn.common.dead_letters import DeadLetter, Handler
from cairn.common.events import MalformedEvent
from cairn.common.events.models import Instant
from cairn.common.problem import DomainError
from cairn.common.refusals import refuses
from cairn.common.strict_route import StrictRoute
from cairn.common.vault import Unreadable, Vault


class DeadLetterShown(BaseModel):
    """An event that a consumer could not take. `detail` quotes nothing of it."""

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


class DeadLetterOpened(DeadLetterShown):
    body: str = Field(description="The event as it lay on the bus; base64 where it is not text.")


def dead_letter_router(vault: Vault, handlers: Mapping[str, Handler]) -> APIRouter:
    """`handlers` by the name of their consumer: a replayed event goes to the one that refused it."""
    router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], route_class=StrictRoute)

    @router.get("", summary="List dead letters")
    async def listing(
        request: Request,
        principal: Annotated[Principal, Depends(requires("dead-letters:read"))],
        consumer: Annotated[str | None, Query(max_length=100)] = None,
        before: Annotated[Instant | None, Query(description="The `at` of the last one of the page before.")] = None,
        unsettled: Annotated[bool, Query(description="Only those that no replay has taken yet.")] = False,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[DeadLetterShown]:
        """The newest first, of the caller's tenant. What belongs to no tenant is the operator's, `platform`."""
        async with _database(request).transaction(principal.tenant) as tx:
            found = await dead_letters.listing(tx, consumer=consumer, before=before, unsettled=unsettled, limit=limit)
        return [DeadLetterShown.model_validate(letter) for letter in found]

    @router.get("/{letter}", summary="Look into a dead letter")
    async def look(
        request: Request, letter: LetterPath, principal: Annotated[Principal, Depends(requires("dead-letters:read"))]
    ) -> DeadLetterOpened:
        """With the event itself. Who looks is logged."""
        async with _database(request).transaction(principal.tenant) as tx:
            try:
                found, body = await dead_letters.opened(tx, vault, letter, by=principal.id)
            except Unreadable:
                raise DomainError(
                    "The key of this dead letter was destroyed.", code="not-found", fix="It is lost."
                ) from None
        return DeadLetterOpened(**DeadLetterShown.model_validate(found).model_dump(), body=_text(body))

    @router.post("/{letter}/replay", summary="Replay a dead letter", openapi_extra=refuses("conflict"))
    async def replay(
        request: Request, letter: LetterPath, principal: Annotated[Principal, Depends(requires("dead-letters:write"))]
    ) -> DeadLetterShown:
        """Gives it to its consumer again. Safe to repeat: an event that was taken before changes nothing."""
        found: DeadLetter
        try:
            found = await dead_letters.replay(
                _database(request), vault, principal.tenant, letter, handlers, by=principal.id
            )
        except Poison as error:
            raise DomainError(f"It still cannot be taken: {error.detail}.", code="conflict", fix=_MEND) from None
        except (MalformedEvent, KeyError, Unreadable) as error:
            detail = f"It still cannot be read: {error}." if isinstance(error, MalformedEvent) else "It cannot be read."
            raise DomainError(detail, code="conflict", fix=_MEND) from None
        return DeadLetterShown.model_validate(found)

    return router


_MEND: Final = "Put right what it is refused for, and replay it then."
LetterPath = Annotated[UUID, Path(description="The dead letter's id.")]


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()
