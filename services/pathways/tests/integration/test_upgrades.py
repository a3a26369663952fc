"""R11: old and new together. Events of a later version, and the schema of a later version, lead to the same state."""

import random
from dataclasses import replace
from typing import Any

from cairn.common.events import Event
from cairn.provision.postgres import ServiceDatabase
from cairn.provision.pytest_plugin import migrated_further

from .conftest import Service
from .test_convergence import play, story


def with_more(value: Any) -> Any:
    """Every object of it has a field that nobody knows yet."""
    if isinstance(value, dict):
        return {name: with_more(each) for name, each in value.items()} | {"laterField": {"of": ["a", "version"]}}
    return [with_more(each) for each in value] if isinstance(value, list | tuple) else value


def of_after(event: Event) -> Event:
    data = {**event.data, "laterField": 1}
    if "holding" in data:
        data["holding"] = {**with_more(data["holding"]), "level": data["holding"].get("level", {})}
    return replace(event, data=data)


async def test_r11_events_of_a_later_version_lead_to_the_same_state(service: Service) -> None:
    events = story()
    expected = await play(service, events, random.Random(1))
    mixed = [of_after(event) if number % 2 else event for number, event in enumerate(events)]
    assert await play(service, mixed, random.Random(2)) == expected
    assert await play(service, [of_after(event) for event in events], random.Random(3)) == expected


async def test_r11_code_of_before_runs_on_the_schema_of_after(service: Service, migrated: ServiceDatabase) -> None:
    events = story()
    expected = await play(service, events, random.Random(4))
    async with migrated_further(migrated):
        assert await play(service, events, random.Random(4)) == expected
        assert (await service.get("/v1/dead-letters")).json() == []
    assert await play(service, events, random.Random(4)) == expected
