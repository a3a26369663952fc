"""Institutions: a tenant, its issuer DID and the keys that sign for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import HttpUrl
from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import PLATFORM
from cairn.common.events import Event
from cairn.common.events.models import InstitutionAccredited
from cairn.common.problem import DomainError
from cairn.issuance.deps import Deps
from cairn.issuance.domain import names
from cairn.issuance.domain.documents import ALGORITHMS, KeyType
from cairn.issuance.domain.model import Institution
from cairn.issuance.store import people


async def register(deps: Deps, institution: Institution) -> Mapping[str, Any]:
    """Raises DomainError `institution-exists`."""
    tenant, now = institution.id, deps.now()
    if tenant == PLATFORM or tenant in map(names.own_tenant, ALGORITHMS):
        raise DomainError(f"`{tenant}` is reserved.", field="/id", fix="Choose another id.")
    did = names.issuer_did(deps.settings.public_url, tenant)
    async with deps.database.transaction(tenant) as tx:
        if not await people.add_institution(tx, tenant, did, institution.to_json()):
            raise DomainError(
                f"The institution {tenant} is registered.",
                code="institution-exists",
                field="/id",
                fix="Choose another id.",
            )
        await deps.keys.create(tx, tenant)
        fact = InstitutionAccredited(
            institution=tenant, issuer=did, name=institution.name, accredited_by=institution.accredited_by, at=now
        )
        await tx.publish(
            Event(
                type="institution.accredited.v1",
                source="/issuance",
                subject=did,
                tenant=tenant,
                key=tenant,
                data=fact.to_json(),
                time=now,
            )
        )
        row = await people.institution(tx, tenant)
        await tx.commit()
    assert row is not None
    return row


async def own(deps: Deps, key_type: KeyType) -> str:
    """The tenant of the installation's own institution for keys of that type, registered when it is first needed.

    It is the did:key of its key, since suites resolve no other method, and nobody is told to trust it.
    """
    tenant = names.own_tenant(key_type)
    async with deps.database.transaction(tenant) as tx:
        await people.take_turns(tx, [deps.vault.blind("own institution", tenant)])
        if await people.institution(tx, tenant) is None:
            await deps.keys.create(tx, tenant)
            keys = {row["algorithm"]: row["public_multibase"] for row in await deps.keys.history(tx, tenant)}
            did = f"did:key:{keys[ALGORITHMS[key_type]]}"
            body = Institution(id=tenant, name="Cairn on one machine", url=HttpUrl(deps.settings.public_url))
            await people.add_institution(tx, tenant, did, body.to_json())
            await tx.commit()
    return tenant


async def show(deps: Deps, principal: Principal, tenant: str) -> Mapping[str, Any]:
    """Raises DomainError `not-found`, also for another tenant unless the caller is the operator."""
    if tenant != principal.tenant and "platform:admin" not in principal.scopes:
        raise DomainError("There is no such institution here.", code="not-found")
    async with deps.database.transaction(tenant) as tx:
        row = await people.institution(tx, tenant)
    if row is None:
        raise DomainError("There is no such institution here.", code="not-found")
    return row


async def every(deps: Deps, principal: Principal) -> list[RowMapping]:
    """All of them, for the operator."""
    async with deps.database.transaction(principal.tenant) as tx:
        return list(await people.institutions(tx))


async def did_document(deps: Deps, tenant: str) -> dict[str, Any]:
    """The DID document, which anybody may read. Raises DomainError `not-found`."""
    async with deps.database.transaction(tenant) as tx:
        row = await people.institution(tx, tenant)
        if row is None:
            raise DomainError("There is no such institution here.", code="not-found")
        return await deps.keys.did_document(tx, tenant, row["did"])
