"""Topics on Kafka as `topics.yaml` has them, and who may write and read each (S33).

`python -m cairn.common.bus setup` does it once for a cluster, as a user that may administer it; running it again
changes nothing. The services themselves may neither create topics nor change grants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Literal, cast

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.helpers import create_ssl_context
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from cairn.common.events.topics import Topic, topics

_ALLOW: Final = 3
_ALREADY_EXISTS: Final = 36
_SECURITY_DISABLED: Final = 54
_PATIENCE_SECONDS: Final = 60


class Unprovided(RuntimeError):
    """The cluster refused a topic or a grant, did not put it in force, or has a topic of another shape."""


class KafkaSettings(BaseSettings):
    """How to reach Kafka as its administrator; the same names as the services' settings."""

    model_config = SettingsConfigDict(env_prefix="CAIRN_", extra="ignore", hide_input_in_errors=True)

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca_file: str | None = None
    kafka_topic_prefix: str = ""
    kafka_replication: int = Field(default=3, ge=1)

    def client(self) -> Mapping[str, Any]:
        """The arguments of aiokafka's clients."""
        secure = self.kafka_security_protocol.endswith("SSL")
        return {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
            "ssl_context": create_ssl_context(cafile=self.kafka_ca_file) if secure else None,
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_username or None,
            "sasl_plain_password": self.kafka_password.get_secret_value() or None,
        }


class _Resource(IntEnum):
    TOPIC = 2
    GROUP = 3


class _Pattern(IntEnum):
    LITERAL = 3
    PREFIXED = 4


class _Operation(IntEnum):
    READ = 3
    WRITE = 4


@dataclass(frozen=True, slots=True)
class Grant:
    """`user` may do `operation` on what `name` names, from every host. Either operation lets it describe, too."""

    resource: _Resource
    name: str
    pattern: _Pattern
    user: str
    operation: _Operation


def grants(table: Iterable[Topic], prefix: str = "") -> list[Grant]:
    """What each service may do, and nothing else: write its own topics, read those it is listed for, in its own groups.

    A service is the Kafka user of its name, and its groups begin with that name.
    """
    rows = list(table)
    readers = sorted({reader for topic in rows for reader in topic.readers})
    return [
        *(Grant(_Resource.TOPIC, prefix + t.name, _Pattern.LITERAL, t.owner, _Operation.WRITE) for t in rows),
        *(
            Grant(_Resource.TOPIC, prefix + t.name, _Pattern.LITERAL, r, _Operation.READ)
            for t in rows
            for r in t.readers
        ),
        *(Grant(_Resource.GROUP, prefix + r, _Pattern.PREFIXED, r, _Operation.READ) for r in readers),
    ]


async def provide(settings: KafkaSettings, table: Iterable[Topic] | None = None) -> list[str]:
    """Make what is missing, by default for `topics.yaml`. Returns what a human wants to read, a line each.

    Raises Unprovided. On a cluster without an authorizer the grants are left out, and one line says so.
    """
    rows = list(topics().values() if table is None else table)
    admin = AIOKafkaAdminClient(**settings.client())
    client = AIOKafkaClient(**settings.client())
    try:
        await admin.start()
        await client.bootstrap()
        said = await _make_topics(admin, rows, settings)
        return [*said, *await _make_grants(client, grants(rows, settings.kafka_topic_prefix))]
    finally:
        await client.close()
        await admin.close()


async def _make_topics(admin: AIOKafkaAdminClient, rows: Iterable[Topic], settings: KafkaSettings) -> list[str]:
    wanted = {settings.kafka_topic_prefix + topic.name: topic for topic in rows}
    news = [
        NewTopic(name, topic.partitions, settings.kafka_replication, topic_configs=_configuration(topic, settings))
        for name, topic in wanted.items()
    ]
    answer: Any = await admin.create_topics(news, timeout_ms=30_000)
    said: list[str] = []
    for name, code, message in answer.topic_errors:
        if code not in {0, _ALREADY_EXISTS}:
            raise Unprovided(f"topic {name}: {message}")
        said.append(f"topic {name}: {'was there' if code else 'made'}")
    for found in await admin.describe_topics(list(wanted)):
        has, wants = len(found["partitions"]), wanted[found["topic"]].partitions
        # More partitions would part the events of one key: that is a migration, not a setting.
        if has and has != wants:
            raise Unprovided(f"topic {found['topic']} has {has} partitions, and topics.yaml says {wants}")
    return said


def _configuration(topic: Topic, settings: KafkaSettings) -> dict[str, str]:
    kept = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    # Two of three copies must have a message before it counts as written.
    in_sync = max(1, settings.kafka_replication - 1)
    return {"cleanup.policy": "delete", "retention.ms": str(kept), "min.insync.replicas": str(in_sync)}


async def _make_grants(client: AIOKafkaClient, wanted: Sequence[Grant]) -> list[str]:
    said: list[str] = []
    for grant in wanted:
        request = CreateAclsRequest(
            grant.resource, grant.name, grant.pattern, f"User:{grant.user}", "*", grant.operation, _ALLOW
        )
        answer = cast("Any", await client.send(client.get_random_node(), request))
        code, message = answer.creation_responses[0]
        if code == _SECURITY_DISABLED:
            return ["no grants: this cluster has no authorizer"]
        if code:
            raise Unprovided(f"grant on {grant.name} to {grant.user}: {message or for_code(code).__name__}")
        said.append(f"{grant.user} may {grant.operation.name.lower()} {grant.resource.name.lower()} {grant.name}")
    async with asyncio.timeout(_PATIENCE_SECONDS):
        for broker in cast("Any", client.cluster.brokers()):
            for grant in wanted:
                await _in_force(client, broker.nodeId, grant)
    return said


async def _in_force(client: AIOKafkaClient, broker: int, grant: Grant) -> None:
    """Wait until a broker knows of a grant: the controller answers for it before the brokers have heard of it."""
    request = DescribeAclsRequest(
        grant.resource, grant.name, grant.pattern, f"User:{grant.user}", "*", grant.operation, _ALLOW
    )
    while True:
        answer = cast("Any", await client.send(broker, request))
        if answer.resources:
            return
        await asyncio.sleep(0.05)
