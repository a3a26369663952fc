"""What lies on Kafka, as a client that is not ours sees it."""

from collections.abc import AsyncGenerator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import ProducerClosed

from cairn.common.bus.kafka import KafkaBus, _hash
from cairn.common.events import decode
from cairn.provision.kafka import KafkaBroker

from .conftest import KafkaTransport, kafka_transport, make_event, numbers, read

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def kafka(own_kafka: KafkaBroker) -> AsyncGenerator[KafkaTransport]:
    made = await kafka_transport(own_kafka.settings)
    yield made
    await made.close()


def test_keys_are_hashed_as_java_does():
    # The values of Kafka's own UtilsTest, without their sign.
    java = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "abc": 479470107}
    assert {key: _hash(key) for key in java} == {key: value & 0x7FFFFFFF for key, value in java.items()}


async def test_messages_are_cloudevents_in_structured_mode(kafka: KafkaTransport):
    said = make_event("foobar", 1, traceparent=TRACE)
    await (await kafka.bus()).publish("credentials", [said, make_event("foobar", 2)])
    settings = kafka.settings("admin")
    consumer = AIOKafkaConsumer(
        f"{settings.kafka_topic_prefix}credentials", **settings.client(), auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        first, second = await consumer.getone(), await consumer.getone()
    finally:
        await consumer.stop()
    assert (first.key, first.partition) == (b"foobar", (-790332482 & 0x7FFFFFFF) % 4)
    assert decode(first.value) == said
    content_type = ("content-type", b"application/cloudevents+json; charset=UTF-8")
    assert list(first.headers) == [content_type, ("traceparent", TRACE.encode())]
    assert list(second.headers) == [content_type]


async def test_a_producer_that_died_is_replaced(kafka: KafkaTransport):
    """aiokafka #1017: after some errors an idempotent producer refuses everything for ever."""
    bus = await kafka.bus()
    assert isinstance(bus, KafkaBus)
    await bus.publish("credentials", [make_event("lrn_1", 0)])
    dead = bus._producer
    assert isinstance(dead, AIOKafkaProducer)
    dead._message_accumulator.fail_all(ProducerClosed())
    with pytest.raises(ConnectionError):
        await bus.publish("credentials", [make_event("lrn_1", 1)])
    await bus.publish("credentials", [make_event("lrn_1", 1)])
    assert bus._producer is not dead
    assert numbers(await read(await kafka.member(), 2)) == {"lrn_1": [0, 1]}
