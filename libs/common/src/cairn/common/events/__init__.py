"""What is said on the bus: the envelope, the topic table and a model for each event type."""

from cairn.common.events.envelope import (
    Encoded,
    Event,
    MalformedEvent,
    check_key,
    check_readable,
    decode,
    encode,
    stable_id,
)
from cairn.common.events.models import MODELS, Fact, fact_of
from cairn.common.events.topics import Topic, topic_of, topics

__all__ = [
    "MODELS",
    "Encoded",
    "Event",
    "Fact",
    "MalformedEvent",
    "Topic",
    "check_key",
    "check_readable",
    "decode",
    "encode",
    "fact_of",
    "stable_id",
    "topic_of",
    "topics",
]
