"""The issuance worker: drafts, signs, hears awards and relays the outbox."""

from __future__ import annotations

from cairn.issuance.settings import IssuanceSettings


async def run(settings: IssuanceSettings) -> None:
    raise SystemExit("not wired")
