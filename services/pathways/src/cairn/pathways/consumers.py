"""What pathways hears: `credentials` and `catalog`, of issuance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cairn.common.events import Event
from cairn.pathways.deps import Deps
from cairn.pathways.use_cases import intake

GROUP: Final = intake.GROUP
TOPICS: Final = ("credentials", "catalog")


async def handle(deps: Deps, events: Sequence[Event]) -> None:
    """Raises Poison for an event that can never be taken; the runner makes a dead letter of it."""
    await intake.take(deps, events)
