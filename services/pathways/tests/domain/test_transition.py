"""What an audit does to a standing award."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.pathways.domain import Audit, LossPolicy, Standing, State, award_id, transition

MARCH, APRIL, JUNE = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 6))
WHO = {"tenant": "north", "learner": "lrn_1"}


def audited(status="complete", components=("h1",), as_of=JUNE, on_loss="review", grace=0, validity="award", **states):
    """An audit of which only what a transition looks at is filled in. `states` are those of holdings since April."""
    return Audit(
        status=status,
        earned_at=MARCH if status == "complete" else None,
        qualification="q",
        version="1",
        as_of=as_of,
        allocation={"leaf": components} if status == "complete" else {},
        digest=f"digest of {status} {components}",
        exhausted=False,
        best=True,
        standings={"h1": Standing(State.VALID), "h2": Standing(State.VALID)}
        | {name: Standing(state, APRIL) for name, state in states.items()},
        loss=LossPolicy(on_loss, grace),
        findings=None,
        validity=validity,
    )


def follow(*audits, award=None):
    changes = []
    for each in audits:
        step = transition(award, each, **WHO)
        award = step.award
        changes.append(step.change)
    return changes, award


def test_completing_awards_once():
    changes, award = follow(audited(), audited())
    assert changes == ["award", "nothing"]
    assert (award.ordinal, award.state, award.earned_at, award.components) == (1, "active", MARCH, ("h1",))
    assert award.id == award_id("north", "lrn_1", "q", 1)
    assert follow(audited("incomplete")) == (["nothing"], None)


def test_undetermined_holds_the_award_as_it_was():
    _, award = follow(audited())
    step = transition(award, audited("undetermined", h1=State.UNKNOWN), **WHO)
    assert (step.change, step.award, step.changed) == ("hold", award, False)
    assert follow(audited("undetermined")) == (["nothing"], None)


def test_reallocation_is_quiet_and_keeps_the_date():
    _, award = follow(audited())
    step = transition(award, replace(audited(components=("h2",), h1=State.REVOKED), earned_at=APRIL), **WHO)
    assert (step.change, step.changed, step.reason) == ("hold", True, "reallocated")
    assert (step.award.id, step.award.components, step.award.earned_at) == (award.id, ("h2",), MARCH)
    assert step.award.digest != award.digest


def test_on_loss_revoke_then_anew_linked_to_the_old():
    lost = audited("incomplete", on_loss="revoke", h1=State.REVOKED)
    changes, award = follow(audited(), lost, lost, audited(components=("h2",)))
    assert changes == ["award", "lapse", "nothing", "award"]
    assert (award.ordinal, award.state) == (2, "active")
    assert award.replaces == award_id("north", "lrn_1", "q", 1)
    assert award.id == award_id("north", "lrn_1", "q", 2)


@pytest.mark.parametrize("state", [State.SUSPENDED, State.SUPERSEDED])
def test_on_loss_revoke_only_suspends_what_may_come_back(state):
    lost = audited("incomplete", on_loss="revoke", h1=state)
    gone = audited("incomplete", on_loss="revoke", h1=State.REVOKED)
    changes, award = follow(audited(), lost, lost, audited())
    assert changes == ["award", "lapse", "nothing", "restore"]
    assert (award.ordinal, award.state) == (1, "active")
    changes, award = follow(audited(), lost, gone)
    assert changes == ["award", "lapse", "lapse"]
    assert award.state == "revoked"


def test_a_component_that_vanished_is_lost_for_good():
    lost = audited("incomplete", on_loss="revoke")
    _, award = follow(audited(components=("gone",)), lost)
    assert award.state == "revoked"


def test_on_loss_suspend_waits_for_the_grace_period_from_the_loss():
    def lost(as_of):
        return audited("incomplete", as_of=as_of, on_loss="suspend", grace=30, h1=State.REVOKED)

    due = APRIL + timedelta(days=30)
    before = lost(due - timedelta(microseconds=1))
    changes, award = follow(audited(), before, before)
    assert changes == ["award", "hold", "hold"]
    assert (award.state, award.due, award.stands) == ("grace", due, True)
    changes, award = follow(lost(due), audited(), award=award)
    assert changes == ["lapse", "restore"]
    assert (award.state, award.due) == ("active", None)
    assert follow(audited(), before, audited())[0] == ["award", "hold", "hold"]
    assert follow(audited(), lost(JUNE))[0] == ["award", "lapse"]


def test_expiry_of_a_component_is_a_loss_where_the_award_lives_only_while_it_does():
    def expired(on_loss, as_of=JUNE):
        return audited("incomplete", as_of=as_of, on_loss=on_loss, grace=30, validity="always", h1=State.EXPIRED)

    assert follow(audited(), expired("revoke"), audited(components=("h2",)))[0] == ["award", "lapse", "award"]
    within = expired("suspend", APRIL + timedelta(days=29))
    changes, award = follow(audited(), within)
    assert (changes, award.state, award.due) == (["award", "hold"], "grace", APRIL + timedelta(days=30))
    assert follow(expired("suspend"), award=award)[1].state == "suspended"


def test_one_that_serves_two_leaves_is_one_component():
    shared = replace(audited(), allocation={"one": ("h1",), "two": ("h1", "h2")})
    assert follow(shared)[1].components == ("h1", "h2")


def test_grace_that_has_begun_is_not_extended():
    def lost(as_of):
        return audited("incomplete", as_of=as_of, on_loss="suspend", grace=30)

    _, award = follow(audited(components=("gone",)), lost(APRIL), lost(APRIL + timedelta(days=29)))
    assert (award.state, award.due) == ("grace", APRIL + timedelta(days=30))


def test_on_loss_review_leaves_it_to_a_registrar():
    lost = audited("incomplete", on_loss="review", h1=State.REVOKED)
    changes, award = follow(audited(), lost, lost)
    assert changes == ["award", "hold", "hold"]
    assert (award.state, award.stands) == ("review", True)
    assert follow(audited(), award=award)[1].state == "active"


def test_another_qualification_is_refused():
    _, award = follow(audited())
    with pytest.raises(ValueError, match="says nothing"):
        transition(award, replace(audited(), qualification="other"), **WHO)


policies = st.tuples(st.sampled_from(["revoke", "suspend", "review"]), st.sampled_from([0, 30, 90]))


@st.composite
def histories(draw):
    on_loss, grace = draw(policies)
    found = []
    for _ in range(draw(st.integers(1, 6))):
        states = {name: draw(st.sampled_from(list(State))) for name in ("h1", "h2")}
        status = draw(st.sampled_from(["complete", "incomplete", "undetermined"]))
        components = draw(st.sampled_from([("h1",), ("h2",), ("h1", "h2")]))
        as_of = MARCH + timedelta(days=draw(st.integers(32, 200)))
        found.append(audited(status, components, as_of, on_loss, grace, **states))
    return found


@given(histories())
def test_applying_an_audit_again_changes_nothing(history):
    award = None
    for each in history:
        first = transition(award, each, **WHO)
        again = transition(first.award, each, **WHO)
        assert first.changed == (first.award != award)
        assert not again.changed
        assert again.award == first.award
        assert again.change in ("nothing", "hold")
        award = first.award


@given(histories(), st.randoms(use_true_random=False))
def test_where_it_ends_does_not_depend_on_the_way(history, random):
    """Whatever came between, and in whatever order, the last audit decides how the award stands. (An award that was
    revoked is the exception: it is issued anew, and under a new number.)"""
    first, last = audited(), history[-1]
    between = history[:-1]
    if last.loss.on_loss == "revoke" or last.status == "undetermined":
        return
    _, one = follow(first, *between, first, last)
    random.shuffle(between)
    _, other = follow(first, *between, *between, first, last)
    assert one == other


@given(histories())
def test_the_date_and_number_of_an_award_never_change(history):
    award = None
    for each in history:
        after = transition(award, each, **WHO).award
        if award is not None and after.ordinal == award.ordinal:
            assert (after.id, after.earned_at, after.version) == (award.id, award.earned_at, award.version)
        elif award is not None:
            assert award.state == "revoked"
            assert after.replaces == award.id
        award = after
