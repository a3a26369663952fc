"""Frameworks: drafted, linted, published. A published one never changes; a changed one is another version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from cairn.common.auth import Principal
from cairn.common.db import Transaction
from cairn.common.events import stable_id
from cairn.common.problem import DomainError
from cairn.pathways.deps import Deps
from cairn.pathways.domain import (
    Catalogue,
    Framework,
    Holding,
    Problem,
    Refused,
    lint,
    lint_catalogue,
    parse_framework,
    parse_holding,
)
from cairn.pathways.problems import faults_of, refusal
from cairn.pathways.store import backfills, catalog, frameworks


@dataclass(frozen=True, slots=True)
class Found:
    """A framework's row, what lint finds in it while it is a draft, and its backfill once it is published."""

    row: RowMapping
    findings: Sequence[Problem] = ()
    backfill: RowMapping | None = None


def framework_id(tenant: str, qualification: str, version: str) -> str:
    """The same for the same version, however often it is drafted."""
    return str(stable_id("framework", tenant, qualification, version))


async def write(deps: Deps, principal: Principal, document: Mapping[str, Any]) -> tuple[Found, bool]:
    """Keep a draft, however unfinished, and whether it is new. To write what is there already changes nothing.

    Raises DomainError `malformed`, and `framework-published` where another document is published
    under that version.
    """
    framework = parse(document)
    tenant = principal.tenant
    id_ = framework_id(tenant, framework.qualification, framework.version)
    digest = sha256(framework.canonical).hexdigest()
    async with deps.database.transaction(tenant) as tx:
        known = await frameworks.framework(tx, id_)
        if known is None or (known["state"] == "draft" and known["digest"] != digest):
            draft = frameworks.Draft(
                tenant=tenant,
                id=id_,
                qualification=framework.qualification,
                version=framework.version,
                title=framework.title or framework.qualification,
                achievement=framework.award,
                effective_from=framework.effective_from,
                body=document,
                digest=digest,
                by=principal.id,
            )
            await frameworks.write(tx, draft)
        found = await find(tx, id_)
        if found is None or found.row["digest"] != digest:
            raise DomainError(
                f"Version {framework.version} is published with other rules, which learners rely on.",
                code="framework-published",
                field="/version",
                fix="Give the changed rules another version.",
            )
        await tx.commit()
    return found, known is None


async def check(deps: Deps, principal: Principal, document: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with a document, in its form, in itself, and given what is on offer."""
    try:
        framework = parse_framework(document)
    except Refused as refused:
        return list(refused.problems)
    async with deps.database.transaction(principal.tenant) as tx:
        return await _lint(tx, principal.tenant, framework)


async def page(deps: Deps, principal: Principal, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    async with deps.database.transaction(principal.tenant) as tx:
        return await frameworks.page(tx, None if after is None else str(after), limit)


async def show(deps: Deps, principal: Principal, id_: UUID) -> Found:
    """Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        found = await find(tx, str(id_))
    if found is None:
        raise not_found()
    return found


async def refuse_findings(tx: Transaction, row: RowMapping) -> None:
    """Raises DomainError `framework-refused` with every finding of lint."""
    if findings := await _lint(tx, row["tenant_id"], parse(row["body"])):
        raise DomainError(
            f"{row['title']} {row['version']} cannot be published as it is.",
            code="framework-refused",
            faults=faults_of(findings),
        )


async def _lint(tx: Transaction, tenant: str, framework: Framework) -> list[Problem]:
    """Structure first: only rules that make sense in themselves are held against what is on offer."""
    if findings := lint(framework):
        return findings
    rows = await catalog.achievements(tx)
    own = {row["id"] for row in rows if row["tenant_id"] == tenant}
    findings: list[Problem] = []
    if framework.award is None:
        fix = 'Add "award" with an achievement of this institution.'
        findings.append(
            Problem("catalogue", "missing-award", "/award", "A published framework awards an achievement.", fix)
        )
    elif framework.award not in own:
        fix = "Publish it as an achievement of this institution first."
        findings.append(
            Problem("catalogue", "unknown-award", "/award/achievement", "It is no achievement of yours.", fix)
        )
    # The award itself fills nothing: it would hold itself up.
    offers = [offer_of(row["body"]) for row in rows if row["id"] != framework.award]
    units = {offer.credits.unit for offer in offers if offer.credits is not None}
    known = Catalogue(offers, await frameworks.nesting(tx), units)
    return findings + lint_catalogue(framework, known)


def offer_of(body: Mapping[str, Any]) -> Holding:
    """An achievement as a holding of it would be. What differs from learner to learner is left out."""
    keys = ("achievement", "issuer", "type", "credits", "level", "area", "tag", "skill")
    named = {key: body[key] for key in keys if key in body}
    return parse_holding({**named, "id": body["achievement"], "earned": datetime.min.replace(tzinfo=UTC).isoformat()})


async def find(tx: Transaction, id_: str) -> Found | None:
    """A framework with what belongs to it."""
    row = await frameworks.framework(tx, id_)
    if row is None:
        return None
    if row["state"] == "draft":
        return Found(row, findings=await _lint(tx, row["tenant_id"], parse_framework(row["body"])))
    return Found(row, backfill=await backfills.show(tx, id_))


def parse(document: Mapping[str, Any]) -> Framework:
    """Raises DomainError `malformed`."""
    try:
        return parse_framework(document)
    except Refused as refused:
        raise refusal(refused, code="framework-refused") from None


def not_found() -> DomainError:
    return DomainError("There is no such framework here.", code="not-found")
