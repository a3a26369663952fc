"""Open Badges 2.0 (and 1.1) as it is handed in, and as it reads. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from cairn.credentials.findings import Finding
from cairn.credentials.instants import parse_instant
from cairn.credentials.jws import Jws
from cairn.credentials.openbadges.models import CredentialFacts, Evidence, Identifier
from cairn.credentials.shape import id_of, is_object, is_url, listed, text_of, types_of

OLD_FORM: Final = "open-badges-2"
_CONTEXTS: Final = frozenset({"https://w3id.org/openbadges/v1", "https://w3id.org/openbadges/v2"})
_HOSTED: Final = frozenset({"HostedBadge", "hosted"})
_SIGNED: Final = frozenset({"SignedBadge", "signed"})


@dataclass(frozen=True, slots=True)
class OldBadge:
    """An assertion as somebody holds it: its JSON, its signature, or only its address."""

    assertion: dict[str, Any]
    jws: Jws | None = None
    by_address: bool = False


def is_old(document: dict[str, Any]) -> bool:
    return not _CONTEXTS.isdisjoint([name for name in listed(document.get("@context")) if isinstance(name, str)])


def verification_of(assertion: dict[str, Any]) -> tuple[str | None, str | None]:
    """How it is to be verified, `hosted` or `signed`, and the address of the key; 1.1 calls the member `verify`."""
    said = assertion.get("verification", assertion.get("verify"))
    if not is_object(said):
        return None, None
    kinds = {*types_of(said)}
    kind = "hosted" if kinds & _HOSTED else "signed" if kinds & _SIGNED else None
    return kind, text_of(said.get("creator", said.get("url")))


def origin(url: str | None) -> str | None:
    """Scheme, host and port of an https address, or None for anything else."""
    if not is_url(url) or len(url) > 2_000:
        return None
    try:
        parts = urlsplit(url)
        return f"https://{parts.hostname}:{parts.port or 443}" if parts.scheme == "https" and parts.hostname else None
    except ValueError:
        return None


def in_scope(address: str, profile: dict[str, Any]) -> bool:
    """Whether the issuer lets assertions be hosted there (Open Badges 2.0, VerificationObject of its profile).

    Its own host, where it names none; and under the beginnings that it gives, where several share a host.
    """
    said = profile.get("verification")
    rules: dict[str, Any] = said if is_object(said) else {}
    hosts, beginnings = listed(rules.get("allowedOrigins")), listed(rules.get("startsWith"))
    if beginnings and not any(isinstance(one, str) and address.startswith(one) for one in beginnings):
        return False
    home = origin(address)
    allowed = {origin(f"https://{host}") for host in hosts} if hosts else {origin(text_of(profile.get("id")))}
    return home is not None and home in allowed


def findings(assertion: dict[str, Any], badge: dict[str, Any]) -> Iterator[Finding]:
    """Where they lack what Open Badges 2.0 requires of an Assertion and of a BadgeClass."""
    recipient = assertion.get("recipient")
    if "Assertion" not in types_of(assertion):
        yield Finding("type-missing", "the type does not include Assertion", "/type")
    if not is_url(assertion.get("id")):
        yield Finding("id-malformed", "the id is not one URL", "/id")
    if not is_object(recipient) or not text_of(recipient.get("identity")) or not types_of(recipient):
        yield Finding("recipient-malformed", "the recipient has no type and identity", "/recipient")
    if parse_instant(assertion.get("issuedOn")) is None:
        yield Finding("date-malformed", "issuedOn is not a date-time with a time zone", "/issuedOn")
    if "expires" in assertion and parse_instant(assertion["expires"]) is None:
        yield Finding("date-malformed", "expires is not a date-time with a time zone", "/expires")
    if "BadgeClass" not in types_of(badge):
        yield Finding("badge-malformed", "what the badge leads to is not a BadgeClass", "/badge")
    for name in ("name", "description", "criteria", "issuer"):
        if not badge.get(name):
            yield Finding("badge-malformed", f"the badge class has no {name}", "/badge")


def as_credential(assertion: dict[str, Any], badge: dict[str, Any]) -> dict[str, Any]:
    """The period in the words of VC data model 2.0, so that one check judges both."""
    names = {"issuedOn": "validFrom", "expires": "validUntil"}
    return {names[name]: assertion[name] for name in names if name in assertion} | {"issuer": badge.get("issuer")}


def read_old_facts(assertion: dict[str, Any], badge: dict[str, Any], issuer: dict[str, Any]) -> CredentialFacts:
    """What an old badge claims, in the words of the new; never raises."""
    criteria, image = badge.get("criteria"), badge.get("image")
    return CredentialFacts(
        id=text_of(assertion.get("id")),
        types=types_of(assertion),
        issuer=id_of(badge.get("issuer")),
        issuer_name=text_of(issuer.get("name")),
        identifiers=tuple(_identifiers(assertion.get("recipient"))),
        name=text_of(badge.get("name")),
        achievement=id_of(badge) or id_of(assertion.get("badge")),
        achievement_name=text_of(badge.get("name")),
        description=text_of(badge.get("description")),
        criteria=(text_of(criteria.get("narrative")) or id_of(criteria)) if is_object(criteria) else text_of(criteria),
        image=id_of(image),
        valid_from=text_of(assertion.get("issuedOn")),
        valid_until=text_of(assertion.get("expires")),
        tags=tuple(tag for tag in listed(badge.get("tags")) if isinstance(tag, str)),
        evidence=tuple(_evidence(assertion.get("evidence"))),
    )


def _identifiers(recipient: Any) -> Iterator[Identifier]:
    if is_object(recipient):
        kind = text_of(recipient.get("type"))
        values = {
            "identity_type": "emailAddress" if kind == "email" else kind,
            "identity_hash": recipient.get("identity"),
            "hashed": recipient.get("hashed"),
            "salt": recipient.get("salt"),
        }
        try:
            yield Identifier.model_validate(values)
        except ValidationError:
            return


def _evidence(value: Any) -> Iterator[Evidence]:
    for one in listed(value):
        given = one if is_object(one) else {"id": one}
        known = {name: given.get(name) for name in ("id", "name", "description", "narrative", "genre", "audience")}
        try:
            yield Evidence.model_validate(known)
        except ValidationError:
            continue
