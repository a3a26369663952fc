"""The event envelope: CloudEvents 1.0 in structured mode, with extension attributes of ours and of its own.

Source: CloudEvents 1.0.2, sections 2 and 3.1; its partitioning and distributed-tracing extensions.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any, Final, cast

import orjson

from cairn.common.instants import format_instant, parse_instant
from cairn.common.nul import places_of_nul
from cairn.common.tenancy import is_tenant

NAMESPACE: Final = uuid.UUID("6d0a2a0e-7a5e-5b53-9d6c-2f6b0c3a9c11")
"""Root of every deterministic id, so that the same fact has the same id however often it is stated."""
_NAMESPACE: Final = NAMESPACE.bytes

MAX_BYTES: Final = 1_000_000
"""Of an encoded event: what every transport carries."""


class MalformedEvent(ValueError):
    """The bytes on the bus are not an event that this system could have written."""


def stable_id(*parts: str) -> uuid.UUID:
    """A UUIDv5 over the parts. Each is length-prefixed, so that ("a", "bc") and ("ab", "c") differ."""
    told = "".join([f"{len(part)}:{part}" for part in parts])
    # What uuid.uuid5 does, which takes half as long again: an event is about five such ids from completion to award.
    digest = sha1(_NAMESPACE + told.encode(), usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `key` decides the partition: events of one key are read in the order in which they were written."""

    type: str
    source: str
    subject: str
    tenant: str
    key: str
    data: Mapping[str, Any]
    time: datetime
    id: str = ""
    traceparent: str | None = field(default=None, compare=False)
    fact: Any = field(default=None, compare=False, repr=False)
    """What `fact_of` made of the data, which more than one ask for."""

    def __post_init__(self) -> None:
        if not self.id:
            # Derived from what happened to what and when: a retry states the same fact again, never a second one.
            identity = stable_id(self.tenant, self.type, self.subject, self.key, format_instant(self.time))
            object.__setattr__(self, "id", str(identity))


def encode(event: Event, traceparent: str | None = None) -> bytes:
    """The event as CloudEvents JSON (`application/cloudevents+json`); with that `traceparent` if it has none itself."""
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": format_instant(event.time),
        "datacontenttype": "application/json",
        "tenant": event.tenant,
        "partitionkey": event.key,
        "data": event.data,
    }
    if trace := event.traceparent or traceparent:
        envelope["traceparent"] = trace
    return orjson.dumps(envelope)


def check_readable(event: Event, body: bytes) -> None:
    """What `decode` would say of the event as it was encoded. Raises MalformedEvent."""
    _check_size(body)
    _text("partitionkey", event.key)
    for name in ("type", "source", "subject", "tenant", "id"):
        _text(name, getattr(event, name))
    _check(body, event.tenant, event.id, event.data)


@dataclass(frozen=True, slots=True)
class Encoded:
    """An event as it is carried: its bytes, and what a transport needs to know of them."""

    id: str
    tenant: str
    key: str
    body: bytes
    traceparent: str | None = None

    @classmethod
    def of(cls, event: Event | Encoded) -> Encoded:
        if isinstance(event, Encoded):
            return event
        return cls(event.id, event.tenant, event.key, encode(event), event.traceparent)


def decode(body: bytes) -> Event:
    """The event in `body`. Attributes that are not known here are tolerated (a newer writer may add some).

    Raises MalformedEvent, whose text names the attribute at fault.
    """
    _check_size(body)
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedEvent(f"not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise MalformedEvent("not a JSON object")
    envelope = cast("dict[str, Any]", parsed)
    if envelope.get("specversion") != "1.0":
        raise MalformedEvent("specversion is not 1.0")

    def text(name: str) -> str:
        return _text(name, envelope.get(name))

    data = envelope.get("data")
    if not isinstance(data, dict):
        raise MalformedEvent("data is not a JSON object")
    _check(body, text("tenant"), text("id"), cast("dict[str, Any]", data))
    try:
        time = parse_instant(text("time"))
    except ValueError as error:
        raise MalformedEvent(f"time: {error}") from None
    traceparent = envelope.get("traceparent")
    return Event(
        type=text("type"),
        source=text("source"),
        subject=text("subject"),
        tenant=text("tenant"),
        key=text("partitionkey"),
        data=cast("dict[str, Any]", data),
        time=time.astimezone(UTC),
        id=text("id"),
        traceparent=traceparent if isinstance(traceparent, str) else None,
    )


def check_key(event: Event, key: str) -> None:
    """Whether it was sent under its own key. Raises MalformedEvent."""
    if event.key != key:
        # It lies among the events of another learner, so its order means nothing.
        raise MalformedEvent("partitionkey is not the key under which the event was sent")


def _check_size(body: bytes) -> None:
    if len(body) > MAX_BYTES:
        raise MalformedEvent(f"the event has {len(body)} bytes, more than {MAX_BYTES}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise MalformedEvent(f"{name} is missing or is not a string")
    if "\0" in value:
        raise MalformedEvent(f"{name} holds the character NUL")
    return value


def _check(body: bytes, tenant: str, event_id: str, data: Mapping[str, Any]) -> None:
    # PostgreSQL stores every character but this one: what holds it could be neither taken nor set aside.
    if b"\\u0000" in body and next(places_of_nul(data), None) is not None:
        raise MalformedEvent("data holds the character NUL")
    if not is_tenant(tenant):
        raise MalformedEvent("tenant is not the name of a tenant")
    try:
        uuid.UUID(event_id)
    except ValueError:
        raise MalformedEvent("id is not a UUID") from None
