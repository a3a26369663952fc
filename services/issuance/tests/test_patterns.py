"""What is filled in is what would have been composed: the document, its digest, and the holding."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.common.instants import format_instant
from cairn.credentials import Ed25519Signer, prepare
from cairn.credentials.canonicalize.outline import Outline
from cairn.issuance.domain import patterns
from cairn.issuance.domain.compose import Issuer, StackFacts, Subject, credential_for_award, credential_for_completion
from cairn.issuance.domain.intents import WrongBytes
from cairn.issuance.domain.model import Achievement, Institution, Profile
from cairn.issuance.domain.patterns import Pattern, Patterns

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 1, 12, 30, 15, 250_000, tzinfo=UTC)
METHOD = Ed25519Signer(bytes(32), "did:web:uni.example#key-1").verification_method
INSTITUTION: dict[str, Any] = {"id": "north", "name": "North", "url": "https://north.example", "country": "IE"}
ID = "https://uni.example/achievements/north/stats"
ACHIEVEMENT: dict[str, Any] = {
    "code": "stats",
    "name": "Statistics",
    "description": "Describe data and infer from it.",
    "criteria": {"narrative": "Pass the exam."},
    "credits": {"value": "5", "unit": "ECTS"},
    "level": {"EQF": 7},
}
KINDS = (
    ACHIEVEMENT,
    ACHIEVEMENT | {"validMonths": 24, "assessment": {"type": "exam", "supervised": True}, "participation": "online"},
    ACHIEVEMENT | {"suspendable": True, "validMonths": 600},
)
_KNOWN = [Pattern(Issuer("did:web:uni.example", Institution(**INSTITUTION)), ID, Achievement(**kind)) for kind in KINDS]

names = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=40)
scores = st.decimals(0, 1, places=4).map(lambda score: {"score": format(score, "f")})
points = st.decimals(0, 1000, places=2).map(lambda number: {"points": format(number, "f"), "scale": "us-4.0"})
facts = st.fixed_dictionaries(
    {
        "completedAt": st.datetimes(datetime(2025, 1, 1), datetime(2026, 10, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
            format_instant
        ),
        "grade": st.none() | scores | points,
        "mode": st.sampled_from([None, "onsite", "blended"]),
        "supervised": st.none() | st.booleans(),
        "identityVerified": st.none() | st.booleans(),
        "source": st.sampled_from(["lms", "external"]),
    }
)


def test_the_templates_of_all_achievements_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a few hundred qualifications with many electives would take a gigabyte."""
    monkeypatch.setattr(patterns, "_TEMPLATES", 10)
    known = Patterns()
    for number in range(40):
        pattern = known.of("did:web:uni.example", INSTITUTION, f"{ID}-{number // 4}", ACHIEVEMENT)
        stack = StackFacts(
            "https://uni.example/q",
            "1",
            "Q",
            "0" * 64,
            NOW,
            [("urn:uuid:1", f"{ID}-of-{number % 4}", "did:web:uni.example")],
        )
        for name in ("Ada", "Grace"):
            subject = Subject("urn:uuid:2", Profile(name=name), {})
            pattern.fill(subject, stack, NOW, verification_method=METHOD, cryptosuite="eddsa-rdfc-2022")
        assert known._taken.templates == sum(len(each[3]._templates) for each in known._known.values())
        assert 0 < known._taken.templates <= 10


@given(
    kind=st.sampled_from(range(len(KINDS))),
    name=names.filter(str.strip),
    email=st.sampled_from([None, "Ada@uni.example"]),
    number=st.integers(0, 131_071),
    list_id=st.integers(1, 3),
    said=facts,
)
def test_a_pattern_fills_in_what_would_have_been_composed(
    kind: int, name: str, email: str | None, number: int, list_id: int, said: dict[str, Any]
):
    pattern = _KNOWN[kind]
    purposes = ("revocation", "suspension") if pattern.achievement.suspendable else ("revocation",)
    subject = Subject(
        f"urn:uuid:00000000-0000-5000-8000-{number:012}",
        Profile(name=name, email=email),
        {purpose: (f"https://uni.example/status/north/{list_id}/{purpose}", number) for purpose in purposes},
        f"https://uni.example/v1/credentials/{number}/renewal",
    )
    made, held = pattern.fill(subject, said, NOW, verification_method=METHOD, cryptosuite="eddsa-rdfc-2022")
    issuer = Issuer("did:web:uni.example", Institution(**INSTITUTION))
    document, holding = credential_for_completion(issuer, ID, pattern.achievement, subject, said, NOW)
    assert made.document == document
    assert held == holding.to_json()
    assert made == prepare(document, verification_method=METHOD, created=NOW)


