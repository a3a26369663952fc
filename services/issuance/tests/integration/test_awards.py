"""S33: a qualification is signed only for what pathways awarded, and only if it adds up."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text

from cairn.common.events import Event, fact_of
from cairn.common.events.models import (
    FrameworkActivated,
    QualificationCompleted,
    QualificationLapsed,
    QualificationRestored,
)
from cairn.credentials import read_facts
from cairn.issuance import consumers, jobs
from cairn.issuance.domain.model import Profile
from cairn.issuance.store import people
from cairn.issuance.use_cases import awards, issue
from cairn.issuance.use_cases.awards import Forged
from cairn.issuance.use_cases.learners import profile_place

AT = datetime(2026, 10, 1, tzinfo=UTC)
CERTIFICATE = {
    "code": "pgcert",
    "name": "Postgraduate Certificate in Data",
    "description": "A stack of micro-credentials.",
    "criteria": {"narrative": "Meet the framework."},
    "achievementType": "Certificate",
}
QUALIFICATION, VERSION = "https://north.example/q/pgcert", "2026-27"
ACHIEVEMENT = "https://cairn.localhost/issuance/achievements/north/pgcert"


def event(type_: str, fact, tenant: str = "north") -> Event:
    return Event(
        type=type_,
        source="/pathways",
        subject=getattr(fact, "award", fact.qualification),
        tenant=tenant,
        key=getattr(fact, "learner", fact.qualification),
        data=fact.to_json(),
        time=AT,
    )


async def given_up(service, award: Event) -> None:
    """The award has waited for its framework for longer than anybody is patient."""
    service.worker.settings.award_patience_seconds = 0
    try:
        await consumers.handle(service.worker, [award])
        await jobs.settle_waiting(service.worker)
    finally:
        service.worker.settings.award_patience_seconds = 60


def activated(**change) -> Event:
    fact = {
        "framework": "f1",
        "qualification": QUALIFICATION,
        "version": VERSION,
        "title": "PgCert",
        "achievement": ACHIEVEMENT,
        "digest": "0" * 64,
        "at": AT,
    }
    return event("framework.activated.v1", FrameworkActivated(**(fact | change)))


def completed(learner: str, components, tenant: str = "north", **change) -> Event:
    fact = {
        "learner": learner,
        "award": "award-1",
        "qualification": QUALIFICATION,
        "version": VERSION,
        "achievement": ACHIEVEMENT,
        "components": tuple(components),
        "earned_at": AT,
        "digest": "a" * 64,
        "at": AT,
    }
    return event("qualification.completed.v1", QualificationCompleted(**(fact | change)), tenant)


def lapsed(learner: str, action: str) -> Event:
    fact = QualificationLapsed(
        learner=learner,
        award="award-1",
        qualification=QUALIFICATION,
        version=VERSION,
        action=action,
        reason="a component was revoked",
        digest="b" * 64,
        at=AT,
    )
    return event("qualification.lapsed.v1", fact)


def restored(learner: str, component: str) -> Event:
    fact = QualificationRestored(
        learner=learner,
        award="award-1",
        qualification=QUALIFICATION,
        version=VERSION,
        components=(component,),
        digest="c" * 64,
        at=datetime(2026, 10, 2, tzinfo=UTC),
    )
    return event("qualification.restored.v1", fact)


@pytest.fixture
async def stack(service):
    """A learner with one component, and the certificate published."""
    await service.post("/v1/achievements", CERTIFICATE)
    learner = await service.learner("ada")
    return learner, await service.issued("ada")


async def award_credentials(service):
    return await service.sql("SELECT id, state, status, holding FROM credentials WHERE award_id IS NOT NULL")


async def test_an_award_that_adds_up_becomes_a_qualification_that_cites_its_stack(service, stack):
    learner, component = stack
    await consumers.handle(service.worker, [activated(), completed(learner, [component])])
    await service.work()
    (row,) = await award_credentials(service)
    document = (await service.get(f"/v1/credentials/{row['id']}")).json()["credential"]
    cited = read_facts(document).stack
    assert cited is not None
    assert [entry.credential for entry in cited.components] == [component]
    assert (cited.framework, cited.version, cited.audit_digest) == (QUALIFICATION, VERSION, "a" * 64)
    assert row["holding"]["components"] == [component]
    issued = [event for event in await service.said("credential.issued.v1") if event.data.get("award")]
    assert [(event.key, event.data["award"]) for event in issued] == [(learner, "award-1")]


async def test_an_award_that_rests_on_decisions_alone_is_signed_and_has_a_record(service, stack):
    """Prior learning that was recognised leaves no credential to cite."""
    learner, _ = stack
    told = [completed(learner, [], award=f"award-{number}", decisions=("d1",)) for number in range(3)]
    await consumers.handle(service.worker, [activated(), *told])
    await service.work()
    rows = await award_credentials(service)
    assert len(rows) == 3
    for row in rows:
        cited = read_facts((await service.get(f"/v1/credentials/{row['id']}")).json()["credential"]).stack
        assert cited is not None
        assert (cited.framework, cited.version, cited.components) == (QUALIFICATION, VERSION, ())
        assert row["holding"]["components"] == []
        assert (await service.get(f"/v1/credentials/{row['id']}/clr")).status_code == 200


async def test_the_same_award_told_twice_is_signed_once(service, stack):
    learner, component = stack
    told = [activated(), completed(learner, [component])]
    for _ in range(3):
        await consumers.handle(service.worker, told)
        await service.work()
    assert len(await award_credentials(service)) == 1


async def test_an_award_that_pathways_says_again_is_announced_again_once_it_is_signed(service, stack):
    """Pathways did not hear of it: the announcement was lost, or is a dead letter there."""
    learner, component = stack
    await consumers.handle(service.worker, [activated(), completed(learner, [component])])
    again = replace(completed(learner, [component]), id=str(uuid4()))
    await consumers.handle(service.worker, [again])
    assert not [event for event in await service.said("credential.issued.v1") if event.data.get("award")]
    await service.work()
    await consumers.handle(service.worker, [replace(again, id=str(uuid4()))])
    first, second = [event for event in await service.said("credential.issued.v1") if event.data.get("award")]
    assert (first.id, first.key, first.data) == (second.id, second.key, second.data), "who has taken it passes over it"
    assert len(await award_credentials(service)) == 1


async def test_an_award_waits_for_the_activation_that_travels_on_another_partition(service, stack):
    learner, component = stack
    await consumers.handle(service.worker, [completed(learner, [component])])
    assert await jobs.settle_waiting(service.worker) == 0
    assert await award_credentials(service) == []
    await consumers.handle(service.worker, [activated()])
    assert await jobs.settle_waiting(service.worker) == 1
    await service.work()
    assert [row["state"] for row in await award_credentials(service)] == ["issued"]


@pytest.mark.parametrize(
    "forgery",
    [
        {"achievement": "https://cairn.localhost/issuance/achievements/north/stats"},
        {"digest": ""},
        {"digest": "not a digest"},
        {"components": ("urn:uuid:00000000-0000-0000-0000-000000000000",)},
        {"components": ()},
        {"learner": "lrn_nobody"},
    ],
)
async def test_s33_a_forged_award_is_refused_and_nothing_signed(service, stack, forgery):
    learner, component = stack
    await consumers.handle(service.worker, [activated()])
    with pytest.raises(Forged):
        await consumers.handle(service.worker, [completed(**{"learner": learner, "components": [component]} | forgery)])
    await service.work()
    assert await award_credentials(service) == []


async def test_s33_another_tenant_cannot_award_our_achievement(service, stack):
    learner, component = stack
    await consumers.handle(service.worker, [activated()])
    with pytest.raises(Forged):
        await consumers.handle(
            service.worker,
            [event("framework.activated.v1", FrameworkActivated(**activated().data), tenant="harbour")],
        )
    await consumers.handle(service.worker, [completed(learner, [component], tenant="harbour")])
    await service.work()
    assert await award_credentials(service) == []


async def test_s33_a_learner_of_another_institution_gets_no_award_of_ours(service, stack):
    _, component = stack
    theirs = await service.learner("ada", "harbour")
    # Under a scope that shows them, as a mistake would open it: row-level security alone must not be what refuses.
    async with service.worker.database.transaction(["north", "harbour"]) as tx:
        await awards.activate(tx, "north", fact_of(activated()))
        with pytest.raises(Forged, match=f"{theirs} is not a learner of north"):
            await awards.complete(service.worker, tx, "north", [awards.Told(fact_of(completed(theirs, [component])))])


async def test_s33_a_strangers_component_is_refused(service, stack):
    learner, _ = stack
    await service.learner("grace")
    theirs = await service.issued("grace")
    await consumers.handle(service.worker, [activated()])
    with pytest.raises(Forged, match="not issued to this learner"):
        await consumers.handle(service.worker, [completed(learner, [theirs])])


async def test_s33_a_component_from_elsewhere_counts_by_consent_only(service, stack):
    learner, component = stack
    other = await service.learner("ada", "harbour")
    theirs = await service.issued("ada", tenant="harbour")
    await consumers.handle(service.worker, [activated()])
    with pytest.raises(Forged):
        await consumers.handle(service.worker, [completed(learner, [component, theirs])])
    code = (await service.post(f"/v1/learners/{other}/link-codes", tenant="harbour")).json()["code"]
    await service.post(f"/v1/learners/{learner}/merges", {"code": code, "consent": "I agree."})
    await consumers.handle(service.worker, [completed(learner, [component, theirs])])
    await service.work()
    (row,) = await award_credentials(service)
    assert set(row["holding"]["components"]) == {component, theirs}


async def test_s33_a_framework_that_never_comes_refuses_the_award(service, stack):
    learner, component = stack
    await given_up(service, completed(learner, [component]))
    await consumers.handle(service.worker, [activated()])
    await jobs.settle_waiting(service.worker)
    await service.work()
    assert await award_credentials(service) == []
    (letter,) = (await service.get("/v1/dead-letters")).json()
    assert letter["code"] == "award-refused"
    replayed = await service.post(f"/v1/dead-letters/{letter['id']}/replay")
    assert replayed.status_code == 200, replayed.text
    await service.work()
    assert [row["state"] for row in await award_credentials(service)] == ["issued"], "now that it adds up"


async def test_r9_an_award_that_is_refused_again_after_its_replay_is_a_dead_letter_again(service, stack):
    learner, component = stack
    service.worker.settings.award_patience_seconds = service.deps.settings.award_patience_seconds = 0
    try:
        await consumers.handle(service.worker, [completed(learner, [component])])
        await jobs.settle_waiting(service.worker)
        (letter,) = (await service.get("/v1/dead-letters?unsettled=true")).json()
        assert (await service.post(f"/v1/dead-letters/{letter['id']}/replay")).status_code == 200
        assert (await service.get("/v1/dead-letters?unsettled=true")).json() == []
        await jobs.settle_waiting(service.worker)
    finally:
        service.worker.settings.award_patience_seconds = service.deps.settings.award_patience_seconds = 60
    assert [one["id"] for one in (await service.get("/v1/dead-letters?unsettled=true")).json()] == [letter["id"]]


async def test_r9_awards_whose_framework_never_comes_keep_none_waiting_whose_framework_came(service, stack):
    learner, component = stack
    strays = [completed(learner, [component], award=f"stray-{n}", version="never") for n in range(60)]
    await consumers.handle(service.worker, strays)
    await consumers.handle(service.worker, [completed(learner, [component])])
    await consumers.handle(service.worker, [activated()])
    assert await jobs.settle_waiting(service.worker) == 1
    await service.work()
    assert [row["state"] for row in await award_credentials(service)] == ["issued"]


async def test_r9_a_waiting_award_that_cannot_be_signed_keeps_no_other_waiting(service, stack):
    learner, component = stack
    await service.learner("bell", name="Bell")
    theirs = await service.issued("bell")
    [bell] = await service.sql("SELECT learner_id AS id FROM credentials WHERE id = :id", id=theirs)
    awarded = [completed(learner, [component]), completed(bell["id"], [theirs], award="award-2")]
    await consumers.handle(service.worker, awarded)
    async with service.worker.database.transaction("north") as tx:
        row = await people.learner(tx, bell["id"])
        profile = Profile(name="Bell \x07").model_dump_json().encode()
        sealed = service.worker.vault.seal(row["key"], profile, profile_place(bell["id"]))
        await tx.execute(
            text("UPDATE learners SET profile = :sealed WHERE id = :id"), {"sealed": sealed, "id": bell["id"]}
        )
        await tx.commit()
    await consumers.handle(service.worker, [activated()])
    await jobs.settle_waiting(service.worker)
    await service.work()
    assert [row["state"] for row in await award_credentials(service)] == ["issued"]
    (letter,) = (await service.get("/v1/dead-letters")).json()
    assert (letter["code"], "a control character" in letter["detail"]) == ("award-refused", True)


async def test_r9_an_institution_without_a_key_keeps_no_other_waiting(service, stack):
    learner, component = stack
    await service.learner("bo", "harbour")
    await service.complete("ada", completedAt="2026-04-01T00:00:00Z")
    await issue.draft(service.worker)  # intended, and the key is lost before it is signed
    await service.complete("ada", completedAt="2026-05-01T00:00:00Z")
    lost = "UPDATE issuer_keys SET revoked_at = now() WHERE tenant_id = 'north'"
    found = "UPDATE issuer_keys SET revoked_at = NULL WHERE tenant_id = 'north'"
    for statement in (lost, found):
        async with service.worker.database.transaction("north") as tx:
            await tx.execute(text(statement))
            await tx.commit()
        if statement == lost:
            assert await service.issued("bo", tenant="harbour")
            # The bus delivers it, and it is no fault of the event's.
            await consumers.handle(service.worker, [activated(), completed(learner, [component])])
            await jobs.settle_waiting(service.worker)
            (letter,) = (await service.get("/v1/dead-letters")).json()
            assert "no EdDSA key" in letter["detail"]
    await service.post(f"/v1/dead-letters/{letter['id']}/replay")
    await service.work()
    states = [row["state"] for row in await service.sql("SELECT state FROM credentials WHERE tenant_id = 'north'")]
    assert states == ["issued"] * 4, "nothing was lost by it"


@pytest.mark.parametrize(("action", "status"), [("revoke", "revoked"), ("suspend", "suspended"), ("review", "valid")])
async def test_a_lapse_does_to_the_credential_what_the_framework_says(service, stack, action, status):
    learner, component = stack
    await consumers.handle(service.worker, [activated(), completed(learner, [component])])
    await service.work()
    await consumers.handle(service.worker, [lapsed(learner, action)])
    assert [row["status"] for row in await award_credentials(service)] == [status]


async def test_a_restored_award_lifts_its_suspension(service, stack):
    learner, component = stack
    await consumers.handle(service.worker, [activated(), completed(learner, [component]), lapsed(learner, "suspend")])
    await consumers.handle(service.worker, [restored(learner, component)])
    await service.work()
    assert [row["status"] for row in await award_credentials(service)] == ["valid"]
    said = [said.type for said in await service.said() if said.data.get("credential") or said.data.get("award")]
    assert said == ["credential.issued.v1", "credential.suspended.v1", "credential.reinstated.v1"]


async def test_an_award_that_lapsed_before_its_signature_and_holds_again_is_signed(service, stack):
    learner, component = stack
    late = await service.issued("ada", completedAt="2026-04-01T00:00:00Z")
    await consumers.handle(service.worker, [completed(learner, [component]), lapsed(learner, "suspend")])
    await consumers.handle(service.worker, [activated(), restored(learner, late)])
    await jobs.settle_waiting(service.worker)
    await service.work()
    [row] = await award_credentials(service)
    assert (row["state"], row["status"], row["holding"]["components"]) == ("issued", "valid", [late])


async def test_s33_an_award_that_lapsed_is_not_signed_by_a_replay_of_its_dead_letter(service, stack):
    learner, component = stack
    await given_up(service, completed(learner, [component]))
    await consumers.handle(service.worker, [activated(), lapsed(learner, "revoke")])
    (letter,) = (await service.get("/v1/dead-letters")).json()
    assert (await service.post(f"/v1/dead-letters/{letter['id']}/replay")).status_code == 200
    await jobs.settle_waiting(service.worker)
    await service.work()
    assert await award_credentials(service) == []


async def test_a_lapse_before_the_signature_is_not_forgotten(service, stack):
    learner, component = stack
    await consumers.handle(service.worker, [completed(learner, [component]), lapsed(learner, "revoke")])
    await consumers.handle(service.worker, [activated()])
    await jobs.settle_waiting(service.worker)
    await service.work()
    assert await award_credentials(service) == []
