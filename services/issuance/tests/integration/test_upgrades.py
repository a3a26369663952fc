"""R11, R16: the code of today runs on a schema that a later version has migrated, even while it was running."""

from cairn.provision.pytest_plugin import migrated_further


async def through(service, user: str) -> None:
    """A learner, a credential, its status, a key, an erasure: something of every table."""
    learner = await service.learner(user)
    credential = await service.issued(user)
    assert (await service.get(f"/v1/credentials/{credential}")).json()["credential"]
    answer = await service.post(f"/v1/credentials/{credential}/revoke", {"reason": "a test"})
    assert answer.status_code == 200, answer.text
    assert (await service.get("/status/north/1/revocation")).status_code == 200
    answer = await service.post("/v1/institutions/north/keys", {"algorithm": "ES256"})
    assert answer.status_code == 201, answer.text
    assert (await service.get("/institutions/north/did.json")).status_code == 200
    assert (await service.get("/v1/dead-letters")).json() == []
    assert (await service.http.delete(f"/v1/learners/{learner}", headers=service.auth("north"))).status_code == 204


async def test_r11_code_of_before_runs_on_the_schema_of_after(service, migrated) -> None:
    await through(service, "ada")  # statements are prepared by now, for the schema as it was
    async with migrated_further(migrated):
        await through(service, "bob")
    await through(service, "cy")  # the way back
