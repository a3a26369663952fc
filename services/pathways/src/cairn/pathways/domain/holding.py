"""Holdings: what pathways knows of a learner's credentials, and the state each is in at an instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from cairn.pathways.domain.reading import Reader


class State(StrEnum):
    """What a credential is worth at an instant."""

    REVOKED = "revoked"
    SUSPENDED = "suspended"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    VALID = "valid"


# From the most severe to the least: what rules when a credential got two states at one instant.
_SEVERITY: Final = {state: place for place, state in enumerate(State)}
# Losing one of these takes the credential away from an award that already rests on it.
LOST: Final = frozenset({State.REVOKED, State.SUSPENDED, State.SUPERSEDED})


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


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a holding at an instant, and since when it has been in it (None: for as long as is known)."""

    state: State
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
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

    def standing(self, at: datetime) -> Standing:
        """The state at an instant: the last entry up to then, with the more severe of a tie. A first entry `valid`
        reaches back to `earned`; revoked is final; past `validUntil` a credential is expired unless something worse."""
        raise NotImplementedError

    def to_json(self) -> dict[str, object]:
        """The normal form: as in STACKING.md, without what is empty, decimals without trailing zeros."""
        raise NotImplementedError


def parse_holding(document: object, path: str = "") -> Holding:
    """A holding from its JSON. Raises Refused with every problem; `path` is where the document sits in a larger one."""
    reader = Reader()
    holding = read_holding(reader, document, path)
    reader.settle()
    return holding


def parse_holdings(documents: object, path: str = "/holdings") -> tuple[Holding, ...]:
    """A list of holdings. Equal duplicates are merged; unequal ones under one id are refused."""
    raise NotImplementedError


def read_holding(reader: Reader, document: object, path: str) -> Holding:
    raise NotImplementedError
