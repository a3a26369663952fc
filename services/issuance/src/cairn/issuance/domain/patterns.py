"""What `compose` makes of a completion or an award, composed twice for an achievement and then only filled in.

The credentials of one achievement differ in a dozen texts: whose it is, when, with what grade or stack, and where its
status is. So the first two of each kind are composed the long way, and the others are their copies with their own
texts. That also lets their canonical form be worked out from that one's. Both ways give the same document and holding.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from cairn.common.events.models import Holding
from cairn.common.instants import format_instant, parse_instant
from cairn.credentials import CredentialTemplate, Cryptosuite, Identifier, PreparedProof, multibase_digest, prepare
from cairn.issuance.domain.compose import (
    Issuer,
    StackFacts,
    Subject,
    credential_for_award,
    credential_for_completion,
    result_of,
)
from cairn.issuance.domain.intents import WrongBytes
from cairn.issuance.domain.model import Achievement, Evidence, Institution, add_months

_SIZE: Final = 256
_KINDS: Final = 64
_TEMPLATES: Final = 1024
"""In all: one for a stack of twenty credentials takes some 90 KiB."""
_ONE_IN: Final = 16
_SUBJECT: Final = "credentialSubject"

Body: TypeAlias = Mapping[str, Any]
"""As it is stored: JSON."""
Kind: TypeAlias = tuple[Any, ...]
"""What the credentials of one template have alike."""
Made: TypeAlias = tuple[PreparedProof, dict[str, Any]]
"""The credential with its proof prepared, and its holding as JSON."""


@dataclass(slots=True)
class Taken:
    """How many templates there are, in all patterns together."""

    templates: int = 0


class Pattern:
    """Of one achievement."""

    def __init__(
        self, issuer: Issuer, achievement_id: str, achievement: Achievement, taken: Taken | None = None
    ) -> None:
        self.achievement = achievement
        self._taken = taken or Taken()
        self._issuer, self._id = issuer, achievement_id
        self._templates: dict[Kind, CredentialTemplate | None] = {}
        self._met: set[Kind] = set()
        self._used: Counter[Kind] = Counter()
        self._holding: dict[str, Any] = {}

    def fill(
        self,
        subject: Subject,
        ground: Body | StackFacts,
        now: datetime,
        *,
        verification_method: str,
        cryptosuite: Cryptosuite,
        renewal: Sequence[Evidence] = (),
    ) -> Made:
        """For a completion, by what it says, or an award; composed as by `compose` and then prepared.

        Raises as both do, and WrongBytes.
        """
        stack = ground if isinstance(ground, StackFacts) else None
        facts: Body = {} if isinstance(ground, StackFacts) else ground
        earned = stack.earned_at if stack else parse_instant(facts["completedAt"])
        months = self.achievement.valid_months
        until = add_months(earned, months) if months else None
        # Rare or refused: the long way says what it is.
        if facts.get("renews") is None and (until is None or until > now):
            texts = self._texts(subject, facts, earned, until, now) | (_cited(stack) if stack else {})
            kind = (*texts, *((stack.qualification, stack.version, stack.title, *_others(stack)) if stack else ()))
            template = self._templates.get(kind)
            if kind not in self._met:
                # Making a template is as much work as ten credentials, and where a framework has many electives, few
                # stacks are alike: it is worth its while from the second time on.
                if len(self._met) >= _KINDS:
                    self._taken.templates -= len(self._templates)
                    self._met.clear()
                    self._templates.clear()
                    self._used.clear()
                self._met.add(kind)
            elif kind not in self._templates:
                template = self._template(subject, ground, now, texts, verification_method)
                self._templates[kind] = template
                self._taken.templates += 1
            if template is not None:
                values = list(texts.values())
                if cryptosuite == "eddsa-rdfc-2022":
                    made = template.prepare(values, verification_method=verification_method, created=now)
                    self._compare(kind, made, verification_method, now)
                else:
                    made = prepare(
                        template.document(values),
                        verification_method=verification_method,
                        created=now,
                        cryptosuite=cryptosuite,
                    )
                held = self._held(subject, facts, earned, until)
                held["components"] = [credential for credential, _, _ in stack.components] if stack else []
                return made, held
        document, holding = self._compose(subject, ground, now, renewal)
        made = prepare(document, verification_method=verification_method, created=now, cryptosuite=cryptosuite)
        return made, holding.to_json()

    def _compare(self, kind: Kind, made: PreparedProof, method: str, now: datetime) -> None:
        """A template is not believed on its first use, nor on every sixteenth one after it: the long way shares nothing
        with it, and must come to the same digest (S26). Raises WrongBytes."""
        if self._used[kind] % _ONE_IN == 0 and prepare(made.document, verification_method=method, created=now) != made:
            raise WrongBytes(f"a template of {self._id} goes wrong")
        self._used[kind] += 1

    def _texts(
        self, subject: Subject, facts: Body, earned: datetime, until: datetime | None, now: datetime
    ) -> dict[tuple[Any, ...], str]:
        """What is this learner's own, by its place in the document."""
        when = format_instant(earned)
        texts: dict[tuple[Any, ...], str] = {
            ("id",): subject.credential,
            ("validFrom",): format_instant(now),
            ("awardedDate",): when,
            (_SUBJECT, "activityEndDate"): when,
            (_SUBJECT, "identifier", 0, "identityHash"): subject.profile.name,
        }
        if subject.profile.email is not None:
            address = Identifier.of("emailAddress", subject.profile.email, salt=subject.salt)
            texts[_SUBJECT, "identifier", 1, "identityHash"] = address.identity_hash
            texts[_SUBJECT, "identifier", 1, "salt"] = subject.salt
        if grade := facts.get("grade"):
            description, value = result_of(self._id, *_numbers(grade))
            texts[_SUBJECT, "result", 0, "resultDescription"] = description
            texts[_SUBJECT, "result", 0, "value"] = value
        if until is not None:
            texts["validUntil",] = format_instant(until)
            if subject.refresh is not None:
                texts["refreshService", "id"] = subject.refresh
        several = len(subject.status) > 1
        for number, (_, (url, index)) in enumerate(sorted(subject.status.items())):
            entry = ("credentialStatus", number) if several else ("credentialStatus",)
            texts[*entry, "id"] = f"{url}#{index}"
            texts[*entry, "statusListIndex"] = str(index)
            texts[*entry, "statusListCredential"] = url
        return texts

    def _template(
        self,
        subject: Subject,
        ground: Body | StackFacts,
        now: datetime,
        texts: Mapping[tuple[Any, ...], str],
        method: str,
    ) -> CredentialTemplate | None:
        """Of this learner's credential; None where filling it in would not give that very document again."""
        document, holding = self._compose(subject, ground, now)
        # A sample that cannot be signed, such as for the characters of a name, would take all others with it.
        prepare(document, verification_method=method, created=now)
        own = {"grade", "assessment", "mode", "validUntil"}
        self._holding = {key: value for key, value in holding.to_json().items() if key not in own}
        template = CredentialTemplate(document, list(texts))
        return template if template.document(list(texts.values())) == document else None

    def _compose(
        self, subject: Subject, ground: Body | StackFacts, now: datetime, renewal: Sequence[Evidence] = ()
    ) -> tuple[dict[str, Any], Holding]:
        if isinstance(ground, StackFacts):
            return credential_for_award(self._issuer, self._id, self.achievement, subject, ground, now)
        return credential_for_completion(self._issuer, self._id, self.achievement, subject, ground, now, renewal)

    def _held(self, subject: Subject, facts: Body, earned: datetime, until: datetime | None) -> dict[str, Any]:
        when = format_instant(earned)
        held = {
            **self._holding,
            "id": subject.credential,
            "source": facts.get("source", "lms"),
            "earned": when,
            "status": [{"at": when, "state": "valid"}],
        }
        if facts.get("grade"):
            held["grade"] = facts["grade"]
        if mode := facts.get("mode") or self.achievement.participation:
            held["mode"] = mode
        if until is not None:
            held["validUntil"] = format_instant(until)
        policy = self.achievement.assessment
        supervised, verified = facts.get("supervised"), facts.get("identityVerified")
        if policy is not None or supervised is not None or verified is not None:
            held["assessment"] = {
                "supervised": supervised if supervised is not None else bool(policy and policy.supervised),
                "identityVerified": verified if verified is not None else bool(policy and policy.identity_verified),
            }
        return held


