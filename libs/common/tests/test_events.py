"""The envelope, the models and the topic table: what is written is read again, and by older readers too (R11)."""

import dataclasses
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.common.events import (
    MODELS,
    Event,
    Fact,
    MalformedEvent,
    check_readable,
    decode,
    encode,
    fact_of,
    stable_id,
    topic_of,
    topics,
)
from cairn.common.events.envelope import NAMESPACE

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.text(CHARACTERS, min_size=1, max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(CHARACTERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def event(**changes) -> Event:
    made = {
        "type": "learner.erased.v1",
        "source": "/issuance",
        "subject": "lrn_1",
        "tenant": "north",
        "key": "lrn_1",
        "data": {"learner": "lrn_1", "at": "2026-03-01T00:00:00Z"},
        "time": datetime(2026, 3, 1, tzinfo=UTC),
    }
    return Event(**made | changes)


@given(
    st.builds(
        Event,
        type=TEXT,
        source=TEXT,
        subject=TEXT,
        tenant=st.from_regex("[a-z][a-z0-9-]{1,38}[a-z0-9]", fullmatch=True),
        key=TEXT,
        data=st.dictionaries(TEXT, JSON, max_size=4),
        time=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])).filter(
            lambda at: 1 < at.year < 9999
        ),
    )
)
def test_what_is_encoded_is_decoded(written: Event) -> None:
    read = decode(encode(written))
    assert read == written
    assert read.time.tzinfo is UTC


def test_the_envelope_is_cloudevents() -> None:
    envelope = json.loads(encode(event(traceparent="00-aa-bb-01")))
    assert envelope == {
        "specversion": "1.0",
        "id": event().id,
        "source": "/issuance",
        "type": "learner.erased.v1",
        "subject": "lrn_1",
        "time": "2026-03-01T00:00:00Z",
        "datacontenttype": "application/json",
        "tenant": "north",
        "partitionkey": "lrn_1",
        "traceparent": "00-aa-bb-01",
        "data": {"learner": "lrn_1", "at": "2026-03-01T00:00:00Z"},
    }


def test_the_same_fact_has_the_same_id_and_another_fact_another() -> None:
    assert event().id == event(traceparent="00-aa-bb-01", data={}).id
    uuid.UUID(event().id)
    others = [
        event(subject="lrn_2"),
        event(tenant="south"),
        event(key="lrn_2"),  # a merge is said once under the key of each learner
        event(type="learner.merged.v1"),
        event(time=datetime(2026, 3, 2, tzinfo=UTC)),
    ]
    assert len({event().id, *(other.id for other in others)}) == 6


@given(st.lists(st.text(max_size=6), max_size=4), st.lists(st.text(max_size=6), max_size=4))
def test_a_stable_id_is_equal_for_equal_parts_only(one: list[str], other: list[str]) -> None:
    assert (stable_id(*one) == stable_id(*other)) == (one == other)


def test_a_stable_id_is_a_uuid_of_version_5_and_stays_what_it_was() -> None:
    assert str(stable_id("a", "bé")) == str(uuid.uuid5(NAMESPACE, "1:a2:bé")) == "671923c7-e769-5942-80f6-fc2b5ca20bb9"


def test_unknown_attributes_and_fields_are_tolerated() -> None:
    envelope = json.loads(encode(event()))
    envelope["newattribute"] = "x"
    envelope["data"] |= {"newField": {"nested": [1]}}
    read = decode(json.dumps(envelope).encode())
    assert read == event(data=envelope["data"])
    assert fact_of(read) == fact_of(event())


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time", "tenant", "partitionkey", "data"])
@pytest.mark.parametrize("value", [None, "", 7, ["x"], "missing"])
def test_a_malformed_attribute_is_named(name: str, value: object) -> None:
    envelope = json.loads(encode(event()))
    envelope[name] = value
    if value == "missing":
        del envelope[name]
    with pytest.raises(MalformedEvent, match=rf"^{name}\b"):
        decode(json.dumps(envelope).encode())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": "7"}, "id is not a UUID"),
        ({"tenant": "*"}, "tenant"),
        ({"tenant": "north,south"}, "tenant"),
        ({"tenant": "North"}, "tenant"),
        ({"subject": "a\0b"}, "subject holds the character NUL"),
        ({"partitionkey": "a\0b"}, "partitionkey holds the character NUL"),
        ({"data": {"learner": "a\0b"}}, "data holds the character NUL"),
        ({"data": {"deep": [{"a\0b": 1}]}}, "data holds the character NUL"),
    ],
    ids=str,
)
def test_what_no_database_would_take_is_malformed(changes: dict, says: str) -> None:
    with pytest.raises(MalformedEvent, match=says):
        decode(json.dumps(json.loads(encode(event())) | changes).encode())
    said = dataclasses.replace(event(), **{"key" if name == "partitionkey" else name: v for name, v in changes.items()})
    with pytest.raises(MalformedEvent, match=says):
        check_readable(said, encode(said))


def test_a_backslash_before_u0000_is_no_nul() -> None:
    harmless = event(data={"learner": "\\u0000"})
    assert decode(encode(harmless)) == harmless
    check_readable(harmless, encode(harmless))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "specversion"),
        (b'{"specversion": "0.3"}', "specversion"),
        (b" " * 1_000_001, "more than 1000000"),
    ],
)
def test_what_is_no_event_is_said_to_be_none(body: bytes, says: str) -> None:
    with pytest.raises(MalformedEvent, match=says):
        decode(body)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    with pytest.raises(MalformedEvent):
        decode(body)


@pytest.mark.parametrize("time", ["yesterday", "2026-13-01T00:00:00Z", "2026-03-01 00:00:00", "20260301T000000Z"])
def test_a_time_that_is_none_is_refused(time: str) -> None:
    envelope = json.loads(encode(event())) | {"time": time}
    with pytest.raises(MalformedEvent, match="time"):
        decode(json.dumps(envelope).encode())


def test_malformed_data_name_the_field_and_not_the_value() -> None:
    with pytest.raises(MalformedEvent) as caught:
        fact_of(event(data={"learner": ["canary"], "at": "canary"}))
    assert "data.learner" in str(caught.value)
    assert "data.at" in str(caught.value)


def test_every_type_has_a_model_and_every_model_a_topic() -> None:
    listed = [event_type for topic in topics().values() for event_type in topic.types]
    assert len(listed) == len(set(listed)), "a type belongs to one topic"
    assert set(listed) == set(MODELS)
    for event_type in listed:
        assert event_type in topic_of(event_type).types
        assert event_type.rsplit(".", 1)[1].startswith("v")
    with pytest.raises(KeyError):
        topic_of("unheard.of.v1")


def test_what_others_are_rebuilt_from_is_kept_without_end() -> None:
    kept = {name for name, topic in topics().items() if topic.retention is None}
    assert kept == {"credentials", "catalog", "qualifications"}


def test_a_topics_owner_and_readers_are_services() -> None:
    for topic in topics().values():
        assert {topic.owner, *topic.readers} <= {"issuance", "pathways", "verification"}
        assert topic.partitions > 0


def fields_of(model: type[Fact]) -> set[str]:
    found: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            found.update(node.get("properties", {}))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(model.model_json_schema(by_alias=True))
    return {name.lower() for name in found}


def test_s29_no_event_about_a_learner_names_anybody() -> None:
    naming = ("name", "mail", "phone", "birth", "address", "given", "family", "identifier", "photo")
    for event_type, model in MODELS.items():
        fields = fields_of(model)
        if "learner" in fields:
            assert not [field for field in fields if any(word in field for word in naming)], event_type
