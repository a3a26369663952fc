"""VC-JOSE-COSE `vc+jwt`, and the JWT form of Open Badges 3.0 §8.2.4."""

from __future__ import annotations

from typing import Any

from cairn.credentials.keys import Signer


def sign_jwt(document: dict[str, Any], signer: Signer) -> str:
    """The credential as a compact `vc+jwt` (VC-JOSE-COSE §3.1.1), `kid` being the signer's verification method."""
    raise NotImplementedError
