"""What an issuer of this installation has taken back is refused, and sooner than its list says so."""

import itertools
from datetime import timedelta

from sqlalchemy import text

from cairn.common import dead_letters
from cairn.common.bus import Record
from cairn.common.db import PLATFORM
from cairn.common.events import Event
from cairn.common.events.models import CredentialStatusChanged, LearnerErased
from cairn.common.vault import Vault
from cairn.verification.consumers import handle

from ..conftest import SINCE

TYPES = {
    "suspended": "credential.suspended.v1",
    "valid": "credential.reinstated.v1",
    "revoked": "credential.revoked.v1",
}


def change(credential: str, state: str, *, days: int, tenant: str = "north") -> Event:
    at = SINCE + timedelta(days=days)
    fact = CredentialStatusChanged(learner="lrn_1", credential=credential, at=at)
    return Event(
        type=TYPES[state],
        source="/issuance",
        subject=credential,
        tenant=tenant,
        key="lrn_1",
        data=fact.to_json(),
        time=at,
    )


async def status(client, credential) -> tuple[str, str]:
    answer = await client.post("/v1/verifications", json={"credential": credential})
    found = answer.json()
    assert found["checks"]["proof"]["outcome"] == "passed"
    return found["checks"]["status"]["outcome"], found["checks"]["status"]["code"]


def issued(issuer, number: int):
    return issuer.credential(index=42, id=f"urn:uuid:00000000-0000-4000-8000-{number:012}")


async def test_a_suspension_is_seen_without_a_list_for_it_and_ends(client, worker, north) -> None:
    credential = issued(north, 1)
    assert (await status(client, credential))[0] == "passed"
    await handle(worker, [change(credential["id"], "suspended", days=1)])
    assert await status(client, credential) == ("failed", "suspended")
    await handle(worker, [change(credential["id"], "valid", days=2)])
    assert (await status(client, credential))[0] == "passed"


async def test_r8_the_latest_word_counts_in_whatever_order_it_came(client, worker, north) -> None:
    for number, order in enumerate(itertools.permutations([("suspended", 1), ("valid", 2), ("suspended", 3)]), 10):
        credential = issued(north, number)
        for state, days in order:
            await handle(worker, [change(credential["id"], state, days=days)])
        assert (await status(client, credential))[0] == "failed"


async def test_a_revocation_is_final(client, worker, north) -> None:
    credential = issued(north, 2)
    await handle(worker, [change(credential["id"], "valid", days=9), change(credential["id"], "revoked", days=3)])
    assert await status(client, credential) == ("failed", "revoked")


async def test_another_institution_cannot_take_it_back(client, worker, north, issuer_on_the_web, accredit) -> None:
    await accredit(issuer_on_the_web("harbour", 3))
    credential = issued(north, 3)
    await handle(worker, [change(credential["id"], "revoked", days=1, tenant="harbour")])
    assert (await status(client, credential))[0] == "passed"


async def test_what_was_heard_never_makes_an_answer_better(client, worker, north, web) -> None:
    credential = issued(north, 4)
    await handle(worker, [change(credential["id"], "valid", days=1)])
    web.serve(north.list_path, b"", status=500)
    assert (await status(client, credential))[0] == "undetermined"


async def test_s36_the_dead_letters_about_a_learner_go_with_the_learner(worker, settings) -> None:
    vault = Vault(settings.kek)
    for place, tenant in enumerate(("erasing", PLATFORM)):
        async with worker.database.transaction(tenant) as tx:
            record = Record("credentials", 0, place, "lrn_erased", b"not JSON")
            letter = {"code": "malformed", "detail": "not JSON", "event_type": ""}
            await dead_letters.store(tx, vault, tenant, "verification", record, **letter)
            await tx.commit()
    fact = LearnerErased(learner="lrn_erased", at=SINCE)
    said = ("learner.erased.v1", "/issuance", "lrn_erased", "erasing", "lrn_erased", fact.to_json(), SINCE)
    await handle(worker, [Event(*said)])
    async with worker.database.transaction(("erasing", PLATFORM)) as tx:
        assert await tx.rows(text("SELECT id FROM dead_letters WHERE subject_key = 'lrn_erased'")) == []
