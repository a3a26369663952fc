"""What the routes share."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Query
from fastapi import Request as HttpRequest
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import RowMapping

from cairn.common.events.models import Instant
from cairn.pathways.deps import Deps

MAX_BODY: Final = 2 * 1024 * 1024
"""Bytes of a request: thousands of holdings."""

PUBLIC: Final[frozenset[str]] = frozenset()
"""Routes that ask for no scope: none. Where a site opens the stateless audit, it gives its scope to everybody."""


class Model(BaseModel):
    """What an answer is made of: camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Request(BaseModel):
    """What a request's body is made of: camelCase on the wire, and nothing beside what is known."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True)


class AwardShown(Model):
    """A qualification, awarded. It stands while it is `active`, in `grace` (until `due`) or in `review`."""

    id: str
    learner: str
    qualification: str
    version: str
    ordinal: int
    achievement: str
    state: str
    reason: str
    earned_at: Instant
    components: list[str]
    digest: str
    due: Instant | None
    replaces: str | None
    changed_at: Instant


def award_shown(row: RowMapping) -> AwardShown:
    fields: dict[str, Any] = {name: row[name] for name in AwardShown.model_fields if name in row}
    fields |= {"id": str(row["id"]), "learner": row["learner_id"]}
    fields["replaces"] = None if row["replaces"] is None else str(row["replaces"])
    return AwardShown(**fields)


def deps_of(request: HttpRequest) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


LearnerPath = Annotated[str, Path(description="The learner's id.", max_length=100)]
Limit = Annotated[int, Query(description="Rows a page.", ge=1, le=500)]
