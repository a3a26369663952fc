"""The state of a holding at an instant."""

from dataclasses import replace

import pytest
from hypothesis import given

from cairn.pathways.domain import State, parse_holding, stored_holding
from cairn.pathways.domain.holding import Period

from .drawn import holdings


def at(text):
    return parse_holding({"id": "h", "achievement": "a", "issuer": "i", "earned": text}).earned


@pytest.fixture
def held(make):
    def build(*entries, **more):
        return parse_holding(make.holding("h", status=[{"at": day, "state": state} for day, state in entries], **more))

    return build


def test_the_last_entry_rules(held):
    h = held(("2026-03-05", "valid"), ("2026-05-01", "suspended"), ("2026-06-01", "valid"))
    assert h.standing(at("2026-04-30")).state is State.VALID
    assert h.standing(at("2026-05-01")).state is State.SUSPENDED
    assert h.standing(at("2026-05-31")).since == at("2026-05-01")
    assert h.standing(at("2026-06-01")).state is State.VALID


def test_a_first_entry_valid_reaches_back_and_no_other_does(held):
    assert held(("2026-03-05", "valid")).standing(at("2026-03-01")).state is State.VALID
    assert held(("2026-03-05", "suspended")).standing(at("2026-03-01")).state is State.UNKNOWN
    assert held(("2026-03-05", "valid"), ("2026-03-05", "expired")).standing(at("2026-03-01")).state is State.UNKNOWN
    assert held().standing(at("2026-03-01")).state is State.UNKNOWN


def test_the_more_severe_of_a_tie_rules_whatever_its_place(held):
    for pair in (("valid", "expired"), ("expired", "valid")):
        h = held(*(("2026-03-05", state) for state in pair))
        assert h.standing(at("2026-03-06")).state is State.EXPIRED


def test_revoked_is_final(held):
    h = held(("2026-03-05", "valid"), ("2026-04-01", "revoked"), ("2026-05-01", "valid"))
    assert h.standing(at("2026-06-01")).state is State.REVOKED
    assert h.standing(at("2026-06-01")).since == at("2026-04-01")


def test_it_is_expired_from_valid_until_on_unless_worse(held):
    until = {"validUntil": "2026-05-01T00:00:00Z"}
    assert held(("2026-03-01", "valid"), **until).standing(at("2026-05-01")).state is State.EXPIRED
    assert held(("2026-03-01", "valid"), **until).standing(at("2026-04-30")).state is State.VALID
    assert held(**until).standing(at("2026-05-01")).state is State.EXPIRED
    assert held(("2026-04-01", "suspended"), **until).standing(at("2026-05-01")).state is State.SUSPENDED


def test_valid_periods(held):
    march, may, june = at("2026-03-01"), at("2026-05-01"), at("2026-06-01")
    h = held(("2026-03-05", "valid"), ("2026-05-01", "unknown"), ("2026-06-01", "suspended"))
    assert h.valid_periods(trusting=False) == (Period(march, may),)
    assert h.valid_periods(trusting=True) == (Period(march, june),)
    assert held().valid_periods(trusting=True) == (Period(march, None),)
    assert held().valid_periods(trusting=False) == ()


@given(holdings())
def test_what_is_read_back_from_its_normal_form_is_the_same_holding(documents):
    for document in documents:
        holding = parse_holding(document)
        body = replace(holding, status=()).to_json()
        assert stored_holding(body, holding.status).canonical == holding.canonical
        assert stored_holding(body) == parse_holding(body)
