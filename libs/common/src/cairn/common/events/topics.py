"""The topic table, read once from `topics.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any, cast

import yaml


@dataclass(frozen=True, slots=True)
class Topic:
    """`retention` is None where the log is kept without end."""

    name: str
    owner: str
    readers: tuple[str, ...]
    partitions: int
    retention: timedelta | None
    types: tuple[str, ...]


@cache
def topics() -> Mapping[str, Topic]:
    """Every topic by name."""
    table = cast(
        "dict[str, dict[str, Any]]", yaml.safe_load((files("cairn.common.events") / "topics.yaml").read_text("utf-8"))
    )
    return {
        name: Topic(
            name=name,
            owner=row["owner"],
            readers=tuple(row["readers"]),
            partitions=row["partitions"],
            retention=None
            if row["retention"] == "forever"
            else timedelta(days=int(row["retention"].removesuffix("d"))),
            types=tuple(row["types"]),
        )
        for name, row in table.items()
    }


@cache
def topic_of(event_type: str) -> Topic:
    """The one topic that carries `event_type`. Raises KeyError for a type that no topic lists."""
    for topic in topics().values():
        if event_type in topic.types:
            return topic
    raise KeyError(event_type)
