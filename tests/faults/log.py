"""Everything that lies on Kafka, read from the beginning by its administrator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from cairn.common.bus.kafka_topics import KafkaSettings
from cairn.common.events import Event, decode
from cairn.common.events.topics import topics


async def kafka_events(env: Mapping[str, str]) -> list[tuple[str, Event]]:
    """`env` as onebox is told it. As (topic, event), each partition in its order, repetitions included."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=env["CAIRN_KAFKA_BOOTSTRAP_SERVERS"],
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_username="admin",
        kafka_password=json.loads(env["CAIRN_KAFKA_PASSWORDS"])["admin"],
    )
    consumer: Any = AIOKafkaConsumer(**settings.client(), auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic.name, part) for topic in topics().values() for part in range(topic.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning()
        found: list[tuple[str, Event]] = []
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                found += [(place.topic, decode(record.value)) for record in records]
        return found
    finally:
        await consumer.stop()
