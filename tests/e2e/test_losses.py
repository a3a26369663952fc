"""What is lost below is lost above, and comes back: across both services, with the status that verifiers read."""

from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from cairn.common.bus import postgres_schema
from cairn.issuance.domain.names import credential_id
from cairn.provision.postgres import BusDatabase, ServiceDatabase

from .two_services import PUBLIC, START, TwoServices, running

CHAIN = ("data", "analysis", "science", "doctorate")


@pytest.fixture
async def campus(
    migrated_database: Callable[[str], ServiceDatabase], fresh_bus_database: Callable[[], BusDatabase]
) -> AsyncGenerator[TwoServices]:
    bus = fresh_bus_database()
    await postgres_schema.provide(bus.owner_url, bus.roles)
    async with running(migrated_database("issuance"), migrated_database("pathways"), bus) as made:
        for code in ("stats", "ml", *CHAIN):
            await made.offer(code, suspendable=True)
        await made.offer("stats", "harbour", suspendable=True)
        yield made
        assert await made.dead_letters() == []


def course(code: str, tenant: str = "north") -> dict[str, Any]:
    asked = {"achievement": [f"{PUBLIC}/achievements/{tenant}/{code}"]}
    return {"id": f"{tenant}-{code}", "count": {"min": 1}, "from": asked}


async def nest(campus: TwoServices, *bottom: dict[str, Any], **policy: Any) -> None:
    """Each qualification of the chain asks for the one before it; the first for the courses."""
    asked = list(bottom)
    for name in CHAIN:
        below = await campus.publish(name, asked, **policy)
        asked = [{"id": "below", "qualification": below}]


async def seen(campus: TwoServices, learner: str) -> dict[str, tuple[str, str, bool, bool]]:
    """Of each qualification: the award, its credential, and what a verifier reads: suspended, revoked."""
    return {
        name: (
            award["state"],
            (await campus.credential_of(award["id"]))["status"],
            await campus.published(award["id"], "suspension"),
            await campus.published(award["id"], "revocation"),
        )
        for name, award in (await campus.awards(learner)).items()
    }


VALID = ("active", "valid", False, False)
GRACE = ("grace", "valid", False, False)
SUSPENDED = ("suspended", "suspended", True, False)
REVOKED = ("revoked", "revoked", False, True)


async def test_a_loss_is_given_grace_then_suspends_the_qualification_and_is_made_good(campus: TwoServices) -> None:
    await campus.publish("data", [course("stats"), course("ml")], onLoss="suspend", graceDays=30)
    ada = await campus.learner("ada")
    await campus.complete("ada", "stats")
    component = await campus.complete("ada", "ml")
    assert await seen(campus, ada) == {"data": VALID}

    await campus.change(component, "suspend")
    assert await seen(campus, ada) == {"data": GRACE}
    for days, state in ((29, GRACE), (31, SUSPENDED)):
        campus.clock.now = START + timedelta(days=days)
        await campus.settle()
        assert await seen(campus, ada) == {"data": state}

    await campus.change(component, "reinstate")
    assert await seen(campus, ada) == {"data": VALID}

    # Made good within its grace, nobody ever hears of it.
    award = (await campus.awards(ada))["data"]["id"]
    changes = (await campus.credential_of(award))["changes"]
    await campus.change(component, "suspend")
    await campus.change(component, "reinstate")
    campus.clock.now += timedelta(days=60)
    await campus.settle()
    assert await seen(campus, ada) == {"data": VALID}
    assert (await campus.credential_of(award))["changes"] == changes


async def test_what_expires_is_given_grace_too_and_is_made_good_by_passing_again(campus: TwoServices) -> None:
    await campus.offer("first-aid", suspendable=True, validMonths=12)
    rules = {"validity": "always", "onLoss": "suspend", "graceDays": 30}
    await campus.publish("data", [course("stats"), course("first-aid")], **rules)
    ada = await campus.learner("ada")
    await campus.complete("ada", "stats")
    await campus.complete("ada", "first-aid")
    assert await seen(campus, ada) == {"data": VALID}
    expires = START.replace(year=2027, month=3, day=1, hour=0)
    for days, state in ((-1, VALID), (0, GRACE), (29, GRACE), (31, SUSPENDED)):
        campus.clock.now = expires + timedelta(days=days)
        await campus.settle()
        assert await seen(campus, ada) == {"data": state}, days
    await campus.complete("ada", "first-aid", at="2027-03-20T00:00:00Z")
    assert await seen(campus, ada) == {"data": VALID}


async def test_a_loss_at_the_bottom_reaches_the_fourth_qualification_and_so_does_its_return(
    campus: TwoServices,
) -> None:
    await nest(campus, course("stats"), course("ml"), onLoss="suspend", graceDays=0)
    ada = await campus.learner("ada")
    await campus.complete("ada", "stats")
    component = await campus.complete("ada", "ml")
    assert await seen(campus, ada) == dict.fromkeys(CHAIN, VALID)
    awards = await campus.awards(ada)
    for below, above in pairwise(CHAIN):
        assert awards[above]["components"] == [credential_id(awards[below]["id"])]
    for _ in range(2):
        await campus.change(component, "suspend")
        assert await seen(campus, ada) == dict.fromkeys(CHAIN, SUSPENDED)
        await campus.change(component, "reinstate")
        assert await seen(campus, ada) == dict.fromkeys(CHAIN, VALID)


async def test_what_is_revoked_at_the_bottom_is_revoked_to_the_top_and_earned_anew(campus: TwoServices) -> None:
    await nest(campus, course("stats"), course("ml"), onLoss="revoke")
    ada = await campus.learner("ada")
    await campus.complete("ada", "stats")
    component = await campus.complete("ada", "ml")
    first = await campus.awards(ada)
    await campus.change(component, "revoke")
    assert await seen(campus, ada) == dict.fromkeys(CHAIN, REVOKED)
    await campus.complete("ada", "ml", at="2026-10-01T00:00:00Z")
    assert await seen(campus, ada) == dict.fromkeys(CHAIN, VALID)
    again = await campus.awards(ada)
    assert {name: again[name]["replaces"] for name in CHAIN} == {name: first[name]["id"] for name in CHAIN}


async def test_a_merge_completes_four_qualifications_and_its_end_takes_them_back(campus: TwoServices) -> None:
    await nest(campus, course("stats", "harbour"), course("ml"), onLoss="suspend", graceDays=0)
    ada, away = await campus.learner("ada"), await campus.learner("ada", "harbour")
    await campus.complete("ada", "ml")
    await campus.complete("ada", "stats", "harbour")
    assert await seen(campus, ada) == {}
    for _ in range(2):
        code = (await campus.ask(campus.issuance, f"/v1/learners/{away}/link-codes", tenant="harbour"))["code"]
        await campus.ask(campus.issuance, f"/v1/learners/{ada}/merges", {"code": code, "consent": "I agree."})
        await campus.settle()
        assert await seen(campus, ada) == dict.fromkeys(CHAIN, VALID)
        await campus.ask(campus.issuance, f"/v1/learners/{ada}/merges/{away}", method="DELETE")
        await campus.settle()
        assert await seen(campus, ada) == dict.fromkeys(CHAIN, SUSPENDED)
