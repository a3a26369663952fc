"""Renewal: a credential near its end is renewed on fresh evidence; the old one is superseded, and both are linked.

What is asked becomes a completion that says what it renews, so that the new credential is drafted, signed and announced
like any other. When it is signed, the old one's place is taken (`issue.sign`).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from cairn.common.auth import Principal
from cairn.common.instants import parse_instant
from cairn.common.problem import DomainError
from cairn.issuance.deps import Deps
from cairn.issuance.domain import names, rules
from cairn.issuance.domain.model import Completion, LearnerRef, Renewal, facts
from cairn.issuance.store import catalog, completions, credentials, people
from cairn.issuance.use_cases.completions import recorded
from cairn.issuance.use_cases.credentials import document_of
from cairn.issuance.use_cases.issue import evidence_place


@dataclass(frozen=True, slots=True)
class Accepted:
    """The completion that was recorded, and the id that the new credential will have."""

    completion: UUID
    credential: str
    renews: str


async def renew(deps: Deps, principal: Principal, credential_id: str, request: Renewal) -> Accepted:
    """Record it durably; asking again for the same changes nothing.

    Raises DomainError `not-found`, `renewal-refused`, `completion-impossible`, `achievement-retired`, `learner-erased`.
    """
    now = deps.now()
    async with deps.database.transaction(principal.tenant) as tx:
        # The lock keeps a second renewal of the same credential waiting until this one is recorded.
        row = await credentials.credential(tx, credential_id, lock=True)
        if row is None or row["learner_id"] is None:
            raise DomainError("There is no such credential here.", code="not-found")
        completion = Completion(
            learner=LearnerRef(id=row["learner_id"]),
            achievement=row["achievement_id"],
            **{name: getattr(request, name) for name in Renewal.model_fields if name != "evidence"},
        )
        if faults := rules.impossible(completion, now):
            raise DomainError("The renewal cannot be true.", code="completion-impossible", faults=faults)
        said: dict[str, Any] = facts(completion, row["learner_id"], row["achievement_id"]) | {"renews": credential_id}
        id_ = names.renewal_id(row["tenant_id"], credential_id)
        accepted = Accepted(id_, names.credential_id(str(id_)), credential_id)
        before = await completions.standing(tx, id_)
        if before is not None and before["facts"]["completedAt"] == said["completedAt"]:
            return accepted
        holding = row["holding"]
        reason = rules.not_renewable(
            status="superseded" if before is not None else row["status"],
            issued=row["state"] == "issued" and row["award_id"] is None,
            earned=parse_instant(holding["earned"]),
            valid_until=parse_instant(holding["validUntil"]) if holding.get("validUntil") else None,
            completed=request.completed_at,
            now=now,
        )
        if reason is not None:
            fix = "Post a completion instead, or renew it nearer to its end."
            raise DomainError(f"The credential cannot be renewed. {reason}", code="renewal-refused", fix=fix)
        achievement = await catalog.achievement(tx, row["achievement_id"])
        if achievement is None or (achievement["retired_at"] and request.completed_at >= achievement["retired_at"]):
            raise DomainError("The achievement was retired.", code="achievement-retired", fix="Use its successor.")
        learner = await people.learner(tx, row["learner_id"], lock=True)
        if learner is None or learner["key"] is None:
            raise DomainError("The learner was erased.", code="learner-erased")
        evidence = orjson.dumps([one.to_json() for one in request.evidence])
        sealed = deps.vault.seal(learner["key"], evidence, evidence_place(credential_id))
        stored = {"id": id_, "facts": said | {"evidence": base64.b64encode(sealed).decode()}}
        await completions.add(tx, row["tenant_id"], [stored])
        await tx.publish(recorded(row["tenant_id"], stored, now))
        await tx.commit()
    return accepted


async def successor(deps: Deps, principal: Principal, credential_id: str) -> dict[str, Any]:
    """The newest signed credential that has taken the place of this one. Raises DomainError `not-found`."""
    async with deps.database.transaction(principal.tenant) as tx:
        found, seen = await credentials.renewal_of(tx, credential_id), {credential_id}
        while found is not None and found["state"] == "issued" and found["id"] not in seen:
            seen.add(found["id"])
            later = await credentials.renewal_of(tx, found["id"])
            if later is None or later["state"] != "issued":
                document = await document_of(tx, deps.vault, found)
                if document is not None:
                    return document
            found = later
    raise DomainError("Nothing has taken the place of this credential.", code="not-found")
