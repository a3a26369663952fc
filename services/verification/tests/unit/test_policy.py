"""From seven answers to one verdict, and what is kept of them."""

import itertools
import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.credentials import Check, CheckName, Outcome, Verification
from cairn.verification.domain.policy import digest_of, findings_of, verdict_of

PASSED, FAILED, OPEN, SKIPPED = Outcome.PASSED, Outcome.FAILED, Outcome.UNDETERMINED, Outcome.SKIPPED


def verification(id_: str | None = "urn:uuid:canary", **outcomes: Outcome) -> Verification:
    """All checks passed but those that are given."""
    answers = {
        name: Check(outcomes.get(name.value, PASSED), f"code-{name.value}", "canary detail") for name in CheckName
    }
    return Verification(checks=answers, issuer="did:example:issuer", credential={"id": id_})


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ({}, "verified"),
        ({"status": SKIPPED}, "verified"),
        ({"trust": OPEN, "status": SKIPPED}, "verified"),
        ({"trust": SKIPPED}, "verified"),
        ({"trust": OPEN, "status": OPEN}, "undetermined"),
        ({"status": OPEN}, "undetermined"),
        ({"proof": OPEN}, "undetermined"),
        ({"proof": SKIPPED}, "undetermined"),
        ({"issuer": SKIPPED}, "undetermined"),
        ({"schema": OPEN}, "undetermined"),
        ({"evidence": OPEN}, "verified"),
        ({"evidence": FAILED}, "refused"),
        ({"proof": FAILED}, "refused"),
        ({"status": FAILED}, "refused"),
        ({"validity": FAILED}, "refused"),
        ({"trust": FAILED}, "refused"),
        ({"proof": OPEN, "schema": FAILED}, "refused"),
    ],
    ids=str,
)
def test_verdict(outcomes: dict[str, Outcome], verdict: str) -> None:
    assert verdict_of(verification(**outcomes)) == verdict


def test_s12_no_open_or_failed_answer_makes_a_verdict_better() -> None:
    """Over all combinations: the verdict never rises as an answer falls."""
    rank = {"verified": 2, "undetermined": 1, "refused": 0}
    worse = {PASSED: (OPEN, FAILED), SKIPPED: (FAILED,), OPEN: (FAILED,), FAILED: ()}
    names = [name.value for name in CheckName]
    ranks = {
        combination: rank[verdict_of(verification(**dict(zip(names, combination, strict=True))))]
        for combination in itertools.product(Outcome, repeat=len(names))
    }
    for combination, before in ranks.items():
        for position, outcome in enumerate(combination):
            for fallen in worse[outcome]:
                assert ranks[(*combination[:position], fallen, *combination[position + 1 :])] <= before


def test_every_failure_refuses_and_only_a_signed_credential_is_verified() -> None:
    for combination in itertools.product(Outcome, repeat=len(CheckName)):
        outcomes = dict(zip((name.value for name in CheckName), combination, strict=True))
        verdict = verdict_of(verification(**outcomes))
        assert (verdict == "refused") == (FAILED in combination)
        if verdict == "verified":
            assert outcomes["proof"] is PASSED
            assert outcomes["issuer"] is PASSED
            assert OPEN not in {outcomes[name] for name in ("validity", "schema", "status", "holder")}


def test_s36_what_is_kept_repeats_no_sentence_and_names_no_stranger() -> None:
    known = findings_of("a.b.c", verification())
    assert (known.issuer, known.credential) == ("did:example:issuer", "urn:uuid:canary")
    assert "canary detail" not in repr(known)
    unknown = findings_of("a.b.c", verification(trust=OPEN))
    assert (unknown.issuer, unknown.credential) == ("did:example:issuer", None)
    for unsigned in ({"proof": FAILED}, {"proof": OPEN}, {"issuer": FAILED}):
        kept = findings_of("a.b.c", verification(**unsigned))
        assert (kept.issuer, kept.credential) == (None, None)


@pytest.mark.parametrize("odd", [None, "", "a\0b", "a\nb", "x" * 501])
def test_an_id_that_no_event_should_carry_is_left_out(odd: str | None) -> None:
    assert findings_of("a.b.c", verification(id_=odd)).credential is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", max_size=3), JSON, max_size=4))
def test_a_credential_has_one_digest_however_it_is_laid_out(credential: dict) -> None:
    shuffled = dict(reversed(credential.items()))
    forms = [
        credential,
        shuffled,
        json.dumps(shuffled, indent=2),
        json.dumps(credential, ensure_ascii=True).encode(),
        b"\n " + json.dumps(credential, ensure_ascii=False).encode() + b"\n",
    ]
    assert len({digest_of(form) for form in forms}) == 1


def test_another_credential_has_another_digest() -> None:
    assert digest_of({"a": 1}) != digest_of({"a": "1"})
    assert digest_of("a.b.c") == digest_of(b" a.b.c\n") == sha256(b"a.b.c").hexdigest()
    assert digest_of("a.b.c") != digest_of("a.b.d")


@given(st.binary(max_size=64))
def test_anything_has_a_digest(body: bytes) -> None:
    assert len(digest_of(body)) == 64
    assert len(digest_of(b'{"a": ' + body)) == 64
