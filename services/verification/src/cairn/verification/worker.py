"""The verification worker: hears who is accredited, forgets what is old, and relays the outbox."""

from __future__ import annotations

from cairn.verification.settings import VerificationSettings


async def run(settings: VerificationSettings) -> None:
    raise SystemExit("not wired")