class Patterns:
    """Of the achievements that were met last. The memory is bounded: a full one is emptied."""

    def __init__(self, size: int = _SIZE) -> None:
        self._size = size
        self._taken = Taken()
        self._known: dict[str, tuple[str, Body, Body, Pattern]] = {}

    def of(self, did: str, institution: Body, achievement_id: str, achievement: Body) -> Pattern:
        """Made anew where the institution or its achievement is not what it was."""
        if self._taken.templates >= _TEMPLATES:
            self._empty()
        known = self._known.get(achievement_id)
        if known is not None and known[:3] == (did, institution, achievement):
            return known[3]
        if len(self._known) >= self._size:
            self._empty()
        issuer = Issuer(did, Institution.model_validate(institution))
        pattern = Pattern(issuer, achievement_id, Achievement.model_validate(achievement), self._taken)
        self._known[achievement_id] = did, institution, achievement, pattern
        return pattern

    def _empty(self) -> None:
        self._known.clear()
        self._taken = Taken()


def _cited(stack: StackFacts) -> dict[tuple[Any, ...], str]:
    """What a stack has of its own, by its place: its credentials, and the digest of its audit."""
    texts: dict[tuple[Any, ...], str] = {
        ("evidence", number, "id"): credential for number, (credential, _, _) in enumerate(stack.components)
    }
    audit = len(stack.components)
    digest = base64.urlsafe_b64encode(bytes.fromhex(stack.digest)).rstrip(b"=").decode()
    texts["evidence", audit, "id"] = f"ni:///sha-256;{digest}"
    texts["evidence", audit, "digestMultibase"] = multibase_digest(stack.digest)
    return texts


def _others(stack: StackFacts) -> list[tuple[str, str]]:
    """What stacks of one template have alike."""
    return [(achievement, issuer) for _, achievement, issuer in stack.components]


def _numbers(grade: Body) -> tuple[Decimal | None, Decimal | None, str | None]:
    score, points = grade.get("score"), grade.get("points")
    return Decimal(score) if score else None, Decimal(points) if points else None, grade.get("scale")
