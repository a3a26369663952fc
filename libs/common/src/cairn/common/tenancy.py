"""The names of tenants: one institution, one tenant, one issuer."""

from __future__ import annotations

import re
from typing import Final

_SLUG: Final = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")


def is_tenant(name: str) -> bool:
    """True for a plain lower-case slug, which has no meaning of its own to row-level security or to a URL."""
    return _SLUG.fullmatch(name) is not None
