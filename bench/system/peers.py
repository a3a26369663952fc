"""How others do the two halves of it, on the same machine: sign a credential, and find what a completion completes."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from bench.credentials.peers import CONTEXTS, installed
from bench.credentials.sample import unsigned
from bench.stacking.peers import OPENEDX, openedx, peer
from bench.stacking.population import service
from cairn.credentials import Ed25519Signer, sign
from cairn.issuance.domain.compose import Issuer, Subject, credential_for_completion
from cairn.issuance.domain.model import Achievement, Institution, Profile
from cairn.onebox.story import cast
from cairn.onebox.story.api import each
from cairn.onebox.story.cast import HOME

_SIGNER: Final = Path(__file__).with_name("signer.mjs")
_WARM: Final = 20


def floor(count: int) -> float:
    """Credentials per second that one core composes and signs one by one, doing nothing else."""
    issuer = Issuer("did:web:cairn.localhost", Institution.model_validate(cast.INSTITUTIONS[0]))
    signer = Ed25519Signer(bytes(32), "did:web:cairn.localhost#key-1")
    achievement = Achievement.model_validate(cast.achievements(HOME)[0])
    id_, now = "https://cairn.localhost/issuance/achievements/north-coast/sc0x", datetime.now(UTC)
    facts = {"completedAt": "2026-01-01T00:00:00Z", "grade": {"score": "0.8"}}
    place = {"revocation": ("https://cairn.localhost/issuance/status/north-coast/1/revocation", 7)}
    started = time.perf_counter()
    for number in range(count):
        subject = Subject(f"urn:uuid:00000000-0000-5000-8000-{number:012}", Profile(name="Learner"), place)
        document, _ = credential_for_completion(issuer, id_, achievement, subject, facts, now)
        sign(document, signer, created=now)
    return count / (time.perf_counter() - started)


def _node(folder: Path) -> subprocess.Popen[str]:
    command = ["node", _SIGNER.name]
    return subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def signing_service(count: int) -> float:
    """Credentials per second from a Node service that signs one a request, asked eight at a time."""
    cache = installed()
    shutil.copy(_SIGNER, cache)
    process = _node(cache)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"contexts": CONTEXTS, "seed": bytes(32).hex()}) + "\n")
        process.stdin.flush()
        told = json.loads(await asyncio.to_thread(process.stdout.readline))
        bodies = [{"credential": unsigned(told["did"], number)} for number in range(count + _WARM)]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{told['port']}", trust_env=False) as client:

            async def one(body: object) -> None:
                answer = await client.post("/credentials/issue", json=body, timeout=60)
                assert answer.status_code == 201, answer.text
                assert answer.json()["proof"]["proofValue"]

            await each(bodies[:_WARM], one, lambda: None)
            started = time.perf_counter()
            await each(bodies[_WARM:], one, lambda: None)
            return count / (time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait(10)


async def open_edx(programmes: int, events: int) -> float:
    """Completions per second that Open edX Credentials' queries take, where so many programmes are offered."""
    async with service() as made:
        _, milliseconds = await peer(made, openedx, OPENEDX, programmes, events)
    return 1000 / milliseconds
