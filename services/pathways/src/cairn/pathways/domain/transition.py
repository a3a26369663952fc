"""What becomes of a standing award: the second pure function."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cairn.pathways.domain.audit import Audit

AwardState = Literal["active", "grace", "review", "suspended", "revoked"]


@dataclass(frozen=True, slots=True)
class Award:
    """One learner's qualification, awarded. `id` follows from tenant, learner, qualification and `ordinal`; `replaces`
    is the revoked award it was issued anew for. `earned_at` never changes. `components` are the holdings it rests on,
    and `digest` that of the audit that put it on them. In `grace` it still stands, until `due`; in `review` it stands
    until a registrar says otherwise."""

    id: str
    tenant: str
    learner: str
    qualification: str
    version: str
    ordinal: int
    state: AwardState
    earned_at: datetime
    components: tuple[str, ...]
    digest: str
    due: datetime | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """`change`: `award` a new one (event completed), `lapse` (lapsed), `restore` (restored), `hold` it as it stands
    though all is not well, or `nothing`. `award` is what to store, if any; `changed` says whether it differs."""

    change: Literal["award", "hold", "lapse", "restore", "nothing"]
    award: Award | None
    changed: bool
    reason: str


def award_id(tenant: str, learner: str, qualification: str, ordinal: int) -> str:
    """A UUIDv5, the same wherever and whenever it is computed."""
    raise NotImplementedError


def transition(previous: Award | None, audit: Audit, *, tenant: str, learner: str) -> Transition:
    """Decide what an audit does to the learner's latest award of the qualification (None: there is none).
    Applying it again to its own result changes nothing. Raises ValueError when the two are not of one qualification."""
    raise NotImplementedError
