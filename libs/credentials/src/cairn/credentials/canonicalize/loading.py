"""How pyld is given contexts: from the bundle only, with a cache shared with nobody else in the process."""

from __future__ import annotations

import threading
from typing import Any, Final

from cachetools import LRUCache
from pyld.context_resolver import ContextResolver

from cairn.credentials.bundle import context_document

NOWHERE: Final = "cairn-relative:///"
"""Relative IRIs resolve to here, and so are known and refused. Without a base, pyld makes up one at example.org."""

LOCK: Final = threading.Lock()

# pyld's own cache is shared by the whole process and does not know that another loader may mean other bytes by a URL.
_cache: Any = LRUCache[str, Any](maxsize=256)


def options() -> dict[str, Any]:
    """For one call of pyld, under `LOCK`."""
    return {
        "base": NOWHERE,
        "documentLoader": _load,
        "contextResolver": ContextResolver(_cache, _load),
        "processingMode": "json-ld-1.1",
    }


def _load(url: str, _: Any = None) -> dict[str, Any]:
    return {
        "contentType": "application/ld+json",
        "contextUrl": None,
        "documentUrl": url,
        "document": context_document(url),
    }
