"""Decisions: a registrar's acts on one learner. Each acts on [`at`, `valid_until`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

from cairn.common.instants import format_instant
from cairn.pathways.domain.canonical import canonical
from cairn.pathways.domain.holding import Holding, State, StatusEntry, read_holding
from cairn.pathways.domain.once import cached_property
from cairn.pathways.domain.reading import NO_INSTANT, JsonObject, Reader, merged, step

_NOTHING: Final = Holding("", "", "", NO_INSTANT)


@dataclass(frozen=True)
class Decision:
    """What all kinds have in common. `at` None acts from the beginning, `valid_until` None without end. `document` is
    the normal form of the JSON that it was read from: two decisions mean the same if and only if theirs are equal."""

    id: str
    at: datetime | None = None
    valid_until: datetime | None = None
    document: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)

    def acts(self, at: datetime) -> bool:
        return (self.at is None or self.at <= at) and (self.valid_until is None or at < self.valid_until)

    @cached_property
    def canonical(self) -> bytes:
        """The document in RFC 8785, for digests."""
        return canonical(self.document)


@dataclass(frozen=True)
class Waiver(Decision):
    """The node `target` is met, and nothing is allocated below it; or the limit `target` is dropped."""

    target: str = ""


@dataclass(frozen=True)
class Substitution(Decision):
    """`holding` fits the leaf `target`, whatever its selector and grade."""

    target: str = ""
    holding: str = ""


@dataclass(frozen=True)
class Equivalence(Decision):
    """Selectors that ask for the achievement `counts_as` take `achievement` too; not the other way round."""

    achievement: str = ""
    counts_as: str = ""


@dataclass(frozen=True)
class Rpl(Decision):
    """Recognition of prior learning: `holding`, which is not a credential, fits the leaf `target` and no other. It has
    the decision's id, is earned at `at`, and has only what the decision states."""

    target: str = ""
    holding: Holding = _NOTHING


_COMMON: Final = ("id", "kind", "by", "reason", "at", "validUntil")
# What an RPL decision may state of the prior learning: the keys of a holding that selectors and limits look at.
_STATED: Final = (
    *("achievement", "issuer", "type", "credits", "level", "grade", "area", "tag", "skill", "assessment", "mode"),
    "accreditedBy",
)
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "waiver": ("target",),
    "substitution": ("target", "holding"),
    "equivalence": ("achievement", "countsAs"),
    "rpl": ("target",),
}


def parse_decision(document: object, path: str = "") -> Decision:
    """A decision from its JSON. Raises Refused with every problem."""
    reader = Reader()
    decision = read_decision(reader, document, path)
    reader.settle()
    return decision


def merge_decisions(decisions: Iterable[Decision], path: str = "/decisions") -> tuple[Decision, ...]:
    """Decisions by id. Equal duplicates are merged; unequal ones are refused with the path of the second."""
    return merged(decisions, path, "decisions")


def read_decision(reader: Reader, document: object, path: str) -> Decision:
    """As `parse_decision`, collecting problems in `reader`."""
    kind = cast("JsonObject", document).get("kind") if isinstance(document, dict) else None
    needed = _KINDS.get(kind, ()) if isinstance(kind, str) else ()
    known = (*_COMMON, *needed, *((*_STATED, "evidence") if kind == "rpl" else ()))
    members = reader.members(cast("object", document), path, known, ("id", "kind", *needed))
    if "kind" in members:
        reader.choice(kind, step(path, "kind"), tuple(_KINDS))
    texts = ("id", "by", "reason", *needed)
    text = {key: reader.text(members[key], step(path, key)) for key in texts if key in members}
    at = reader.instant(members["at"], step(path, "at")) if "at" in members else None
    until = reader.instant(members["validUntil"], step(path, "validUntil")) if "validUntil" in members else None
    if "evidence" in members:
        reader.texts(members["evidence"], step(path, "evidence"))
    name, target = text.get("id", ""), text.get("target", "")
    normal: JsonObject = {key: value for key, value in members.items() if value is not None}
    normal |= {key: format_instant(value) for key, value in (("at", at), ("validUntil", until)) if value is not None}
    match kind:
        case "substitution":
            return Substitution(name, at, until, normal, target, text.get("holding", ""))
        case "equivalence":
            return Equivalence(name, at, until, normal, text.get("achievement", ""), text.get("countsAs", ""))
        case "rpl":
            stated = {key: members[key] for key in _STATED if key in members}
            holding = _recognised(reader, stated, name, at, until, path)
            normal |= {key: value for key, value in holding.to_json().items() if key in stated}
            return Rpl(name, at, until, normal, target, holding)
        case _:
            return Waiver(name, at, until, normal, target)


def _recognised(
    reader: Reader, stated: JsonObject, name: str, at: datetime | None, until: datetime | None, path: str
) -> Holding:
    since = at or NO_INSTANT
    holding = read_holding(reader, stated, path, required=())
    return Holding(
        **{key: getattr(holding, key) for key in _COPIED},
        id=name,
        earned=since,
        source="rpl",
        valid_until=until,
        status=(StatusEntry(since, State.VALID),),
    )


_COPIED: Final = (
    *("achievement", "issuer", "type", "credits", "level", "grade", "area", "tag", "skill"),
    *("supervised", "identity_verified", "mode", "accredited_by"),
)
