"""Personal data at rest: each learner's under a key of their own, each of those wrapped by the service's key (S29).

AES-256-GCM from `cryptography`, a fresh 96-bit nonce each time, and the place of the data as associated data, so that a
sealed value moved to another row or column does not open. Destroying a learner's wrapped key makes every copy
of their data unreadable but those that have the key beside them: a backup of the whole database, until it is erased in
there too (docs/operations.md).
"""

from __future__ import annotations

import base64
import hmac
import os
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from pydantic import SecretStr

_NONCE: Final = 12
_WRAP: Final = b"cairn/key/1"


class Unreadable(Exception):
    """The key is destroyed or wrong, or the sealed bytes were altered or moved."""


class Vault:
    """Seals and opens under keys that are themselves sealed by `kek` (base64 of 32 bytes)."""

    def __init__(self, kek: SecretStr) -> None:
        root = base64.b64decode(kek.get_secret_value(), validate=True)
        self._wrap = AESGCM(_derive(root, b"cairn wrap"))
        self._own = AESGCM(_derive(root, b"cairn own"))
        self._index = _derive(root, b"cairn index")
        # Unwrapping is cheap but frequent: a batch of credentials is often of a few learners.
        self._unwrapped = lru_cache(maxsize=4096)(self._unwrap)

    def new_key(self) -> bytes:
        """A fresh key, wrapped: what is stored."""
        nonce = os.urandom(_NONCE)
        return nonce + self._wrap.encrypt(nonce, AESGCM.generate_key(256), _WRAP)

    def seal(self, key: bytes, plaintext: bytes, place: str) -> bytes:
        """`plaintext` under the wrapped `key`, bound to `place`, for instance `learners.profile:lrn_1`."""
        nonce = os.urandom(_NONCE)
        return nonce + self._unwrapped(key).encrypt(nonce, plaintext, place.encode())

    def open(self, key: bytes | None, sealed: bytes, place: str) -> bytes:
        """What was sealed. `key` is None once a learner is erased. Raises Unreadable."""
        if key is None:
            raise Unreadable("the key was destroyed")
        return _decrypt(self._unwrapped(key), sealed, place.encode())

    def seal_own(self, plaintext: bytes, place: str) -> bytes:
        """Under the service's own key: for what belongs to no single learner and expires by itself."""
        nonce = os.urandom(_NONCE)
        return nonce + self._own.encrypt(nonce, plaintext, place.encode())

    def open_own(self, sealed: bytes, place: str) -> bytes:
        return _decrypt(self._own, sealed, place.encode())

    def blind(self, *parts: str) -> bytes:
        """A keyed digest by which an identifier is found without being stored readable."""
        return hmac.digest(self._index, "".join(f"{len(part)}:{part}" for part in parts).encode(), sha256)

    def forget(self) -> None:
        """Drop unwrapped keys from memory, after one was destroyed."""
        self._unwrapped.cache_clear()

    def _unwrap(self, key: bytes) -> AESGCM:
        return AESGCM(_decrypt(self._wrap, key, _WRAP))


def _decrypt(cipher: AESGCM, sealed: bytes, associated: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], associated)
    except (InvalidTag, ValueError):
        raise Unreadable("the key is not the one it was sealed under, or the bytes were altered or moved") from None


def _derive(root: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(SHA256(), 32, purpose).derive(root)
