"""Credentials within a credential: the badges of a CLR, endorsements (objects and JWTs), and a stack that is cited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cairn.credentials.openbadges import words
from cairn.credentials.shape import is_list, is_object, listed, text_of

_LONGEST: Final = 2_000
_ENDORSED: Final = frozenset({"endorsement", "endorsementJwt"})


@dataclass(frozen=True, slots=True)
class Embedded:
    """A whole credential, not judged yet. `pointer` says where it lies in the outer one."""

    pointer: str
    credential: dict[str, Any] | str
    is_endorsement: bool = False


@dataclass(frozen=True, slots=True)
class Cited:
    """A credential of which only the id is given, and perhaps a digest of it."""

    pointer: str
    id: str | None
    digest: str | None


def embedded_in(document: dict[str, Any]) -> Iterator[Embedded]:
    """The badges of CLR 2.0 (`ClrSubject.verifiableCredential`), and the endorsements of Open Badges 3.0 §B."""
    for place, subject in _each(document, "credentialSubject", ""):
        for where, credential in _each(subject, "verifiableCredential", place):
            yield Embedded(where, credential)
        for where, achievement in _each(subject, "achievement", place):
            yield from _endorsements(achievement, where)
    yield from _endorsements(document, "")
    for place, issuer in _each(document, "issuer", ""):
        yield from _endorsements(issuer, place)


def cited_in(document: dict[str, Any]) -> Iterator[Cited]:
    """The stack of a qualification, as `build_credential` writes it."""
    for where, evidence in _each(document, "evidence", ""):
        if evidence.get("genre") == words.COMPONENT_GENRE:
            name = text_of(evidence.get("id"))
            known = name if name and len(name) <= _LONGEST else None
            yield Cited(where, known, text_of(evidence.get("digestMultibase")))


def _endorsements(node: dict[str, Any], place: str) -> Iterator[Embedded]:
    if _ENDORSED.isdisjoint(node):
        return
    for where, credential in _each(node, "endorsement", place):
        yield Embedded(where, credential, is_endorsement=True)
    tokens = node.get("endorsementJwt")
    if tokens is None:
        return
    for position, token in enumerate(listed(tokens)):
        where = f"{place}/endorsementJwt/{position}" if is_list(tokens) else f"{place}/endorsementJwt"
        # Only a token: other text, such as an address, would be read as something to fetch.
        plain = isinstance(token, str) and ":" not in token
        yield Embedded(where, token if plain else {}, is_endorsement=True)


def _each(node: dict[str, Any], name: str, place: str) -> list[tuple[str, dict[str, Any]]]:
    value = node.get(name)
    if is_object(value):
        return [(f"{place}/{name}", value)]
    if not is_list(value):
        return []
    return [(f"{place}/{name}/{position}", entry) for position, entry in enumerate(value) if is_object(entry)]
