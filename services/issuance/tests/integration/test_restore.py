"""A restored backup: who was erased since is erased again (S29), and what was signed since is signed as the same."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr

from cairn.common.events import topic_of
from cairn.common.vault import Unreadable
from cairn.issuance.app import issuance_app
from cairn.issuance.deps import Deps
from cairn.issuance.store import credentials, people
from cairn.issuance.use_cases import erasures
from cairn.issuance.use_cases.issue import body_place
from cairn.issuance.use_cases.learners import profile_place

from ..conftest import NOW, Service


@pytest.mark.parametrize("transport", ["postgres"], indirect=True)
async def test_s29_a_restored_backup_forgets_again_and_a_repeated_post_is_the_same_credential(
    service, settings, migrated, postgres_server, transport
):
    ada, _ = await service.learner("ada"), await service.learner("bob")
    credential = await service.issued("ada")
    made = await asyncio.to_thread(postgres_server.restored, migrated)
    # After the backup, one learner is erased and another's completion is signed.
    assert (await service.http.delete(f"/v1/learners/{ada}", headers=service.auth("north"))).status_code == 204
    later = await service.issued("bob")
    for event in await service.said():
        await transport.issuance.publish(topic_of(event.type).name, [event])

    told = settings.model_copy(update={"database_url": SecretStr(made.url)})
    deps, worker = (replace(Deps.wire(told, worker=role), now=lambda: NOW) for role in (False, True))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(issuance_app(told, deps)), base_url="http://issuance")
    again = Service(client, deps, worker, service.token)
    try:
        async with deps.database.transaction("north") as tx:
            row = await people.learner(tx, ada)
            [held] = await credentials.credentials_named(tx, [credential])
        assert b"Ada" in deps.vault.open(row["key"], row["profile"], profile_place(ada)), "the backup remembers"
        for back in (1, 0):
            found = await erasures.again(worker, transport.issuance)
            assert (found.said, found.erased) == (1, back)
        async with deps.database.transaction("north") as tx:
            row = await people.learner(tx, ada)
        assert row["erased_at"] is not None
        with pytest.raises(Unreadable):
            deps.vault.open(row["key"], held["body"], body_place(credential))
        # The LMS posts once more what the backup has not got, and gets what it had.
        assert await again.issued("bob") == later
    finally:
        await client.aclose()
        await deps.close()
        await worker.close()
