"""Typed keys: one algorithm each, so that no header can make a key do what it is not for (S4).

Sources: Controlled Identifiers 1.0 §2.2.2 (Multikey), RFC 8032 (Ed25519), RFC 7518 §3.4 (ES256), RFC 7517 and 8037.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

import base58
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from cairn.credentials.errors import KeyRefused

Algorithm: TypeAlias = Literal["EdDSA", "ES256"]

_ED25519_PREFIX: Final = b"\xed\x01"
_P256_PREFIX: Final = b"\x80\x24"
_MULTIKEY_LIMIT: Final = 200


class Signer(Protocol):
    """Who signs. The private key stays behind it: a local key, an HSM, a remote service."""

    @property
    def algorithm(self) -> Algorithm: ...

    @property
    def verification_method(self) -> str:
        """The DID URL under which verifiers find the public key."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The raw signature over `data`: 64 bytes for EdDSA, r‖s for ES256."""
        ...


@dataclass(frozen=True, slots=True)
class Ed25519PublicKey:
    """A public key of Ed25519; verifies EdDSA only."""

    raw: bytes
    _key: ed25519.Ed25519PublicKey = field(init=False, repr=False, compare=False)
    algorithm: Literal["EdDSA"] = field(init=False, default="EdDSA")

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise KeyRefused("an Ed25519 public key has 32 bytes")
        object.__setattr__(self, "_key", ed25519.Ed25519PublicKey.from_public_bytes(self.raw))

    @property
    def multikey(self) -> str:
        return "z" + base58.b58encode(_ED25519_PREFIX + self.raw).decode()

    def verify(self, signature: bytes, data: bytes) -> bool:
        if len(signature) != 64:
            return False
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def to_jwk(self) -> dict[str, str]:
        return {"kty": "OKP", "crv": "Ed25519", "x": _b64url(self.raw)}


@dataclass(frozen=True, slots=True)
class P256PublicKey:
    """A public key on P-256, as its compressed point; verifies ES256 only."""

    raw: bytes
    _key: ec.EllipticCurvePublicKey = field(init=False, repr=False, compare=False)
    algorithm: Literal["ES256"] = field(init=False, default="ES256")

    def __post_init__(self) -> None:
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.raw)
        except ValueError:
            raise KeyRefused("not a point on the curve P-256") from None
        compressed = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
        object.__setattr__(self, "raw", compressed)
        object.__setattr__(self, "_key", key)

    @property
    def multikey(self) -> str:
        return "z" + base58.b58encode(_P256_PREFIX + self.raw).decode()

    def verify(self, signature: bytes, data: bytes) -> bool:
        if len(signature) != 64:
            return False
        der = utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
        try:
            self._key.verify(der, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def to_jwk(self) -> dict[str, str]:
        numbers = self._key.public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": _b64url(numbers.x.to_bytes(32)),
            "y": _b64url(numbers.y.to_bytes(32)),
        }


PublicKey: TypeAlias = Ed25519PublicKey | P256PublicKey


def public_key_from_multikey(text: str) -> PublicKey:
    """Reads `publicKeyMultibase` (Controlled Identifiers 1.0 §2.2.2). Raises KeyRefused."""
    if not text.startswith("z") or len(text) > _MULTIKEY_LIMIT:
        raise KeyRefused("a public key is written in base58-btc multibase, starting with z")
    try:
        data = base58.b58decode(text[1:])
    except ValueError:
        raise KeyRefused("the public key is not base58-btc") from None
    if data.startswith(_ED25519_PREFIX):
        return Ed25519PublicKey(data[2:])
    if data.startswith(_P256_PREFIX) and len(data) == 35:
        return P256PublicKey(data[2:])
    raise KeyRefused("the key type is not supported: Ed25519 and P-256 are", code="unsupported")


def public_key_from_jwk(jwk: object) -> PublicKey:
    """Reads a public JWK. A private or a symmetric one is refused. Raises KeyRefused."""
    if not isinstance(jwk, dict):
        raise KeyRefused("a JWK is a JSON object")
    members: dict[str, Any] = jwk  # pyright: ignore[reportUnknownVariableType]
    if "d" in members or "k" in members:
        raise KeyRefused("the JWK holds a secret, which must never be published")
    match members.get("kty"), members.get("crv"):
        case "OKP", "Ed25519":
            return Ed25519PublicKey(_coordinate(members, "x"))
        case "EC", "P-256":
            return P256PublicKey(b"\x04" + _coordinate(members, "x") + _coordinate(members, "y"))
        case _:
            raise KeyRefused("the key type is not supported: Ed25519 and P-256 are", code="unsupported")


class Ed25519Signer:
    """A signer that holds its key in memory, for tests, tools and envelope-encrypted local keys."""

    def __init__(self, seed: bytes, verification_method: str | None = None) -> None:
        """`seed` is the 32-byte private key of RFC 8032. Without a method it signs as its own did:key."""
        if len(seed) != 32:
            raise KeyRefused("an Ed25519 private key has 32 bytes")
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = Ed25519PublicKey(self._key.public_key().public_bytes_raw())
        multikey = self.public_key.multikey
        self.verification_method = verification_method or f"did:key:{multikey}#{multikey}"
        self.algorithm: Literal["EdDSA"] = "EdDSA"

    @property
    def did(self) -> str:
        return self.verification_method.partition("#")[0]

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.verification_method!r})"


def _coordinate(jwk: dict[str, Any], name: str) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or len(text) != 43:
        raise KeyRefused(f"the JWK's {name} is not 32 bytes in base64url")
    try:
        return base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except ValueError:
        raise KeyRefused(f"the JWK's {name} is not base64url") from None


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
