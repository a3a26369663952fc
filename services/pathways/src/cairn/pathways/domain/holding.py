"""Holdings: what pathways knows of a learner's credentials, and the state each is in at an instant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, NamedTuple

import orjson

from cairn.pathways.domain.canonical import canonical
from cairn.pathways.domain.once import cached_property
from cairn.pathways.domain.reading import NO_INSTANT, Reader, merged, step


class State(StrEnum):
    """What a credential is worth at an instant, from the most severe to the least: the order that settles ties."""

    REVOKED = "revoked"
    SUSPENDED = "suspended"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    VALID = "valid"


_RANK: Final = {state: rank for rank, state in enumerate(State)}
# Each of these takes a credential away even from an award earned before it came about.
LOST: Final = frozenset({State.REVOKED, State.SUSPENDED, State.SUPERSEDED})
SOURCES: Final = ("lms", "external", "rpl")


@dataclass(frozen=True, slots=True)
class Credits:
    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Grade:
    """A share of full marks from 0 to 1 (`scale` is None), or points on a named scale."""

    value: Decimal
    scale: str | None = None


@dataclass(frozen=True, slots=True)
class StatusEntry:
    at: datetime
    state: State

    def order(self) -> tuple[datetime, State]:
        return self.at, self.state


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a holding at an instant, and since when it has been in it (None: for as long as is known)."""

    state: State
    since: datetime | None = None


_VALID: Final = Standing(State.VALID)


class Period(NamedTuple):
    """A stretch of time [start, end); `end` None is without end."""

    start: datetime
    end: datetime | None

    def covers(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or at < self.end)


@dataclass(frozen=True)
class Holding:
    """One credential of one learner, in the shape of STACKING.md. `id` is the credential's id."""

    id: str
    achievement: str
    issuer: str
    earned: datetime
    type: tuple[str, ...] = ()
    credits: Credits | None = None
    level: Mapping[str, int] = field(default_factory=dict[str, int])
    grade: Grade | None = None
    area: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    skill: tuple[str, ...] = ()
    supervised: bool | None = None
    identity_verified: bool | None = None
    mode: str | None = None
    source: str | None = None
    accredited_by: tuple[str, ...] = ()
    valid_until: datetime | None = None
    attempt_of: str | None = None
    components: tuple[str, ...] = ()
    status: tuple[StatusEntry, ...] = ()

    @cached_property
    def canonical(self) -> bytes:
        """The normal form in RFC 8785, for digests."""
        return _written(self._normal(), self.level)

    @property
    def body(self) -> bytes:
        """The same without the status, which has a table of its own: see `stored_holding`."""
        return _written({key: value for key, value in self._normal().items() if key != "status"}, self.level)

    @cached_property
    def doubtful(self) -> bool:
        """Whether its state is unknown at any time, so that more trust could make a difference."""
        if self._plainly_valid:
            return False
        first = min((entry.at for entry in self.status), default=None)
        return first is None or any(
            entry.state is State.UNKNOWN or (entry.at == first and entry.state is not State.VALID)
            for entry in self.status
        )

    @property
    def _plainly_valid(self) -> bool:
        return len(self.status) == 1 and self.status[0].state is State.VALID

    def standing(self, at: datetime, *, expiring: bool = True) -> Standing:
        """The state at an instant: the last entry up to then, the more severe of a tie. A first entry `valid` reaches
        back to `earned`; revoked is final; from `validUntil` on it is expired, unless something worse. Not `expiring`,
        it is valid where it would be expired by an entry, and `validUntil` means nothing."""
        if self._plainly_valid and (self.valid_until is None or at < self.valid_until or not expiring):
            return _VALID
        entries = sorted(self.status, key=lambda entry: (entry.at, -_RANK[entry.state]))
        current = Standing(State.UNKNOWN)
        if entries and all(e.state is State.VALID for e in entries if e.at == entries[0].at):
            current = Standing(State.VALID)
        for entry in entries:
            if entry.at > at:
                break
            if current.state is State.REVOKED:
                break
            if entry.state is not current.state or entry.at == current.since:
                current = Standing(entry.state, entry.at)
        if not expiring:
            return Standing(State.VALID, current.since) if current.state is State.EXPIRED else current
        if self.valid_until is not None and self.valid_until <= at and _RANK[current.state] > _RANK[State.EXPIRED]:
            return Standing(State.EXPIRED, self.valid_until)
        return current

    def valid_periods(self, *, trusting: bool, expiring: bool = True) -> tuple[Period, ...]:
        """When it is earned and valid, in order of time. `trusting` takes unknown for valid."""
        if self._plainly_valid and (self.valid_until is None or not expiring):
            return (Period(self.earned, None),)
        good = (State.VALID, State.UNKNOWN) if trusting else (State.VALID,)
        turns = {entry.at for entry in self.status if entry.at > self.earned}
        if self.valid_until is not None and self.valid_until > self.earned:
            turns.add(self.valid_until)
        periods: list[Period] = []
        start: datetime | None = None
        for turn in (self.earned, *sorted(turns)):
            fine = self.standing(turn, expiring=expiring).state in good
            if fine and start is None:
                start = turn
            elif not fine and start is not None:
                periods.append(Period(start, turn))
                start = None
        if start is not None:
            periods.append(Period(start, None))
        return tuple(periods)

    def to_json(self) -> dict[str, object]:
        """The normal form: as in STACKING.md without what is empty, lists sorted, decimals without trailing zeros.
        Two holdings mean the same if and only if their normal forms are equal."""
        return orjson.loads(self.canonical)

    def _normal(self) -> dict[str, object]:
        """With instants as such."""
        whole: dict[str, object] = {
            "id": self.id,
            "achievement": self.achievement,
            "earned": _utc(self.earned),
        }
        if self.issuer:
            whole["issuer"] = self.issuer
        if self.type:
            whole["type"] = _sorted(self.type)
        if self.area:
            whole["area"] = _sorted(self.area)
        if self.tag:
            whole["tag"] = _sorted(self.tag)
        if self.skill:
            whole["skill"] = _sorted(self.skill)
        if self.accredited_by:
            whole["accreditedBy"] = _sorted(self.accredited_by)
        if self.components:
            whole["components"] = _sorted(self.components)
        if self.supervised is not None or self.identity_verified is not None:
            assessment = {"supervised": self.supervised, "identityVerified": self.identity_verified}
            whole["assessment"] = {key: value for key, value in assessment.items() if value is not None}
        if self.status:
            whole["status"] = _history(self.status)
        if self.credits is not None:
            whole["credits"] = {"value": plain(self.credits.value), "unit": self.credits.unit}
        if self.level:
            whole["level"] = self.level
        if self.grade is not None:
            whole["grade"] = _grade_to_json(self.grade)
        if self.mode:
            whole["mode"] = self.mode
        if self.source:
            whole["source"] = self.source
        if self.valid_until is not None:
            whole["validUntil"] = _utc(self.valid_until)
        if self.attempt_of:
            whole["attemptOf"] = self.attempt_of
        return whole


