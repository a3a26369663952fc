"""A real Apache Kafka for tests, with nothing but what pip installs."""

from cairn.provision.kafka.broker import MECHANISM, USERS, KafkaBroker
from cairn.provision.kafka.cluster import KafkaCluster
from cairn.provision.kafka.jars import KafkaError

__all__ = ["MECHANISM", "USERS", "KafkaBroker", "KafkaCluster", "KafkaError"]
