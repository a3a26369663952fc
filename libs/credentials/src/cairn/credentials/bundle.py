"""The bundled contexts and schemas: read from the package, checked against their pins, never fetched (S2)."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

from cairn.credentials.errors import ContextUnknown


class BundleAltered(Exception):
    """A bundled file is not the one that was pinned. The installation is not to be used."""


@cache
def _index(folder: str) -> dict[str, dict[str, str]]:
    return json.loads((files("cairn.credentials") / folder / "index.json").read_bytes())


@cache
def _read(folder: str, url: str) -> Any:
    """Parsed once and shared: callers must not change what they are given."""
    return json.loads(_bytes(folder, url))


def _bytes(folder: str, url: str) -> bytes:
    entry = _index(folder)[url]
    data = (files("cairn.credentials") / folder / entry["file"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise BundleAltered(f"{folder}/{entry['file']} does not have the sha256 that is pinned")
    return data


@cache
def context_urls() -> frozenset[str]:
    return frozenset(_index("contexts"))


def context_document(url: str, *, pointer: str | None = "/@context") -> dict[str, Any]:
    """The context document of `url`. Raises ContextUnknown."""
    if url not in _index("contexts"):
        raise ContextUnknown(url, pointer=pointer)
    return _read("contexts", url)


def context_bytes(url: str) -> bytes:
    """The context document of a URL that is bundled, byte for byte as it was published."""
    return _bytes("contexts", url)


@cache
def context_hashes() -> dict[str, str]:
    """URL -> the pinned sha256, so that a verdict can say on which revision it rested."""
    return {url: entry["sha256"] for url, entry in _index("contexts").items()}


def schema(url: str) -> dict[str, Any] | None:
    """The bundled JSON Schema of that `$id`, or None."""
    return _read("schemas", url) if url in _index("schemas") else None


def schema_fits(url: str, integrity: str) -> bool:
    """Whether the bundled schema has that digest (Subresource Integrity: `sha384-…`; the strongest counts)."""
    data = (files("cairn.credentials") / "schemas" / _index("schemas")[url]["file"]).read_bytes()
    stated = {name: digest for name, _, digest in (one.partition("-") for one in integrity.split())}
    for name in ("sha512", "sha384", "sha256"):
        if name in stated:
            return base64.b64encode(hashlib.new(name, data).digest()).decode() == stated[name]
    return False
