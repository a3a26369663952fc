"""What an audit says of each node, limit and credential, and of what is left. There are many of these, and a named
tuple is made in a third of the time of a frozen data class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from cairn.pathways.domain.holding import Standing, State

JsonMembers = Mapping[str, object]


class NodeResult(NamedTuple):
    """`allocated` of a group is all that its leaves hold. `needs` is None where nothing is needed: the node is met, or
    one above it is. Otherwise, of a leaf: `count`, or `credits` and `unit`, that are missing, with `achievements` where
    the framework names them, `qualification` and `grade` where it asks for them; of a group: `atLeast` so many more
    `of` its children. A branch that does not count yet is judged by what would be free for it."""

    id: str
    met: bool
    allocated: tuple[str, ...]
    needs: JsonMembers | None

    def to_json(self) -> dict[str, object]:
        return {"id": self.id, "met": self.met, "allocated": list(self.allocated), "needs": self.needs}


class LimitResult(NamedTuple):
    """`have` is None where there is nothing to measure; `need` is the bound, or for dates the last one allowed."""

    id: str
    met: bool
    have: str | None
    need: str | None

    def to_json(self) -> dict[str, object]:
        return {"id": self.id, "met": self.met, "have": self.have, "need": self.need}


class Name(str):
    """An achievement, in a sentence that people read."""

    __slots__ = ()


class Unused(NamedTuple):
    """Why a holding did not count. `reason` is one of

    - its state: `revoked`, `suspended`, `superseded`, `expired`, `unknown`; `not-yet-earned`
    - `no-match`; `waived` (fits only what is); or it would fit a leaf but for `unit`, `grade`, `level`, `assessment`,
      `earned`, `mode`, `source`, `issuer`, `accreditedBy`, `not`
    - `spent` on another qualification; `already-allocated` (another of its class), `component` (of an award that
      counts, or such an award), `max`, `limit` (it would break one), `branch` (fits only branches that do not count),
      `not-needed`.

    `sentence` says the same in words, piece by piece.
    """

    holding: str
    reason: str
    sentence: Sequence[str]

    def detail(self, titles: Mapping[str, str] = MappingProxyType({})) -> str:
        """The sentence. `titles` names achievements; what it lacks goes by the last part of its id."""
        pieces = (titles.get(each) or label(each) if isinstance(each, Name) else each for each in self.sentence)
        return "".join(pieces)

    def to_json(self, titles: Mapping[str, str]) -> dict[str, object]:
        return {"holding": self.holding, "reason": self.reason, "detail": self.detail(titles)}


BUT_FOR: Final = {
    "grade": "its grade",
    "level": "its level",
    "assessment": "how it was assessed",
    "earned": "when it was earned",
    "mode": "its mode",
    "source": "where it came from",
    "issuer": "its issuer",
    "accreditedBy": "its accreditation",
    "not": "what is excluded there",
    "unit": "its credits being in a unit without a conversion",
}
"""By its `reason`, what kept a credential out of a leaf that it would fit."""


def lost(name: Name, standing: Standing) -> tuple[str, ...]:
    """Why a credential does not count, given its state."""
    if standing.state is State.UNKNOWN:
        return "Whether ", name, " is valid is not known."
    verb = "expired" if standing.state is State.EXPIRED else f"was {standing.state}"
    return name, f" {verb} on {standing.since.date()}." if standing.since is not None else f" {verb}."


def label(iri: str) -> str:
    """A short name for an identifier: its last part."""
    return iri.rstrip("/#").replace("#", "/").rsplit("/", 1)[-1] or iri


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left in all by the cheapest way (fewest credits, then fewest credentials, each of which takes its time):
    the credits as a decimal string; for each leaf still open on that way its `node` and needs; then for each limit that
    is not met its `limit`, `have` and `need`, and how much more of what it asks for would meet it; and where the rules
    apply only `from` an instant to come, that instant with the root as `node`."""

    credits: str
    suggestions: tuple[JsonMembers, ...]

    def to_json(self) -> dict[str, object]:
        return {"credits": self.credits, "suggestions": [dict(each) for each in self.suggestions]}
