"""Achievements: the definitions of micro-credentials. One that is published does not change; it can be retired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.events import Event
from cairn.common.events.models import AchievementPublished, AchievementRetired
from cairn.common.problem import DomainError
from cairn.issuance.deps import Deps
from cairn.issuance.domain import names
from cairn.issuance.domain.compose import Issuer, achievement_json
from cairn.issuance.domain.model import Achievement, Institution
from cairn.issuance.store import catalog, people


async def publish(deps: Deps, principal: Principal, achievement: Achievement) -> Mapping[str, Any]:
    """Raises DomainError `achievement-exists`; posting the same definition again is not an error."""
    tenant, now = principal.tenant, deps.now()
    id_ = names.achievement_id(deps.settings.public_url, tenant, achievement.code)
    async with deps.database.transaction(tenant) as tx:
        institution = await people.institution(tx, tenant)
        if institution is None:
            raise DomainError(f"The tenant {tenant} is not registered as an institution.", code="not-found")
        added = await catalog.add_achievement(tx, tenant, achievement.code, id_, achievement.to_json())
        row = await catalog.achievement(tx, achievement.code)
        assert row is not None
        if not added:
            if row["body"] == achievement.to_json():
                return row
            raise DomainError(
                f"The achievement {achievement.code} is published with another definition, which learners rely on.",
                code="achievement-exists",
                field="/code",
                fix="Publish the new definition under a new code.",
            )
        fact = AchievementPublished(
            achievement=id_,
            issuer=institution["did"],
            name=achievement.name,
            type=(achievement.achievement_type,),
            credits=achievement.credits,
            level=dict(achievement.level),
            area=achievement.area,
            tag=achievement.tag,
            skill=tuple(map(str, achievement.skill)),
            at=now,
        )
        await tx.publish(_event("achievement.published.v1", id_, tenant, fact))
        await tx.commit()
    return row


async def retire(deps: Deps, principal: Principal, code: str) -> RowMapping:
    """No further completions of it are accepted; what was issued stands."""
    now = deps.now()
    async with deps.database.transaction(principal.tenant) as tx:
        row = await catalog.retire(tx, code, now)
        if row is None:
            raise DomainError("There is no such achievement here.", code="not-found")
        if row["retired_at"] == now:
            fact = AchievementRetired(achievement=row["id"], at=now)
            await tx.publish(_event("achievement.retired.v1", row["id"], principal.tenant, fact))
        await tx.commit()
    return row


async def show(deps: Deps, tenant: str, code: str) -> Mapping[str, Any]:
    """Raises DomainError `not-found`."""
    async with deps.database.transaction(tenant) as tx:
        row = await catalog.achievement(tx, code)
    if row is None:
        raise DomainError("There is no such achievement here.", code="not-found")
    return row


async def as_open_badge(deps: Deps, tenant: str, code: str) -> dict[str, Any]:
    """The Open Badges 3.0 `Achievement`, which anybody may read. Raises DomainError `not-found`."""
    async with deps.database.transaction(tenant) as tx:
        row, institution = await catalog.achievement(tx, code), await people.institution(tx, tenant)
    if row is None or institution is None:
        raise DomainError("There is no such achievement here.", code="not-found")
    issuer = Issuer(institution["did"], Institution.model_validate(institution["body"]))
    return achievement_json(row["id"], Achievement.model_validate(row["body"]), issuer)


async def page(deps: Deps, principal: Principal, after: str, limit: int) -> Sequence[RowMapping]:
    async with deps.database.transaction(principal.tenant) as tx:
        return await catalog.achievements(tx, after, limit)


def _event(type_: str, id_: str, tenant: str, fact: AchievementPublished | AchievementRetired) -> Event:
    return Event(type=type_, source="/issuance", subject=id_, tenant=tenant, key=id_, data=fact.to_json(), time=fact.at)
