"""The Comprehensive Learner Record of a qualification: whole, signed once, and standing or falling with it."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text

from cairn.common.db import EVERY_TENANT
from cairn.credentials import CheckName, Outcome, Policy, Trust, Unreachable, verify
from cairn.issuance import consumers

from ..conftest import NOW
from .test_awards import CERTIFICATE, activated, award_credentials, completed


class Ours:
    """What a verifier outside gets of the service."""

    def __init__(self, service) -> None:
        self.service = service

    async def did_document(self, did: str, url: str) -> bytes:
        return await self._get(f"/institutions/{did.rpartition(':')[2]}/did.json")

    async def trust(self, issuer: str) -> Trust:
        return Trust.TRUSTED

    async def status_list(self, url: str) -> bytes:
        return await self._get(url.removeprefix(self.service.deps.settings.public_url))

    async def document(self, url: str) -> bytes:
        raise Unreachable(url)

    async def _get(self, path: str) -> bytes:
        answer = await self.service.http.get(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.content


@pytest.fixture
async def qualification(service) -> tuple[str, list[str]]:
    """A qualification on two components."""
    await service.post("/v1/achievements", CERTIFICATE)
    ethics = {"code": "ethics", "name": "Ethics", "description": "…", "criteria": {"narrative": "…"}}
    await service.post("/v1/achievements", ethics | {"suspendable": True})
    learner = await service.learner("ada")
    parts = [await service.issued("ada"), await service.issued("ada", "ethics")]
    await consumers.handle(service.worker, [activated(), completed(learner, parts)])
    await service.work()
    (row,) = await award_credentials(service)
    return row["id"], parts


async def record(service, credential: str, tenant: str = "north") -> dict[str, Any]:
    answer = await service.get(f"/v1/credentials/{credential}/clr", tenant)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def change(service, statement: str) -> None:
    async with service.worker.database.transaction(EVERY_TENANT) as tx:
        await tx.execute(text(statement))
        await tx.commit()


async def test_a_record_holds_the_qualification_and_its_stack_and_verifies(service, qualification) -> None:
    whole, parts = qualification
    clr = await record(service, whole)
    subject = clr["credentialSubject"]
    # The stack in the order of its achievements, ethics before stats, whatever order it was announced in.
    assert [one["id"] for one in subject["verifiableCredential"]] == [whole, *reversed(parts)]
    assert clr["type"] == ["VerifiableCredential", "ClrCredential"]
    assert clr["partial"] is False
    assert {(one["associationType"], one["sourceId"].rpartition("/")[2], one["targetId"].rpartition("/")[2])
            for one in subject["association"]} == {
        ("isParentOf", "pgcert", "stats"),
        ("isParentOf", "pgcert", "ethics"),
        ("isPartOf", "stats", "pgcert"),
        ("isPartOf", "ethics", "pgcert"),
    }  # fmt: skip
    found = await verify(clr, Ours(service), Policy(at=NOW))
    assert found.verified, found.to_json()
    evidence = found.checks[CheckName.EVIDENCE]
    assert (evidence.outcome, evidence.code) == (Outcome.PASSED, "evidence-verified")
    altered = json.loads(json.dumps(clr).replace("Describe data", "Invent data"))
    assert not (await verify(altered, Ours(service), Policy(at=NOW))).verified


async def test_a_record_is_signed_once_however_many_ask(service, qualification) -> None:
    whole, _ = qualification
    told = await asyncio.gather(*(record(service, whole) for _ in range(8)))
    assert {one["proof"]["proofValue"] for one in told} == {(await record(service, whole))["proof"]["proofValue"]}


async def test_s26_what_was_recorded_is_what_is_signed(service, qualification) -> None:
    whole, _ = qualification
    await record(service, whole)
    await change(service, "UPDATE learner_records SET signed_at = NULL, intent = '\\x00'")
    assert (await record(service, whole))["proof"], "an intent that nobody signed is made anew"
    (row,) = await service.sql("SELECT intent, signed_at FROM learner_records")
    assert len(row["intent"]) == 64
    assert row["signed_at"] is not None


async def test_a_record_falls_with_its_qualification(service, qualification) -> None:
    whole, _ = qualification
    clr = await record(service, whole)
    await service.post(f"/v1/credentials/{whole}/revoke", {"reason": "Fraud."})
    found = await verify(clr, Ours(service), Policy(at=NOW))
    assert found.checks[CheckName.STATUS].code == "revoked"


async def test_a_part_that_was_revoked_fails_the_record_that_holds_it_and_is_left_out_of_a_new_one(
    service, qualification
) -> None:
    whole, parts = qualification
    clr = await record(service, whole)
    await service.post(f"/v1/credentials/{parts[0]}/revoke", {"reason": "Fraud."})
    found = await verify(clr, Ours(service), Policy(at=NOW))
    assert found.checks[CheckName.EVIDENCE].code == "evidence-revoked"
    await change(service, "DELETE FROM learner_records")
    clr = await record(service, whole)
    assert [one["id"] for one in clr["credentialSubject"]["verifiableCredential"]] == [whole, parts[1]]
    assert clr["partial"] is True


async def test_only_a_qualification_has_a_record(service, qualification) -> None:
    _, parts = qualification
    for credential, tenant in ((parts[0], "north"), ("urn:uuid:0", "north"), (qualification[0], "harbour")):
        assert (await service.get(f"/v1/credentials/{credential}/clr", tenant)).status_code == 404


async def test_s29_an_erased_learners_record_is_unreadable(service, qualification) -> None:
    whole, _ = qualification
    await record(service, whole)
    learner = (await service.get(f"/v1/credentials/{whole}")).json()["learner"]
    assert (await service.http.delete(f"/v1/learners/{learner}", headers=service.auth("north"))).status_code < 300
    answer = await service.get(f"/v1/credentials/{whole}/clr")
    assert (answer.status_code, answer.json()["code"]) == (410, "learner-erased")
