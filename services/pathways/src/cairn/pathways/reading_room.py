"""Published frameworks, read once and kept: they never change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from cairn.pathways.domain import Framework, index_keys
from cairn.pathways.domain.pinning import Span

Awards = Mapping[str, Collection[str]]
"""By qualification, the achievements that its awards are of."""


@dataclass(frozen=True, slots=True)
class Published:
    """One published framework. `keys` depend on the awards of the qualifications that it nests."""

    id: str
    tenant: str
    framework: Framework
    achievement: str
    activated_at: datetime
    nested: frozenset[str]
    """Qualifications that its leaves name."""
    months: frozenset[int] = frozenset()
    """How far back its selectors count from the instant at which the rules are to hold."""
    names: frozenset[str] = frozenset()
    """All that it names: its nodes and limits, achievements, qualifications."""
    closed_at: datetime | None = None
    """From when on no new learner comes under it. This and `retired_at` are the row's, and not kept in the room."""
    retired_at: datetime | None = None
    """From when on it awards nobody any more."""

    @property
    def span(self) -> Span:
        """When learners may come under it."""
        ends = [end for end in (self.framework.effective_to, self.closed_at) if end is not None]
        return Span(self.framework.effective_from, min(ends, default=None))

    def awards(self, known: Awards) -> dict[str, tuple[str, ...]]:
        """Of the tenant's awards, those that bear on this framework: no other may change its audits' digests."""
        return {name: tuple(sorted(known.get(name, ()))) for name in sorted(self.nested)}


class ReadingRoom:
    """The last so many published frameworks that were needed, and their index keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._read: OrderedDict[str, Published] = OrderedDict()
        self._keys: dict[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], frozenset[str]] = {}
        self._lock = Lock()

    def missing(self, ids: Collection[str]) -> list[str]:
        with self._lock:
            return sorted(id_ for id_ in ids if id_ not in self._read)

    def add(self, published: Published) -> None:
        with self._lock:
            self._read[published.id] = published
            while len(self._read) > self._most:
                gone, _ = self._read.popitem(last=False)
                self._keys = {place: keys for place, keys in self._keys.items() if place[0] != gone}

    def get(self, id_: str) -> Published | None:
        with self._lock:
            found = self._read.get(id_)
            if found is not None:
                self._read.move_to_end(id_)
            return found

    def keys(self, published: Published, known: Awards) -> frozenset[str]:
        """The framework's index keys, given the tenant's awards."""
        awards = published.awards(known)
        place = (published.id, tuple(awards.items()))
        with self._lock:
            keys = self._keys.get(place)
        if keys is None:
            keys = index_keys(published.framework, awards)
            with self._lock:
                self._keys[place] = keys
        return keys
