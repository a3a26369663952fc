"""Which transport a process talks on. Each brings libraries of its own, which are loaded only where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairn.common.bus.contract import Bus

if TYPE_CHECKING:
    from cairn.common.settings import Settings


async def open_bus(settings: Settings) -> Bus:
    """The transport which the settings name, connected. Retries until the first connection is made."""
    if settings.bus == "kafka":
        from cairn.common.bus.kafka import KafkaBus

        return await KafkaBus.open(settings)
    from cairn.common.bus.postgres import PostgresBus

    return await PostgresBus.open(settings)
