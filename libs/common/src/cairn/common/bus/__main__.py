"""`python -m cairn.common.bus setup`: make the topics and the grants, once for a system, as its administrator.

With `CAIRN_BUS=kafka` by the `CAIRN_KAFKA_…` settings; with `CAIRN_BUS=postgres` by `CAIRN_BUS_OWNER_URL`, and
`CAIRN_BUS_ROLES` (a JSON object from service to PostgreSQL role) where a role has not its service's name.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Literal

from aiokafka.errors import KafkaError
from asyncpg import PostgresError
from pydantic import Field, SecretStr

from cairn.common.bus import kafka_topics, postgres_schema


class BusSettings(kafka_topics.KafkaSettings):
    """What the administrator of a bus is told."""

    bus: Literal["kafka", "postgres"] = "kafka"
    bus_owner_url: SecretStr | None = None
    bus_roles: dict[str, str] = Field(default_factory=dict[str, str])


async def setup(settings: BusSettings) -> list[str]:
    """What was done, a line each."""
    if settings.bus == "kafka":
        return await kafka_topics.provide(settings)
    if settings.bus_owner_url is None:
        raise postgres_schema.Unprovided("CAIRN_BUS=postgres needs CAIRN_BUS_OWNER_URL, of the role that owns it")
    return await postgres_schema.provide(settings.bus_owner_url.get_secret_value(), settings.bus_roles)


def main() -> int:
    if sys.argv[1:] != ["setup"]:
        print("usage: python -m cairn.common.bus setup", file=sys.stderr)  # noqa: T201 - a command's answer
        return 2
    try:
        said = asyncio.run(setup(BusSettings()))
    except (kafka_topics.Unprovided, postgres_schema.Unprovided, KafkaError, PostgresError, OSError) as error:
        print(f"cairn: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    print("\n".join(said))  # noqa: T201 - a command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