def _written(normal: Mapping[str, object], level: Mapping[str, int]) -> bytes:
    """A normal form in RFC 8785. Its keys are known, and its values are text, but for the names of frameworks of
    levels."""
    written = orjson.dumps(normal, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)
    return written if all(map(str.isascii, level)) else canonical(orjson.loads(written))


def _history(status: Sequence[StatusEntry]) -> list[dict[str, object]]:
    entries = status if len(status) == 1 else sorted({*status}, key=StatusEntry.order)
    return [{"at": _utc(entry.at), "state": entry.state} for entry in entries]


def _sorted(values: Sequence[str]) -> Sequence[str]:
    return sorted(set(values)) if len(values) > 1 else values


def _utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def plain(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros."""
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain_fraction(value: Fraction) -> str:
    """A sum of products of decimals, exactly, as a decimal without trailing zeros."""
    places = 0
    while 10**places % value.denominator:
        places += 1
    return pointed(value.numerator * 10**places // value.denominator, places)


def pointed(whole: int, places: int) -> str:
    """So many units of 10^-`places`, as a decimal without trailing zeros."""
    digits = str(whole).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".") if places else digits


def merge_duplicates(holdings: Iterable[Holding], path: str = "/holdings") -> tuple[Holding, ...]:
    """Holdings by id. Equal duplicates are merged; unequal ones are refused with the path of the second."""
    return merged(holdings, path, "holdings")


def parse_holding(document: object, path: str = "") -> Holding:
    """A holding from its JSON. Raises Refused with every problem; `path` is where the document sits in a larger one."""
    reader = Reader()
    holding = read_holding(reader, document, path)
    reader.settle()
    return holding


def parse_holdings(documents: object, path: str = "/holdings") -> tuple[Holding, ...]:
    """A list of holdings, sorted by id. Equal duplicates are merged; unequal ones under one id are refused."""
    reader = Reader()
    holdings = [read_holding(reader, document, place) for document, place in reader.each(documents, path)]
    reader.settle()
    return merge_duplicates(holdings, path)


def stored_holding(body: Mapping[str, Any], status: Sequence[StatusEntry] = ()) -> Holding:
    """A holding from its `body`: it was checked before it was written, and is not checked again."""
    worth, grade, until = body.get("credits"), body.get("grade"), body.get("validUntil")
    assessment = body.get("assessment", {})
    holding = Holding(
        id=body["id"],
        achievement=body["achievement"],
        issuer=body.get("issuer", ""),
        earned=datetime.fromisoformat(body["earned"]),
        type=tuple(body.get("type", ())),
        credits=Credits(Decimal(worth["value"]), worth["unit"]) if worth else None,
        level=body.get("level", {}),
        grade=Grade(Decimal(grade.get("score") or grade["points"]), grade.get("scale")) if grade else None,
        area=tuple(body.get("area", ())),
        tag=tuple(body.get("tag", ())),
        skill=tuple(body.get("skill", ())),
        supervised=assessment.get("supervised"),
        identity_verified=assessment.get("identityVerified"),
        mode=body.get("mode"),
        source=body.get("source"),
        accredited_by=tuple(body.get("accreditedBy", ())),
        valid_until=datetime.fromisoformat(until) if until else None,
        attempt_of=body.get("attemptOf"),
        components=tuple(body.get("components", ())),
        status=tuple(status),
    )
    # So is its canonical form, but for the status: to work it out anew is most of the cost of a digest.
    written = _written({**body, "status": _history(status)} if status else body, holding.level)
    object.__setattr__(holding, "canonical", written)
    return holding


_KEYS: Final = (
    *("id", "achievement", "issuer", "type", "credits", "level", "grade", "area", "tag", "skill", "assessment"),
    *("mode", "source", "accreditedBy", "earned", "validUntil", "attemptOf", "components", "status"),
)


def read_holding(
    reader: Reader, document: object, path: str, required: Sequence[str] = ("id", "achievement", "earned")
) -> Holding:
    """As `parse_holding`, collecting problems in `reader`."""
    members = reader.members(document, path, _KEYS, required)

    def text(key: str) -> str | None:
        return reader.text(members[key], step(path, key)) if key in members else None

    def texts(key: str) -> tuple[str, ...]:
        return reader.texts(members[key], step(path, key)) if key in members else ()

    def instant(key: str) -> datetime | None:
        return reader.instant(members[key], step(path, key)) if key in members else None

    assessed = step(path, "assessment")
    assessment = reader.members(members.get("assessment", {}), assessed, ("supervised", "identityVerified"))
    flags = {key: reader.flag(value, step(assessed, key)) for key, value in assessment.items()}
    if "source" in members:
        reader.choice(members["source"], step(path, "source"), SOURCES)
    earned = instant("earned")
    return Holding(
        id=text("id") or "",
        achievement=text("achievement") or "",
        issuer=text("issuer") or "",
        earned=earned or NO_INSTANT,
        type=texts("type"),
        credits=_read_credits(reader, members["credits"], step(path, "credits")) if "credits" in members else None,
        level=_read_level(reader, members.get("level", {}), step(path, "level")),
        grade=_read_grade(reader, members["grade"], step(path, "grade")) if "grade" in members else None,
        area=texts("area"),
        tag=texts("tag"),
        skill=texts("skill"),
        supervised=flags.get("supervised"),
        identity_verified=flags.get("identityVerified"),
        mode=text("mode"),
        source=text("source"),
        accredited_by=texts("accreditedBy"),
        valid_until=instant("validUntil"),
        attempt_of=text("attemptOf"),
        components=texts("components"),
        status=tuple(
            _read_entry(reader, entry, place)
            for entry, place in reader.each(members.get("status", []), step(path, "status"))
        ),
    )


def _read_credits(reader: Reader, document: object, path: str) -> Credits:
    members = reader.members(document, path, ("value", "unit"), ("value", "unit"))
    value = reader.decimal(members.get("value", "0"), step(path, "value"))
    return Credits(value, reader.text(members.get("unit", "-"), step(path, "unit")))


def _read_level(reader: Reader, document: object, path: str) -> dict[str, int]:
    if not isinstance(document, dict):
        reader.members(document, path, ())
        return {}
    levels = reader.members(document, path, [str(key) for key in document])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return {scale: reader.integer(value, step(path, scale)) for scale, value in levels.items()}


def _read_grade(reader: Reader, document: object, path: str) -> Grade | None:
    members = reader.members(document, path, ("score", "points", "scale"))
    if ("score" in members) == ("points" in members) or ("points" in members) != ("scale" in members):
        reader.refuse(
            "bad-grade",
            path,
            'A grade is {"score": "0..1"} or {"points": "...", "scale": "..."}.',
            "Write one of them.",
        )
        return None
    if "score" in members:
        score = reader.decimal(members["score"], step(path, "score"))
        if score > 1:
            reader.refuse(
                "bad-grade", step(path, "score"), "A score is from 0 to 1.", 'Write "points" and "scale" for points.'
            )
        return Grade(score)
    points = reader.decimal(members["points"], step(path, "points"))
    return Grade(points, reader.text(members["scale"], step(path, "scale")))


def _read_entry(reader: Reader, document: object, path: str) -> StatusEntry:
    members = reader.members(document, path, ("at", "state"), ("at", "state"))
    at = reader.instant(members.get("at", "0001-01-01"), step(path, "at"))
    return StatusEntry(at, State(reader.choice(members.get("state", "unknown"), step(path, "state"), tuple(State))))


def _grade_to_json(grade: Grade) -> dict[str, str]:
    if grade.scale is None:
        return {"score": plain(grade.value)}
    return {"points": plain(grade.value), "scale": grade.scale}
