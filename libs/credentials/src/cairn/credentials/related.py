"""Related resources and their digests (VC data model 2.0 §5.3), as far as that goes without fetching anything."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from cairn.credentials import base58
from cairn.credentials.bundle import context_bytes, context_urls
from cairn.credentials.findings import Finding
from cairn.credentials.shape import is_list, is_object, is_url, listed

_ALGORITHMS: Final = ("sha256", "sha384", "sha512")
_MULTIHASH: Final = {b"\x12\x20": 32, b"\x20\x30": 48, b"\x13\x40": 64}
"""Multihash headers of sha2-256, sha2-384 and sha2-512, and the length of what follows."""
_FORMERLY: Final = {
    # From 2024-07-03 to 2025-02-24. It has fewer terms for statuses, and is otherwise what it is now.
    "https://www.w3.org/ns/credentials/v2": (
        "24a18c90e9856d526111f29376e302d970b2bd10182e33959995b0207d7043b9",
        "35239c36999d2155312091af194a1edb61634d6ad789a5e5b19f2aebdd762dd9d1dcaada40eda7ef921c6b8c0ae107a0",
    ),
}
"""SHA-256 and SHA-384 of what was once published under a bundled context's URL."""


def related_findings(document: dict[str, Any]) -> Iterator[Finding]:
    """Everything that is wrong with `relatedResource`. What is not bundled is nowhere fetched, so its digest stands."""
    seen: set[str] = set()
    for position, resource in enumerate(listed(document.get("relatedResource"))):
        where = f"/relatedResource/{position}" if is_list(document["relatedResource"]) else "/relatedResource"
        if not is_object(resource):
            yield Finding("resource-malformed", "a related resource is an object with an id and a digest", where)
            continue
        id_ = resource.get("id")
        if not isinstance(id_, str) or not is_url(id_):
            yield Finding("id-malformed", "the id of a related resource is not one URL", f"{where}/id")
            continue
        if id_ in seen:
            yield Finding("resource-repeated", "two related resources have one id", f"{where}/id")
        seen.add(id_)
        if not any(name in resource for name in _READERS):
            detail = "a related resource has no digestSRI and no digestMultibase"
            yield Finding("digest-missing", detail, where)
        for name, read in _READERS.items():
            digests = [read(text) for text in listed(resource.get(name))]
            if None in digests:
                yield Finding("digest-malformed", f"{name} is not a digest as it is written there", f"{where}/{name}")
            elif id_ in context_urls() and not _known(id_).issuperset(digests):
                yield Finding("digest-mismatch", f"{id_} does not have that digest", f"{where}/{name}")


@cache
def _known(url: str) -> frozenset[bytes | None]:
    """The digests of a bundled context, those of its former revisions included."""
    data = context_bytes(url)
    former = (bytes.fromhex(text) for text in _FORMERLY.get(url, ()))
    return frozenset([*(hashlib.new(name, data).digest() for name in _ALGORITHMS), *former])


def _read_sri(text: Any) -> bytes | None:
    """Subresource Integrity §3.5, one hash."""
    algorithm, _, encoded = text.partition("-") if isinstance(text, str) else ("", "", "")
    if algorithm not in _ALGORITHMS:
        return None
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return digest if len(digest) == hashlib.new(algorithm).digest_size else None


def _read_multibase(text: Any) -> bytes | None:
    """Base64url or base58 of a multihash, or of the bare digest, as both are found."""
    if not isinstance(text, str) or len(text) > 120:
        return None
    try:
        if text.startswith("u"):
            data = base64.b64decode(text[1:] + "=" * (-len(text[1:]) % 4), altchars=b"-_", validate=True)
        elif text.startswith("z"):
            data = base58.decode(text[1:])
        else:
            return None
    except ValueError:
        return None
    size = _MULTIHASH.get(data[:2])
    if size is not None and len(data) == size + 2:
        return data[2:]
    return data if len(data) in _MULTIHASH.values() else None


_READERS: Final = {"digestSRI": _read_sri, "digestMultibase": _read_multibase}
