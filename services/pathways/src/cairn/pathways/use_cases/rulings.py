"""Decisions as they bear on judging: which of them an audit is given, and what they make of holdings and versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cairn.common.instants import format_instant
from cairn.pathways.domain import Decision, parse_decision
from cairn.pathways.reading_room import Published
from cairn.pathways.store.decisions import Chain, Entry

AUDITED = frozenset({"waiver", "substitution", "equivalence", "rpl"})
"""Kinds that the engine knows. A `move` bears on which versions it is asked about."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One decision. Revoked, it is as though it had never been made; but that was when something changed."""

    entry: Entry
    revoked_at: datetime | None

    @property
    def id(self) -> str:
        return self.entry.id

    def stands(self, at: datetime) -> bool:
        """Whether it was made and not revoked by then."""
        return self.entry.at <= at and (self.revoked_at is None or self.revoked_at > at)

    def about(self, qualification: str) -> bool:
        return self.entry.qualification in (None, qualification)

    def decision(self) -> Decision:
        """As the engine takes it: without who and why, which change no answer."""
        entry = self.entry
        until = None if entry.valid_until is None else format_instant(entry.valid_until)
        document = {
            **entry.body,
            "id": entry.id,
            "kind": entry.kind,
            "at": format_instant(entry.at),
            "validUntil": until,
        }
        return parse_decision(document)


def rulings_of(chains: Iterable[Chain]) -> tuple[Ruling, ...]:
    """Every decision of the chains that judging looks at."""
    found: list[Ruling] = []
    for chain in chains:
        revoked = chain.revoked
        found += [
            Ruling(entry, revoked.get(entry.id))
            for entry in chain.entries
            if entry.kind in AUDITED or entry.kind == "move"
        ]
    return tuple(sorted(found, key=lambda ruling: ruling.id))


def bearing(
    rulings: Sequence[Ruling], version: Published, keys: frozenset[str], achievements: frozenset[str]
) -> list[Ruling]:
    """Those that can change an audit against the version, revoked ones included, for a learner who holds credentials
    of the `achievements`. `keys` are the version's index keys. No other may: they would change its digest."""
    return [ruling for ruling in rulings if _bears(ruling, version, keys, achievements)]


def _bears(ruling: Ruling, version: Published, keys: frozenset[str], achievements: frozenset[str]) -> bool:
    entry = ruling.entry
    if entry.kind not in AUDITED or not ruling.about(version.framework.qualification):
        return False
    if entry.kind == "equivalence":
        asked = entry.body["countsAs"]
        return entry.body["achievement"] in achievements and (asked in version.names or f"achievement:{asked}" in keys)
    return entry.body["target"] in version.names


def instants(rulings: Iterable[Ruling]) -> tuple[list[datetime], list[datetime]]:
    """When the rulings were made or revoked, and when they end by themselves."""
    made: list[datetime] = []
    ending: list[datetime] = []
    for ruling in rulings:
        made.append(ruling.entry.at)
        if ruling.revoked_at is not None:
            made.append(ruling.revoked_at)
        elif ruling.entry.valid_until is not None:
            ending.append(ruling.entry.valid_until)
    return made, ending


def counted_as(rulings: Sequence[Ruling], at: datetime) -> Mapping[str, frozenset[str]]:
    """What else credentials of an achievement count as, by equivalences that stand."""
    step: dict[str, set[str]] = {}
    for ruling in rulings:
        if ruling.entry.kind == "equivalence" and ruling.stands(at):
            step.setdefault(ruling.entry.body["achievement"], set()).add(ruling.entry.body["countsAs"])
    return {name: frozenset(others) for name, others in step.items()}


def counting_too(chain: Chain, keys: frozenset[str], at: datetime) -> frozenset[str]:
    """Index keys of a framework, and those of what counts too by the institution's table of equivalences."""
    more = counted_as(rulings_of([chain]), at)
    return keys | {
        f"achievement:{name}"
        for name, others in more.items()
        if any(f"achievement:{other}" in keys for other in others)
    }


def substitutes(rulings: Iterable[Ruling], at: datetime) -> Iterator[str]:
    """Holdings that a substitution lets count."""
    for ruling in rulings:
        if ruling.entry.kind == "substitution" and ruling.stands(at):
            yield ruling.entry.body["holding"]


def moved_to(rulings: Iterable[Ruling], qualification: str, at: datetime) -> frozenset[str]:
    """Versions that the learner was moved to, and that still count for them."""
    return frozenset(
        ruling.entry.body["version"]
        for ruling in rulings
        if ruling.entry.kind == "move"
        and ruling.entry.qualification == qualification
        and ruling.stands(at)
        and (ruling.entry.valid_until is None or at < ruling.entry.valid_until)
    )


def moves_end(rulings: Iterable[Ruling], qualification: str, now: datetime) -> Iterator[datetime]:
    """When moves to versions of the qualification end by themselves, if they have not yet."""
    for ruling in rulings:
        end = ruling.entry.valid_until
        if ruling.entry.kind == "move" and ruling.entry.qualification == qualification and ruling.stands(now):
            yield from [end] if end is not None and end > now else []