@given(
    kind=st.sampled_from(range(len(KINDS))),
    name=names.filter(str.strip),
    number=st.integers(0, 131_071),
    parts=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    title=st.sampled_from(["PgCert", "Diploma"]),
)
def test_a_pattern_fills_in_a_qualification_with_its_stack(
    kind: int, name: str, number: int, parts: list[int], title: str
):
    pattern = _KNOWN[kind]
    subject = Subject(
        f"urn:uuid:00000000-0000-5000-8000-{number:012}",
        Profile(name=name),
        {"revocation": ("https://uni.example/status/north/1/revocation", number)},
        f"https://uni.example/v1/credentials/{number}/renewal",
    )
    components = [
        (f"urn:uuid:00000000-0000-5000-9000-{number:06}{place:06}", f"{ID}{part}", "did:web:uni.example")
        for place, part in enumerate(parts)
    ]
    stack = StackFacts("https://uni.example/q/1", "2026", title, f"{number:064x}", NOW - timedelta(9), components)
    issuer = Issuer("did:web:uni.example", Institution(**INSTITUTION))
    document, holding = credential_for_award(issuer, ID, pattern.achievement, subject, stack, NOW)
    for _ in range(3):  # the first time it is composed, the second time by a template of its own
        made, held = pattern.fill(subject, stack, NOW, verification_method=METHOD, cryptosuite="eddsa-rdfc-2022")
        assert made.document == document
        assert held == holding.to_json()
        assert made == prepare(document, verification_method=METHOD, created=NOW)


def test_a_third_credential_is_filled_in_and_not_composed(monkeypatch: pytest.MonkeyPatch):
    pattern = Patterns().of("did:web:uni.example", INSTITUTION, ID, ACHIEVEMENT)
    status = {"revocation": ("https://uni.example/status/north/1/revocation", 1)}
    first = Subject("urn:uuid:00000000-0000-5000-8000-000000000001", Profile(name="Ada"), status)
    said = {"completedAt": "2026-01-01T00:00:00Z", "grade": {"score": "0.8"}}
    for _ in range(2):
        pattern.fill(first, said, NOW, verification_method=METHOD, cryptosuite="eddsa-rdfc-2022")
    monkeypatch.setattr("cairn.issuance.domain.patterns.credential_for_completion", None)
    monkeypatch.setattr("cairn.credentials.template.prepare", None)
    third = replace(first, credential="urn:uuid:00000000-0000-5000-8000-000000000003", profile=Profile(name="Grace"))
    made, _ = pattern.fill(third, said, NOW, verification_method=METHOD, cryptosuite="eddsa-rdfc-2022")
    assert made.document["credentialSubject"]["identifier"][0]["identityHash"] == "Grace"


def test_s26_every_sixteenth_credential_by_template_is_compared_with_the_long_way(monkeypatch: pytest.MonkeyPatch):
    pattern = Patterns().of("did:web:uni.example", INSTITUTION, ID, ACHIEVEMENT)
    subject = Subject("urn:uuid:00000000-0000-5000-8000-000000000001", Profile(name="Ada"), {})
    said = {"completedAt": "2026-01-01T00:00:00Z"}

    def fill() -> None:
        pattern.fill(subject, said, NOW, verification_method=METHOD, cryptosuite="eddsa-rdfc-2022")

    for _ in range(3):  # composed, by a template that is compared, and by that one again
        fill()
    plain = Outline.canonical
    monkeypatch.setattr(Outline, "canonical", lambda *asked: plain(*asked).replace("_:c14n0", "_:c14n00"))
    for _ in range(14):
        fill()
    with pytest.raises(WrongBytes):
        fill()


def test_what_ends_before_it_begins_is_refused_as_ever():
    pattern = _KNOWN[1]
    subject = Subject("urn:uuid:00000000-0000-5000-8000-000000000001", Profile(name="Ada"), {})
    said = {"completedAt": format_instant(NOW - timedelta(days=800))}
    with pytest.raises(ValueError, match="validUntil"):
        pattern.fill(subject, said, NOW, verification_method=METHOD, cryptosuite="eddsa-rdfc-2022")


def test_patterns_follow_their_achievement_and_are_bounded():
    patterns = Patterns(size=2)
    first = patterns.of("did:web:uni.example", INSTITUTION, ID, ACHIEVEMENT)
    assert patterns.of("did:web:uni.example", dict(INSTITUTION), ID, dict(ACHIEVEMENT)) is first
    changed = INSTITUTION | {"name": "North Coast"}
    assert patterns.of("did:web:uni.example", changed, ID, ACHIEVEMENT) is not first
    for number in range(5):
        patterns.of("did:web:uni.example", INSTITUTION, f"{ID}{number}", ACHIEVEMENT)
    assert patterns.of("did:web:uni.example", changed, ID, ACHIEVEMENT).achievement == first.achievement
