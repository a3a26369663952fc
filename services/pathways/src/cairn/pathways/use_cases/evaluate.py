"""What if: an audit of whatever is sent, of which nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cairn.common.auth import Principal
from cairn.common.problem import DomainError
from cairn.pathways.deps import Deps
from cairn.pathways.domain import Audit, FrameworkRef, Refused, audit, misdirected, parse_audit_request
from cairn.pathways.problems import refusal
from cairn.pathways.store import frameworks


async def evaluate(deps: Deps, principal: Principal, document: Mapping[str, Any]) -> Audit:
    """The audit of a request in the shape of STACKING. `asOf` is now where it is absent.

    Raises DomainError `malformed` (422); `audit-refused`, `framework-unknown` (400).
    """
    try:
        request = await asyncio.to_thread(parse_audit_request, document)
    except Refused as refused:
        raise refusal(refused, code="audit-refused") from None
    framework, awards = request.framework, request.awards
    if isinstance(framework, FrameworkRef):
        async with deps.database.transaction(principal.tenant) as tx:
            row = await frameworks.named(tx, framework.qualification, framework.version)
            if row is None:
                raise DomainError(
                    "There is no such published framework here.",
                    code="framework-unknown",
                    field="/framework",
                    fix="Check its qualification and version, or send the framework itself.",
                )
            published = (await frameworks.read(tx, deps.frameworks, [str(row["id"])]))[str(row["id"])]
            own = (await frameworks.awards(tx, {principal.tenant: published.nested}))[principal.tenant]
        # Of its own qualifications the service knows the awards; what the request says of them goes first.
        awards = {**published.awards(own), **awards}
        request = replace(request, framework=published.framework)
        framework = published.framework
        if wrong := misdirected(framework, request.decisions):
            raise refusal(Refused(wrong), code="audit-refused")
    as_of = request.as_of or deps.now()
    try:
        return await asyncio.to_thread(
            audit,
            framework,
            request.holdings,
            request.decisions,
            as_of,
            enrolled=request.enrolled,
            awards=awards,
            spent=request.spent,
            steps=deps.settings.audit_steps,
        )
    except Refused as refused:
        raise refusal(refused, code="audit-refused") from None
