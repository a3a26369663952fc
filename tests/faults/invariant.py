"""What must hold after every run, however it was disturbed. Everything is read back, nothing is sampled.

1. Each accepted completion has exactly one credential, or was rejected with a reason; every line posted was one or the
   other. Each qualification that pathways awarded has exactly one credential, of the status that the award has.
2. Each fact was said under one id, however often it was sent, and taken once by each who hears it, or is a dead letter.
3. Every signature verifies, and every status list says what issuance says.
4. Every stored audit is what an audit of the same holdings from scratch is.
5. Heard again from the first event on, everything comes to the same state.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from cairn.common.events import MODELS, encode, topic_of
from cairn.common.vault import Vault
from cairn.credentials import Policy, Trust, verify
from cairn.credentials.findings import CheckName, Outcome
from cairn.issuance import consumers as issuance
from cairn.issuance.use_cases.issue import body_place
from cairn.onebox.home import SERVICES, Home
from cairn.pathways import consumers as pathways
from cairn.pathways.domain import Framework, audit, parse_audit_request

from .system import System

_STATUS: Final = {"active": "valid", "revoked": "revoked", "suspended": "suspended", "review": "valid"}
_HEARS: Final = {
    "pathways": {kind for kind in MODELS if topic_of(kind).name in pathways.TOPICS},
    "issuance": issuance.TYPES,
}
"""Types of events that each must take."""


class Broken(AssertionError):
    """The invariant does not hold. The message says where, a line each."""


async def check(system: System) -> dict[str, int]:
    """How many of each were looked at. Raises Broken."""
    wrong: list[str] = []
    counted: dict[str, int] = {}
    for part in (_quiet, _accounted, _said_and_taken, _verified, _audited, _replayed):
        counted |= await part(system, wrong)
    if wrong:
        raise Broken("\n".join([f"{len(wrong)} faults:", *wrong[:20]]))
    return counted


async def _quiet(system: System, wrong: list[str]) -> dict[str, int]:
    """Wait until nothing is on its way any more."""
    for _ in range(300):
        waiting = [
            *[(await system.rows(service, "SELECT count(*) AS n FROM outbox"))[0]["n"] for service in SERVICES],
            (await system.rows("issuance", "SELECT count(*) AS n FROM completions WHERE state = 'pending'"))[0]["n"],
            (await system.rows("issuance", "SELECT count(*) AS n FROM credentials WHERE state = 'intended'"))[0]["n"],
        ]
        untaken = await _untaken(system)
        if not any(waiting) and not untaken:
            return {}
        await asyncio.sleep(0.2)
    wrong.append(f"still on its way after a minute: {waiting}, not taken: {untaken}")
    return {}


async def _untaken(system: System) -> int:
    """Events on the bus that who hears them has neither taken nor refused."""
    events = await system.events()
    total = 0
    for service, heard in _HEARS.items():
        said = {event.id for _, event in events if event.type in heard}
        taken = {str(row["event_id"]) for row in await system.rows(service, "SELECT event_id FROM inbox")}
        letters = (await system.rows(service, "SELECT count(*) AS n FROM dead_letters"))[0]["n"]
        total += max(0, len(said - taken) - letters)
    return total


async def _accounted(system: System, wrong: list[str]) -> dict[str, int]:
    rows = await system.rows("issuance", _COMPLETIONS)
    for row in rows:
        good = (row["state"] == "drafted" and row["issued"] == 1) or (row["state"] == "failed" and row["reason"])
        if not good or row["credentials"] > 1:
            wrong.append(f"completion {row['id']} is {row['state']} and has {row['credentials']} credentials")
    receipts = await system.rows("issuance", _RECEIPTS)
    wrong += [f"receipt {row['id']}: of {row['lines']} lines, {row['told']} are told of" for row in receipts]
    places = await system.rows("issuance", _PLACES)
    wrong += [f"{row['n']} credentials share place {row['list_index']} of a status list" for row in places]
    awards = await system.rows("pathways", "SELECT id::text, state FROM awards")
    signed: dict[str, list[str]] = defaultdict(list)
    for row in await system.rows("issuance", "SELECT award_id, status FROM credentials WHERE award_id IS NOT NULL"):
        signed[row["award_id"]].append(row["status"])
    for row in awards:
        if signed.pop(row["id"], []) != [_STATUS[row["state"]]]:
            wrong.append(f"award {row['id']} is {row['state']}, and its credentials are not")
    wrong += [f"a credential of the award {award}, which pathways never made" for award in signed]
    return {"completions": len(rows), "awards": len(awards)}


async def _said_and_taken(system: System, wrong: list[str]) -> dict[str, int]:
    events = await system.events()
    bodies: dict[str, bytes] = {}
    subjects: Counter[tuple[str, str]] = Counter()
    lives: dict[tuple[str, str], list[str]] = defaultdict(list)
    for topic, event in events:
        body = encode(event)
        if bodies.setdefault(event.id, body) != body:
            wrong.append(f"the event {event.id} was said twice, and differently")
        elif topic in {"credentials", "qualifications"}:
            lives[topic, event.subject].append(event.type)
    said = {event.id: event for _, event in events}
    for event in said.values():
        subjects[event.type, event.subject] += 1
    once = {"completion.recorded.v1", "credential.issued.v1", "qualification.completed.v1"}
    wrong += [
        f"{kind} was said {n} times of {subject}" for (kind, subject), n in subjects.items() if kind in once and n > 1
    ]
    begins = {"credentials": "credential.issued.v1", "qualifications": "qualification.completed.v1"}
    for (topic, subject), told in lives.items():
        if begins[topic] in told and told[0] != begins[topic]:
            wrong.append(f"{subject}: {told[0]} was said before {begins[topic]}")
    issued = {row["id"] for row in await system.rows("issuance", "SELECT id FROM credentials WHERE state = 'issued'")}
    told = {subject for kind, subject in subjects if kind == "credential.issued.v1"}
    held = {row["id"] for row in await system.rows("pathways", "SELECT id FROM holdings")}
    if not issued == told == held:
        wrong.append(f"{len(issued)} credentials are issued, {len(told)} announced, {len(held)} held")
    repeated = len(events) - len(said)
    return {"events": len(said), "sent twice": repeated}


class _Resolver:
    """Asks the system itself, by its gateway, and each thing once."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._known: dict[str, bytes] = {}

    async def did_document(self, did: str, url: str) -> bytes:
        return await self._get(url)

    async def trust(self, issuer: str) -> Trust:
        return Trust.TRUSTED

    async def status_list(self, url: str) -> bytes:
        return await self._get(url)

    async def document(self, url: str) -> bytes:
        return await self._get(url)

    async def _get(self, url: str) -> bytes:
        if url not in self._known:
            answer = await self._client.get(urlsplit(url).path)
            self._known[url] = answer.raise_for_status().content
        return self._known[url]


