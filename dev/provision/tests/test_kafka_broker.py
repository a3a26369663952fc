"""The broker that tests use, and who may do what on it."""

import asyncio
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, TopicAuthorizationFailedError

from cairn.common.bus.kafka_topics import Unprovided, grants, provide
from cairn.common.events.topics import topics
from cairn.provision.kafka import USERS, KafkaBroker
from cairn.provision.kafka.jars import amiss, jars
from cairn.provision.pytest_plugin import Kafka

pytestmark = pytest.mark.integration

SERVICES = [user for user in USERS if user != "admin"]


async def _may_write(broker: KafkaBroker, user: str, topic: str) -> bool:
    producer = AIOKafkaProducer(**broker.settings(user).client(), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"{}")
    except TopicAuthorizationFailedError:
        return False
    finally:
        await producer.stop()
    return True


async def _may_read(broker: KafkaBroker, user: str, topic: str, group: str) -> bool:
    consumer = AIOKafkaConsumer(
        topic, **broker.settings(user).client(), group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    try:
        await consumer.start()
        await asyncio.wait_for(consumer.getone(), 10)
    except (TopicAuthorizationFailedError, GroupAuthorizationFailedError):
        return False
    finally:
        await consumer.stop()
    return True


@pytest.mark.parametrize("topic", sorted(topics()))
async def test_s33_only_the_owner_writes_a_topic(secured_kafka: KafkaBroker, topic: str):
    writers = {user for user in SERVICES if await _may_write(secured_kafka, user, topic)}
    assert writers == {topics()[topic].owner}


@pytest.mark.parametrize("topic", sorted(topics()))
async def test_s33_only_those_listed_read_a_topic(secured_kafka: KafkaBroker, topic: str):
    await _may_write(secured_kafka, topics()[topic].owner, topic)
    readers = {user for user in SERVICES if await _may_read(secured_kafka, user, topic, f"{user}.test")}
    assert readers == set(topics()[topic].readers)


async def test_s33_nobody_reads_in_the_group_of_another(secured_kafka: KafkaBroker):
    await _may_write(secured_kafka, "issuance", "credentials")
    assert await _may_read(secured_kafka, "pathways", "credentials", "pathways.test")
    assert not await _may_read(secured_kafka, "pathways", "credentials", "verification.test")


async def test_s33_a_wrong_password_is_refused(secured_kafka: KafkaBroker):
    wrong = secured_kafka.settings("pathways").client() | {"sasl_plain_password": "x"}
    producer = AIOKafkaProducer(**wrong)
    with pytest.raises(KafkaConnectionError):
        await producer.start()
    await producer.stop()


async def test_providing_again_changes_nothing(secured_kafka: KafkaBroker):
    said = await provide(secured_kafka.settings("admin"))
    assert [line for line in said if line.endswith("made")] == []
    assert len(said) == len(topics()) + len(grants(topics().values()))


async def test_a_topic_with_other_partitions_is_refused(secured_kafka: KafkaBroker, kafka_broker: Kafka):
    settings = secured_kafka.settings("admin").model_copy(update={"kafka_topic_prefix": kafka_broker.prefix})
    admin = AIOKafkaAdminClient(**settings.client())
    await admin.start()
    await admin.create_topics([NewTopic(f"{kafka_broker.prefix}catalog", 1, 1)])
    await admin.close()
    with pytest.raises(Unprovided, match="has 1 partitions"):
        await provide(settings, [topics()["catalog"]])


async def test_only_the_administrator_provides(secured_kafka: KafkaBroker):
    with pytest.raises(Unprovided, match=r"(?i)authoriz"):
        await provide(secured_kafka.settings("pathways").model_copy(update={"kafka_topic_prefix": "mine-"}))


async def test_a_misspelt_topic_is_not_made_by_naming_it(own_kafka: KafkaBroker):
    admin = AIOKafkaAdminClient(bootstrap_servers=own_kafka.bootstrap_servers)
    await admin.start()
    await admin.describe_topics(["qualificatoins"])
    assert "qualificatoins" not in await admin.list_topics()
    await admin.close()


async def test_r4_messages_survive_kill_and_pause(own_kafka: KafkaBroker):
    admin = AIOKafkaAdminClient(bootstrap_servers=own_kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic("survivors", 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap_servers, acks="all", enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait("survivors", b"before")
    servers = own_kafka.bootstrap_servers
    own_kafka.kill()
    assert not own_kafka.running
    started = time.monotonic()
    own_kafka.start()
    assert own_kafka.bootstrap_servers == servers
    assert time.monotonic() - started < 15
    own_kafka.pause()
    pending = asyncio.ensure_future(producer.send_and_wait("survivors", b"after"))
    await asyncio.sleep(0.5)
    assert not pending.done()
    own_kafka.resume()
    await asyncio.wait_for(pending, 30)
    await producer.stop()
    consumer = AIOKafkaConsumer(
        "survivors", bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    assert [(await asyncio.wait_for(consumer.getone(), 10)).value for _ in range(2)] == [b"before", b"after"]
    await consumer.stop()


def test_a_jar_that_was_changed_is_noticed(tmp_path: Path):
    locked = {path.name: "0" * 64 for path in jars().iterdir()}
    assert len(locked) == 45
    jar = next(iter(sorted(locked)))
    assert f"{jar} differs" in amiss(jars(), locked)
    (tmp_path / "intruder.jar").write_bytes(b"")
    assert set(amiss(tmp_path, {"kafka.jar": ""})) == {"kafka.jar is missing", "intruder.jar is not locked"}