async def _verified(system: System, wrong: list[str]) -> dict[str, int]:
    vault = Vault(SecretStr(Home(system.box.folder).secrets().keks["issuance"]))
    rows = await system.rows("issuance", _BODIES)
    async with httpx.AsyncClient(base_url=system.access.address, trust_env=False, timeout=30) as client:
        resolver, policy = _Resolver(client), Policy(at=datetime.now(UTC))
        for row in rows:
            credential = json.loads(vault.open(row["key"], row["body"], body_place(row["id"])))
            checks = (await verify(credential, resolver, policy)).checks
            if checks[CheckName.PROOF].outcome is not Outcome.PASSED:
                wrong.append(f"the signature of {row['id']}: {checks[CheckName.PROOF]}")
            good = Outcome.PASSED if row["status"] == "valid" else Outcome.FAILED
            if checks[CheckName.STATUS].outcome is not good:
                wrong.append(f"{row['id']} is {row['status']}, and its status list says {checks[CheckName.STATUS]}")
    return {"signatures": len(rows)}


async def _audited(system: System, wrong: list[str]) -> dict[str, int]:
    """By the functions of `POST /v1/audits`, on what `GET …/holdings` would give."""
    holdings: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in await system.rows("pathways", _HOLDINGS):
        holding = json.loads(row["body"]) | {"status": json.loads(row["status"])}
        for learner in (row["learner_id"], *row["survivors"]):
            holdings[learner].append(holding)
    rows = await system.rows("pathways", _AUDITS)
    for row in rows:
        rules, stored = json.loads(row["body"]), json.loads(row["document"])
        keys = set(row["keys"])
        mine = [h for h in holdings[row["learner_id"]] if f"achievement:{h['achievement']}" in keys]
        request = parse_audit_request({"framework": rules, "asOf": stored["asOf"], "holdings": mine})
        assert isinstance(request.framework, Framework)
        fresh = audit(request.framework, request.holdings, (), request.as_of, awards={}, steps=200_000).to_json()
        if (fresh["digest"], fresh["status"], fresh["allocation"]) != (
            row["digest"],
            row["status"],
            stored["allocation"],
        ):
            wrong.append(
                f"the audit of {row['learner_id']} for {row['qualification']} is {row['status']}, not {fresh['status']}"
            )
    return {"audits": len(rows)}


async def _replayed(system: System, wrong: list[str]) -> dict[str, int]:
    """`python -m cairn.pathways replay`, whose exit code says whether the state is as it was, and no award differs."""
    env = system.environment("pathways-worker")
    command = (sys.executable, "-m", "cairn.pathways", "replay")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    said, _ = await asyncio.wait_for(process.communicate(), 600)
    if process.returncode:
        wrong.append(f"replay: {said.decode().strip()}")
    return {}


_COMPLETIONS: Final = """
    SELECT c.id, c.state, c.reason, count(v.id) AS credentials, count(*) FILTER (WHERE v.state = 'issued') AS issued
      FROM completions c LEFT JOIN credentials v ON v.completion_id = c.id GROUP BY c.id
"""
_RECEIPTS: Final = """
    SELECT * FROM (
        SELECT r.id, r.lines,
               jsonb_array_length(r.rejected) + (SELECT count(*) FROM receipt_lines l WHERE l.receipt_id = r.id) AS told
          FROM receipts r) each WHERE told <> lines
"""
_PLACES: Final = """
    SELECT list_index, count(*) AS n FROM credentials GROUP BY tenant_id, list_id, list_index HAVING count(*) > 1
"""
_BODIES: Final = """
    SELECT c.id, c.status, c.body, l.key FROM credentials c JOIN learners l ON l.id = c.learner_id
     WHERE c.state = 'issued' AND l.key IS NOT NULL
"""
_HOLDINGS: Final = """
    SELECT h.learner_id, h.body,
           ARRAY(SELECT a.learner_id FROM aliases a
                  WHERE a.alias_id = h.learner_id AND a.active AND a.source_tenant_id = h.tenant_id) AS survivors,
           (SELECT jsonb_agg(jsonb_build_object(
                       'at', to_char(s.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'state', s.state)
                   ORDER BY s.at, s.state)
              FROM holding_status s WHERE s.holding_id = h.id AND s.tenant_id = h.tenant_id) AS status
      FROM holdings h
"""
_AUDITS: Final = """
    SELECT a.learner_id, a.status, a.digest, a.document, f.qualification, f.body,
           ARRAY(SELECT i.key FROM framework_index i WHERE i.framework_id = f.id) AS keys
      FROM audits a JOIN frameworks f ON f.id = a.framework_id
"""
